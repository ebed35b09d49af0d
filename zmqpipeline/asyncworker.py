"""AsyncWorker: tasks that wait, as coroutines in one event loop."""

from __future__ import annotations

import abc
from functools import partial
from typing import TYPE_CHECKING, Any

from zmqpipeline.declarations import Attribute, Method
from zmqpipeline.delivery.flow import Flow
from zmqpipeline.eventloop import EventLoop, report
from zmqpipeline.loopheartbeat import LoopHeartbeat
from zmqpipeline.stopping import NOW
from zmqpipeline.typed import In, Out
from zmqpipeline.worker import Worker

if TYPE_CHECKING:
    from zmqpipeline.delivery.assignment import Work

_N_CONCURRENT = Attribute(
    "n_concurrent",
    "a whole number from 1",
    lambda value: type(value) is int and value > 0,
)
#: how long coroutines that were cancelled may take to end, in seconds
_PATIENCE = 2.0
#: and when it does not wait for what runs
_HASTE = 0.5


class AsyncWorker(Worker[In, Out]):
    """A worker that does up to ``n_concurrent`` tasks at a time, as coroutines in one event loop.

    It is for tasks that wait for a network or a disk. The loop runs in a thread of its own, so signals,
    heartbeats and sockets of this library are not in its way. Each result is sent when it is there, whatever
    the others do. A coroutine has to await what takes time: what computes for long, or blocks, holds up all
    others, and belongs into ``asyncio.to_thread()`` or a :class:`SingleThreadedWorker`. Each coroutine begins
    with the context variables that :meth:`init_worker` has left.

    A task that passes its ``time_limit`` is cancelled. The first signal waits for what is under way, the
    second cancels it and gives it back. Both mean an ``asyncio.CancelledError`` where the coroutine awaits
    something; one that it raises by itself is a failure like every other exception.

    Attributes
    ----------
    n_concurrent
        how many tasks at a time, at least 1

    """

    _declares = (*Worker._declares, _N_CONCURRENT)  # noqa: SLF001 - its own base
    _calls = (
        Method("handle_execution", ("data",), coroutine=True),
        Method("init_async", coroutine=True),
        Method("init_worker"),
    )

    n_concurrent: int = 100

    _loop: EventLoop | None = None

    @abc.abstractmethod
    async def handle_execution(self, data: In, *args: Any, **kwargs: Any) -> Out | None:
        """Do one task: what it gets and returns is as in :meth:`Worker.handle_execution`."""

    async def init_async(self) -> None:
        """Prepare in the event loop, once, after :meth:`init_worker` and before the first task.

        What it leaves running there is cancelled when the worker ends.
        """

    # -- the main thread ------------------------------------------------------

    def _hands(self) -> int:
        return self.n_concurrent

    def _prepare_hands(self) -> None:
        self._credit = Flow(self.n_concurrent)
        self._executions = []  # there are no rounds
        self._loop = EventLoop(
            self.n_concurrent, self.handle_execution, self._call_name, self.init_async, self._some, self._wake
        )

    def _begin(self) -> None:
        """Start the loop, and wait until it is ready."""
        assert self._loop is not None  # noqa: S101 - it was made with everything else
        self._loop.begin()
        self._check_loop()

    def _make_heartbeat(self, _kind: Any) -> Any:
        assert self._loop is not None  # noqa: S101 - it was made with everything else
        return super()._make_heartbeat(partial(LoopHeartbeat, self._loop))

    def _can_work(self) -> bool:
        return self._loop is not None and self._loop.has_room and super()._can_work()

    def _read(self, ready: dict[Any, int]) -> bool:
        self._deliver()
        return super()._read(ready)

    def _work(self) -> None:
        """Let the loop take tasks."""
        if self._loop is not None:
            self._loop.nudge()

    def _deliver(self) -> None:
        """Send what was done, all of it together, and ask for more or for less."""
        self._check_loop()
        made = [] if self._loop is None else self._loop.made()
        if not made:
            return
        assignment, shared = self._assignment, self._shared
        size = report(self._reporter, assignment, made)
        shared.backlog = bool(self._results)
        fresh = [one for one in made if not one.is_late]
        if fresh:
            shared.done += len(fresh)
            self._credit.measured(len(fresh), sum(one.seconds for one in fresh), size)
        with shared.lock:
            for one in made:
                assignment.done(one.work)
            self._ask()

    def _check_loop(self) -> None:
        if self._loop is not None and self._loop.broken is not None:
            raise self._loop.broken

    def _give_up(self) -> bool:
        """Tell whether the process is to end if the loop stands still, or no coroutine can be cancelled."""
        return self._is_main

    def _leave(self) -> None:
        """Cancel what still runs, and end the loop."""
        if self._loop is not None:
            self._loop.end(_HASTE if self._loop.running or self._level >= NOW else _PATIENCE)
            if not self._results:  # else it stays with this worker, and is given back
                self._deliver()

    def _closing(self) -> None:
        super()._closing()
        if self._loop is not None:
            self._loop.end(_HASTE)
            self._loop = None

    # -- in the loop's thread -----------------------------------------------------

    def _some(self, count: int) -> list[Work]:
        """Take up to so many tasks, unless results have to wait for the collector."""
        shared = self._shared
        with shared.lock:
            if shared.backlog or shared.assignment.reset:
                return []
            return shared.assignment.next_each(count)

    def _wake(self) -> None:
        if self._stopper is not None:
            self._stopper.wake()
