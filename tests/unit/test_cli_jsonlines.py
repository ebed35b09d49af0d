"""Objects of JSON on stderr, one a line."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from zmqpipeline.cli import jsonlines
from zmqpipeline.cli.jsonlines import JsonLines
from zmqpipeline.cli.lines import LONGEST_LINE
from zmqpipeline.cli.logs import Entries
from zmqpipeline.cli.output import JsonOutput
from zmqpipeline.cli.voice import Voice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Written:
    """A sink whose objects can be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.sink = JsonLines(self.descriptor, "worker")
        self.stream = io.TextIOWrapper(self.sink, "utf-8", "backslashreplace", write_through=True)

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_bytes().splitlines()]


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    made = Written(tmp_path / "log")
    yield made
    made.stream.close()
    os.close(made.descriptor)


def test_an_entry_says_when_who_and_what(written: Written) -> None:
    written.sink.voice = Voice("Does", 1, "first")
    written.sink.say("warning", "no", logger="a.b", exception="Traceback", at=1_700_000_000.25)
    (entry,) = written.entries()
    when = datetime.fromisoformat(entry.pop("time"))
    assert when.timestamp() == 1_700_000_000.25
    assert isinstance(when.utcoffset(), timedelta)
    assert entry == {
        "level": "warning",
        "logger": "a.b",
        "role": "Does",
        "pid": os.getpid(),
        "host": os.uname().nodename,
        "task": "first",
        "message": "no",
        "exception": "Traceback",
    }


def test_who_has_no_task_type_and_no_exception_says_nothing_of_them(written: Written) -> None:
    written.sink.say("info", "yes")
    (entry,) = written.entries()
    assert list(entry) == ["time", "level", "logger", "role", "pid", "host", "message"]
    assert entry["role"] == "worker"


def test_no_character_ends_a_line_too_early(written: Written, tmp_path: Path) -> None:
    text = "a\nb\rc\u2028d\x85e\x00\ud800"
    written.sink.say("info", text)
    assert written.entries()[0]["message"] == text
    assert tmp_path.joinpath("log").read_bytes().count(b"\n") == 1


def test_what_is_printed_becomes_entries_line_by_line(written: Written) -> None:
    print("one\ntwo", end="", file=written.stream)
    assert [entry["message"] for entry in written.entries()] == ["one"]
    print(" more", file=written.stream)
    written.sink.write(b"bytes \xff\r\nand no end")
    written.sink.finish()
    entries = written.entries()
    assert [entry["message"] for entry in entries] == ["one", "two more", "bytes \\xff", "and no end"]
    assert {(entry["level"], entry["logger"]) for entry in entries} == {("info", "stderr")}


def test_lines_of_threads_stay_whole(written: Written) -> None:
    together = threading.Barrier(4)

    def prints(letter: str) -> None:
        for _ in range(10):
            together.wait(40)
            # in pieces, as print() does it, with all the others in between
            written.stream.write(letter * 50_000)
            together.wait(40)
            written.stream.write(letter * 50_000 + "\n")

    threads = [threading.Thread(target=prints, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry["message"] for entry in written.entries()) == [
        letter * 100_000 for letter in "abcd" for _ in range(10)
    ]


def test_an_entry_is_never_longer_than_a_line_may_be(written: Written, tmp_path: Path) -> None:
    written.sink.say("info", "\x00" * LONGEST_LINE, exception="\x00" * LONGEST_LINE)
    assert len(tmp_path.joinpath("log").read_bytes()) <= LONGEST_LINE
    (entry,) = written.entries()
    assert entry["message"].endswith(" more characters)")
    assert entry["exception"].endswith(" more characters)")


def test_lines_of_other_processes_are_told_apart(written: Written) -> None:
    output = JsonOutput(written.sink)
    does = Voice("Does", 11, "first")
    other = JsonLines(written.descriptor, "Does")
    other.say("error", "an entry")
    (own,) = written.entries()
    output.line(does, json.dumps(own).encode(), error=True)
    for raw in (b"plain \xff", b'{"time": "of day"}', b'{"time": "cut off', b"[]"):
        output.line(does, raw, error=True)
    entries = written.entries()
    assert entries[1] == own
    assert [entry["message"] for entry in entries[2:]] == [
        "plain \\xff",
        '{"time": "of day"}',
        '{"time": "cut off',
        "[]",
    ]
    assert {(entry["role"], entry["pid"], entry["task"]) for entry in entries[2:]} == {("Does", 11, "first")}


def test_records_become_entries(written: Written) -> None:
    entries = Entries(written.sink, "Does")
    logger = logging.getLogger("zmqpipeline.worker")
    logger.addHandler(entries)
    try:
        logger.warning("%s: task %d failed", "Does", 3)
        int("three")
    except ValueError:
        logger.exception("no", stack_info=True)
    finally:
        logger.removeHandler(entries)
    first, second = written.entries()
    assert (first["level"], first["logger"]) == ("warning", "zmqpipeline.worker")
    assert first["message"] == "task 3 failed"  # who says it stands in the entry
    assert second["exception"].startswith("Traceback (most recent call last):\n")
    assert "\nStack (most recent call last):\n" in second["exception"]


def test_a_reader_that_is_gone_holds_up_nobody() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        JsonLines(writing, "worker").say("info", "to nobody")
    finally:
        os.close(writing)


@pytest.mark.parametrize(
    ("arguments", "value", "wanted"),
    [
        (["run", "app.py", "--log-json"], None, True),
        (["run", "app.py"], None, False),
        (["run", "app.py"], "1", True),
        (["run", "app.py"], "0", False),
        (["run", "app.py"], "", False),
        (["run", "--", "--log-json"], None, False),
    ],
)
def test_when_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], value: str | None, *, wanted: bool
) -> None:
    monkeypatch.delenv(jsonlines.VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(jsonlines.VARIABLE, value)
    assert jsonlines.is_wanted(arguments) is wanted
