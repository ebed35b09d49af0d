"""MultiThreadedWorker: tasks that wait, or that release the GIL, in several threads of one process."""

from __future__ import annotations

import abc
import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import zmq

from zmqpipeline.declarations import Attribute, Method
from zmqpipeline.delivery.credit import MOST_BYTES
from zmqpipeline.execution import Execution
from zmqpipeline.stopping import NOW
from zmqpipeline.typed import In, Out
from zmqpipeline.wire import envelope, serializer, sockets
from zmqpipeline.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zmqpipeline.delivery.assignment import Work
    from zmqpipeline.delivery.intervals import Range
    from zmqpipeline.role import Context, Socket

_N_THREADS = Attribute(
    "n_threads",
    "a whole number from 1",
    lambda value: type(value) is int and value > 0,
)
_THREAD_ENDPOINT = Attribute(  # anywhere else, others could speak to the threads, whatever keys there are
    "thread_endpoint",
    "an inproc address: 'inproc://...'",
    lambda value: isinstance(value, str) and value.startswith("inproc://"),
)
#: how long a thread may take to end when there is nothing left to do, in seconds
_JOIN_TIMEOUT = 2.0
#: and when the worker stops at once, which may be asked for while it waits
_HASTE = 0.2
_GLANCE = 0.02
_DRAIN = 64

#: what threads say: that they have nothing to do, that something is done, that they have broken down
_IDLE, _DONE, _BROKEN = b"I", b"D", b"X"
#: and what they are told
_GO, _STOP = b"G", b""


