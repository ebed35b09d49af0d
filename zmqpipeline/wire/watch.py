"""What libzmq's monitor tells of the connections of a socket (zmq_socket_monitor(3))."""

from __future__ import annotations

import contextlib
import struct
import time
from collections import Counter
from typing import Any, NamedTuple

import zmq

from zmqpipeline.wire import hangup, openfiles, refusal
from zmqpipeline.wire.refusal import Refusal
from zmqpipeline.wire.sockets import reached

#: the first frame of a monitor's message: which event, and its value
_EVENT = struct.Struct("=hi")

_OPENED = zmq.EVENT_ACCEPTED | zmq.EVENT_CONNECTED
_UP = zmq.EVENT_HANDSHAKE_SUCCEEDED
_DOWN = zmq.EVENT_DISCONNECTED

#: a socket that was refused connects again after so long, in seconds
REDIAL_INTERVAL = 1.0


def _monitor(socket: zmq.Socket[bytes], events: int) -> zmq.Socket[Any]:
    """Let libzmq tell of the connections of a socket.

    Other than that of pyzmq's function, the queue has no limit: if it were full, because somebody is refused
    again and again while this process is in user code, libzmq's thread would wait for room, and with it all
    sockets.
    """
    address = f"inproc://monitor.s-{socket.getsockopt(zmq.FD)!r}"
    socket.monitor(address, events)
    monitor: zmq.Socket[Any] = socket.context.socket(zmq.PAIR)
    monitor.rcvhwm = 0
    monitor.connect(address)
    return monitor


class Changes(NamedTuple):
    """What became of the connections of a socket."""

    came: int  #: how many are new
    gone: list[int]  #: the file descriptors of those that went; -1 for one that is not known
    closed: list[int]  #: and of all that were closed, those included that never finished a handshake


class Watch:
    """Counts the live connections of a socket, and the refused ones, by what libzmq's monitor tells.

    Parameters
    ----------
    socket
        a socket that has not been bound or connected yet
    address
        where it will be; of inproc connections libzmq tells nothing, so they count as up
    most
        how many connections it may have, with or without a handshake; None for a socket that connects

    Attributes
    ----------
    monitor
        readable when there is something to :meth:`drain`
    connections
        how many are up
    refusals
        how many handshakes have failed, by reason
    is_refused
        whether a socket that connects was refused, and not let in since: what it sends may be lost

    """

    def __init__(self, socket: zmq.Socket[bytes], address: str = "", most: int | None = None) -> None:
        self.socket = socket
        self.most = most
        self._address = address
        self._is_inproc = address.startswith("inproc:")
        #: whether each message that comes has a descriptor; over ipc not every system can tell
        self.has_descriptors = address.startswith("tcp:")
        self.monitor: zmq.Socket[Any] = _monitor(socket, _OPENED | _UP | _DOWN | refusal.EVENTS)
        self.connections = 0
        self.refusals: Counter[Refusal] = Counter()
        #: file descriptors without a handshake so far, as they came; there may be thousands
        self._opened: dict[int, None] = {}
        self._live: set[int] = set()
        self._turned: set[int] = set()  #: those that were ended, until libzmq has found out
        self._highest = 0 if most is None else openfiles.highest()
        self._has_failed = False  #: whether the handshake of the connection that ends next has
        self._given_up_at: float | None = None
        self.is_refused = False

    def drain(self) -> Changes:
        """Take in what has happened since the last call.

        A connection that never finished its handshake is not counted when it goes. The event of a handshake
        does not say whose it was; it is taken for that of the connection which was opened last. If that was
        wrong, because a stranger came in between who says nothing, it is put right when that one goes: its
        handshake has failed then, after ``sockets.HANDSHAKE_TIMEOUT`` at the latest.
        """
        came = int(self._is_inproc and not self.connections)
        self.connections += came
        changes, fresh = Changes(came, [], []), []
        while self.monitor.poll(0):
            # pyzmq has a function for it, whose module imports asyncio: more than all of this library
            event, value = _EVENT.unpack(self.monitor.recv_multipart()[0])
            if event & _OPENED:
                self._opened[value] = None
                fresh.append(value)
            elif event == _UP:
                came += 1
                self.is_refused = False
                if self._opened:
                    self.connections += 1
                    self._live.add(self._opened.popitem()[0])
                else:  # it was credited with the handshake of one that is gone since
                    changes.gone.append(-1)
            elif event & refusal.EVENTS:
                self._has_failed = True
                self.refusals[refusal.of(event, value)] += 1
                if refusal.is_final(event, value):
                    self._given_up_at = time.monotonic()
                    self.is_refused = True
            else:
                changes.closed.append(value)
                self._turned.discard(value)
                if self._was_live(value):
                    changes.gone.append(value)
                    self.connections -= 1
                self._has_failed = False
        if self.most is not None:
            self._turn_away(fresh, self.most)
        return changes._replace(came=came)

    def _turn_away(self, fresh: list[int], most: int) -> None:
        """End connections, the newest first, as long as there are more than there may be."""
        for descriptor in reversed(fresh):
            if descriptor in self._turned or not self.is_open(descriptor):
                continue
            if len(self._opened) + len(self._live) - len(self._turned) > most:
                self.refusals[Refusal.CROWDED] += 1
            elif descriptor >= self._highest:
                self.refusals[Refusal.OUT_OF_FILES] += 1
            else:
                continue
            self._turned.add(descriptor)
            hangup.hang_up(descriptor, self.socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"))

    def is_open(self, descriptor: int) -> bool:
        """Tell whether there is a connection of this descriptor, with or without a handshake."""
        return descriptor in self._live or descriptor in self._opened

    def _was_live(self, descriptor: int) -> bool:
        """Tell whether there is one connection less that had finished its handshake."""
        if descriptor in self._opened:
            del self._opened[descriptor]
            return False
        if descriptor not in self._live:
            return False
        self._live.remove(descriptor)
        if self._has_failed and self._opened:  # the handshake that it was credited with was another's
            self._live.add(self._opened.popitem()[0])
            return False
        return True

    def has_given_up(self, now: float) -> bool:
        """Tell whether the peer of a socket that connects has refused it a while ago.

        libzmq tries no more then, and has thrown away what it was to send.
        """
        return self._given_up_at is not None and now - self._given_up_at >= REDIAL_INTERVAL

    def redial(self, now: float) -> None:
        """Connect again if that is due: in the meantime, the peer may have been told to let this key in."""
        if self.has_given_up(now):
            self._given_up_at = None
            self.socket.disconnect(reached(self._address))
            self.socket.connect(reached(self._address))

    def close(self) -> None:
        """Stop watching; call it before the socket is closed."""
        with contextlib.suppress(zmq.ContextTerminated):  # then there is nothing left to disable
            self.socket.disable_monitor()
        self.monitor.close(linger=0)
