"""How many tasks a worker asks for, and how many it does in a round: enough to keep it busy, no more."""

from __future__ import annotations

import math
from collections import deque

#: a round takes no longer than this at a worker's pace, in seconds: then it looks at its sockets. That costs
#: some tenths of a millisecond, so short rounds waste time. What is done meanwhile leaves by the heartbeat
ROUND = 0.06
#: and a round of many tasks takes no longer than this, in seconds: what it costs is little for each of them
QUICK_ROUND = 0.005
_MANY = 50
#: a worker asks for a round, and for what takes so long, in seconds: that hides the way there and back
AHEAD = 0.015
#: a hand takes what takes so long even when others could share it, in seconds: that would cost more time
SHARED = 0.002
#: tasks that take longer than this are asked for one by one, in seconds: what waits behind a task for so long
#: is given back anyway
LONG = 0.02
#: what was asked for at another pace is given back if it would take longer than this, in seconds
HOARD = 0.25
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
#: or by this one, if it is for many tasks: their pace differs from round to round, and nothing depends on it
_NEWS_OF_MANY = 2.0
#: and grows by no more than this factor at once, because tasks may differ
_GROWTH = 4


class Credit:
    """Measures a worker's pace, and turns it into credit.

    One slow round may be chance: a long task among short ones, a machine that stood still. So it lowers
    what is asked for, which is mended with the next round, but nothing is given back for it. Only when
    every hand has been slow twice in a row is this their pace.

    Parameters
    ----------
    hands
        how many tasks it works on at a time: its threads

    """

    def __init__(self, hands: int = 1) -> None:
        self._hands = hands
        self._pace: float | None = None  #: seconds a task
        self._last: deque[float] = deque(maxlen=2 * hands)  #: the last rounds, each in seconds a task
        self._bytes = 0.0  #: bytes a result; below 1 when many failed
        self.credit = hands  #: what the distributor was told last
        self.round = 1  #: how many tasks one hand does before the sockets are looked at

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
        self._last.append(pace)
        if self._pace is None:
            self._pace = pace
        elif pace > self._pace:
            self._pace += _WEIGHT * (pace - self._pace)
        else:  # one long task counts for as much as hundreds of short ones, and is forgotten as fast
            self._pace *= (pace / self._pace) ** _WEIGHT
        large = size / count
        # what grows counts at once: memory is at stake, not only time
        self._bytes = max(large, self._bytes + _WEIGHT * (large - self._bytes))
        self.round = self._fitting()

    def news(self) -> int | None:
        """Tell what to ask for, if that has changed."""
        if self._pace is None:
            return None
        # behind a long task nothing is to wait
        each = 1 if self._pace > LONG else _in_a_round(self._pace) + max(1, int(AHEAD / self._pace))
        wanted = self._hands * each
        wanted = max(self._hands, min(wanted, MOST, self.credit * _GROWTH))
        factor = _NEWS if self.credit < _MANY * self._hands else _NEWS_OF_MANY
        if self._bytes >= 1 and wanted > (fits := int(AHEAD_BYTES / self._bytes)):
            wanted, factor = max(self._hands, fits), _NEWS
        if self.credit / factor < wanted < self.credit * factor:
            return None
        self.credit = wanted
        self.round = self._fitting()
        return wanted

    def is_too_much(self, count: int) -> bool:
        """Tell whether so many tasks make more results than there is room for; they were smaller before."""
        return count * self._bytes > 2 * AHEAD_BYTES

    def is_hoard(self, count: int) -> bool:
        """Tell whether so many tasks take far longer than was thought when they were asked for."""
        if count <= self.credit or len(self._last) < 2 * self._hands:
            return False
        return count * min(self._last) > HOARD * self._hands

    def _fitting(self) -> int:
        """Find out how many tasks fit into a round; each time beforehand, because a task waits then."""
        if self._pace is None:
            return 1
        # a round too short costs next to nothing, one too long costs much: the slower of two paces counts
        count = min(_in_a_round(max(self._pace, self._last[-1])), self.credit)
        if self._bytes >= 1:
            count = min(count, int(ROUND_BYTES / (self._bytes * self._hands)))
        return max(1, count)

    def share(self, count: int) -> int:
        """Tell how many of ``count`` tasks that wait one hand takes: the last ones are shared by all."""
        least = int(SHARED / self._pace) if self._pace is not None else 1
        return min(self.round, max(least, math.ceil(count / self._hands)))


def _in_a_round(pace: float) -> int:
    """Tell how many tasks are done in a round, at so many seconds a task."""
    return max(1, min(int(ROUND / pace), max(int(QUICK_ROUND / pace), _MANY)))
