"""How a distributor's decisions become messages: its sockets to the workers and to the collector."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import zmq

from zmqpipeline.delivery.ports import Outcome
from zmqpipeline.wire import envelope, sockets

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.role import Socket
    from zmqpipeline.wire.envelope import Message
    from zmqpipeline.wire.watch import Watch


class SocketLink:
    """Sends what was decided, and never blocks.

    Parameters
    ----------
    stalled
        tells whether this process was stalled a moment ago: then who cannot be reached may just not be
        back, which is found out later

    """

    def __init__(self, stalled: Callable[[], bool]) -> None:
        self.routers: dict[str, Socket] = {}
        self.sink: Socket | None = None
        self._stalled = stalled

    def to_worker(self, task: str, address: bytes, message: Message) -> Outcome:
        """Send to one worker."""
        try:
            sockets.send(self.routers[task], [address, b"", *envelope.frames(message)])
        except zmq.Again:
            return Outcome.FULL
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return Outcome.FULL if self._stalled() else Outcome.GONE
        return Outcome.SENT

    def part(self, collector: Watch, *, leaves: bool) -> None:
        """Let what was said last reach the collector, but wait for nothing if that is gone.

        One that has said goodbye closes its sockets when it is answered. If more was on its way to it then,
        libzmq would look for it again until the time for that is over.

        Parameters
        ----------
        collector
            what tells of the connection to it
        leaves
            whether it has said goodbye

        """
        until = time.monotonic() + sockets.LINGER / 1000
        collector.drain()
        while leaves and collector.connections and (left := until - time.monotonic()) > 0:
            collector.monitor.poll(int(left * 1000) + 1)
            collector.drain()
        if self.sink is not None and not collector.connections:
            self.sink.linger = 0

    def to_collector(self, message: Message) -> bool:
        """Send to the collector, if there is room."""
        assert self.sink is not None  # noqa: S101 - _open made it
        try:
            sockets.send(self.sink, envelope.frames(message))
        except zmq.Again:
            return False
        return True
