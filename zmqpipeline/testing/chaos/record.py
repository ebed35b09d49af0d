"""The file in which a round's processes write down what happens, and how it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Event(NamedTuple):
    """Something that a process has written down."""

    time: float  #: on the monotonic clock, which all processes share
    pid: int
    what: str
    words: tuple[str, ...] = ()

    @property
    def task(self) -> tuple[str, int]:
        """The task type and the number of the task that it is about."""
        return self.words[0], int(self.words[1])


#: what is written down about a task
OF_TASKS = frozenset({"made", "begin", "told", "collected", "failed"})
#: what is written down when the collector has got something
RECEIVED = frozenset({"collected", "failed"})
#: how many words stand behind each
_WORDS = {
    "born": 2, "open": 1, "made": 2, "told": 2, "begin": 2, "collected": 4, "failed": 4, "finished": 0,
    "fault": 2,
}  # fmt: skip


def parse(line: str) -> Event | None:
    """Read a line; None if it was cut off by the death of its writer."""
    *words, end = line.split() or [""]
    if end != "." or len(words) < 3 or len(words) - 3 != _WORDS.get(words[2]):
        return None
    try:
        event = Event(float(words[0]), int(words[1]), words[2], tuple(words[3:]))
        if event.what in OF_TASKS:
            int(event.words[1])
    except ValueError:
        return None
    return event


class Tail:
    """Reads what was appended since the last time.

    Parameters
    ----------
    path
        the file; it need not exist yet

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        #: lines that were cut off
        self.torn = 0

    def read(self) -> list[Event]:
        """Return the events that are new, in the order in which they were written."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        events = []
        for line in whole.decode("ascii", "replace").split("\n"):
            event = parse(line) if line else None
            if event is not None:
                events.append(event)
            elif line:
                self.torn += 1
        return events
