"""ServiceClient: asks a broker's workers and waits for their answers."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import warnings
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

import zmq

from zmqpipeline.access import Access, keys_of
from zmqpipeline.declarations import check_counts
from zmqpipeline.delivery.brokerage import Refusal
from zmqpipeline.descriptors import EndpointAddress, TaskType
from zmqpipeline.errors import (
    DeclarationError,
    NoWorkerError,
    RemoteError,
    RequestTimeoutError,
    SerializationError,
    ServiceError,
    UnknownTaskTypeError,
    WorkerLostError,
)
from zmqpipeline.service import REMOTE, SPARE, open_header
from zmqpipeline.serviceconnection import Connection, goodbye
from zmqpipeline.wire import envelope, limits, messages, serializer

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from typing_extensions import Self

    from zmqpipeline.role import Context

#: requests that are with the broker at once; far below what it lets one client have
_WINDOW = 256
#: the longest that one poll sleeps, and how often it is said who is waited for, in seconds
_LONGEST_POLL = 1.0
_ANNOUNCE_INTERVAL = 10.0

_ERRORS: dict[str, type[ServiceError]] = {
    Refusal.UNKNOWN_TASK.value: UnknownTaskTypeError,
    Refusal.NO_WORKER.value: NoWorkerError,
    Refusal.WORKER_LOST.value: WorkerLostError,
    Refusal.FULL.value: NoWorkerError,
    Refusal.CLIENT_FULL.value: NoWorkerError,
    Refusal.STOPPED.value: NoWorkerError,
    REMOTE: RemoteError,
}


class ServiceClient:
    """Asks the workers of a :class:`~zmqpipeline.Service`, one thread at a time.

    It connects with the first request, and again when the broker has gone and
    come back; close it, or use it as a context manager.

    Parameters
    ----------
    endpoint_address
        the broker's frontend; an :class:`~zmqpipeline.EndpointAddress`, or a str that is one
    task_type
        the :class:`~zmqpipeline.TaskType` of requests that do not name another
    id_prefix
        what its identity begins with, so that the broker's log tells who it is

    Raises
    ------
    TypeError
        if the address or the task type is not one

    """

    #: the folder with its keys; None for the one that ``ZMQPIPELINE_KEYS`` names, and without that no keys
    keys: str | os.PathLike[str] | None = None
    #: the largest message that it takes, in bytes, at least 1 MiB; the Service and its workers need the same
    max_message_size: int = limits.MAX_MESSAGE_SIZE

    logger: ClassVar[logging.Logger] = logging.getLogger("zmqpipeline.serviceclient")

    _connection: Connection | None = None

    def __init__(self, endpoint_address: str, task_type: str = "", id_prefix: str = "client") -> None:
        self.endpoint = EndpointAddress(endpoint_address)
        self.task_type = _task_type(task_type)
        if not isinstance(id_prefix, str) or len(id_prefix.encode(errors="replace")) > 200:
            raise DeclarationError(f"id_prefix is {id_prefix!r}, expected a str of at most 200 bytes")
        self._id_prefix = id_prefix
        self._numbers = 0
        self._busy = threading.Lock()
        #: a shared context, for inproc endpoints; whoever made it terminates it
        self.context: Context | None = None
        self._access: Access | None = None

    @property
    def client_id(self) -> str:
        """The identity that the broker sees, another one for each connection; ``''`` without one."""
        return "" if self._connection is None else self._connection.identity

    def request(self, data: Any, task_type: str = "", timeout: float | None = None) -> Any:
        """Ask, and wait for the answer.

        A request whose worker or broker dies is given to another, so it may be
        carried out more than once. Of a list the first error is raised, once the
        others are answered.

        Parameters
        ----------
        data
            a dict; or a list of dicts, which are spread over the workers
        task_type
            a :class:`~zmqpipeline.TaskType`; the client's own if omitted
        timeout
            how long to wait, in seconds; None waits for ever, but the broker says within
            30 s if there is no worker

        Returns
        -------
        dict or list
            what the worker's ``handle_message`` returned; for a list, all answers in its order

        Raises
        ------
        TypeError
            if the data is neither a dict nor a list of dicts, or cannot be serialized
        zmqpipeline.errors.UnknownTaskTypeError
            if no worker of this type was ever seen, and none came in time
        zmqpipeline.errors.NoWorkerError
            if none was free in time, or the broker is full or ending
        zmqpipeline.errors.WorkerLostError
            if the workers that got the request died
        zmqpipeline.errors.RequestTimeoutError
            if no answer came in time
        zmqpipeline.errors.RemoteError
            if the worker's ``handle_message`` raised
        RuntimeError
            if another thread is in this method

        """
        task = _task_type(task_type) or self.task_type
        if not task:
            raise DeclarationError("a request needs a task type: give one to request() or to the client")
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout is {timeout!r}, expected seconds from 0 on, or None")
        if self._connection is None:
            check_counts(self)
        items = data if isinstance(data, list) else [data]
        for item in items:
            if not isinstance(item, dict):
                raise DeclarationError(
                    f"the data of a request is a dict or a list of dicts, not {_kind(data, item)}"
                )
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("another thread is using this ServiceClient: make one for each thread")
        try:
            exchange = _Exchange(self, task, timeout)
            answers = exchange.run(self._packed(items, task, many=items is data))
        finally:
            self._busy.release()
        _raise_first(answers, many=items is data)
        return answers if items is data else answers[0]

    def close(self) -> None:
        """Close the connection; a later request makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def connection(self) -> Connection:
        """Return the connection, a new one if there is none or if the broker has gone."""
        if self._connection is not None and self._connection.lost():
            if not self._connection.refused:
                self.logger.warning("lost the broker at %s", self.endpoint)
            self.close()
        if self._connection is None:
            if self._access is None:
                self._access = Access(keys_of(self, self.keys), self.logger, type(self).__name__)
            self._connection = Connection(
                self.context, self.endpoint, self._id_prefix, self._access, self.max_message_size
            )
        return self._connection

    def _packed(self, items: list[dict[Any, Any]], task: str, *, many: bool) -> dict[int, bytes]:
        frames, most = {}, self.max_message_size - SPARE
        for index, item in enumerate(items):
            self._numbers += 1
            where = f"data[{index}]" if many else "data"
            message = envelope.Message(messages.MESSAGE_TYPE_DATA, task, id=self._numbers)
            message.body = serializer.serialize(item, where)
            frame = envelope.encode(message)
            if len(frame) > most:
                raise SerializationError(
                    f"{where} takes {len(frame)} bytes and {most} are allowed: send it in parts"
                )
            frames[self._numbers] = frame
        return frames

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._connection is not None:
            warnings.warn(f"ServiceClient for {self.endpoint} was not closed", ResourceWarning, stacklevel=2)
            with contextlib.suppress(zmq.ZMQError, OSError):
                self.close()


