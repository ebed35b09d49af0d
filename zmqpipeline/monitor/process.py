"""What a process tells of itself: its memory, its processor time, and how long its loop was away."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zmqpipeline.monitor.snapshot import Report

#: where Linux tells how much memory a process has; in pages, the resident ones second
_STATM = "/proc/self/statm"
#: a worker says more often how it is than this, in seconds, when it gives tasks back: in the few milliseconds
#: between, a process is either busy or it is not
SHORTEST_LOOK = 0.5


class Vitals:
    """The figures of this process, from one look to the next.

    Attributes
    ----------
    lag
        how long the loop was not at its sockets since the last look, at the most, in seconds

    """

    def __init__(self) -> None:
        self.lag = 0.0
        self._looked_at = time.monotonic()
        self._used = time.process_time()
        self._report: Report | None = None

    def look(self) -> Report:
        """Take the figures, and begin anew; a moment after the last look, tell once more what they were."""
        now = time.monotonic()
        seconds = now - self._looked_at
        if self._report is not None and seconds < SHORTEST_LOOK:
            return {**self._report, "lag": max(self._report["lag"] or 0.0, self.lag)}
        used = time.process_time()
        cpu = (used - self._used) / seconds if seconds > 0 else None
        lag, self.lag = self.lag, 0.0
        self._looked_at, self._used = now, used
        self._report = {"memory": resident(), "cpu": cpu, "lag": lag}
        return {**self._report}


def resident() -> int | None:
    """Tell how much memory this process has, in bytes; None where the system does not say so."""
    try:
        with open(_STATM, encoding="ascii") as file:  # noqa: PTH123 - once a second, in every process
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
