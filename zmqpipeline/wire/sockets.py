"""Sockets with this library's options, and how they send and receive."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import zmq
import zmq.backend

from zmqpipeline.wire import memory
from zmqpipeline.wire.limits import MAX_MESSAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zmqpipeline.wire.curve import Credentials

#: messages that may wait to be sent to one peer: batches are large, so few of them fill a link
HIGH_WATER_MARK = 8
#: libzmq 4.3.5 aborts the process when a heartbeat is due on a connection that has broken while a full
#: receive queue held up its input; so that queue has no limit (0): what may arrive is bounded by credit
RECEIVE_HIGH_WATER_MARK = 0
#: how long a closing socket may still send, in milliseconds; never a guarantee, only a courtesy
LINGER = 1000
#: how long a peer may take over the handshake, in milliseconds
HANDSHAKE_TIMEOUT = 10_000


class Liveness(NamedTuple):
    """How a dead peer is found: ZMTP's own heartbeats (rfc 37/ZMTP), answered by libzmq's thread.

    They go on whatever the program does, also while it holds the interpreter's lock.
    """

    interval: float = 1.0  #: how often a peer is asked for a sign of life, in seconds
    timeout: float = 4.0  #: how long it may stay away until the connection is given up, in seconds


#: what is not configured
LIVENESS = Liveness()

#: what a message consists of; a large frame is seen where libzmq has it
Frame = bytes | memoryview

#: how frames are sent; plain numbers, because to combine flags takes as long as to send
_LAST, _MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)

#: a frame of fewer bytes is copied: that is quicker than to keep track of it
COPIED = 64 * 1024

#: libzmq's thread, which does the sending, may have to wait for the processor that its caller is on; if the
#: caller went on for some tenths of a millisecond, Linux would let it, and the message would lie there
_yield = getattr(os, "sched_yield", lambda: None)

#: zmq.Socket.send without what it does for sockets of kinds that are not used here
_send: Callable[..., Any] = zmq.backend.Socket.send


def make_socket(  # noqa: PLR0913 - two, and four by keyword
    context: zmq.Context[zmq.Socket[bytes]],
    kind: int,
    *,
    identity: bytes | None = None,
    high_water_mark: int = HIGH_WATER_MARK,
    liveness: Liveness = LIVENESS,
    max_message_size: int = MAX_MESSAGE_SIZE,
) -> zmq.Socket[bytes]:
    """Make a socket that never blocks for ever, and finds out when its peer is gone.

    Parameters
    ----------
    context
        where it lives
    kind
        ``zmq.ROUTER`` and the like
    identity
        the routing id that it shows to a ROUTER
    high_water_mark
        messages that may wait to be sent, for each peer
    liveness
        when a silent peer counts as gone
    max_message_size
        the largest frame that it takes, in bytes; libzmq ends the connection of a peer that sends more

    """
    socket = context.socket(kind)
    socket.linger = LINGER
    socket.sndhwm = high_water_mark
    socket.rcvhwm = RECEIVE_HIGH_WATER_MARK
    socket.maxmsgsize = max_message_size
    socket.handshake_ivl = HANDSHAKE_TIMEOUT
    socket.heartbeat_ivl = round(liveness.interval * 1000)
    socket.heartbeat_timeout = round(liveness.timeout * 1000)
    # the peer gives up as late as we do, whatever it is set to; it counts in tenths of a second
    socket.heartbeat_ttl = max(100, round(sum(liveness) * 1000))
    socket.reconnect_ivl = 20
    socket.reconnect_ivl_max = 100
    if kind == zmq.ROUTER:
        socket.router_mandatory = True  # say so when a peer is gone, instead of dropping what it should get
    if identity is not None:
        socket.routing_id = identity
    return socket


def connect(socket: zmq.Socket[bytes], address: str, credentials: Credentials | None = None) -> None:
    """Connect to where a role binds; the role need not be there yet.

    Parameters
    ----------
    socket
        a socket that is not connected yet
    address
        where the role binds
    credentials
        the keys to show there; None if there are none

    """
    if "[" in address:
        socket.ipv6 = True
    if credentials is not None:
        from zmqpipeline.wire import curve  # noqa: PLC0415 - who has no keys need not load it

        curve.show(socket, credentials)
    socket.connect(reached(address))


def reached(address: str) -> str:
    """Tell where to connect, for what is bound on all interfaces."""
    return address.replace("tcp://*:", "tcp://127.0.0.1:")


def send(socket: zmq.Socket[bytes], frames: list[bytes]) -> None:
    """Send a message at once, or raise ``zmq.Again``; a large frame is not copied."""
    for frame in frames[:-1]:
        _send(socket, frame, _MORE)
    last = frames[-1]
    is_small = len(last) < COPIED
    if not is_small:
        memory.keep()
    _send(socket, last, _LAST, is_small)
    _yield()


def receive_one(socket: zmq.Socket[bytes]) -> list[Frame] | None:
    """Read a message that has arrived, without waiting; None if there is none.

    Returns
    -------
    list of bytes or memoryview
        its frames; a small one is copied, a large one is seen where libzmq has it

    """
    try:
        frame = socket.recv(_LAST, copy=False)
    except zmq.Again:
        return None
    frames = [seen(frame)]
    while frame.more:
        frame = socket.recv(_LAST, copy=False)  # all parts of a message come at once
        frames.append(seen(frame))
    return frames


def seen(frame: zmq.Frame) -> Frame:
    """Look at what is in a frame: at a copy, or, if it is large, where libzmq has it."""
    if len(frame) < COPIED:
        return frame.bytes
    memory.keep()
    return frame.buffer


def receive(socket: zmq.Socket[bytes], most: int) -> Iterator[list[Frame]]:
    """Read the messages that have arrived, but no more than ``most``, so that other sockets get their turn.

    Each is read when it is asked for.
    """
    for _ in range(most):
        frames = receive_one(socket)
        if frames is None:
            return
        yield frames


def receive_from(socket: zmq.Socket[bytes], most: int) -> list[tuple[int, list[bytes]]]:
    """Read the messages that have arrived, each with the file descriptor of the connection it came by.

    Messages that came by inproc have -1.
    """
    received: list[tuple[int, list[bytes]]] = []
    try:
        while len(received) < most:
            frames = socket.recv_multipart(zmq.NOBLOCK, copy=False)
            received.append((_descriptor(frames[-1]), [frame.bytes for frame in frames]))
    except zmq.Again:
        pass
    return received


def _descriptor(frame: zmq.Frame) -> int:
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return -1


class Outbox:
    """Sends without ever blocking, and keeps in order what finds no room.

    Parameters
    ----------
    socket
        where to send

    """

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.socket = socket
        self.waiting: deque[list[bytes]] = deque()  #: what finds no room, in order

    def put(self, frames: list[bytes]) -> None:
        """Send a message now, or keep it for the next :meth:`flush`."""
        if not self.waiting or self.flush():
            try:
                send(self.socket, frames)
            except zmq.Again:
                pass
            else:
                return
        self.waiting.append(frames)

    def flush(self) -> bool:
        """Send what there is room for; tell whether nothing is left."""
        try:
            while self.waiting:
                send(self.socket, self.waiting[0])
                self.waiting.popleft()
        except zmq.Again:
            return False
        return True

    def __len__(self) -> int:
        return len(self.waiting)