class _Exchange:
    """The requests of one call and what became of them.

    Parameters
    ----------
    client
        whose connection it uses
    task
        the task type of all of them
    timeout
        how long they may take together, in seconds

    """

    def __init__(self, client: ServiceClient, task: str, timeout: float | None) -> None:
        self._client = client
        self._task = task
        self._timeout = timeout
        self._deadline = float("inf") if timeout is None else time.monotonic() + timeout
        self._waiting: deque[int] = deque()
        self._open: dict[int, None] = {}
        self._settled: dict[int, Any] = {}

    def run(self, frames: dict[int, bytes]) -> list[Any]:
        """Exchange all; return for each its answer or a ServiceError."""
        self._waiting.extend(frames)
        try:
            self._exchange(frames)
        finally:
            if self._open and not self._client.connection().send(goodbye()):
                self._client.close()
        for number in (*self._open, *self._waiting):
            self._settled[number] = RequestTimeoutError(
                f"no answer for task type {self._task!r} within {self._timeout:g} s: "
                f"allow a longer timeout, or start more workers"
            )
        return [self._settled[number] for number in frames]

    def _exchange(self, frames: dict[int, bytes]) -> None:
        announced = time.monotonic()
        connection = self._client.connection()
        while True:
            for answer in connection.receive():
                self._take(answer)
            if connection.lost():
                # what was not answered is asked again: nobody else would tell what became of it
                self._waiting.extendleft(reversed(self._open))
                self._open.clear()
                connection = self._client.connection()
            while self._waiting and len(self._open) < _WINDOW and connection.send(frames[self._waiting[0]]):
                self._open[self._waiting.popleft()] = None
            now = time.monotonic()
            if not (self._waiting or self._open) or now >= self._deadline:
                return
            if not connection.up and now - announced >= _ANNOUNCE_INTERVAL:
                announced = now
                self._client.logger.info("waiting for the broker at %s", self._client.endpoint)
            room = bool(self._waiting) and len(self._open) < _WINDOW
            connection.wait(min(self._deadline - now, _LONGEST_POLL), for_room=room)

    def _take(self, frame: bytes) -> None:
        """Book an answer; one of an earlier call is dropped."""
        header = open_header(frame)
        if header is None or header.id not in self._open:
            return
        del self._open[header.id]
        message = envelope.decode(frame)
        if message is None:
            self._settled[header.id] = ServiceError(
                f"the answer for task type {self._task!r} cannot be read: register its types here as well"
            )
        elif message.type == messages.MESSAGE_TYPE_DATA:
            self._settled[header.id] = message.data
        else:
            self._settled[header.id] = _error(message.data)


def _error(data: Any) -> ServiceError:
    """Make the error that a FAIL message tells of."""
    told = data if isinstance(data, dict) else {}
    kind, text = (
        _ERRORS.get(str(told.get("error")), ServiceError),
        str(told.get("message", "the request failed")),
    )
    if kind is RemoteError:
        return RemoteError(text, str(told.get("traceback", "")))
    return kind(text)


def _raise_first(answers: list[Any], *, many: bool) -> None:
    """Raise the first error among the answers; of a list, with its index."""
    failed = [index for index, answer in enumerate(answers) if isinstance(answer, ServiceError)]
    if not failed:
        return
    error: ServiceError = answers[failed[0]]
    if many:
        others = f" (and {len(failed) - 1} more failed)" if len(failed) > 1 else ""
        error.args = (f"request {failed[0]} of {len(answers)}{others}: {error.args[0]}",)
    raise error


def _task_type(value: str) -> str:
    if value != "" and not isinstance(value, TaskType):
        raise DeclarationError(f"task_type is {value!r} ({type(value).__name__}), expected a TaskType or ''")
    return value


def _kind(data: Any, item: Any) -> str:
    return f"{type(data).__name__}" if data is item else f"a list with a {type(item).__name__}"
