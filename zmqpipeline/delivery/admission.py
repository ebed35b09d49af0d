"""Which strangers are met: no more at a time, and no more in a second, than there is room for."""

from __future__ import annotations

from itertools import islice
from typing import Generic, TypeVar

S = TypeVar("S")

#: as many may come at once as otherwise in so many seconds
BURST = 2.0
#: how often it is said that there is no room, in seconds
SAY_INTERVAL = 60.0


class Bucket:
    """Holds a token for each that may come; it fills at an even rate.

    Parameters
    ----------
    rate
        tokens in a second

    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = self._most = max(1.0, rate * BURST)
        self._filled_at: float | None = None

    def fill(self, now: float) -> float:
        """Put in the tokens of the time since the last call; tell how many there are."""
        if self._filled_at is not None:
            self._tokens = min(self._most, self._tokens + max(0.0, now - self._filled_at) * self._rate)
        self._filled_at = now
        return self._tokens

    def take(self, now: float, count: int = 1) -> bool:
        """Take tokens, if there are as many."""
        if self.fill(now) < count:
            return False
        self._tokens -= count
        return True


class Admission(Generic[S]):
    """Lets strangers in, as long as there are not too many, and they do not come too fast.

    Who finds no token, or no room, waits with the one thing that it has said, until :meth:`due` names it;
    and so does everybody behind it, because who comes all the time would else take each token before it. As
    many may wait as may be in; whoever comes then is forgotten, and has to come again.

    Parameters
    ----------
    most
        how many may be in
    rate
        how many may come in a second

    """

    def __init__(self, most: int, rate: float) -> None:
        self._most = most
        self._bucket = Bucket(rate)
        self._said_at: float | None = None
        self._waiting: dict[bytes, S] = {}
        self._called: set[bytes] = set()

    def __len__(self) -> int:
        """Count those that wait."""
        return len(self._waiting)

    def __contains__(self, address: bytes) -> bool:
        """Tell whether somebody waits."""
        return address in self._waiting

    def comes(self, address: bytes, said: S, known: int, now: float) -> bool:
        """Tell whether a stranger is let in; if not, it waits.

        Parameters
        ----------
        address
            whose it is
        said
            what it has said, for :meth:`due`
        known
            how many are in
        now
            the caller's clock, in seconds

        """
        if address in self._called:
            self._called.remove(address)
            return True
        if not self._waiting and known < self._most and self._bucket.take(now):
            return True
        if address in self._waiting or len(self._waiting) < self._most:
            self._waiting[address] = said
        return False

    def due(self, known: int, now: float) -> list[tuple[bytes, S]]:
        """Call those in that may come now, in the order in which they came, with what they said.

        They are let in when they say it again.
        """
        self._called.clear()
        if not self._waiting:
            return []
        count = max(0, min(self._most - known, int(self._bucket.fill(now)), len(self._waiting)))
        found = list(islice(self._waiting.items(), count))
        self._bucket.take(now, count)
        for address, _ in found:
            del self._waiting[address]
            self._called.add(address)
        return found

    def everybody(self) -> list[tuple[bytes, S]]:
        """Take all out that wait."""
        found = list(self._waiting.items())
        self._waiting.clear()
        return found

    def forget(self, address: bytes) -> None:
        """Note that somebody waits no more."""
        self._waiting.pop(address, None)

    def is_crowded(self, known: int, now: float) -> bool:
        """Tell, once in a while, that somebody waits for room."""
        if not self._waiting or known < self._most:
            return False
        if self._said_at is not None and now - self._said_at < SAY_INTERVAL:
            return False
        self._said_at = now
        return True
