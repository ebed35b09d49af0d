"""ServiceWorker: answers the requests of one task type."""

from __future__ import annotations

import abc
import logging
import time
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

import zmq

from zmqpipeline.declarations import Method
from zmqpipeline.errors import DeclarationError
from zmqpipeline.failure import describe
from zmqpipeline.role import STRAYS_INTERVAL, DeclaredRole
from zmqpipeline.service import REMOTE, SPARE, failure
from zmqpipeline.stopping import StopNow
from zmqpipeline.task import ENDPOINT, TASK_TYPE
from zmqpipeline.wire import envelope, messages

if TYPE_CHECKING:
    from zmqpipeline.descriptors import EndpointAddress, TaskType


class ServiceWorker(DeclaredRole, abc.ABC):
    """Answers one request after another, until the broker or a signal ends it.

    A subclass declares ``task_type``, a :class:`~zmqpipeline.TaskType`, and
    ``endpoint``, the :class:`~zmqpipeline.EndpointAddress` of the broker's
    backend, and writes :meth:`handle_message`. When the broker goes, it waits
    for another at the same address, :attr:`peer_timeout` seconds long.

    Parameters
    ----------
    id_prefix
        what its identity begins with, so that the broker's log tells what it is

    Attributes
    ----------
    worker_id
        its identity, another one for each connection; ``''`` before :meth:`run`

    """

    _declares = (TASK_TYPE, ENDPOINT)
    _calls = (Method("handle_message", ("data", "task_type", "msgtype")),)

    task_type: TaskType
    endpoint: EndpointAddress

    logger: ClassVar[logging.Logger] = logging.getLogger("zmqpipeline.serviceworker")
    _finishes: ClassVar[str] = "the request that it has"
    _second_stop: ClassVar[str] = "stops at once and gives it back"

    # set here because a subclass need not call our __init__
    worker_id = ""
    _junk_at = 0.0
    _id_prefix = "worker"

    def __init__(self, id_prefix: str = "worker") -> None:
        if not isinstance(id_prefix, str) or len(id_prefix.encode(errors="replace")) > 200:
            raise DeclarationError(f"id_prefix is {id_prefix!r}, expected a str of at most 200 bytes")
        self._id_prefix = id_prefix

    @abc.abstractmethod
    def handle_message(self, data: Any, task_type: TaskType, msgtype: str) -> Any:
        """Answer one request.

        Parameters
        ----------
        data
            what the client sent, usually a dict
        task_type
            this worker's
        msgtype
            ``MESSAGE_TYPE_DATA``

        Returns
        -------
        dict or None
            the answer, or anything else that can be serialized; None is answered as ``{}``

        Raises
        ------
        Exception
            whatever it raises, the client gets as a :class:`~zmqpipeline.errors.RemoteError`; this
            worker goes on

        """

    def _open(self) -> None:
        self._clock = self._peer_clock(f"the broker at {self.endpoint}")
        self._join()

    def _serve(self) -> None:
        try:
            while not self._level:
                self._poll(self._polled, None)
                if self._ended():
                    return
                self._look(time.monotonic())
        except StopNow:
            pass  # a goodbye gives back what it was doing
        self._say(messages.create(data={}, tasktype=self.task_type, msgtype=messages.MESSAGE_TYPE_GOODBYE))

    def _join(self) -> None:
        """Connect as a new worker: a broker may still know the old one, on a connection that is half open."""
        self.worker_id = f"{self._id_prefix}{uuid.uuid4().hex}"
        identity = self.worker_id.encode(errors="replace")
        self._socket = self._connected(zmq.DEALER, self.endpoint, identity=identity, watch=True)
        self._watch = self._watches[-1]
        self._lost = False
        self._polled = self._poller(self._socket)
        self._say(messages.create_ready(self.task_type))

    def _look(self, now: float) -> None:
        """See whether the broker is there, and wait for another if it is not."""
        self._note(now)
        if self._lost:
            self.logger.warning("%s has lost the broker at %s", self._subject(), self.endpoint)
        if self._lost or self._watch.has_given_up(now):
            self._drop(self._socket)
            self._join()
        self._clock.check(now)
        self._announce(lambda: [] if self._watch.connections else [f"the broker at {self.endpoint}"])

    def _note(self, now: float) -> None:
        """Take in whether the broker came or went."""
        came, gone, _ = self._watch.drain()
        if came:
            self.logger.info("%s is connected to the broker at %s", self._subject(), self.endpoint)
            self._clock.came()
        if gone:
            self._clock.went(now)
            self._lost = True

    def _ended(self) -> bool:
        """Take what has come; tell whether it is END."""
        while not self._level:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return False
            match frames:
                case [b"", b"", b"", end] if messages.get(end)[2] == messages.MESSAGE_TYPE_END:
                    return True
                case [b"", route, b"", request] if route:
                    if not self._lost:
                        self._work(route, request)
                case [first, *_] if first:
                    pass  # a probe
                case _:
                    self._junk()
        return False

    def _junk(self) -> None:
        """Say, but only once in a while, that something makes no sense."""
        if time.monotonic() >= self._junk_at:
            self._junk_at = time.monotonic() + STRAYS_INTERVAL
            self.logger.warning("%s: a message of the broker makes no sense and is dropped", self._subject())

    def _work(self, route: bytes, request: bytes) -> None:
        answer = self._answer(request)
        self._note(time.monotonic())
        if (
            not self._lost
        ):  # else nobody waits for this answer any more; but END may still be there to be read
            self._say(route, b"", answer)

    def _say(self, *frames: bytes) -> None:
        try:
            self._socket.send_multipart([b"", *frames], zmq.NOBLOCK)
        except zmq.Again:
            self._lost = True  # there is room for more than a broker of this protocol leaves unread

    def _answer(self, request: bytes) -> bytes:
        message = envelope.decode(request)
        if message is None:
            return self._failure(
                None, "the request cannot be read by the worker: register its types there", ""
            )
        try:
            with self._user_code:
                result = self.handle_message(message.data, self.task_type, messages.MESSAGE_TYPE_DATA)
            answer = envelope.encode(
                envelope.Message(
                    messages.MESSAGE_TYPE_DATA,
                    self.task_type,
                    {} if result is None else result,
                    id=message.id,
                )
            )
        except Exception as error:
            self.logger.warning("%s: handle_message failed", self._subject(), exc_info=error)
            told = describe(error)
            return self._failure(message.id, f"{told['type']}: {told['text']}", told["traceback"])
        most = self.max_message_size - SPARE
        if len(answer) > most:
            text = f"the answer takes {len(answer)} bytes and {most} are allowed: send it in parts"
            return self._failure(message.id, text, "")
        return answer

    def _failure(self, number: int | None, text: str, trace: str) -> bytes:
        text = f"the worker for task type {str(self.task_type)!r} failed: {text}"
        return failure(self.task_type, number, REMOTE, text, trace)
