"""MonitorClient: asks a distributor how its run is, once or again and again."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from typing import TYPE_CHECKING, ClassVar

import zmq

from zmqpipeline._version import __version__
from zmqpipeline.access import VARIABLE, Access, keys_of
from zmqpipeline.descriptors import EndpointAddress
from zmqpipeline.errors import MonitorError
from zmqpipeline.monitor.check import is_snapshot
from zmqpipeline.monitor.snapshot import ANSWER, QUESTION, SHORTEST, SNAPSHOT_VERSION, Snapshot
from zmqpipeline.wire import envelope, sockets
from zmqpipeline.wire.watch import Watch

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

#: a distributor answers until it was not asked for ten seconds, so it is asked again after so many
ASK_INTERVAL = 3.0
#: after so many intervals without a snapshot the distributor counts as gone
_MISSED = 3
#: the longest that one poll sleeps, in seconds
_LONGEST_POLL = 1.0


class MonitorClient:
    """Watches the run of a distributor that has a ``monitor_endpoint``, one thread at a time.

    Close it, or use it as a context manager.

    Parameters
    ----------
    endpoint
        the distributor's ``monitor_endpoint``; an :class:`~zmqpipeline.EndpointAddress`, or a str that is one
    timeout
        how long :meth:`snapshot` waits for an answer, in seconds
    keys
        the folder with its keys; None for the one that ``ZMQPIPELINE_KEYS`` names, and without that no keys

    Raises
    ------
    TypeError
        if the address is none, or the keys are no path
    ValueError
        if the timeout is not a positive number

    """

    logger: ClassVar[logging.Logger] = logging.getLogger("zmqpipeline.monitor")

    def __init__(
        self, endpoint: str, timeout: float = 5.0, keys: str | os.PathLike[str] | None = None
    ) -> None:
        self._connections: list[_Connection] = []
        self.endpoint = EndpointAddress(endpoint)
        if not timeout > 0:
            raise ValueError(f"timeout is {timeout!r}, expected seconds above 0")
        self.timeout = timeout
        self._access = Access(keys_of(self, keys), self.logger, type(self).__name__)

    def snapshot(self) -> Snapshot:
        """Ask once how the run is.

        Raises
        ------
        zmqpipeline.errors.MonitorError
            if no answer comes in time, or one of another version; the text says why
        zmqpipeline.errors.SecurityError
            if its keys cannot be used

        """
        with self._connected(None) as connection:
            snapshot = connection.receive(time.monotonic() + self.timeout)
            if snapshot is None:
                raise MonitorError(connection.problem())
            return snapshot

    def stream(self, every: float = 1.0) -> Iterator[Snapshot | None]:
        """Have oneself told again and again how the run is; ends with its end.

        Parameters
        ----------
        every
            how often, in seconds, at least 0.1

        Yields
        ------
        Snapshot or None
            None when three of these intervals have passed without one: the distributor is gone, or in
            the program's code. It goes on, and finds it again when it is back

        Raises
        ------
        zmqpipeline.errors.MonitorError
            if what comes is of another version
        zmqpipeline.errors.SecurityError
            if its keys cannot be used
        ValueError
            if the interval is shorter

        """
        if not every >= SHORTEST:
            raise ValueError(f"every is {every!r}, expected seconds from {SHORTEST:g}")
        return self._stream(every)

    def problem(self) -> str:
        """Say why nothing comes, and what to do; ``''`` if nothing was asked."""
        return self._connections[-1].problem() if self._connections else ""

    def close(self) -> None:
        """Close the connections; a stream that goes on ends."""
        for connection in self._connections[:]:
            self._disconnect(connection)

    def _stream(self, every: float) -> Iterator[Snapshot | None]:
        with self._connected(every) as connection:
            while not connection.closed:
                snapshot = connection.receive(time.monotonic() + _MISSED * every)
                yield snapshot
                if snapshot is not None and snapshot["phase"] == "ended":
                    return

    @contextlib.contextmanager
    def _connected(self, every: float | None) -> Iterator[_Connection]:
        connection = _Connection(self.endpoint, self._access, self.timeout, every)
        self._connections.append(connection)
        try:
            yield connection
        finally:
            self._disconnect(connection)

    def _disconnect(self, connection: _Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._connections:
            warnings.warn(f"MonitorClient for {self.endpoint} was not closed", ResourceWarning, stacklevel=2)
            with contextlib.suppress(zmq.ZMQError, OSError):
                self.close()


class _Connection:
    """One connection to a distributor, over which it is asked one thing.

    Parameters
    ----------
    endpoint
        where the distributor binds for those who watch
    access
        the keys to show there, and who says that they are refused
    timeout
        how long is waited, in words of :meth:`problem`
    every
        how often snapshots are wanted, in seconds; None for a single one

    """

    def __init__(
        self, endpoint: EndpointAddress, access: Access, timeout: float, every: float | None
    ) -> None:
        credentials = access.credentials(endpoint)
        self.closed = False
        self._endpoint = endpoint
        self._access = access
        self._timeout = timeout if every is None else _MISSED * every
        self._interval = float("inf") if every is None else ASK_INTERVAL
        self._ask_at = 0.0
        self._has_heard_nonsense = False
        data = {} if every is None else {"every": every}
        self._question = [b"", envelope.encode(envelope.Message(QUESTION, data=data))]
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        # without an identity: after a restart of the distributor the old one would be taken there
        self._socket = sockets.make_socket(self._context, zmq.DEALER)
        self._watch = Watch(self._socket, endpoint)
        access.observe(self._watch, endpoint, bound=False, quiet=False, redials=True)
        sockets.connect(self._socket, endpoint, credentials)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._watch.monitor, zmq.POLLIN)

    def receive(self, until: float) -> Snapshot | None:
        """Wait for a snapshot until a time on the monotonic clock; None if none has come.

        Raises
        ------
        MonitorError
            if one of another version comes

        """
        while True:
            now = time.monotonic()
            self._ask(now)
            try:
                snapshot = self._opened(self._socket.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                if now >= until:
                    return None
                wait = min(until, self._ask_at if self._watch.connections else until) - now
                # round up: a poll that ends a fraction of a millisecond early would spin
                self._poller.poll(int(min(wait, _LONGEST_POLL) * 1000 + 0.999))
            else:
                if snapshot is not None or now >= until:
                    return snapshot

    def problem(self) -> str:
        """Say why no snapshot has come, and what to do."""
        if self._watch.connections and self._has_heard_nonsense:
            return (
                f"what is at {self._endpoint} answers with something else than a snapshot: "
                f"give the address of the distributor's --monitor-endpoint"
            )
        if self._watch.connections:
            return (
                f"what is at {self._endpoint} has not answered for {self._timeout:g} s: if it is the "
                f"distributor, it is busy in the program's code, so ask again; "
                f"if not, give the address of its --monitor-endpoint"
            )
        refused = self._access.problem(self._endpoint)
        if refused:
            return f"this process {refused}"
        if self._watch.refusals:
            return (
                f"what is at {self._endpoint} hangs up: if it has keys, start this again with "
                f"{VARIABLE}=FOLDER; if not, give the address of the distributor's --monitor-endpoint"
            )
        return (
            f"nobody is at {self._endpoint}: start the run with --monitor-endpoint {self._endpoint}, "
            f"or give the address that it was started with"
        )

    def close(self) -> None:
        """Close it."""
        self.closed = True
        self._access.drop(self._socket)
        self._watch.close()
        self._socket.close(linger=0)
        self._context.term()

    def _ask(self, now: float) -> None:
        """Ask where somebody new is, and where it is time to ask again."""
        if self._watch.drain().came:
            self._ask_at = now
        self._access.look(now)
        if self._watch.connections and now >= self._ask_at:
            self._ask_at = now + self._interval
            with contextlib.suppress(zmq.Again):
                self._socket.send_multipart(self._question, zmq.NOBLOCK)

    def _opened(self, frames: list[bytes]) -> Snapshot | None:
        """Open a message; None if it makes no sense."""
        message = envelope.decode(frames[1]) if len(frames) == 2 and not frames[0] else None
        if message is None or message.type != ANSWER or not isinstance(message.data, dict):
            self._has_heard_nonsense = True
            return None
        version = message.data.get("version")
        if type(version) is int and version != SNAPSHOT_VERSION and "run" in message.data:
            raise MonitorError(
                f"the distributor at {self._endpoint} tells of its run in version {version}, and this is "
                f"zmqpipeline {__version__}, which reads version {SNAPSHOT_VERSION}: install the same "
                f"zmqpipeline on both sides"
            )
        snapshot = message.data if is_snapshot(message.data) else None
        self._has_heard_nonsense = snapshot is None
        return snapshot
