"""The event loop of an asyncio worker: a thread that does many tasks at a time."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections import deque
from concurrent.futures import thread as futures
from typing import TYPE_CHECKING, Any, NamedTuple

from zmqpipeline.execution import described, packed
from zmqpipeline.failure import describe
from zmqpipeline.wire import serializer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from zmqpipeline.delivery.assignment import Assignment, Work
    from zmqpipeline.reporting import Reporter

#: the worker is told at most so often that something is done, in seconds: it takes all that is there
_QUIET = 0.001
#: what an error says of a coroutine that was cancelled, and not by the worker
CANCELLED = "the coroutine was cancelled, and not by its worker"


class Made(NamedTuple):
    """What came of a task."""

    work: Work
    seconds: float  #: how long it took
    result: bytes  #: packed; nothing if it failed
    error: dict[str, Any] | None = None
    is_late: bool = False  #: whether it had failed before, by its time limit: only its place is free now


class Running:
    """A task that is under way.

    Parameters
    ----------
    work
        it alone
    began
        when, on the monotonic clock

    """

    __slots__ = ("began", "is_cancelled", "is_over", "task", "work")

    def __init__(self, work: Work, began: float) -> None:
        self.work = work
        self.began = began
        self.task: asyncio.Task[None] | None = None  #: once its coroutine has begun
        self.is_over = False  #: whether it has failed, because it has passed its time limit
        self.is_cancelled = False  #: which is done once, and not while the loop stands still


class EventLoop(threading.Thread):
    """Takes tasks when there is room, and lets their coroutines run; each is done by itself.

    Everything that costs time is done once for all tasks that come together: they are taken under one lock,
    and the worker is woken once.

    Parameters
    ----------
    size
        how many tasks at a time
    handle, name
        the program's coroutine function, and what an error calls it
    prepare
        the program's other one, awaited before the first task
    take
        begins with up to so many tasks that the worker has; called in this thread
    wake
        tells the worker that something is done; called in this thread

    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that it has to do with its worker
        self,
        size: int,
        handle: Callable[[Any], Coroutine[Any, Any, Any]],
        name: str,
        prepare: Callable[[], Coroutine[Any, Any, None]],
        take: Callable[[int], list[Work]],
        wake: Callable[[], None],
    ) -> None:
        super().__init__(name=f"{name}-loop", daemon=True)
        self.size = size
        self._function = handle
        self._called = name
        self._prepare = prepare
        self._take = take
        self._wake = wake
        self._packer = serializer.make_packer()
        self._loop: asyncio.AbstractEventLoop | None = None
        #: what each task begins with: else it would be that of the one whose end has made room for it
        self._variables = contextvars.Context()
        self._ending: asyncio.Future[None] | None = None
        self._patience = 0.0
        self._made: deque[Made] = deque()
        self._is_told = self._is_filling = self._is_ending = False
        self._told_at = 0.0
        #: what is under way, the oldest first
        self.running: dict[Running, None] = {}
        self.moves = 0  #: how many tasks were begun, and how many have ended
        self.over: set[Running] = set()  #: which of them have failed, and go on nevertheless
        self.is_silent = False  #: whether it was asked for a sign of life, and has not given it
        self._begun = threading.Event()  #: set when it is ready for tasks, or cannot be
        self.broken: BaseException | None = None  #: what was raised that is no failure of a task

    # -- from the worker and its heartbeat ------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether it would begin with another task."""
        return len(self.running) < self.size and not self._is_filling

    def nudge(self) -> None:
        """Have it look for tasks."""
        if not self._is_filling:
            self._is_filling = True
            self._call(self._fill, self._variables)

    def made(self) -> list[Made]:
        """Take what was done since the last call."""
        self._is_told = False  # before it is looked: what is done from now on is told again
        taken = []
        while self._made:
            taken.append(self._made.popleft())
        return taken

    def ask(self, limit: float | None) -> None:
        """Ask for a sign of life; tasks that have passed their time limit, in seconds, are cancelled then."""
        if not self.is_silent:
            self.is_silent = True
            self._call(lambda: self._answer(limit))

    def culprits(self, limit: float) -> list[Running]:
        """List which tasks have passed their time limit because nothing else can run; they are over now.

        That is the one whose coroutine does not await anything. If it cannot be told, because it has made a
        task of its own for that, it is one of those that are late.
        """
        current = None if self._loop is None else asyncio.current_task(self._loop)
        running, now = list(self.running), time.monotonic()
        found = [one for one in running if current is not None and one.task is current]
        found = [one for one in found or running if not one.is_over and now - one.began > limit]
        for one in found:
            one.is_over = True
            self.over.add(one)
        return found

    def begin(self) -> None:
        """Start it, and wait until it is ready for tasks, or broken."""
        self._loop = asyncio.new_event_loop()
        self._variables = contextvars.copy_context()
        self.start()
        self._begun.wait()

    def end(self, patience: float) -> None:
        """End it, and cancel what still runs; a coroutine that does not end in time, in seconds, is left."""
        if self._loop is not None and not self._patience:
            self._patience = patience
            self._call(self._finish)
            self.join(2 * patience)

    def _call(self, function: Callable[[], None], context: contextvars.Context | None = None) -> None:
        with contextlib.suppress(RuntimeError):  # it has ended
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function, context=context)

    # -- in its thread ----------------------------------------------------------

    def run(self) -> None:
        """Live until :meth:`end`."""
        loop = self._loop
        assert loop is not None  # noqa: S101 - begin() has made it
        living = self._variables.copy().run(loop.create_task, self._live())
        try:
            while not living.done():
                self._go_on(loop, living)
        finally:
            threads = list(getattr(getattr(loop, "_default_executor", None), "_threads", ()))
            loop.close()
            self._leave(threads)
            self._begun.set()

    def _go_on(self, loop: asyncio.AbstractEventLoop, living: asyncio.Task[None]) -> None:
        """Run until the end; an exit in a task of the program's own has only interrupted the loop."""
        try:
            loop.run_until_complete(living)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the worker's thread
            self._break(error)
            self._finish()

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        self._ending = loop.create_future()
        if self._is_ending:
            return
        preparing = loop.create_task(self._prepared())
        try:
            await asyncio.wait({preparing, self._ending}, return_when=asyncio.FIRST_COMPLETED)
            if self.broken is None and preparing.done():
                self._begun.set()
                await self._ending
        finally:
            await self._cancel_all()
            await loop.shutdown_asyncgens()

    async def _prepared(self) -> None:
        try:
            await self._prepare()
        except BaseException as error:
            if self._is_ending and isinstance(error, asyncio.CancelledError):
                raise
            self._break(error)

    async def _cancel_all(self) -> None:
        """Cancel what the program still runs, and give it some time to end."""
        self._is_ending = True
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            _, left = await asyncio.wait(others, timeout=self._patience)
            for task in left:
                task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - it is known

    def _leave(self, threads: list[threading.Thread]) -> None:
        """Wait a while for calls that were handed to threads; the process does not wait for the others.

        Nothing can interrupt them. They are daemons, as their loop's thread is, but the interpreter
        waits for the threads of all executors, daemons or not, until each has ended.
        """
        until = time.monotonic() + self._patience
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0.0))
            if thread.is_alive():
                getattr(futures, "_threads_queues", {}).pop(thread, None)

    def _finish(self) -> None:
        self._is_ending = True
        if self._ending is not None and not self._ending.done():
            self._ending.set_result(None)

    def _fill(self) -> None:
        """Begin with as many tasks as there is room for."""
        self._is_filling = False
        room = self.size - len(self.running)
        if room < 1 or self._is_ending or self._loop is None:
            return
        works, now = self._take(room), time.monotonic()
        for work in works:
            self.running[one := Running(work, now)] = None
            self._loop.create_task(self._do(one))
        self.moves += len(works)

    async def _do(self, one: Running) -> None:
        """Do one task; what it returns is packed before anything else runs."""
        result = error = None
        body = b""
        try:
            if not one.is_over:  # else nothing could run for so long
                one.task = asyncio.current_task()
                result = await self._function(one.work.tasks[0])
                body = packed(result, self._called, self._packer)
        except asyncio.CancelledError as cancelled:
            if self._is_ending:
                raise  # nobody has failed: it is given back
            error = describe(cancelled)
            error["text"] = error["text"] or CANCELLED
        except Exception as failure:  # noqa: BLE001 - whatever user code raises is a failed attempt
            if self._is_ending:
                return  # what it has made of being cancelled: it is given back as well
            error = described(failure, result)
        except GeneratorExit:
            raise  # the loop is closed, and nobody goes on with what did not let itself be cancelled
        except BaseException as stop:  # noqa: BLE001 - it ends the worker, as it ends one of another kind
            self._break(stop)
            return
        finally:
            del self.running[one]
            self.over.discard(one)
            self.moves += 1
            if not self._is_filling and not self._is_ending:
                self._is_filling = True
                asyncio.get_running_loop().call_soon(self._fill, context=self._variables)
        seconds = time.monotonic() - one.began
        made = Made(one.work, seconds, body, error)
        self._tell(Made(one.work, seconds, b"", is_late=True) if one.is_over else made)

    def _answer(self, limit: float | None) -> None:
        """Give a sign of life, and cancel what takes too long."""
        self.is_silent = False
        if limit is None:
            return
        now = time.monotonic()
        for one in list(self.running):
            if now - one.began <= limit:
                break  # the others have begun later
            if not one.is_over:
                one.is_over = True
                self.over.add(one)
                self._tell(Made(one.work, now - one.began, b"", overdue(limit)))
            if one.task is not None and not one.is_cancelled:
                one.is_cancelled = True
                one.task.cancel()

    def _tell(self, made: Made) -> None:
        """Keep what came of a task, and wake the worker if it does not know that there is something."""
        self._made.append(made)
        if self._is_told:
            return
        self._is_told = True
        loop = asyncio.get_running_loop()
        wait = self._told_at + _QUIET - time.monotonic()
        if wait <= 0:
            self._wake_now()
        else:
            loop.call_later(wait, self._wake_now)

    def _wake_now(self) -> None:
        self._told_at = time.monotonic()
        self._wake()

    def _break(self, error: BaseException) -> None:
        self.broken = self.broken or error
        self._wake()


def report(reporter: Reporter, assignment: Assignment, made: list[Made]) -> int:
    """Send what came of tasks; tell how many bytes of results that were."""
    done = [(one.work, one.result) for one in made if one.error is None and not one.is_late]
    for one in made:
        if one.error is not None:
            reporter.fail(assignment, one.work, 0, one.error)
    return reporter.deliver(assignment, done, assignment.largest)


def overdue(limit: float) -> dict[str, Any]:
    """Say that a task has passed its time limit, in seconds."""
    return describe(TimeoutError(f"took longer than its time limit of {limit:g} s"))
