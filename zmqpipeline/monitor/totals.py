"""Counters that only ever grow, out of snapshots whose counts may begin again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zmqpipeline.monitor.snapshot import Snapshot

#: what is counted of a task in a run
OF_RUN = ("handed_out", "acknowledged", "failed", "redelivered")


@dataclass
class _Count:
    """A count of one life after the other."""

    before: int = 0
    now: int = 0

    def take(self, value: int, *, begins_again: bool) -> None:
        if begins_again:
            self.before += self.now
            self.now = value
        else:
            self.now = max(self.now, value)


class Totals:
    """Adds up what is counted in one run after the other.

    Prometheus takes a counter that goes back for one that began at 0 again. Here that would be wrong where a
    run goes on from its journal: what was not written down is not counted any more, and the rest is not new.
    """

    def __init__(self) -> None:
        self._run = ""
        self._collector = ""
        self._counts: defaultdict[tuple[str, str], _Count] = defaultdict(_Count)
        self._lost: set[tuple[str, float]] = set()

    def take(self, snapshot: Snapshot) -> None:
        """Take in what is counted now."""
        is_new = snapshot["run"] != self._run
        self._run = snapshot["run"]
        for task in snapshot["tasks"]:
            for name in OF_RUN:
                count, value = self._counts[name, task["type"]], int(task[name])  # type: ignore[literal-required]
                # no journal has this one
                drops = name == "redelivered" and value < count.now
                count.take(value, begins_again=is_new or drops)
        if (collector := snapshot["collector"]) is not None:
            is_another = collector["id"] != self._collector
            self._counts["collected", ""].take(collector["collected"], begins_again=is_another)
            self._collector = collector["id"]
        self._take_lost(snapshot)

    def of(self, name: str, task: str = "") -> int:
        """Tell a total: one of :data:`OF_RUN` or ``lost_workers`` of a task type, or ``collected``."""
        count = self._counts[name, task]
        return count.before + count.now

    def _take_lost(self, snapshot: Snapshot) -> None:
        # one that was given up may come back, and be given up again
        lost = {(w["id"], w["since"]): w["task"] for w in snapshot["workers"] if w["state"] == "lost"}
        for loss, task in lost.items():
            if loss not in self._lost:
                self._counts["lost_workers", task].now += 1
        # what is not shown any more is not shown again
        self._lost = set(lost)