class MultiThreadedWorker(Worker[In, Out]):
    """A worker that does up to ``n_threads`` tasks at a time.

    :meth:`handle_execution` runs in the main thread and prepares a task;
    :meth:`handle_thread_execution` does it, in one of the threads. The
    collector gets what the first returned, updated with what the second
    returned, as a new dictionary. What is prepared waits for whichever thread is
    free first; some of it may go to another worker after all, if all threads are
    in tasks that take long.

    For type checkers, a ``MultiThreadedWorker[In, Out]`` gets an ``In``, and its threads return an ``Out``.

    Attributes
    ----------
    n_threads
        how many threads, at least 1
    thread_endpoint
        where the main thread and the others wake each other, an inproc address; each worker adds its own id
        to it

    """

    _declares = (*Worker._declares, _N_THREADS, _THREAD_ENDPOINT)  # noqa: SLF001 - its own base
    _calls = (
        *Worker._calls,  # noqa: SLF001
        Method("handle_thread_execution", ("data", "index")),
        Method("init_thread", ("worker_index",), keyword=True),
    )

    n_threads: int
    thread_endpoint: str = "inproc://threadworker"

    @abc.abstractmethod
    def handle_execution(self, data: In, *args: Any, **kwargs: Any) -> Mapping[str, Any] | None:
        """Prepare one task, in the main thread.

        Parameters
        ----------
        data
            what the task's ``handle()`` returned
        *args, **kwargs
            room for what later versions may pass

        Returns
        -------
        dict or None
            what the thread gets; ``{}`` for None

        """

    @abc.abstractmethod
    def handle_thread_execution(self, data: Any, index: int) -> Out | None:
        """Do one task, in a thread.

        Parameters
        ----------
        data
            what :meth:`handle_execution` returned
        index
            the thread's number, from 0

        Returns
        -------
        dict or None
            what is added to ``data`` for the collector; None adds nothing

        """

    def init_thread(self, worker_index: int) -> None:
        """Prepare a thread, once in each, after :meth:`init_worker`."""

    # -- the main thread ------------------------------------------------------

    def _open(self) -> None:
        self._threads: list[threading.Thread] = []
        self._closed = threading.Event()
        self._idle: list[int] = []
        #: what threads have done and the main thread has not sent yet, with the seconds that it took
        self._made: deque[tuple[Execution, float]] = deque()
        self._is_told = False  #: whether a thread has told the main thread of it
        self._broken: BaseException | None = None
        self._inner = self._make(zmq.ROUTER)
        super()._open()

    def _hands(self) -> int:
        return self.n_threads

    def _inner_sockets(self) -> list[Socket]:
        return [self._inner]

    def _begin(self) -> None:
        """Start the threads."""
        address = f"{self.thread_endpoint}-{self.worker_id.decode()}"
        self._inner.bind(address)
        context = self.context
        for index in range(self.n_threads):
            thread = threading.Thread(
                target=self._thread,
                args=(index, context, address),
                name=f"{self._subject()}-{index}",
                daemon=True,
            )
            thread.start()
            self._threads.append(thread)

    def _can_work(self) -> bool:
        # what is prepared is done even when the worker has been asked to stop: it has begun with that
        free = self._idle and self._assignment.ready_to_do and not self._results
        return bool(free) or self._wants_more()

    def _wants_more(self) -> bool:
        """Tell whether to prepare tasks: a round for each thread, so that none waits for the main thread."""
        enough = self.n_threads * self._credit.round
        return super()._can_work() and self._assignment.ready_to_do < enough

    def _read(self, ready: dict[Any, int]) -> bool:
        super()._read(ready)
        if self._inner in ready:
            for name, kind in sockets.receive(self._inner, _DRAIN):
                if kind == _BROKEN and self._broken is not None:
                    raise self._broken
                if kind == _IDLE:
                    self._idle.append(int(bytes(name).rpartition(b"-")[2]))
            self._is_told = False  # before it is looked: what is made from now on is told again
            while self._made:
                self._finished(*self._made.popleft())
        return self._can_work() and not self._assignment.reset

    def _work(self) -> None:
        """Prepare some tasks, and wake the threads that are free."""
        while self._wants_more():
            with self._shared.lock:
                work = self._assignment.next(self._credit.share(self._assignment.unprepared))
            if work is not None:
                with self._user_code:
                    forwarded, ids = self._forward(work)
                with self._shared.lock:
                    self._assignment.prepared(work, forwarded, ids)
            if not self._idle:
                break  # there is time to look at the sockets
            self._wake()
        self._wake()

    def _wake(self) -> None:
        """Let free threads look for tasks, as many as there are tasks."""
        for _ in range(min(len(self._idle), self._assignment.ready_to_do)):
            self._inner.send_multipart([_name(self._idle.pop(0)), _GO])

    def _requeue(self, execution: Execution, rest: Work) -> None:
        """Let another thread do what one has left: it is prepared already."""
        if not rest.tasks:
            return
        rest.tasks = [serializer.serialize(data) for data in rest.tasks]
        self._assignment.requeue(execution.work, rest, prepared=True)
        if self._stopper is not None:
            self._stopper.wake()  # it may be the heartbeat that asks for this, and threads may be free

    def _forward(self, work: Work) -> tuple[list[bytes], list[Range]]:
        """Call handle_execution() for each task; return what goes to the thread, with its ids."""
        execution = Execution(work)
        name = f"{type(self).__qualname__}.handle_execution"
        execution.run(self.handle_execution, name, self._packer, MOST_BYTES // self.n_threads)
        with self._shared.lock:
            self._assignment.put_back(work, execution.position)
        done = execution.take_done()
        for place, error in done.errors.items():
            self._reporter.fail(self._assignment, work, place, error)
        runs = list(done.runs())
        ids = [ids for place, results in runs for ids in envelope.part(work.ids, place, len(results))]
        return [packed for _, results in runs for packed in results], ids

    def _leave(self) -> None:
        """End the threads; one that is stuck in user code ends with the process."""
        for index in range(len(self._threads)):
            with contextlib.suppress(zmq.ZMQError):  # a thread that never came, or has gone already
                self._inner.send_multipart([_name(index), _STOP], zmq.NOBLOCK)
        begun, is_stuck = time.monotonic(), any(self._executions)
        for thread in self._threads:
            while thread.is_alive() and not is_stuck:
                thread.join(_GLANCE)
                is_stuck = time.monotonic() - begun > (_JOIN_TIMEOUT if self._level < NOW else _HASTE)
        if any(thread.is_alive() for thread in self._threads) and self._owns_context:
            # to terminate the context would wait for their sockets: the last one that comes back does it
            self._owns_context = False
            reaper = threading.Thread(
                target=_reap,
                args=(self._threads, self._closed, self._context),
                name=f"{self._subject()}-end",
                daemon=True,
            )
            reaper.start()
            self._context = None

    def close(self) -> None:
        """Close everything that :meth:`run` opened."""
        try:
            super().close()
        finally:
            if self._stopper is None and self._owner == threading.get_ident():
                self._closed.set()

    # -- in a thread ------------------------------------------------------------

    def _thread(self, index: int, context: Context, address: str) -> None:
        """Live as one of the threads: take tasks, do them, send back what came of them."""
        feed = sockets.make_socket(context, zmq.DEALER, identity=_name(index))
        try:
            feed.connect(address)
            self._serve_thread(index, feed)
        except (zmq.ContextTerminated, zmq.Again):
            pass  # the main thread is gone
        except BaseException as error:  # noqa: BLE001 - it is raised again in the main thread
            self._broken = error
            with contextlib.suppress(zmq.ZMQError):
                feed.send(_BROKEN, zmq.NOBLOCK)
        finally:
            feed.close(linger=0)

    def _serve_thread(self, index: int, feed: Socket) -> None:
        self.init_thread(worker_index=index)
        name = f"{type(self).__qualname__}.handle_thread_execution"
        packer = serializer.make_packer()
        handle = self.handle_thread_execution

        def call(data: dict[str, Any]) -> Any:
            added: Any = handle(data, index)
            if isinstance(added, dict):
                return {**data, **added}
            return data if added is None else added

        feed.send(_IDLE)
        while feed.recv() != _STOP:
            while (execution := self._next(index)) is not None:
                begun = time.perf_counter()
                execution.run(call, name, packer, MOST_BYTES // self.n_threads)
                seconds = time.perf_counter() - begun
                self._executions[index] = None
                self._made.append((execution, seconds))
                if not self._is_told:
                    self._is_told = True
                    feed.send(_DONE, zmq.NOBLOCK)
            feed.send(_IDLE, zmq.NOBLOCK)

    def _next(self, index: int) -> Execution | None:
        """Take the next tasks for a thread, unless results have to wait for the collector."""
        shared = self._shared
        with shared.lock:
            count = self._credit.share(shared.assignment.ready_to_do)
            work = None if shared.backlog else shared.assignment.next(count, prepared=True)
        if work is None:
            return None
        # the thread unpacks its tasks, so that they are as they were when they were forwarded
        work.tasks = serializer.deserialize(envelope.array_header(len(work.tasks)) + b"".join(work.tasks))
        return self._watched(index, Execution(work))


def _reap(threads: list[threading.Thread], closed: threading.Event, context: Context) -> None:
    for thread in threads:
        thread.join()
    closed.wait()  # the main thread has sockets too
    context.term()


def _name(index: int) -> bytes:
    """Name a thread's socket."""
    return f"thread-{index}".encode()
