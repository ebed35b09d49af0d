"""The last minutes of a run: what a page that is opened late plots."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zmqpipeline.monitor.snapshot import Snapshot

#: so far back the plots go, in seconds
SPAN = 15 * 60.0
#: there are never more points than this, however often snapshots come
MAX_POINTS = 2_000

#: Unix time, tasks acknowledged in a second, and their latency in seconds; None is a gap in the line
Point = tuple[float, float | None, float | None]


class History:
    """Rate and latency, a point for each snapshot.

    Times are those of the distributor: one clock for the points, whatever this machine's says.

    Parameters
    ----------
    span
        how far back it goes, in seconds

    """

    def __init__(self, span: float = SPAN) -> None:
        self._span = span
        self._points: deque[Point] = deque(maxlen=MAX_POINTS)
        self._run: str | None = None

    @property
    def points(self) -> list[Point]:
        """The points, the oldest first."""
        return list(self._points)

    def add(self, snapshot: Snapshot) -> None:
        """Take in a snapshot."""
        now = snapshot["time"]
        while self._points and self._points[-1][0] >= now:
            self._points.pop()  # the clock was set back, or the distributor is on another host now
        if snapshot["run"] != self._run:
            self.interrupt()
            self._run = snapshot["run"]
        self._points.append((now, snapshot["rate"], snapshot["latency"]))
        while self._points[0][0] < now - self._span:
            self._points.popleft()

    def interrupt(self) -> None:
        """Let the line end here: what follows does not continue it."""
        if self._points and self._points[-1][1] is not None:
            self._points.append((self._points[-1][0], None, None))
