"""Does tasks with a worker's own methods, and keeps in trays what production would send."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import TYPE_CHECKING, Any

from zmqpipeline.asyncworker import AsyncWorker
from zmqpipeline.errors import DeclarationError
from zmqpipeline.eventloop import CANCELLED
from zmqpipeline.execution import Execution
from zmqpipeline.failure import describe
from zmqpipeline.multithreaded import MultiThreadedWorker
from zmqpipeline.reporting import Reporter
from zmqpipeline.singlethreaded import SingleThreadedWorker
from zmqpipeline.wire import envelope, serializer, sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import TypeAlias

    from zmqpipeline.delivery.assignment import Assignment, Work
    from zmqpipeline.wire.envelope import Message
    from zmqpipeline.worker import Worker

#: messages that wait to be sent: results for the collector, and what the distributor is told
Sent: TypeAlias = "tuple[list[bytes], list[bytes]]"


class _Tray(sockets.Outbox):
    """An outbox that sends nothing."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def put(self, frames: list[bytes]) -> None:
        """Keep a message as one frame: the envelope, without its delimiter, with a dictionary behind it."""
        self.frames.append(envelope.joined(frames if frames[0] else frames[1:]))

    def take(self) -> list[bytes]:
        """Take what is there."""
        taken, self.frames = self.frames, []
        return taken


class Hands:
    """The hands of a worker: its one thread, its many, or its coroutines, one after another.

    Parameters
    ----------
    worker
        the program's worker
    who
        what it is called in the log

    Raises
    ------
    DeclarationError
        if it is none of these

    """

    def __init__(self, worker: Worker[Any, Any], who: str) -> None:
        if not isinstance(worker, SingleThreadedWorker | MultiThreadedWorker | AsyncWorker):
            raise DeclarationError(
                f"workers contains {worker!r}, "
                f"expected a SingleThreadedWorker, a MultiThreadedWorker or an AsyncWorker"
            )
        self.worker = worker
        self._loop: asyncio.AbstractEventLoop | None = None
        self._results, self._told = _Tray(), _Tray()
        self._reporter = Reporter(self._results, self._told, worker.logger, who)
        self._packer = serializer.make_packer()

    @property
    def count(self) -> int:
        """How many tasks can be done at a time."""
        if isinstance(self.worker, AsyncWorker):
            return self.worker.n_concurrent
        return self.worker.n_threads if isinstance(self.worker, MultiThreadedWorker) else 1

    def begin(self, metadata: dict[str, Any]) -> None:
        """Prepare the worker and its threads."""
        self.worker.metadata = metadata
        self.worker.init_worker()
        if isinstance(self.worker, MultiThreadedWorker):
            for index in range(self.count):
                self.worker.init_thread(worker_index=index)
        elif isinstance(self.worker, AsyncWorker):
            self._awaited(self.worker.init_async())

    def close(self) -> None:
        """Close the event loop, if there was one, and cancel what still runs in it."""
        loop, self._loop = self._loop, None
        if loop is not None:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.close()

    def forward(self, assignment: Assignment, work: Work) -> bool:
        """Let the main thread of a threaded worker prepare tasks; tell whether there are any left to do.

        The work is changed: those that fail here are no longer in it.
        """
        if not isinstance(self.worker, MultiThreadedWorker):
            return True
        execution = Execution(work)
        execution.run(self.worker.handle_execution, self._name("handle_execution"), self._packer)
        done = execution.take_done()
        for place, error in done.errors.items():
            self._reporter.fail(assignment, work, place, error)
        runs = list(done.runs())
        work.ids = [ids for place, results in runs for ids in envelope.part(work.ids, place, len(results))]
        forwarded = [packed for _, results in runs for packed in results]
        work.tasks = serializer.deserialize(envelope.array_header(len(forwarded)) + b"".join(forwarded))
        return bool(forwarded)

    def execute(self, execution: Execution, index: int, before: Callable[[], None]) -> None:
        """Do some work as the thread of this index; something else is called before each task."""
        worker = self.worker
        if isinstance(worker, MultiThreadedWorker):
            name, handle = "handle_thread_execution", worker.handle_thread_execution

            def call(data: dict[str, Any]) -> Any:
                before()
                added: Any = handle(data, index)
                if isinstance(added, dict):
                    return {**data, **added}
                return data if added is None else added
        elif isinstance(worker, AsyncWorker):
            name, begin = "handle_execution", worker.handle_execution

            def call(data: dict[str, Any]) -> Any:
                before()
                return self._awaited(begin(data))
        else:
            name, do = "handle_execution", worker.handle_execution

            def call(data: dict[str, Any]) -> Any:
                before()
                return do(data)

        execution.run(call, self._name(name), self._packer)

    def _awaited(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Let a coroutine run to its end, and nothing else meanwhile."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        try:
            return self._loop.run_until_complete(coroutine)
        except asyncio.CancelledError as error:  # which is no Exception
            raise concurrent.futures.CancelledError(str(error) or CANCELLED) from error

    def report(self, assignment: Assignment, execution: Execution) -> int:
        """Make the messages about what was done; tell how many bytes of results that are."""
        return self._reporter.report(assignment, execution, assignment.largest)

    def over_time(self, assignment: Assignment, execution: Execution, limit: float) -> None:
        """Make the message that the running task has passed its time limit."""
        execution.abandoned = True
        error = TimeoutError(f"took longer than its time limit of {limit:g} s")
        self._reporter.fail(assignment, execution.work, execution.position, describe(error))

    def tell(self, message: Message) -> None:
        """Put a message to the distributor beside the others."""
        self._reporter.tell(message)

    def take(self) -> Sent:
        """Take the messages that were made."""
        return self._results.take(), self._told.take()

    def _name(self, method: str) -> str:
        return f"{type(self.worker).__qualname__}.{method}"
