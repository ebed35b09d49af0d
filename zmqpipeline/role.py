"""What every role shares: its context and sockets, its start and its end, and who it waits for."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import platform
import threading
import time
import warnings
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

import zmq

from zmqpipeline._version import __version__
from zmqpipeline.access import Access, is_keyed, keys_of
from zmqpipeline.declarations import Declared, check_bounds
from zmqpipeline.errors import Stopped
from zmqpipeline.guard import held
from zmqpipeline.monitor.process import Vitals
from zmqpipeline.peerclock import PeerClock
from zmqpipeline.stopping import NOW, RUNNING, StopNow, Stopper, UserCode
from zmqpipeline.wire import binding, envelope, limits, openfiles, sockets
from zmqpipeline.wire.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    Context = zmq.Context[zmq.Socket[bytes]]
    Socket = zmq.Socket[bytes]

#: the longest that a role sleeps in its poll, in seconds
_LONGEST_POLL = 1.0
#: it looks after its peers so often while it is busy, in seconds
_LOOK_INTERVAL = 0.02
#: messages that were dropped are logged so often, in seconds: whoever floods a role must not flood its log
STRAYS_INTERVAL = 60.0


class Role:
    """A role runs in a process of its own: it starts, serves until its work is done, and ends.

    Nothing is opened before :meth:`run`; everything is closed when it returns.
    Override the class attributes to change the bounds.
    """

    #: how long a peer that was met may stay away before the role ends, in seconds
    peer_timeout: float = 60.0
    #: how long a drain waits for user code and peers before it ends hard, in seconds
    stop_timeout: float = 10.0
    #: how often a role says who it waits for, in seconds
    announce_interval: float = 10.0
    #: how often peers give each other a sign of life, in seconds
    heartbeat_interval: float = sockets.LIVENESS.interval
    #: how long such a sign may stay away until the connection has ended, in seconds
    heartbeat_timeout: float = sockets.LIVENESS.timeout
    #: the folder with its keys; None for the one that ``ZMQPIPELINE_KEYS`` names, and without that no keys
    keys: str | os.PathLike[str] | None = None
    #: the largest message that it takes, in bytes, at least 1 MiB; it is to be the same in all roles
    max_message_size: int = limits.MAX_MESSAGE_SIZE
    #: connections that each socket has which it binds, over tcp or ipc; what comes beyond is closed
    max_connections: int = limits.MAX_CONNECTIONS

    logger: ClassVar[logging.Logger] = logging.getLogger("zmqpipeline")

    #: what it finishes after a first signal, and what it does at the second, in words
    _finishes: ClassVar[str] = "what is under way"
    _second_stop: ClassVar[str] = "stops at once"
    #: kinds of sockets that take less than ``max_message_size``, and how much
    _takes_less: ClassVar[dict[int, int]] = {}

    #: told ``"ready"`` once everything is open; ``"starting"`` and ``"started"`` around init_worker;
    #: ``"started"`` once a collector has met its distributor
    on_event: Callable[[str], None] | None = None

    # state, set here because a subclass need not call our __init__
    _context: Context | None = None
    _owns_context = True
    _stopper: Stopper | None = None
    _stop_requested = RUNNING
    _announced = _look_at = 0.0
    _strays, _strays_at, _owner, _pid = 0, 0.0, 0, 0
    #: around calls of the program's methods: the second signal interrupts what runs inside
    _user_code = UserCode()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_bounds(cls)

    @property
    def context(self) -> Context:
        """The ZeroMQ context of this role, made when it is first needed."""
        if self._context is None or self._context.closed:
            self._context = zmq.Context()
            self._owns_context = True
        return self._context

    @context.setter
    def context(self, context: Context) -> None:
        """Share a context, for inproc endpoints; whoever made it terminates it."""
        self._context = context
        self._owns_context = False

    def run(self) -> None:
        """Do the role's work; return when it is done.

        Raises
        ------
        zmqpipeline.errors.BindError
            if an address cannot be bound
        zmqpipeline.errors.SecurityError
            if its keys cannot be used
        zmqpipeline.errors.PeerTimeoutError
            if a peer that was met has stayed away for :attr:`peer_timeout`
        zmqpipeline.errors.Stopped
            after SIGINT or SIGTERM, once everything is closed (a ``SystemExit`` with 128 + the signal)
        Exception
            whatever the program's own methods raise

        """
        self._before_run()
        check_bounds(self)
        self._access = Access(keys_of(self, self.keys), self.logger, self._subject())
        texts = self._subject(), self._finishes, self._second_stop
        with held() as release:
            self._stopper = stopper = Stopper(
                self.logger, *texts, self.stop_timeout, self._part, self._abandon
            )
            stopper.level = self._stop_requested
            self._user_code = stopper.user_code
            self._stop_descriptor = stopper.fileno()
            self._owner, self._pid = threading.get_ident(), os.getpid()
            self._is_main = threading.current_thread() is threading.main_thread()
            self._sockets: list[Socket] = []
            self._bindings: list[binding.Binding] = []
            self._watches: list[Watch] = []
            self._clocks: list[PeerClock] = []
            self._announced = self._polled_at = time.monotonic()
            self._vitals = Vitals()
            self._strays, self._strays_at = 0, 0.0
            openfiles.raise_limit()
            _running.add(self)
            with stopper.installed():
                release()
                try:
                    self._open()
                    self._event("ready")
                    with contextlib.suppress(StopNow):
                        self._serve()
                finally:
                    self.close()
        if stopper.signal is not None:
            raise Stopped(128 + stopper.signal)

    def stop(self) -> None:
        """Ask a running role to finish what is under way and to return; may be called from any thread."""
        self._stop_requested = max(self._stop_requested, 1)
        if self._stopper is not None:
            self._stopper.request()

    def _drain(self) -> None:
        """Ask it to stop as a first signal does: user code that takes too long is interrupted."""
        self.stop()
        if self._stopper is not None:
            self._stopper.request(bounded=True)

    def close(self) -> None:
        """Close everything that :meth:`run` opened; does nothing if it is closed already.

        Called from another thread than the one in :meth:`run`, it asks that one to stop: sockets have
        one owner.
        """
        if self._pid != os.getpid():  # a fork: all is its parent's, and ZeroMQ's sockets never answer here
            self._stopper = None
        if self._stopper is None:
            return
        if self._owner != threading.get_ident():
            self.stop()
            return
        self._closing()
        stopper, self._stopper, self._user_code = self._stopper, None, UserCode()
        for watch in self._watches:
            watch.drain()
            if not watch.connections:  # nobody is there to whom it could still send
                watch.socket.linger = 0
            watch.close()
        self._access.drop()
        for opened in self._sockets:
            opened.close()
        self._access.close()
        for bound in self._bindings:
            bound.close()
        self._watches, self._sockets, self._bindings = [], [], []
        if self._owns_context and self._context is not None:
            self._context.term()
            self._context = None
        stopper.close()

    def _open(self) -> None:
        """Make the role's sockets."""
        raise NotImplementedError

    def _serve(self) -> None:
        """Do the role's work, from the first message to the last."""
        raise NotImplementedError

    def _closing(self) -> None:
        """Keep what is wanted after the end; called once, before anything is closed."""

    def _part(self) -> None:
        """Take leave of the peers, from another thread, because the process ends without its main thread."""

    def _abandon(self) -> None:
        """Remove what would stay behind of a process that ends hard; from another thread."""
        for bound in self._bindings:
            bound.close()

    def _before_run(self) -> None:
        """Do nothing; the command puts a refusal here while it loads a file."""

    def _event(self, event: str) -> None:
        """Tell whoever started this role how far it is."""
        if self.on_event is not None:
            self.on_event(event)

    def _info(self) -> dict[str, Any]:
        """Tell who this is, for HELLO."""
        return {
            "protocol": envelope.PROTOCOL_VERSION,
            "version": __version__,
            "name": type(self).__qualname__,
            "host": platform.node(),
            "pid": os.getpid(),
            "max_message": self.max_message_size,
        }

    def _subject(self) -> str:
        """Name this role in a line for a person."""
        return type(self).__name__

    @property
    def _level(self) -> int:
        return RUNNING if self._stopper is None else self._stopper.level

    @property
    def _liveness(self) -> sockets.Liveness:
        return sockets.Liveness(self.heartbeat_interval, self.heartbeat_timeout)

    def _make(self, kind: int, *, identity: bytes | None = None) -> Socket:
        largest = min(self.max_message_size, self._takes_less.get(kind, self.max_message_size))
        made = sockets.make_socket(
            self.context, kind, identity=identity, liveness=self._liveness, max_message_size=largest
        )
        self._sockets.append(made)
        return made

    def _bound(self, kind: int, address: str, *, watch: bool = False) -> Socket:
        made = self._make(kind)
        self._bind(made, address, watch=watch)
        return made

    def _bind(self, made: Socket, address: str, *, watch: bool = False) -> None:
        self._observe(made, address, bound=True, polled=watch)
        self._access.lock(made, address, self.context)
        self._bindings.append(binding.bind(made, address))

    def _connected(
        self, kind: int, address: str, *, identity: bytes | None = None, watch: bool = False
    ) -> Socket:
        made = self._make(kind, identity=identity)
        # who has an identity has said something under it, which is lost with a refusal: it joins again
        self._observe(made, address, polled=watch, redials=identity is None)
        sockets.connect(made, address, self._access.credentials(address))
        return made

    def _observe(
        self, made: Socket, address: str, *, bound: bool = False, polled: bool, redials: bool = False
    ) -> None:
        """Watch a socket: for the role itself, or only for who is refused, for want of a key or of room."""
        if polled or bound or is_keyed(address):
            watch = Watch(made, address, self.max_connections if bound else None)
            self._access.observe(watch, address, bound=bound, quiet=not polled, redials=redials)
            if polled:
                self._watches.append(watch)

    def _drop(self, dropped: Socket) -> None:
        """Close one socket before the others, with its watch, and throw away what it would still send."""
        for watch in [watch for watch in self._watches if watch.socket is dropped]:
            self._watches.remove(watch)
            watch.close()
        self._access.drop(dropped)
        self._sockets.remove(dropped)
        dropped.close(linger=0)

    def _poller(self, *readable: Socket) -> zmq.Poller:
        """Make a poller for sockets and for the wish to stop."""
        poller = zmq.Poller()
        for polled in readable:
            poller.register(polled, zmq.POLLIN)
        for watch in self._watches:
            poller.register(watch.monitor, zmq.POLLIN)
        if self._stopper is not None:
            poller.register(self._stopper, zmq.POLLIN)
        return poller

    def _poll(self, poller: zmq.Poller, until: float | None) -> dict[Any, int]:
        """Wait until something can be read, or until a time on the monotonic clock."""
        begun = time.monotonic()
        self._vitals.lag = max(self._vitals.lag, begun - self._polled_at)
        wait = _LONGEST_POLL if until is None else min(max(until - begun, 0), _LONGEST_POLL)
        # round up: a poll that ends a fraction of a millisecond early would spin
        ready = dict(zmq.zmq_poll(poller.sockets, int(wait * 1000 + 0.999)))
        if self._stop_descriptor in ready and self._stopper is not None:
            self._stopper.awake()
        now = time.monotonic()
        stalled = now - self._polled_at - wait
        self._polled_at = now
        if stalled > self.heartbeat_timeout / 2:
            self._forgive(stalled)
        return ready

    def _is_time(self, ready: dict[Any, int], now: float) -> bool:
        """Tell whether to look after the peers: something became of a connection, or a moment has passed.

        It costs as much as to hand on a task.
        """
        if now < self._look_at and not any(watch.monitor in ready for watch in self._watches):
            return False
        self._look_at = now + _LOOK_INTERVAL
        return True

    def _is_stalled(self) -> bool:
        """Tell whether nothing was read for long, for user code or a stop: others may have given up."""
        return time.monotonic() - self._polled_at > self.heartbeat_timeout / 2

    def _peer_clock(self, name: str) -> PeerClock:
        """Make a clock for a peer: it leaves out the time in which this role could not look."""
        self._clocks.append(PeerClock(name, self.peer_timeout))
        return self._clocks[-1]

    def _forgive(self, seconds: float) -> None:
        """Hold nothing against the peers that may have happened while this process was stalled."""
        for clock in self._clocks:
            clock.forgive(seconds)

    def _announce(self, waits_for: Callable[[], list[str]], strays: int = 0) -> None:
        """Say, once in a while, who is waited for, who was refused, and what strangers have sent."""
        now = time.monotonic()
        self._access.look(now)
        if strays != self._strays and now >= self._strays_at:
            if strays > self._strays:
                self.logger.info(
                    "%s has dropped messages that make no sense, or are of no task of this run: %d",
                    self._subject(), strays - self._strays,
                )  # fmt: skip
            self._strays, self._strays_at = strays, now + STRAYS_INTERVAL
        if now - self._announced >= self.announce_interval:
            self._announced = now
            for whom in waits_for():
                self.logger.info("%s waits for %s", self._subject(), whom)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._stopper is not None:
            warnings.warn(f"{self._subject()} was not closed", ResourceWarning, stacklevel=2)
            with contextlib.suppress(zmq.ZMQError, OSError):
                self.close()


_running: weakref.WeakSet[Role] = weakref.WeakSet()


def _stop_all() -> None:
    """Stop the roles that still run in threads when the interpreter ends: it waits for its threads."""
    for role in list(_running):
        if role._stopper is not None:  # noqa: SLF001
            role._stopper.request(NOW)  # noqa: SLF001


# atexit comes too late, after the threads were waited for; concurrent.futures ends its threads the same way
getattr(threading, "_register_atexit", atexit.register)(_stop_all)


class DeclaredRole(Declared, Role):
    """A role that users subclass."""
