"""Does to a round's processes what the schedule says."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from zmqpipeline.testing.chaos.census import LETHAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zmqpipeline.testing.chaos.census import Census, Member
    from zmqpipeline.testing.chaos.record import Event
    from zmqpipeline.testing.chaos.schedule import Planned

#: without any progress since the last fault, the next one waits so long, in seconds
_PATIENCE = 1.5
#: a point that nobody passes is given up after so long, in seconds
_POINT_PATIENCE = 2.0
#: points that a process passes before it is ready
_EARLY_POINTS = frozenset({"init"})


class Fault(NamedTuple):
    """Something that was done to a process."""

    time: float
    pid: int
    role: str
    action: str
    point: str


class Injector:
    """Hurts the processes of one round.

    Parameters
    ----------
    folder
        where they run
    census
        who they are
    planned
        what is to be done
    careful
        whether to leave alone what a supervisor would give up: one that was just hurt before it did anything

    """

    def __init__(self, folder: Path, census: Census, planned: Iterator[Planned], *, careful: bool) -> None:
        self._folder = folder
        self._census = census
        self._planned = planned
        self._careful = careful
        self._next = next(planned)
        self._armed: dict[str, tuple[Planned, float]] = {}
        self._due = 0.0
        self._last = 0.0
        self._received = 0
        self._received_at_last = -1
        #: by role, what was received when the last one of it was killed
        self._price: dict[str, int] = {}
        self._rash: set[str] = set()
        self.faults: list[Fault] = []

    @property
    def count(self) -> int:
        """How many faults there were."""
        return len(self.faults)

    def take(self, event: Event) -> None:
        """Take in a line; a process may have hurt itself as it was told to."""
        if event.what != "fault":
            return
        action, point = event.words
        member = self._census.members.get(event.pid)
        role = member.role if member is not None else "worker"
        armed = self._armed.pop(point, None)
        if action == "stop" and member is not None:
            member.stopped_until = event.time + (armed[0].seconds if armed is not None else 0.1)
        self._note(Fault(event.time, event.pid, role, action, point), settled=point not in _EARLY_POINTS)

    def tick(self, now: float, received: int, *, hurt: bool) -> None:
        """Do what is due.

        Parameters
        ----------
        now
            on the monotonic clock
        received
            how many tasks were received so far
        hurt
            whether there are to be more faults

        """
        self._received = received
        self._census.relieve(now)
        self._disarm(now)
        if not hurt or now < self._due:
            return
        waited = now - self._last
        rests = received <= self._received_at_last
        if rests and not self._next.regardless and waited < _PATIENCE:
            return  # whoever is hurt without a pause in between gets nowhere, which proves nothing
        self._do(self._next, now)
        self._next = next(self._planned)
        self._due = now + self._next.after
        self._last, self._received_at_last = now, received

    def arm(self, planned: Planned, now: float, patience: float = _POINT_PATIENCE) -> None:
        """Let the first process that comes by a point do something to itself."""
        prepared = self._folder / "arming"
        prepared.write_text(planned.action, encoding="ascii")
        prepared.rename(self._folder / f"armed.{planned.point}")
        self._armed[planned.point] = planned, now + patience

    def disarm(self) -> None:
        """Take back what nobody has come by."""
        self._disarm(float("inf"))

    def _do(self, planned: Planned, now: float) -> None:
        if planned.point:
            settled = planned.point not in _EARLY_POINTS
            if planned.point not in self._armed and self._may(planned.role, planned.action, settled=settled):
                self.arm(planned, now)
            return
        candidates = self._census.alive(planned.role)
        if not candidates:
            return
        member = candidates[int(planned.choice * len(candidates))]
        if self._may(planned.role, planned.action, settled=member.settled) and member.suffer(planned.action):
            self._mark(member, planned, now)

    def _mark(self, member: Member, planned: Planned, now: float) -> None:
        if planned.action == "stop":
            member.stopped_until = now + planned.seconds
        if planned.action == "memory":
            member.short_until = now + planned.seconds
        if planned.action in LETHAL:
            self._census.victims.add(member.pid)
        self._note(Fault(now, member.pid, member.role, planned.action, ""), settled=member.settled)

    def _may(self, role: str, action: str, *, settled: bool) -> bool:
        """Tell whether to go ahead: a supervisor gives up what dies too often without any use."""
        if not self._careful or action not in LETHAL:
            return True
        if role != "worker" and self._received <= self._price.get(role, -1):
            return False
        return settled or role not in self._rash

    def _note(self, fault: Fault, *, settled: bool) -> None:
        if fault.action in LETHAL:
            self._price[fault.role] = self._received
            (self._rash.discard if settled else self._rash.add)(fault.role)
        self.faults.append(fault)

    def _disarm(self, now: float) -> None:
        for point, (_, until) in list(self._armed.items()):
            if now >= until:
                # if it is gone, somebody was faster, and writes so
                self._folder.joinpath(f"armed.{point}").unlink(missing_ok=True)
                del self._armed[point]


def by_kind(faults: list[Fault]) -> Counter[tuple[str, str]]:
    """Count faults by role and action."""
    return Counter((fault.role, fault.action) for fault in faults)
