"""One round: a pipeline of its own, from its first process to the last, under faults."""

from __future__ import annotations

import enum
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import zmqpipeline
from zmqpipeline.testing.chaos import ports, workload
from zmqpipeline.testing.chaos.census import MARK, Census, survivors
from zmqpipeline.testing.chaos.checker import Breach, Checker, Tally
from zmqpipeline.testing.chaos.crew import FILE, OneByOne, Supervised, environment
from zmqpipeline.testing.chaos.injector import Fault, Injector
from zmqpipeline.testing.chaos.record import Tail
from zmqpipeline.testing.chaos.recovery import Recovery

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.testing.chaos.crew import Crew
    from zmqpipeline.testing.chaos.schedule import Schedule

#: how often it is looked what has happened, in seconds
_TICK = 0.02
#: a round in which nothing happens for so long is stuck, in seconds
STUCK = 90.0
#: how long what the processes have started may live on, in seconds
_REAPING = 10.0
#: what each task type waits for
DEPENDENCIES = {
    str(task.task_type): tuple(map(str, task.dependencies))
    for task in (workload.Many, workload.Gated, workload.Last)
}
_ENDPOINTS = (
    "ZMQPIPELINE_ENDPOINT_MANY",
    "ZMQPIPELINE_ENDPOINT_GATED",
    "ZMQPIPELINE_ENDPOINT_LAST",
    "ZMQPIPELINE_COLLECTOR_ENDPOINT",
    "ZMQPIPELINE_ACK_ENDPOINT",
)


class _Phase(enum.Enum):
    """How far a round is."""

    FIRST = enum.auto()  #: faults, while tasks are made that depend on nothing
    TURN = enum.auto()  #: faults, while these tasks become complete
    LAST = enum.auto()  #: faults, while tasks are made that depend on them
    END = enum.auto()  #: no more faults, but perhaps one when the collector finishes


@dataclass
class Outcome:
    """What came of a round."""

    tally: Tally
    breaches: list[Breach]
    faults: list[Fault]
    recovery: dict[str, list[float]]
    torn: int = 0
    seconds: float = field(default=0.0)


