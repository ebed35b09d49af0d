"""The calls of user code that the hands of a worker are in, as its heartbeat sees them, and what is due."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: how often it is looked whether a call takes long, in seconds, while there are calls
GLANCE = 0.01
#: a call that takes so long is a slow one, in seconds
SLOW = 0.02
#: what was done in the middle of a round is sent so often, in seconds
DONE = 0.03
#: a round that takes so long, longer than it should, ends behind the task that is running, in seconds
LASTING = 0.08
#: calls and rounds have taken no longer than this from one look to the next, in seconds: if it was more, the
#: whole process may have stood still, and nobody in it was slow
NOTICED = 1.5 * GLANCE


class Due(enum.Enum):
    """What is to be done about a hand."""

    NOTHING = "nothing"
    SEND = "send what it has done"
    END = "let its round end behind the task that is running"
    RELIEVE = "its call is slow: send what it has done, let others do what it has not begun"


@dataclass(slots=True)
class Call:
    """One call of user code."""

    round: object  #: to which it belongs
    position: int  #: in the round
    since: float  #: when it was first seen, on the caller's clock
    noticed: float  #: the same, in the time that was watched
    begun: float  #: when its round was first seen, in the time that was watched
    sent: float  #: when what its round had done was last sent, in the time that was watched
    relieved: bool = False
    over: bool = False  #: whether it has passed the time limit


class Calls:
    """Knows for how long each hand is in its call, and in its round of calls.

    Only time in which somebody watches counts. When a machine stands still for
    half a second, the next look comes late, and nothing was slow because of it.

    Parameters
    ----------
    hands
        how many there are

    """

    def __init__(self, hands: int) -> None:
        self._calls: list[Call | None] = [None] * hands
        self._watched = 0.0  #: for how long, in seconds
        self._last: float | None = None

    def __getitem__(self, hand: int) -> Call | None:
        """Return the call that a hand was in at the last look."""
        return self._calls[hand]

    def glance(self, now: float) -> None:
        """Begin to look at all hands."""
        if self._last is not None:
            self._watched += min(now - self._last, NOTICED)
        self._last = now

    def look(self, hand: int, found: object | None, position: int, now: float) -> Due:
        """See what one hand does, and tell what is due.

        Parameters
        ----------
        hand
            its number
        found
            the round that it is in, if it has anything to do
        position
            how many tasks of the round are behind it
        now
            the caller's clock, in seconds

        """
        call, watched = self._calls[hand], self._watched
        if found is None:
            self._calls[hand] = None
            return Due.NOTHING
        if call is None or call.round is not found:
            call = Call(found, position, now, watched, watched, watched)
        elif call.position != position:
            call = Call(found, position, now, watched, call.begun, call.sent)
        self._calls[hand] = call
        if not call.relieved and self._is_slow(call):
            call.relieved = True
            return Due.RELIEVE
        if watched - call.begun >= LASTING:
            return Due.END
        if watched - call.sent >= DONE:
            call.sent = watched
            return Due.SEND
        return Due.NOTHING

    def are_all_slow(self, found: Sequence[object | None]) -> bool:
        """Tell whether nobody is left who could do anything soon.

        Parameters
        ----------
        found
            the rounds that the hands are in by now: one that has another one, or none, has gone on

        """
        hands = zip(self._calls, found, strict=True)
        return all(call is not None and call.round is now and self._is_slow(call) for call, now in hands)

    def longest(self, now: float) -> float:
        """Tell for how long the call runs that has run longest, in seconds."""
        return max((now - call.since for call in self._calls if call is not None), default=0.0)

    def _is_slow(self, call: Call) -> bool:
        return self._watched - call.noticed >= SLOW
