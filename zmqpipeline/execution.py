"""What a thread is doing right now: shared with the heartbeat thread, which may take from it."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from zmqpipeline.delivery.assignment import Work
from zmqpipeline.failure import describe, size_of_error
from zmqpipeline.wire import envelope, serializer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import msgpack


class Done(NamedTuple):
    """What came of some tasks that follow each other."""

    first: int  #: the place of the first one in the work
    results: list[bytes]  #: packed; nothing where there is an error
    errors: dict[int, dict[str, Any]]  #: by place

    def runs(self) -> Iterator[tuple[int, list[bytes]]]:
        """List the results without an error between them, each time behind the place of the first one."""
        if not self.errors:
            yield self.first, self.results
            return
        begin = 0
        for place in sorted(self.errors):
            yield self.first + begin, self.results[begin : place - self.first]
            begin = place - self.first + 1
        yield self.first + begin, self.results[begin:]


class Execution:
    """Some work, done task by task in one thread.

    While user code runs for long, another thread sends what is done
    (:meth:`take_done`) and takes what was not begun (:meth:`cut`).
    Nothing is locked for a task: lists grow and shrink at their ends in one
    step each. In the worst case a task that was just begun is taken as
    well; then it is done twice, and collected once.

    Parameters
    ----------
    work
        the tasks; the list in it is this execution's own

    """

    # what most never change is not set for each: it is made while a task waits
    #: whether its running task has passed its time limit
    abandoned = False
    sent = 0  #: bytes of results and errors that were sent before its end
    _taken = 0
    _left = math.inf  #: bytes of results and errors until the rest of the tasks is left
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, work: Work) -> None:
        self.work = work
        #: what came of the tasks, in their order: a packed result, or nothing where there is an error
        self.done: list[bytes] = []
        self.errors: dict[int, dict[str, Any]] = {}

    def run(
        self, call: Callable[[Any], Any], name: str, packer: msgpack.Packer, most: float = math.inf
    ) -> None:
        """Do the tasks: call user code for each, pack what it returns, note what fails.

        Parameters
        ----------
        call
            takes a task; returns a dictionary or None
        name
            what an error calls it
        packer
            this thread's packer
        most
            when its errors and its results, but for very small ones, have so many bytes, the rest is left

        """
        pack, add = packer.pack, self.done.append
        self._left = most
        for data in self.work.tasks:
            result = None
            try:
                result = call(data)
                if type(result) is not dict:
                    result = dictionary(result, name)
                packed = pack(result)
                enough = len(packed) > serializer.MAYBE_TOO_DEEP and self._is_enough(packed)
            except Exception as error:  # noqa: BLE001 - whatever user code raises is a failed attempt
                enough = self.failed(described(error, result))
            else:
                add(packed)
            if enough:
                return

    def _is_enough(self, packed: bytes) -> bool:
        """Check a result that is not small; tell whether there is enough to be sent."""
        if len(packed) < envelope.OWN_FRAME:  # else it is not unpacked inside anything
            serializer.check_depth(packed)
        self._left -= len(packed)
        return self._left <= 0

    def failed(self, error: dict[str, Any]) -> bool:
        """Note an error of the running task; tell whether there is enough to be sent."""
        self.errors[len(self.done)] = error
        self.done.append(b"")
        self._left -= size_of_error(error)
        return self._left <= 0

    @property
    def position(self) -> int:
        """How many tasks are behind it; the next one is running."""
        return len(self.done)

    @property
    def running(self) -> int | None:
        """The id of the task that is running, if one is."""
        ids = envelope.part(self.work.ids, self.position, 1)
        return ids[0][0] if ids else None

    def take(self) -> tuple[int, list[bytes]]:
        """Take what nobody has taken yet, behind the place of the first; see :attr:`errors` as well."""
        with self._lock:
            first = self._taken
            done = self.done[first:]
            self._taken = first + len(done)
        return first, done

    def take_done(self) -> Done:
        """Take what nobody has taken yet, with its errors."""
        return self.with_errors(*self.take())

    def with_errors(self, first: int, done: list[bytes]) -> Done:
        """Add the errors to what was taken."""
        places = range(first, first + len(done))
        return Done(
            first, done, {place: self.errors[place] for place in list(self.errors) if place in places}
        )

    def cut(self, running: int = 1) -> Work:
        """Take away the tasks that were not begun, so that it ends early; ``running`` says how many run."""
        work, taken = self.work, []
        while len(work.tasks) > self.position + running:
            taken.append(work.tasks.pop())
        place, count = len(work.tasks), len(taken)
        done = max(0, self.position - place)  # meanwhile, before they could be taken
        ids = envelope.part(work.ids, place + done, count - done)
        return Work(taken[::-1][done:], ids, work.attempt, work.run)


def packed(result: Any, name: str, packer: msgpack.Packer) -> bytes:
    """Pack one result, or raise; :func:`described` says what is wrong with it."""
    body: bytes = packer.pack(dictionary(result, name))
    if serializer.MAYBE_TOO_DEEP < len(body) < envelope.OWN_FRAME:
        serializer.check_depth(body)
    return body


class WrongResultError(TypeError):
    """Raised for a result that is no dictionary: no further attempt would change it."""


def dictionary(result: Any, name: str) -> dict[Any, Any]:
    """Take what a method returned for a dictionary, or refuse it."""
    if result is None:
        return {}
    if not isinstance(result, dict):
        raise WrongResultError(f"{name} returned {type(result).__name__}, expected a dictionary or None")
    return result


def described(error: Exception, result: Any) -> dict[str, Any]:
    """Describe what a method has raised, or what is wrong with the result that it returned."""
    if isinstance(error, WrongResultError):
        return describe(TypeError(str(error)), retry=False)
    if result is None or isinstance(error, MemoryError):
        return describe(error)
    return describe(serializer.serialization_error(result, "result", error))
