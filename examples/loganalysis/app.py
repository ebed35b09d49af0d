"""Unpacks the logs of a week, counts them piece by piece, and keeps what it has in a file."""

import gzip
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import chart
import counting
import make_logs

import zmqpipeline

UNPACK = zmqpipeline.TaskType.register_type("UNPACK")
COUNT = zmqpipeline.TaskType.register_type("COUNT")
RESULTS = zmqpipeline.EndpointAddress("ipc://results.ipc")

LOGS, UNPACKED = Path("logs"), Path("unpacked")
PIECE = 64 * 1024


class Settings(zmqpipeline.MetaDataWorker):
    """Says what counts as slow, in seconds."""

    endpoint = zmqpipeline.EndpointAddress("ipc://settings.ipc")

    def get_metadata(self) -> dict:
        return {"slow": 2.0}


class UnpackTask(zmqpipeline.Task):
    """Hands out the days."""

    task_type = UNPACK
    endpoint = zmqpipeline.EndpointAddress("ipc://unpack.ipc")
    dependencies = []
    max_attempts = 2

    def initialize(self, metadata: dict) -> None:
        if not LOGS.exists():
            make_logs.make(LOGS)
        self.files = sorted(str(path) for path in LOGS.glob("*.gz"))
        self.is_complete = not self.files

    def handle(self, data: dict, address: bytes, msgtype: str) -> dict:
        path = self.files.pop(0)
        self.is_complete = not self.files
        return {"path": path}


class Unpacker(zmqpipeline.SingleThreadedWorker):
    """Unpacks a day: under another name first, so that there is never half a file."""

    task_type = UNPACK
    endpoint = UnpackTask.endpoint
    collector_endpoint = RESULTS

    def init_worker(self) -> None:
        UNPACKED.mkdir(exist_ok=True)

    def handle_execution(self, data: dict, *args: object, **kwargs: object) -> None:
        rough = UNPACKED / f"{Path(data['path']).stem}.{os.getpid()}"
        with gzip.open(data["path"]) as packed, rough.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
        rough.rename(UNPACKED / Path(data["path"]).stem)


class CountTask(zmqpipeline.Task):
    """Hands out pieces of the files, as soon as all are there."""

    task_type = COUNT
    endpoint = zmqpipeline.EndpointAddress("ipc://count.ipc")
    dependencies = [UNPACK]
    position = 0

    def initialize(self, metadata: dict) -> None:
        self.pieces = [
            {"path": str(path), "start": start}
            for path in sorted(UNPACKED.glob("*.log"))
            for start in range(0, path.stat().st_size, PIECE)
        ]
        self.is_complete = not self.pieces

    def handle(self, data: dict, address: bytes, msgtype: str) -> dict:
        piece = self.pieces[self.position]
        self.position += 1
        self.is_complete = self.position == len(self.pieces)
        return piece

    def checkpoint(self) -> dict:
        return {"position": self.position}


def lines_of(path: str, start: int) -> Iterator[str]:
    """Read the lines that begin in a piece; the last one may end behind it."""
    with Path(path).open("rb") as file:
        if start:
            file.seek(start - 1)
            file.readline()  # the end of one that belongs to the piece before
        while file.tell() < start + PIECE and (line := file.readline()):
            yield line.decode()


class PieceCounter(zmqpipeline.SingleThreadedWorker):
    """Counts a piece."""

    task_type = COUNT
    endpoint = CountTask.endpoint
    collector_endpoint = RESULTS

    def handle_execution(self, data: dict, *args: object, **kwargs: object) -> dict:
        counts = counting.count(lines_of(data["path"], data["start"]), self.metadata["slow"])
        requests = [[hour, status, n] for (hour, status), n in counts["requests"].items()]
        return {**counts, "requests": requests}


class Database:
    """A table of what was found, by the ids of results; opened for each access, so nothing stays open."""

    def __init__(self, path: str) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS found (id TEXT PRIMARY KEY, run TEXT, what TEXT)")

    def insert(self, *row: str) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute("INSERT INTO found VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row)

    def newest(self) -> list[str]:
        """Read what was found by the run that has written last."""
        with closing(sqlite3.connect(self.path)) as database:
            run = database.execute("SELECT run FROM found ORDER BY rowid DESC LIMIT 1").fetchone()
            rows = database.execute("SELECT what FROM found WHERE run IS ? ORDER BY id", run or (None,))
            return [what for (what,) in rows]


class Report(zmqpipeline.Collector):
    """Keeps what was counted in a table, and adds it up at the end."""

    endpoint = RESULTS
    ack_endpoint = zmqpipeline.EndpointAddress("ipc://acks.ipc")

    def __init__(self) -> None:
        self.database = Database("counts.sqlite")

    def handle_collection(self, data: dict, task_type: str, msgtype: str) -> None:
        if task_type == COUNT:
            self._keep(data)

    def handle_failure(self, data: dict, task_type: str, error: dict) -> None:
        self._keep({"missing": f"{data['path']} ({error['type']})"})

    def _keep(self, what: dict) -> None:
        # committed when it returns; the same result once more, after a crash, changes nothing
        self.database.insert(self.result_id, self.result_id.partition("-")[0], json.dumps(what))

    def handle_finished(self, data: object, task_type: str) -> None:
        found = [json.loads(what) for what in self.database.newest()]
        missing = [what["missing"] for what in found if "missing" in what]
        total = counting.add_up(as_counted(what) for what in found if "missing" not in what)
        chart.draw(total, Path("week.svg"))
        print(*counting.summary(total), sep="\n")
        print("without", ", ".join(missing) or "nothing")


def as_counted(what: dict) -> dict:
    """Undo what JSON, which has no tuples as keys, asked for."""
    return {**what, "requests": {(hour, status): n for hour, status, n in what["requests"]}}
