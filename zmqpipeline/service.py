"""Service: the broker between clients that ask and workers that answer."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import msgpack
import zmq

from zmqpipeline.delivery.brokerage import Brokerage, Limits, Refusal, Request
from zmqpipeline.delivery.ports import Outcome
from zmqpipeline.descriptors import EndpointAddress
from zmqpipeline.role import STRAYS_INTERVAL, Role
from zmqpipeline.stopping import DRAIN, NOW
from zmqpipeline.wire import envelope, limits, messages, sockets

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.role import Socket

#: the frames behind the address of a probe: nothing is asked, it only shows whether there is a connection.
#: libzmq's REQ reads past a message that does not begin with an empty frame, and its session lets such a
#: message through only if the first frame has the four bytes of a correlation id (req.cpp).
PROBE = (b"PING", b"", b"")
#: what is kept free of a frame for what the broker adds, in bytes
SPARE = 64 * 1024
#: the largest request or answer by default, in bytes: of one beyond its limit libzmq only cuts the connection
MAX_FRAME = limits.MAX_MESSAGE_SIZE - SPARE
#: what a FAIL message says in ``error`` when the worker's own code failed, and when a request is none
REMOTE, INVALID = "remote", "invalid"

#: the longest name of a task type that a peer may give
_MAX_TASK = 1024
#: answers that may wait for one client, so that one that asks as much as it may loses none
_CLIENT_HIGH_WATER_MARK = 2048
#: messages that are taken from one socket before the other has its turn
_TURN = 1000
#: what becomes of single peers is logged no more often, in seconds
_NOTE_INTERVAL = 1.0
_CROWDED = "%s: there are %d workers, and others wait until one goes: if they are yours, raise max_peers"


@dataclass(frozen=True)
class Header:
    """A message whose data is left packed: what a broker has to know of it."""

    type: str
    task: str
    id: int | None
    data: bytes


def open_header(frame: bytes) -> Header | None:
    """Open a frame without unpacking its data; None if it is not a valid message. Never raises.

    The data may hold types that only the client and the worker know.
    """
    found: dict[str, object] = {}
    data = b"\x80"  # an empty map
    # a key, a type, a name and a number are no containers; what says so may say that it is huge
    unpacker = msgpack.Unpacker(
        max_buffer_size=len(frame) + 1, strict_map_key=False, max_array_len=0, max_map_len=0
    )
    unpacker.feed(frame)
    try:
        count = unpacker.read_map_header()
        if count > limits.MAX_KEYS:
            return None
        for _ in range(count):
            key = unpacker.unpack()
            start = unpacker.tell()
            if key in ("type", "task", "id"):
                found[key] = unpacker.unpack()
            else:
                unpacker.skip()
                data = frame[start : unpacker.tell()] if key == "data" else data
    except Exception:  # noqa: BLE001 - msgpack's own errors have no common base, and a peer must not end us
        return None
    kind, task, number = found.get("type"), found.get("task", ""), found.get("id")
    if unpacker.tell() != len(frame) or not isinstance(kind, str) or not isinstance(task, str):
        return None
    if number is not None and not (type(number) is int and 0 <= number < envelope.MAX_NUMBER):
        return None
    return Header(kind, task, number, data)


def failure(task: str, number: int | None, error: str, text: str, traceback: str = "") -> bytes:
    """Pack what a client gets instead of an answer.

    Parameters
    ----------
    task, number
        the request's task type and id
    error
        which kind of failure, as listed in the protocol's section "Service"
    text
        a sentence for a person
    traceback
        the traceback in the worker, if there is one

    """
    data = {"error": error, "message": text, "traceback": traceback}
    return envelope.encode(envelope.Message(messages.MESSAGE_TYPE_FAILURE, task, data, id=number))


class Service(Role):
    """Takes requests from clients, gives each to a free worker of its task type, and carries the answer back.

    Clients and workers connect to it, in any order, and may come and go. Override
    the attributes, of the class or of an instance, to change the bounds.

    Parameters
    ----------
    frontend_endpoint
        where clients connect; an :class:`~zmqpipeline.EndpointAddress`, or a str that is one
    backend_endpoint
        where workers connect

    Raises
    ------
    zmqpipeline.errors.EndpointError
        if one of them is not an address (a ``TypeError``)

    """

    #: how long a request waits for a free worker, in seconds
    worker_timeout: float = Limits.worker_timeout
    #: on how many workers a request is tried, if they die of it
    max_tries: int = Limits.max_tries
    #: the most requests, waiting or running, of all clients
    max_requests: int = Limits.max_requests
    #: the most requests, waiting or running, of one client
    max_client_requests: int = Limits.max_client_requests
    #: the most that all requests may take, in bytes
    max_bytes: int = Limits.max_bytes
    #: how often it is probed whether clients and workers are still connected, in seconds
    probe_interval: float = Limits.probe_interval
    #: the most workers that are there at a time; others wait
    max_peers: int = limits.MAX_PEERS
    #: the most workers that are met in a second; others wait
    max_hellos: int = limits.MAX_HELLOS

    logger: ClassVar[logging.Logger] = logging.getLogger("zmqpipeline.service")
    _finishes: ClassVar[str] = "the requests that run"
    _second_stop: ClassVar[str] = "refuses them and stops at once"

    def __init__(self, frontend_endpoint: str, backend_endpoint: str) -> None:
        self.frontend_endpoint = EndpointAddress(frontend_endpoint)
        self.backend_endpoint = EndpointAddress(backend_endpoint)
        #: messages that made no sense
        self.junk_count = 0
        self._junk_logged = 0.0

    def shutdown(self) -> None:
        """End a running service: what runs is answered, what waits is refused, workers end."""
        self.stop()

    def _open(self) -> None:
        self._access.may_bind(self.frontend_endpoint, self.backend_endpoint)
        limits = Limits(
            self.worker_timeout,
            self.max_tries,
            self.max_requests,
            self.max_client_requests,
            self.max_bytes,
            self.probe_interval,
            self.max_peers,
            self.max_hellos,
        )
        self._frontend = self._listen(self.frontend_endpoint, _CLIENT_HIGH_WATER_MARK)
        self._backend = self._listen(self.backend_endpoint, sockets.HIGH_WATER_MARK)
        self._brokerage = Brokerage(_Transport(self._frontend, self._backend, limits, self.logger), limits)

    def _listen(self, address: EndpointAddress, high_water_mark: int) -> Socket:
        made = self._make(zmq.ROUTER)
        made.sndhwm = high_water_mark
        # What clients send is read at once, and refused beyond the limits: so no receive queue grows, though
        # none may be bounded (see sockets.py). A stopped host is noticed when probes are not acknowledged.
        made.setsockopt(zmq.TCP_MAXRT, round(self.heartbeat_timeout * 1000))
        self._bind(made, address)
        self.logger.info("%s listens at %s", self._subject(), address)
        return made

    def _serve(self) -> None:
        brokerage, poller = self._brokerage, self._poller(self._frontend, self._backend)
        until = 0.0  # it may have been asked to stop before it ran
        give_up = float("inf")
        while True:
            ready = self._poll(poller, until)
            now = time.monotonic()
            # answers first: a freed worker can take what comes next
            if self._backend in ready:
                self._read(self._backend, self._from_worker, now)
            if self._frontend in ready:
                self._read(self._frontend, self._from_client, now)
            if self._level >= DRAIN and not brokerage.draining:
                brokerage.drain()
                give_up = now + self.stop_timeout
            if brokerage.draining and (brokerage.settled or self._level >= NOW or now >= give_up):
                brokerage.finish()
                return
            self._announce(list)
            if brokerage.is_crowded(now):
                self.logger.warning(_CROWDED, self._subject(), self.max_peers)
            due = brokerage.expire(now)
            until = min(brokerage.probe(now), give_up, *([] if due is None else [due]))

    def _read(self, socket: Socket, take: Callable[[list[bytes], float], None], now: float) -> None:
        for _ in range(_TURN):
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            take(frames, now)

    def _from_worker(self, frames: list[bytes], now: float) -> None:
        worker, *rest = frames
        if len(rest) == 4 and not rest[0] and not rest[2]:
            self._answered(worker, rest[1], rest[3], now)
            return
        header = open_header(rest[1]) if len(rest) == 2 and not rest[0] else None
        if header is not None and header.type == messages.MESSAGE_TYPE_GOODBYE:
            self._brokerage.left(worker, now)
        elif header is not None and header.type == messages.MESSAGE_TYPE_READY and _is_task(header.task):
            self._brokerage.ready(worker, header.task, now)
        else:
            self._junk("worker", worker)

    def _answered(self, worker: bytes, route: bytes, frame: bytes, now: float) -> None:
        request = self._brokerage.running(worker)
        if request is None:
            # It was busy when its connection broke, or for a broker before this one. Its answer comes too
            # late, but it is free now; and a REQ socket cannot say so in any other way.
            header = open_header(route)
            if header is not None and header.type == messages.MESSAGE_TYPE_ROUTING and _is_task(header.task):
                self._brokerage.ready(worker, header.task, now)
            else:
                self._junk("worker", worker)
            return
        if route != _route(request):
            self._junk("worker", worker)
            return
        header = open_header(frame)
        if header is None or header.type not in {messages.MESSAGE_TYPE_DATA, messages.MESSAGE_TYPE_FAILURE}:
            text = f"the answer for task type {request.task!r} is no message: look into the worker's code"
            answer = failure(request.task, request.id, REMOTE, text)
        else:
            # a worker of the original does not echo the id
            answer = envelope.encode(
                envelope.Message(header.type, request.task, id=request.id, body=header.data)
            )
        self._brokerage.answered(worker, answer, now)

    def _from_client(self, frames: list[bytes], now: float) -> None:
        client, *rest = frames
        if len(rest) != 2 or rest[0]:
            self._junk("client", client)
            return
        header = open_header(rest[1])
        if header is not None and header.type == messages.MESSAGE_TYPE_GOODBYE:
            self._brokerage.cancel(client, header.id)
        elif header is not None and header.type == messages.MESSAGE_TYPE_DATA and _is_task(header.task):
            self._brokerage.request(client, header.id, header.task, rest[1], now)
        else:
            self._junk("client", client)
            # somebody may wait for an answer: a REQ socket that gets none is stuck
            text = "this is no request: a DATA message with the name of a task type is expected"
            number = None if header is None else header.id
            _send(self._frontend, client, b"", failure("", number, INVALID, text))

    def _junk(self, kind: str, sender: bytes) -> None:
        self.junk_count += 1
        now = time.monotonic()
        if self.junk_count == 1 or now - self._junk_logged >= STRAYS_INTERVAL:
            self._junk_logged = now
            self.logger.warning(
                "%s: a message of %s %s makes no sense and is dropped; %d so far",
                self._subject(),
                kind,
                sender,
                self.junk_count,
            )


class _Transport:
    """Sends what the brokerage decides.

    Parameters
    ----------
    frontend, backend
        the ROUTERs of the clients and of the workers
    limits
        what the sentences to clients name
    logger
        where it says what went wrong

    """

    def __init__(self, frontend: Socket, backend: Socket, limits: Limits, logger: logging.Logger) -> None:
        self._frontend = frontend
        self._backend = backend
        self._limits = limits
        self._logger = logger
        self._noted_at = 0.0

    def work(self, worker: bytes, request: Request) -> Outcome:
        return self._to_worker(worker, b"", _route(request), b"", request.body)

    def end(self, worker: bytes) -> Outcome:
        return self._to_worker(worker, b"", b"", b"", messages.create_end())

    def probe_worker(self, worker: bytes) -> Outcome:
        return self._to_worker(worker, *PROBE)

    def probe_client(self, client: bytes) -> Outcome:
        return _send(self._frontend, client, *PROBE)

    def answer(self, request: Request, answer: bytes) -> Outcome:
        outcome = _send(self._frontend, request.client, b"", answer)
        if outcome is not Outcome.SENT:
            self._note("client %s is %s, its answer is dropped", request.client, outcome.name.lower())
        return outcome

    def refuse(self, request: Request, why: Refusal) -> Outcome:
        text = _sentence(request, why, self._limits)
        self._note("client %s is told: %s", request.client, text)
        return _send(self._frontend, request.client, b"", failure(request.task, request.id, why.value, text))

    def _to_worker(self, worker: bytes, *frames: bytes) -> Outcome:
        outcome = _send(self._backend, worker, *frames)
        if outcome is Outcome.GONE:
            self._note("worker %s is gone", worker)
        return outcome

    def _note(self, text: str, *of_peer: object) -> None:
        """Log what became of a peer, but not each time: it may begin anew with each message."""
        now = time.monotonic()
        if now >= self._noted_at:
            self._noted_at = now + _NOTE_INTERVAL
            self._logger.info(text, *of_peer)


def _send(router: Socket, *frames: bytes) -> Outcome:
    try:
        router.send_multipart(frames, zmq.NOBLOCK)
    except zmq.Again:
        return Outcome.FULL
    except zmq.ZMQError as error:
        if error.errno != zmq.EHOSTUNREACH:
            raise
        return Outcome.GONE
    return Outcome.SENT


def _route(request: Request) -> bytes:
    """Pack what a worker has to send back with its answer."""
    return messages.create_routing(request.task, {"address": request.client, "request": request.number})


def _is_task(name: str) -> bool:
    return 0 < len(name) <= _MAX_TASK


def _sentence(request: Request, why: Refusal, limits: Limits) -> str:
    """Tell a person what happened and what to do."""
    task, waited = repr(request.task), f"within {limits.worker_timeout:g} s"
    tried = "one worker" if limits.max_tries == 1 else f"{limits.max_tries} workers, one after another,"
    return {
        Refusal.UNKNOWN_TASK: (
            f"no worker for task type {task} has ever been seen, and none came {waited}: "
            f"start a ServiceWorker with this task_type, or correct the name"
        ),
        Refusal.NO_WORKER: (
            f"no worker for task type {task} was free {waited}: start more of them, or ask again later"
        ),
        Refusal.WORKER_LOST: (
            f"the request for task type {task} was given to {tried} and lost with each: "
            f"look into the workers' logs, the request itself may be what ends them"
        ),
        Refusal.FULL: (
            f"the request for task type {task} was refused, because the broker is full "
            f"(with {limits.max_requests} requests or {limits.max_bytes} bytes): start more workers, or wait"
        ),
        Refusal.CLIENT_FULL: (
            f"the request for task type {task} was refused, because this client has "
            f"{limits.max_client_requests} open ones: wait for answers before asking for more"
        ),
        Refusal.STOPPED: (
            f"the request for task type {task} was refused, because the broker is ending: "
            f"ask again once it was started again"
        ),
    }[why]
