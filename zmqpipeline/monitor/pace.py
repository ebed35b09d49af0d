"""How fast something grows, lately."""

from __future__ import annotations

from collections import deque

#: so many looks are kept: with one a second, what is called "lately" is five seconds
LOOKS = 6


class Pace:
    """The pace of one or more counters, from what they were at the last looks."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, ...]] = deque(maxlen=LOOKS)

    def look(self, now: float, *counters: float) -> None:
        """Note what the counters are now."""
        if self._looks and counters[0] < self._looks[-1][1]:
            self._looks.clear()  # it began anew
        self._looks.append((now, *counters))

    @property
    def rate(self) -> float:
        """How much the first counter has grown in a second."""
        seconds, grown = self.grown(0), self.grown(1)
        return grown / seconds if seconds > 0 else 0.0

    def grown(self, place: int) -> float:
        """Tell how much a counter has grown, the first one being number 1; 0 is the time, in seconds."""
        if len(self._looks) < 2:
            return 0.0
        return self._looks[-1][place] - self._looks[0][place]
