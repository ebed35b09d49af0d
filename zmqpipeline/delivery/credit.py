"""How many tasks a worker asks for: as many as keep it busy for a short while, and no more."""

from __future__ import annotations

#: a worker asks for what takes so long at its pace, in seconds: enough to hide the way there and back
AHEAD = 0.025
#: one round of the worker's loop takes about so long, in seconds: then it looks at its sockets
ROUND = 0.005
#: tasks that take longer than this are asked for one by one, in seconds: what waits behind a task for so long
#: is given back anyway
LONG = 0.02
#: the most that is asked for
MOST = 50_000
#: one round makes about so many bytes of results
ROUND_BYTES = 1024 * 1024
#: or at the latest when they have so many, if they are larger than those before
MOST_BYTES = 2 * ROUND_BYTES
#: a worker asks for no more than what makes so many bytes of results: they wait for the collector, or in it
AHEAD_BYTES = 8 * ROUND_BYTES
#: how much of the last measurement counts
_WEIGHT = 0.5
#: a credit is told anew when it has changed by this factor
_NEWS = 1.25
#: and grows by no more than this factor at once, because tasks may differ
_GROWTH = 4


class Credit:
    """Measures a worker's pace, and turns it into credit.

    Parameters
    ----------
    hands
        how many tasks it works on at a time: its threads

    """

    def __init__(self, hands: int = 1) -> None:
        self._hands = hands
        self._pace: float | None = None  #: seconds a task
        self._bytes = 0.0  #: bytes a result; below 1 when many failed
        self.credit = hands  #: what the distributor was told last

    def measured(self, count: int, seconds: float, size: int = 0) -> None:
        """Take in how long some tasks took, and how large their results were.

        Parameters
        ----------
        count
            how many tasks, at least 1
        seconds
            how long they took together, on one hand
        size
            the bytes of their results together

        """
        pace = max(seconds / count, 1e-8)
        self._pace = pace if self._pace is None else self._pace + _WEIGHT * (pace - self._pace)
        large = size / count
        # what grows counts at once: memory is at stake, not only time
        self._bytes = max(large, self._bytes + _WEIGHT * (large - self._bytes))

    def news(self) -> int | None:
        """Tell what to ask for, if that has changed."""
        if self._pace is None:
            return None
        ahead = 0 if self._pace > LONG else 1 + int(AHEAD / self._pace)
        wanted = self._hands * (1 + ahead)
        wanted = max(self._hands, min(wanted, MOST, self.credit * _GROWTH))
        if self._bytes >= 1:
            wanted = max(self._hands, min(wanted, int(AHEAD_BYTES / self._bytes)))
        if self.credit / _NEWS < wanted < self.credit * _NEWS:
            return None
        self.credit = wanted
        return wanted

    def is_too_much(self, count: int) -> bool:
        """Tell whether so many tasks make more results than there is room for; they were smaller before."""
        return count * self._bytes > 2 * AHEAD_BYTES

    def round(self) -> int:
        """Tell how many tasks to do before the sockets are looked at."""
        if self._pace is None:
            return 1
        count = max(1, min(int(ROUND / self._pace), self.credit))
        return max(1, min(count, int(ROUND_BYTES / self._bytes))) if self._bytes >= 1 else count
