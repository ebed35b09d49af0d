"""Which worker has which connection: libzmq tells of the end of one by its file descriptor alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zmqpipeline.wire.watch import Watch

#: libzmq tells of the end of a connection a moment before nothing can be sent by it any more: who seems to be
#: there then is asked once more after so long, in seconds
AGAIN = 0.05


class Connections:
    """The workers' connections, by task type and file descriptor.

    What libzmq tells of connections, and what comes by them, are read one after the other. So a descriptor
    may be somebody else's already when the words of a worker are read, and the words of one that is gone may
    come behind those of the one that has its descriptor now.

    Parameters
    ----------
    watches
        of the bound sockets, by task type

    """

    def __init__(self, watches: dict[str, Watch]) -> None:
        self._watches = watches
        #: who has sent by a descriptor, and when first, until a connection of that descriptor ends
        self._senders: dict[str, dict[int, dict[bytes, int]]] = {name: {} for name in watches}
        self._round = 0  #: how often it was told what has ended
        self._doubtful: set[str] = set()
        self.due_at = math.inf  #: when to ask once more

    def is_watched(self, name: str, descriptor: int) -> bool:
        """Tell whether somebody who sends by a connection will be missed when it ends.

        Of a peer that speaks a ZMTP before 3, libzmq tells neither the descriptor nor that it was there: it
        would be a worker in lock step that nobody could find to be gone.
        """
        return descriptor >= 0 or not self._watches[name].has_descriptors

    def came_by(self, name: str, descriptor: int, address: bytes) -> None:
        """Note whose message came by a connection."""
        if descriptor >= 0:  # inproc has none
            self._senders[name].setdefault(descriptor, {}).setdefault(address, self._round)

    def ended(self) -> Iterator[tuple[str, bytes | None]]:
        """Tell which connections have ended since the last call: of which task type, and whose, if known.

        Nobody is forgotten whose connection has ended: that would leave a task with him for ever. Now and
        then it names one as well that has taken over a descriptor and is there, which costs next to nothing.
        """
        now, self._round = self._round, self._round + 1
        for name, watch in self._watches.items():
            changes, is_unknown = watch.drain(), False
            for descriptor in dict.fromkeys(changes.closed):
                senders = self._senders[name].pop(descriptor, {})
                is_unknown = is_unknown or (not senders and descriptor in changes.gone)
                if len(senders) > 1 and watch.is_open(descriptor):
                    newest = next(reversed(senders))
                    if senders[newest] == now:  # it has just come, so the others are those that went
                        self._senders[name][descriptor] = {newest: senders.pop(newest)}
                for address in senders:
                    yield name, address
            if is_unknown or -1 in changes.gone:  # once for all of them: each worker is asked then
                yield name, None

    def to_ask_again(self, lately: Iterable[str], now: float) -> list[str]:
        """Tell of which task types the workers are to be asked once more who is there.

        Parameters
        ----------
        lately
            the task types of workers whose connection has ended, and who were asked just now
        now
            the time on the monotonic clock

        """
        due: list[str] = []
        if now >= self.due_at:
            due, self._doubtful, self.due_at = sorted(self._doubtful), set(), math.inf
        if fresh := set(lately):
            self._doubtful |= fresh
            self.due_at = min(self.due_at, now + AGAIN)
        return due
