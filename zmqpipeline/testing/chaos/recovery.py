"""How long it takes until what a fault has held up goes on."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING

from zmqpipeline.testing.chaos.record import RECEIVED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zmqpipeline.testing.chaos.checker import TaskKey
    from zmqpipeline.testing.chaos.injector import Fault
    from zmqpipeline.testing.chaos.record import Event

#: after these a process is gone
_DEADLY = frozenset({"kill", "segv", "abort"})


class Recovery:
    """Remembers what is needed to tell, at the end of a round, how long each fault has lasted."""

    def __init__(self) -> None:
        self._begun: dict[TaskKey, list[tuple[float, int]]] = defaultdict(list)
        self._by: dict[int, dict[TaskKey, float]] = defaultdict(dict)  #: what a process has begun, and when
        self._received: dict[TaskKey, float] = {}
        self._moments: dict[str, list[tuple[float, int]]] = {"collector": [], "distributor": []}

    def take(self, event: Event) -> None:
        """Take in a line."""
        if event.what == "begin":
            self._begun[event.task].append((event.time, event.pid))
            self._by[event.pid][event.task] = event.time
        elif event.what in RECEIVED:
            self._received.setdefault(event.task, event.time)
            self._moments["collector"].append((event.time, event.pid))
        elif event.what == "made":
            self._moments["distributor"].append((event.time, event.pid))

    def times(self, faults: Iterable[Fault]) -> dict[str, list[float]]:
        """List how many seconds it took after each deadly fault, by role.

        A worker: until the tasks that it was busy with were begun elsewhere. The collector: until
        the next one took a result. The distributor: until the next one made a task.
        """
        found: dict[str, list[float]] = {"worker": [], "collector": [], "distributor": []}
        for fault in faults:
            if fault.action not in _DEADLY:
                continue
            if fault.role == "worker":
                found["worker"] += self._elsewhere(fault)
            else:
                found[fault.role] += self._next(fault)
        return found

    def _elsewhere(self, fault: Fault) -> list[float]:
        times = []
        for key, begun in self._by[fault.pid].items():
            if begun <= fault.time < self._received.get(key, float("inf")):
                # what was finished and only had to be acknowledged is not begun again
                later = [at for at, pid in self._begun[key] if at > begun and pid != fault.pid]
                times += [max(0.0, at - fault.time) for at in later[:1]]
        return times

    def _next(self, fault: Fault) -> list[float]:
        moments = self._moments[fault.role]
        place = bisect_right(moments, (fault.time, 0))
        return [moment - fault.time for moment, pid in moments[place:] if pid != fault.pid][:1]
