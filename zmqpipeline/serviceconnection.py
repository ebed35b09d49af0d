"""A client's connection to a broker: it finds out when that has gone, and never blocks."""

from __future__ import annotations

import os
import time
import uuid
from typing import TYPE_CHECKING

import zmq

from zmqpipeline.wire import messages, sockets
from zmqpipeline.wire.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline.access import Access
    from zmqpipeline.descriptors import EndpointAddress
    from zmqpipeline.role import Context


class Connection:
    """One connection to the broker, under an identity of its own.

    Parameters
    ----------
    context
        where its socket lives; None makes one
    endpoint
        the broker's frontend
    prefix
        what the identity begins with
    access
        the keys to show there, and who says that they are refused
    max_message_size
        the largest message that it takes, in bytes

    Attributes
    ----------
    identity
        what the broker sees
    refused
        whether the broker was found to refuse us, when :meth:`lost` looked

    """

    def __init__(
        self,
        context: Context | None,
        endpoint: EndpointAddress,
        prefix: str,
        access: Access,
        max_message_size: int,
    ) -> None:
        credentials = access.credentials(endpoint)
        self.identity = f"{prefix}{uuid.uuid4().hex}"
        self._own = zmq.Context() if context is None else None
        self._pid = os.getpid()
        self._socket = sockets.make_socket(
            self._own or context or zmq.Context.instance(),
            zmq.DEALER,
            identity=self.identity.encode(errors="replace"),
            max_message_size=max_message_size,
        )
        self._watch = Watch(self._socket, endpoint)
        self._access = access
        access.observe(self._watch, endpoint, bound=False, quiet=False, redials=False)
        self._went = self.refused = False
        sockets.connect(self._socket, endpoint, credentials)

    @property
    def up(self) -> bool:
        """Whether the broker was there when :meth:`lost` looked."""
        return self._watch.connections > 0

    def lost(self) -> bool:
        """Tell whether the broker has gone, or refuses us, or whether this process is a fork."""
        self._went = bool(self._watch.drain().gone) or self._went
        now = time.monotonic()
        self._access.look(now)
        self.refused = self._watch.has_given_up(now)
        return self._went or self.refused or self._pid != os.getpid()

    def send(self, frame: bytes) -> bool:
        """Send one message; False if there is no room."""
        try:
            self._socket.send_multipart([b"", frame], zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self) -> Iterator[bytes]:
        """Take the messages that have come; what does not look like an answer is a probe or junk."""
        while True:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if len(frames) == 2 and not frames[0]:
                yield frames[1]

    def wait(self, seconds: float, *, for_room: bool) -> None:
        """Sleep until something came, the broker came or went, or, if asked, there is room to send."""
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN | (zmq.POLLOUT if for_room else 0))
        poller.register(self._watch.monitor, zmq.POLLIN)
        # round up: a poll that ends a fraction of a millisecond early would spin
        poller.poll(int(max(seconds, 0) * 1000 + 0.999))

    def close(self) -> None:
        """Say goodbye, if anybody hears it, and close."""
        heard = not self.lost() and self.up and self.send(goodbye())
        self._watch.close()
        self._socket.close(linger=None if heard else 0)
        if self._own is not None:
            self._own.term()


def goodbye() -> bytes:
    """Pack what a client says when it asks no more."""
    return messages.create({}, "", messages.MESSAGE_TYPE_GOODBYE)
