"""How many tasks a worker asks for that does them side by side: those under way, and a small reserve."""

from __future__ import annotations

from zmqpipeline.delivery.credit import AHEAD, AHEAD_BYTES, MOST, Credit

#: the reserve is what is begun in so long, in seconds. Half of it hides the way there and back, and when that
#: half is used up the distributor sends some more
RESERVE = 2 * AHEAD
#: a credit is told anew when its reserve has changed by this part
_NEWS = 0.25


class Flow(Credit):
    """Measures how long tasks take, and turns that into credit.

    Tasks that wait side by side end one by one, so the next one is begun much sooner than any of them
    takes: with n of them under way, n in the time that one takes. Nothing is done in rounds.

    Parameters
    ----------
    hands
        how many tasks it works on at a time

    """

    def __init__(self, hands: int) -> None:
        super().__init__(hands)
        self.round = hands

    def news(self) -> int | None:
        """Tell what to ask for, if that has changed."""
        if self._pace is None:
            return None
        wanted = self._hands + int(min(self._hands * RESERVE / self._pace, MOST))
        if self._bytes >= 1:
            wanted = max(self._hands, min(wanted, int(AHEAD_BYTES / self._bytes)))
        if abs(wanted - self.credit) <= _NEWS * (max(wanted, self.credit) - self._hands):
            return None
        self.credit = wanted
        return wanted

    def is_hoard(self, _count: int) -> bool:
        """Tell whether to give some of the reserve back; its heartbeat sees what is not begun for long."""
        return False

    def _fitting(self) -> int:
        return self._hands