class Round:
    """A pipeline in a folder of its own.

    Parameters
    ----------
    folder
        where, an empty folder that exists
    schedule
        what is to go wrong
    supervised
        whether ``zmqpipeline run`` starts the roles, and not we

    """

    def __init__(self, folder: Path, schedule: Schedule, *, supervised: bool) -> None:
        self._folder = folder
        self._schedule = schedule
        self._mark = f"{folder}"
        self._tail = Tail(folder / workload.RECORD)
        self._checker = Checker(DEPENDENCIES, workload.always_fails)
        self._recovery = Recovery()
        self._census = Census(self._mark)
        self._injector = Injector(folder, self._census, schedule.faults(), careful=supervised)
        self._crew = self._make_crew(supervised)
        self._phase = _Phase.FIRST
        self._limit = schedule.quota[0]  #: when there were so many faults, the next phase begins
        self._opened_last = False
        self._heard = time.monotonic()

    @property
    def faults(self) -> int:
        """How many faults there were so far."""
        return self._injector.count

    @property
    def progress(self) -> tuple[int, int]:
        """How many tasks were handed in and received so far."""
        return self._checker.made, self._checker.received

    def run(self, may_hurt: Callable[[], bool], on_tick: Callable[[], None]) -> Outcome:
        """Run it to its end.

        Parameters
        ----------
        may_hurt
            whether there are to be more faults; once not, the round comes to its end
        on_tick
            called every now and then

        """
        shutil.copy(workload.__file__, self._folder / FILE)
        begun = self._heard = time.monotonic()
        try:
            self._crew.start()
            while not self._crew.ended and not self._is_stuck():
                self._look()
                self._steer(may_hurt=may_hurt())
                self._crew.tick(time.monotonic())
                on_tick()
                time.sleep(_TICK)
            self._look()
            self._conclude()
        finally:
            self._census.close()
            self._crew.close()
        times = self._recovery.times(self._injector.faults)
        checker = self._checker
        return Outcome(
            checker.tally,
            checker.breaches,
            self._injector.faults,
            times,
            self._tail.torn,
            time.monotonic() - begun,
        )

    # -- while it runs --------------------------------------------------------

    def _look(self) -> None:
        """Take in what was written down."""
        for event in self._tail.read():
            self._heard = time.monotonic()
            self._census.take(event)
            self._injector.take(event)
            self._checker.take(event)
            self._recovery.take(event)
            self._opened_last = self._opened_last or (event.what, event.words[:1]) == ("open", ("LAST",))

    def _steer(self, *, may_hurt: bool) -> None:
        """Hurt somebody, if it is time; say that it is enough when there were faults enough."""
        now, count = time.monotonic(), self._injector.count
        hurt = may_hurt and self._phase is not _Phase.END and not self._checker.finished
        self._injector.tick(now, self._checker.received, hurt=hurt)
        if any(fault.action == "memory" for fault in self._injector.faults[count:]):
            self._checker.memory_was_short()
        enough = not may_hurt or count >= self._limit
        if self._phase is _Phase.FIRST and enough:
            self._phase = _Phase.TURN
            self._enough("MANY", "GATED")
        elif self._phase is _Phase.TURN and self._opened_last:
            self._phase = _Phase.LAST
            self._limit = count + self._schedule.quota[1]
        elif self._phase is _Phase.LAST and enough:
            self._phase = _Phase.END
            self._end(now)

    def _end(self, now: float) -> None:
        """Let the work come to its end, and perhaps hurt the collector then."""
        self._enough("LAST")
        last = self._schedule.last()
        if last is not None:
            self._injector.arm(last, now, patience=float("inf"))

    def _enough(self, *tasks: str) -> None:
        for task in tasks:
            self._folder.joinpath(f"{workload.ENOUGH}{task}").touch()

    def _is_stuck(self) -> bool:
        stuck = time.monotonic() - self._heard > STUCK and not self._census.stopped
        if stuck:
            self._checker.breach("stuck", f"nothing has happened for {STUCK:g} s")
        return stuck

    # -- at the end -----------------------------------------------------------

    def _conclude(self) -> None:
        checker, killed = self._checker, self._census.victims
        checker.conclude(killed)
        if not self._crew.ended:
            return
        for text in self._crew.complaints(killed, failures=checker.tally.failed):
            checker.breach("exit", text)
        if not checker.short_of_memory:
            for path in sorted(self._folder.glob("*.log")):
                if b"Traceback (most recent call last)" in path.read_bytes():
                    checker.breach("raised", f"there is a traceback in {path.name}")
        deadline = time.monotonic() + _REAPING
        while (left := survivors(self._mark)) and time.monotonic() < deadline:
            time.sleep(_TICK)
        for pid in left:
            checker.breach("left", f"process {pid} stays behind")
        for path in sorted(self._folder.glob("*.ipc*")):
            if not self._excused():
                checker.breach("left", f"the file {path.name} stays behind")

    def _excused(self) -> bool:
        """Tell whether nobody was there to tidy up: a collector that was killed at the very end."""
        collectors = [member for member in self._census.members.values() if member.role == "collector"]
        return (
            isinstance(self._crew, OneByOne)
            and bool(collectors)
            and collectors[-1].pid in self._census.victims
        )

    def _make_crew(self, supervised: bool) -> Crew:
        endpoints = {}
        if self._schedule.transport == "tcp":
            addresses = (f"tcp://127.0.0.1:{port}" for port in ports.free(len(_ENDPOINTS)))
            endpoints = dict(zip(_ENDPOINTS, addresses, strict=True))
        package = Path(zmqpipeline.__file__).parents[1]
        environ = environment({MARK: self._mark}, package, endpoints)
        return Supervised(self._folder, environ) if supervised else OneByOne(self._folder, environ)
