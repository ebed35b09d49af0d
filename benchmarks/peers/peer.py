"""The shape of an adapter, and the measurements, which are the same for all of them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from .memory import peak
from .work import Tasks, Work, nap, noop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

#: seconds of the tasks that come before the measured ones, so that every worker has started
WARMING = 0.05
#: seconds after which the measurement begins, whether they have or not
PATIENCE = 15.0

#: seconds before each task that comes alone, in which the system goes to sleep
PAUSE = 0.002


class WrongResultsError(Exception):
    """Raised when results are lost, doubled or not what the tasks asked for."""


class Setting(NamedTuple):
    """How a peer is to be started."""

    #: processes, or threads where `waiting` is set and the peer has threads
    workers: int
    #: with what the peer's documentation recommends for small tasks
    tuned: bool = False
    #: the tasks wait rather than compute
    waiting: bool = False

    def split(self) -> tuple[int, int]:
        """Divide the workers into processes, one a core at most, and threads."""
        processes = next(n for n in range(os.cpu_count() or 1, 0, -1) if self.workers % n == 0)
        return processes, self.workers // processes


class System(NamedTuple):
    """A peer that runs."""

    #: does all tasks, and yields the results in any order
    many: Callable[[Work, Tasks], Iterable[dict[str, Any]]]
    #: does one task, and returns its result
    one: Callable[[Work, dict[str, Any]], dict[str, Any]]


class Outcome(NamedTuple):
    """What was measured."""

    tasks: int
    #: of all tasks together
    seconds: float
    #: in MiB: what each process that ran at the end has had at most, added up; 0 where it cannot be known
    memory: float
    #: of each single task, in seconds, where they came one by one
    rounds: list[float]


@dataclass(frozen=True)
class Peer:
    """One library that people would pick instead."""

    name: str
    #: the package whose version is told; None for the standard library
    package: str | None
    #: starts it, and ends everything that it started
    start: Callable[[Setting], AbstractContextManager[System]]
    #: what its documentation recommends for small tasks, in a few words; None if there is nothing
    tuning: str | None = None
    #: why it cannot run here, in one sentence, or None
    missing: Callable[[], str | None] = lambda: None

    @property
    def version(self) -> str:
        """Tell the version that is installed."""
        return platform.python_version() if self.package is None else importlib.metadata.version(self.package)

    def throughput(self, tasks: int, workers: int, *, tuned: bool = False) -> Outcome:
        """Do tasks that do nothing, as many as there are, on a system that has warmed up."""
        with self.start(Setting(workers, tuned=tuned)) as system:
            warm(system, workers)
            return do_all(system, noop, Tasks(tasks))

    def latency(self, rounds: int, workers: int) -> Outcome:
        """Do one task at a time, each some time after the one before has come back."""
        with self.start(Setting(workers)) as system:
            warm(system, workers)
            times = []
            for number in range(1, rounds + 1):
                time.sleep(PAUSE)
                begun = time.perf_counter()
                result = system.one(noop, {"i": number})
                times.append(time.perf_counter() - begun)
                if result != {"r": number}:
                    raise WrongResultsError(f"task {number} has the result {result}")
            return Outcome(rounds, sum(times), peak(), times)

    def sleep(self, tasks: int, seconds: float, workers: int) -> Outcome:
        """Do tasks that wait so many seconds each."""
        with self.start(Setting(workers, waiting=True)) as system:
            warm(system, workers)
            return do_all(system, nap, Tasks(tasks, seconds))


def warm(system: System, workers: int) -> None:
    """Wait until all workers have started, which shows in tasks that take no longer than they should."""
    ideal = 2 * WARMING
    deadline = time.monotonic() + PATIENCE
    quick = 0
    while quick < 2 and time.monotonic() < deadline:
        begun = time.perf_counter()
        for _result in system.many(nap, Tasks(2 * workers, WARMING)):
            pass
        quick += time.perf_counter() - begun < 2 * ideal


def do_all(system: System, work: Work, tasks: Tasks) -> Outcome:
    """Take the time from the first submission to the last result, and check the results."""
    seen = total = 0
    begun = time.perf_counter()
    for result in system.many(work, tasks):
        seen += 1
        total += result["r"]
    seconds = time.perf_counter() - begun
    expected = len(tasks)
    if (seen, total) != (expected, expected * (expected + 1) // 2):
        raise WrongResultsError(f"{seen} results with the sum {total} came of {expected} tasks")
    return Outcome(expected, seconds, peak(), [])
