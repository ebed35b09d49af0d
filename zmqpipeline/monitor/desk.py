"""Where a distributor answers those who want to see its run: once, or again and again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zmq

from zmqpipeline.monitor.observer import INTERVAL
from zmqpipeline.monitor.snapshot import ANSWER, QUESTION, SHORTEST
from zmqpipeline.wire import envelope, sockets
from zmqpipeline.wire.envelope import Message

if TYPE_CHECKING:
    from zmqpipeline.monitor.observer import Observer
    from zmqpipeline.monitor.process import Vitals
    from zmqpipeline.role import Socket

#: whoever watches is told for so long after his last question, in seconds
PATIENCE = 10.0
#: a snapshot is told to everybody for the shortest interval, or for so many times the processor time that it
#: took, which is much if there are thousands of workers: however many watch, and however often they ask,
#: snapshots take no more than 2 % of it
_TIMES = 50
#: so many may watch at a time
MOST_WATCHERS = 64
_DRAIN = 64


@dataclass
class _Watcher:
    every: float
    due: float
    until: float


class Desk:
    """Answers at one bound socket.

    Parameters
    ----------
    socket
        a bound ROUTER
    observer
        makes the snapshots
    vitals
        the figures of this process

    """

    def __init__(self, socket: Socket, observer: Observer, vitals: Vitals) -> None:
        self.socket = socket
        self.observer = observer
        self.strays = 0  #: questions that made no sense
        self._vitals = vitals
        self._watchers: dict[bytes, _Watcher] = {}
        self._packed = b""
        self._packed_until = 0.0
        self._own = vitals.look()
        self._own_at = time.monotonic()

    @property
    def due_at(self) -> float:
        """When somebody is to be told something next, on the monotonic clock."""
        return min((watcher.due for watcher in self._watchers.values()), default=float("inf"))

    def turn(self, now: float, *, asked: bool) -> None:
        """Look at the books, answer who has asked, and tell those who watch; each when it is due."""
        self.observer.look(now, time.time())
        if now - self._own_at >= INTERVAL:
            self._own, self._own_at = self._vitals.look(), now
        if asked:
            for _, frames in sockets.receive_from(self.socket, _DRAIN):
                self._answer(frames, now)
        for address, watcher in list(self._watchers.items()):
            if now > watcher.until:
                del self._watchers[address]
            elif now >= watcher.due:
                watcher.due = now + watcher.every
                self._tell(address, self._snapshot(now))

    def close(self, now: float) -> None:
        """Tell everybody who watches that the run has ended."""
        last = self._pack(now, ended=True)
        for address in list(self._watchers):
            self._tell(address, last)

    def _answer(self, frames: list[bytes], now: float) -> None:
        message = envelope.decode(frames[2]) if len(frames) == 3 and not frames[1] else None
        if message is None or message.type != QUESTION or not isinstance(message.data, dict):
            self.strays += 1
            return
        every: Any = message.data.get("every")
        address = frames[0]
        if type(every) not in (int, float) or not every > 0:
            self._tell(address, self._snapshot(now))
        elif address in self._watchers or len(self._watchers) < MOST_WATCHERS:
            known = self._watchers.get(address)
            every = min(max(float(every), SHORTEST), PATIENCE)
            due = now if known is None else min(known.due, now + every)
            self._watchers[address] = _Watcher(every, due, now + PATIENCE)

    def _snapshot(self, now: float) -> bytes:
        """Pack a snapshot; one that was packed a moment ago will do."""
        if not self._packed or now >= self._packed_until:
            begun = time.thread_time()
            self._packed = self._pack(now)
            self._packed_until = now + max(0.9 * SHORTEST, _TIMES * (time.thread_time() - begun))
        return self._packed

    def _pack(self, now: float, *, ended: bool = False) -> bytes:
        data: Any = self.observer.snapshot(now, time.time(), self._own, ended=ended)
        return envelope.encode(Message(ANSWER, "", data))

    def _tell(self, address: bytes, packed: bytes) -> None:
        try:
            sockets.send(self.socket, [address, b"", packed])
        except zmq.Again:
            pass  # it does not read: the next snapshot says more
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._watchers.pop(address, None)
