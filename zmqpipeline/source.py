"""Between the distributor's decisions and the program's Task: calls handle() and packs what it returns."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from zmqpipeline.errors import SerializationError
from zmqpipeline.stopping import NOW, StopNow, UserCode
from zmqpipeline.task import Task
from zmqpipeline.wire import serializer
from zmqpipeline.wire.envelope import ENVELOPE_BYTES, MAX_NUMBER, OWN_FRAME, cut
from zmqpipeline.wire.messages import MESSAGE_TYPE_READY

if TYPE_CHECKING:
    from collections.abc import Callable

#: a batch is closed so long after its first task, in seconds
BATCH_TIME = 0.002
#: or when it weighs so much, packed, in bytes: what is as large by itself is sent without a copy
BATCH_BYTES = OWN_FRAME
#: so many calls of handle() at the most are made before the clock is looked at: that takes as long as a call
MOST_CALLS = 16
#: no more of them than take so long, in seconds, or make so many bytes: neither gets out of hand meanwhile
QUICK = 0.00002
LIGHT = 16 * 1024
#: a batch is closed, and a single one made next, once they took so long, in seconds
SLOW_HANDLE = 0.0001
#: of how many workers a task keeps the addresses: anybody who connects and goes leaves another one
MOST_ADDRESSES = 100_000
#: a packer that has grown larger than this is replaced, in bytes
KEEP_BUFFER = 4 * 1024 * 1024


class TaskSource:
    """Makes batches out of a Task's dictionaries.

    Parameters
    ----------
    task
        the program's task
    max_message
        the largest frame that workers and collector take, in bytes
    user_code
        the context for calls of the program's methods, which may be interrupted

    """

    def __init__(
        self,
        task: Task[Any, Any],
        max_message: int,
        user_code: UserCode | None = None,
    ) -> None:
        self.task = task
        cls = type(task)
        self.max_attempts = task.max_attempts
        self.retry_delay = task.retry_delay
        self.time_limit = task.time_limit
        self.max_worker_deaths = task.max_worker_deaths
        self.gated = cls.is_available_for_handling is not Task.is_available_for_handling
        self.last_ack: dict[str, Any] = {}
        self._name = cls.__qualname__
        self.max_message = max_message
        self._user_code = user_code or UserCode()
        self._metadata: dict[str, Any] = {}
        self._packer = serializer.make_packer(autoreset=False)
        self._stride = 1  #: how often handle() is called before the clock is looked at
        #: what an earlier life of the distributor knew: whether the task was complete, and its checkpoint
        self._past: tuple[bool, dict[str, Any]] | None = None

    @property
    def total(self) -> int | None:
        """What the task says of how many there will be; anything but a number is as if it said nothing.

        There are never more than ids, so a larger one means that there is no end.
        """
        total = getattr(self.task, "total", None)
        return total if type(total) is int and 0 <= total < MAX_NUMBER else None

    @property
    def exhausted(self) -> bool:
        """Whether the task says that it is complete."""
        return bool(self.task.is_complete)

    def initialize(self, metadata: dict[str, Any]) -> None:
        """Call initialize()."""
        self._metadata = self.task.metadata = metadata
        if isinstance(getattr(type(self.task), "is_complete", None), bool):
            # an attribute of the instance is read faster than one of its class, and this one after each call
            self.task.is_complete = bool(self.task.is_complete)
        with self._user_code:
            self.task.initialize(metadata)
        self.task.received_init_signal = True
        if self._past is not None:
            # the last word is that of the checkpoint, whatever initialize() has counted or listed anew
            self.task.is_complete, state = self._past
            self._past = None
            with self._user_code:
                self.task.restore(state)
        with self._user_code:
            self.task._opened()  # noqa: SLF001

    def available(self) -> bool:
        """Call is_available_for_handling()."""
        with self._user_code:
            return bool(self.task.is_available_for_handling(self.last_ack))

    def acknowledged(self, count: int, first: int, feedback: list[Any] | None, failed: bool) -> None:
        """Count acknowledgements, and keep the data of the last one."""
        if not count:
            return
        self.task.n_acks += count
        self.last_ack = {"_id": first + count, "_task_type": str(self.task.task_type)}
        if feedback and isinstance(feedback[-1], dict):
            self.last_ack.update(feedback[-1])
        if failed:
            self.last_ack["_failed"] = True

    def joined(self, address: bytes) -> None:
        """Let the task know of a worker."""
        if len(self.task.client_addresses) < MOST_ADDRESSES:
            self.task.client_addresses.add(address)

    def fill(self, limit: int, address: bytes) -> tuple[bytes, int]:
        """Call handle() until there are enough, in number or in bytes, it gets slow, or there are no more.

        Raises
        ------
        TypeError
            if handle() returns what is neither a dictionary nor None, or cannot be packed

        """
        inside = self._user_code
        try:
            inside.runs = True
            if inside.stopper is not None and inside.stopper.level >= NOW:
                raise StopNow
            count = self._made(limit, address)
        finally:
            inside.runs = False
        body: bytes = self._packer.bytes()
        self.task.n_sent += count
        if len(body) > serializer.MAYBE_TOO_DEEP:
            self._check_large(body, count)
        if len(body) > KEEP_BUFFER:  # a packer keeps the largest buffer that it ever had
            self._packer = serializer.make_packer(autoreset=False)
        return body, count

    def _made(self, limit: int, address: bytes) -> int:
        """Call handle(), each time with a new copy of the metadata; tell how many that made.

        What each call returned is packed before the next one, because the program may use it again.
        """
        task, call, metadata, packer = self.task, self._caller(), self._metadata, self._packer
        pack, ready = packer.pack, MESSAGE_TYPE_READY
        packer.reset()  # what an interrupted call has left
        count = size = 0
        before = perf_counter()
        close_at = before + BATCH_TIME
        while True:
            for count in range(count + 1, min(count + self._stride, limit) + 1):  # noqa: B020 - it goes on
                made = call({**metadata}, address, ready)
                if type(made) is not dict:
                    made = self._dictionary(made)
                try:
                    pack(made)
                except MemoryError:
                    raise  # nothing is wrong with what was made
                except Exception as error:
                    raise self._explained(made, error) from error
                if task.is_complete:
                    return count
            now = perf_counter()
            if now - before > SLOW_HANDLE:
                self._stride = 1
                return count
            last, size = size, len(packer.getbuffer())
            quick = now - before < QUICK and size - last < LIGHT
            self._stride = min(2 * self._stride, MOST_CALLS) if quick else max(1, self._stride // 2)
            if now >= close_at or size >= BATCH_BYTES or count >= limit:
                return count
            before = now

    def _caller(self) -> Callable[[dict[str, Any], bytes, str], Any]:
        """Return handle(), with the data of the last ACK if it takes that."""
        handle: Callable[..., Any] = self.task.handle
        last = self.last_ack
        if self.task._ack_data_as == "argument":  # noqa: SLF001
            return lambda data, address, msgtype: handle(data, address, msgtype, last)
        if self.task._ack_data_as == "keyword":  # noqa: SLF001
            return partial(handle, ack_data=last)
        return handle

    def _dictionary(self, made: Any) -> dict[str, Any]:
        """Take what handle() returned for a dictionary, or refuse it."""
        if made is None:
            return {}
        if not isinstance(made, dict):
            raise TypeError(
                f"{self._name}.handle returned {type(made).__name__}, expected a dictionary or None"
            )
        return made

    def counters(self) -> list[Any]:
        """List what the library keeps of the task, for a journal."""
        complete = self.exhausted if self._past is None else self._past[0]
        return [self.task.n_sent, self.task.n_acks, complete, self.last_ack]

    def checkpoint(self) -> bytes | None:
        """Pack what the program keeps of the task, for a journal; None before :meth:`initialize`.

        Raises
        ------
        TypeError
            if it is no dictionary, or cannot be packed

        """
        if not self.task.received_init_signal or self._past is not None:
            return None
        with self._user_code:
            state: Any = self.task.checkpoint()
        if not isinstance(state, dict):
            raise TypeError(f"{self._name}.checkpoint returned {type(state).__name__}, expected a dictionary")
        try:
            return serializer.serialize(state, "state")
        except SerializationError as error:
            raise SerializationError(
                f"{self._name}.checkpoint: {error}; or override checkpoint() and restore(), "
                f"so that the journal keeps something else"
            ) from error

    def resume(self, counters: list[Any], checkpoint: dict[str, Any] | None) -> None:
        """Go on where an earlier life of the distributor was; :meth:`initialize` does the rest."""
        self.task.n_sent, self.task.n_acks, complete, self.last_ack = counters
        if checkpoint is not None:
            self._past = bool(complete), checkpoint

    def _explained(self, made: Any, error: Exception) -> SerializationError:
        if isinstance(error, SerializationError):
            return error
        return SerializationError(
            f"{self._name}.handle: {serializer.serialization_error(made, 'data', error)}"
        )

    def _check_large(self, packed: bytes, count: int) -> None:
        """Refuse what no worker could take, or unpack."""
        limit = self.max_message - ENVELOPE_BYTES
        if len(packed) > limit:
            largest = max(len(cut(packed, place, 1)) for place in range(count))
            if largest > limit:
                raise SerializationError(
                    f"{self._name}.handle returned a dictionary of {largest} bytes packed, "
                    f"more than workers and collector take ({limit} bytes): "
                    f"hand out a reference to it instead, or raise max_message_size in all roles"
                )
        if count > 1 or len(packed) < OWN_FRAME:  # else it is not unpacked inside anything
            serializer.check_depth(packed, count)
