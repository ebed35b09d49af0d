"""Counts the words of Python's standard library, a file at a time."""

import json
import os
import re
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import zmqpipeline

zmqpipeline.TaskType.register_type("COUNT")
COUNT = zmqpipeline.TaskType("COUNT")

FILES = zmqpipeline.EndpointAddress("ipc://files.ipc")
COUNTS = zmqpipeline.EndpointAddress("ipc://counts.ipc")
COUNTS_ACK = zmqpipeline.EndpointAddress("ipc://counts-ack.ipc")

FOLDER = sysconfig.get_path("stdlib")
INSTALLED = {"site-packages", "dist-packages"}
WORD = re.compile("[A-Za-z]+")
RESULT = Path("wordcount.json")


def python_files(top: str) -> Iterator[Path]:
    """Find the .py files in a folder and those below it, without what was installed later."""
    for folder, folders, names in os.walk(top):
        folders[:] = set(folders) - INSTALLED
        for name in names:
            path = Path(folder, name)
            if name.endswith(".py") and path.is_file():
                yield path


class Files(zmqpipeline.Task):
    """Hands out the paths."""

    task_type = COUNT
    endpoint = FILES
    dependencies = []

    def initialize(self, metadata: dict) -> None:
        super().initialize(metadata)
        self.paths = list(python_files(FOLDER))
        self.total = len(self.paths)
        self.is_complete = not self.paths

    def handle(self, data: dict, address: bytes, msgtype: str) -> dict:
        path = self.paths.pop()
        self.is_complete = not self.paths
        return {"path": str(path), "total": self.total}


class CountWords(zmqpipeline.SingleThreadedWorker):
    """Counts the words of one file."""

    task_type = COUNT
    endpoint = FILES
    collector_endpoint = COUNTS

    def handle_execution(self, data: dict, *args: object, **kwargs: object) -> dict:
        text = Path(data["path"]).read_text(encoding="utf-8", errors="replace")
        # lower-cased behind the search: a few letters beyond ASCII would become ASCII
        words = Counter(map(str.lower, WORD.findall(text)))
        return {"words": words, "total": data["total"]}


class Sum(zmqpipeline.Collector):
    """Adds up the counts of all files."""

    endpoint = COUNTS
    ack_endpoint = COUNTS_ACK

    files = 0
    total = 0

    def __init__(self) -> None:
        self.words: Counter[str] = Counter()

    def handle_collection(self, data: dict, task_type: str, msgtype: str) -> None:
        self.files += 1
        self.total = data["total"]
        self.words.update(data["words"])

    def handle_finished(self, data: object, task_type: str) -> None:
        # a file that could not be read, or a collector that was killed and lost what it had added up
        if self.files != self.total:
            raise RuntimeError(f"{RESULT} is not written: {self.files} of {self.total} files were counted")
        ranking = sorted(self.words.items(), key=lambda item: (-item[1], item[0]))
        # under another name first, so that there is never half a result
        unfinished = Path(f"{RESULT}.unfinished")
        unfinished.write_text(json.dumps(dict(ranking), indent=1), encoding="utf-8")
        unfinished.replace(RESULT)
        print(f"{self.words.total()} words in {self.files} files, {len(ranking)} different ones")
        for word, count in ranking[:10]:
            print(f"{count:8} {word}")
