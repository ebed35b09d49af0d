"""The network: links that carry frames in one direction, and connections made of two of them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from zmqpipeline.wire import envelope

if TYPE_CHECKING:
    from zmqpipeline.wire.envelope import Message

#: how many frames a link takes, like a high-water mark
ROOM = 4
#: how many frames that were received may come again
REMEMBERED = 8


def reopened(frame: bytes) -> Message:
    """Open what was packed here."""
    message = envelope.decode(frame)
    assert message is not None
    return message


class Network:
    """Says which processes can reach each other."""

    def __init__(self) -> None:
        self.apart: frozenset[int] = frozenset()  #: the processes on one side of a partition

    def severed(self, one: int, other: int) -> bool:
        """Tell whether a partition lies between two processes."""
        return (one in self.apart) != (other in self.apart)


class Link:
    """Frames under way from one process to another, first in, first out.

    Parameters
    ----------
    network
        says whether they can reach each other
    source, target
        the processes

    """

    def __init__(self, network: Network, source: int, target: int) -> None:
        self.network = network
        self.ends = source, target
        self.frames: deque[bytes] = deque()
        self.received: deque[bytes] = deque(maxlen=REMEMBERED)
        self.is_dead = False  #: whether the other end has given it up: what is sent vanishes

    @property
    def severed(self) -> bool:
        """Whether nothing arrives at the moment."""
        return self.network.severed(*self.ends)

    def put(self, frame: bytes) -> bool:
        """Send, if there is room."""
        if len(self.frames) >= ROOM:
            return False
        if not self.is_dead:
            self.frames.append(frame)
        return True

    def take(self, limit: int) -> list[Message]:
        """Receive up to so many."""
        if not self.frames or self.severed:
            return []
        found = [self.frames.popleft() for _ in range(min(limit, len(self.frames)))]
        self.received += found
        return [reopened(frame) for frame in found]

    def cut(self, arrived: int) -> None:
        """Break; only what has arrived by now can still be read."""
        while len(self.frames) > (0 if self.severed else arrived):
            self.frames.pop()

    def repeat(self, count: int) -> None:
        """Have the last frames that are under way come once more."""
        self.frames += list(self.frames)[-count:]

    def replay(self, age: int) -> None:
        """Have a frame come again that was received before."""
        if self.received:
            self.frames.append(self.received[-1 - age % len(self.received)])


class Outbox:
    """What waits to be sent, in order; as :class:`zmqpipeline.wire.sockets.Outbox`."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._waiting: deque[bytes] = deque()

    def put(self, frames: list[bytes]) -> None:
        """Send a message now, or keep it for the next :meth:`flush`."""
        self._waiting.append(frames[-1])
        self.flush()

    def flush(self) -> bool:
        """Send what there is room for; tell whether nothing is left."""
        while self._waiting and self.link.put(self._waiting[0]):
            self._waiting.popleft()
        return not self._waiting

    def __len__(self) -> int:
        return len(self._waiting)


class Connection:
    """Between a worker's process and the distributor, for one incarnation or for its heartbeat.

    Parameters
    ----------
    network
        where it is
    address
        its routing id
    worker, hub
        the processes

    """

    def __init__(self, network: Network, address: bytes, worker: int, hub: int) -> None:
        self.address = address
        self.to_hub = Link(network, worker, hub)
        self.to_worker = Link(network, hub, worker)
        self._ended_at_hub = self._ended_at_worker = False
        #: whether the worker is told of a break that the hub knows nothing of: it was another hub's
        self.broke = False
        #: how often the worker looks in vain, because what its sockets tell takes time
        self.delay = 0

    @property
    def gone_at_hub(self) -> bool:
        """Whether the distributor knows that it has ended."""
        return self._ended_at_hub or (self._ended_at_worker and not self.to_hub.severed)

    def seen_gone(self) -> bool:
        """Tell whether the worker sees, as it looks now, that it has ended."""
        if self.delay:
            self.delay -= 1
            return False
        return self.broke or self._ended_at_worker or (self._ended_at_hub and not self.to_hub.severed)

    def cut(self, arrived: int, *, at_hub: bool = True, at_worker: bool = True) -> None:
        """Break; the end that does not see it now sees it once it can reach the other one."""
        self.to_hub.cut(arrived)
        self.to_worker.cut(arrived)
        if at_hub:
            self._ended_at_hub = self.to_hub.is_dead = True
        if at_worker:
            self._ended_at_worker = self.to_worker.is_dead = True

    def close(self) -> None:
        """End it from the worker's side: what was sent arrives before, if it can."""
        self.to_hub.cut(len(self.to_hub.frames))
        self.to_worker.frames.clear()
        self._ended_at_worker = self.to_worker.is_dead = True

    def inherit(self, kept: int) -> bool:
        """Lose the distributor, and perhaps get the next one; tell whether that is so.

        ZeroMQ connects again by itself: what had not left the worker goes to the next
        distributor, under the old routing id, until the worker hears of the break.
        """
        if kept and not (self._ended_at_hub or self._ended_at_worker):
            self.broke = True
            while len(self.to_hub.frames) > kept:
                self.to_hub.frames.popleft()
            return True
        self.to_hub.frames.clear()
        self._ended_at_hub = self.to_hub.is_dead = True
        return False
