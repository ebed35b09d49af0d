"""What a thread is doing right now: shared with the heartbeat thread, which may take from it."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

from zmqpipeline.failure import describe, size_of_error
from zmqpipeline.wire import envelope, serializer

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgpack

    from zmqpipeline.delivery.assignment import Work
    from zmqpipeline.delivery.intervals import Range

#: a result, packed, with its place in the work
Done = tuple[int, bytes]


class Execution:
    """Some work, done task by task in one thread.

    While user code runs for long, another thread sends what is done
    (:meth:`take_done`) and gives back what was not begun (:meth:`take_rest`).
    Nothing is locked for a task: lists grow and shrink at their ends in one
    step each. In the worst case a task that was just begun is given back as
    well; then it is done twice, and collected once.

    Parameters
    ----------
    work
        the tasks; the list in it is this execution's own

    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.done: list[Done] = []
        self.errors: list[tuple[int, dict[str, Any]]] = []
        self.given_back: list[Range] = []
        #: whether its running task has passed its time limit
        self.abandoned = False
        self._taken = 0
        self._taken_errors = 0
        self._lock = threading.Lock()

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
            when its results and errors have so many bytes, the rest is left

        """
        pack, done = packer.pack, self.done
        left = most
        for place, data in enumerate(self.work.tasks):
            if left <= 0:
                return
            try:
                result = call(data)
            except Exception as error:  # noqa: BLE001 - whatever user code raises is a failed attempt
                left -= self._failed(place, describe(error))
                continue
            if result is None:
                result = {}
            elif not isinstance(result, dict):
                left -= self._failed(place, wrong_result(name, result))
                continue
            try:
                packed = pack(result)
                size = len(packed)
                left -= size
                if size > serializer.MAYBE_TOO_DEEP:
                    serializer.check_depth(packed)
                done.append((place, packed))
            except Exception as error:  # noqa: BLE001 - a value may raise anything while it is packed
                found = serializer.serialization_error(result, "result", error)
                left -= self._failed(place, describe(found))

    def _failed(self, place: int, error: dict[str, Any]) -> int:
        """Note an error; tell how many bytes it has, about."""
        self.errors.append((place, error))
        return size_of_error(error)

    @property
    def position(self) -> int:
        """How many tasks are behind it; the next one is running."""
        return len(self.done) + len(self.errors)

    @property
    def running(self) -> int | None:
        """The id of the task that is running, if one is."""
        ids = envelope.part(self.work.ids, self.position, 1)
        return ids[0][0] if ids else None

    def take_done(self) -> tuple[list[Done], list[tuple[int, dict[str, Any]]]]:
        """Take the results and the errors that nobody has taken yet."""
        with self._lock:
            done, errors = self.done[self._taken :], self.errors[self._taken_errors :]
            self._taken += len(done)
            self._taken_errors += len(errors)
        return done, errors

    def take_rest(self, running: int = 1) -> list[Range]:
        """Take away the tasks that were not begun, and tell their ids; ``running`` says how many run."""
        tasks = self.work.tasks
        before = len(tasks)
        while len(tasks) > self.position + running:
            tasks.pop()
        taken = envelope.part(self.work.ids, len(tasks), before - len(tasks))
        self.given_back += taken
        return taken


def wrong_result(name: str, result: Any) -> dict[str, Any]:
    """Describe a result of a wrong type: no further attempt would change it."""
    error = TypeError(f"{name} returned {type(result).__name__}, expected a dictionary or None")
    return describe(error, retry=False)
