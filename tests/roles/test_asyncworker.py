"""AsyncWorker: many coroutines in one process, and every guarantee of the other workers."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import contextvars
import gc
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import zmqpipeline
from zmqpipeline.delivery.assignment import Assignment
from zmqpipeline.heartbeat import TIME_LIMIT_EXIT
from zmqpipeline.stopping import DRAIN, NOW

from .pipelines import GUARD, Event, Pipeline, eventually, run_all, running

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

pytestmark = [pytest.mark.usefixtures("folder")]

Data = dict[str, Any]


class Async(zmqpipeline.AsyncWorker, abc.ABC):
    """Returns the number that it got, from a coroutine that lets others run."""

    async def handle_execution(self, data: Data, *args: Any, **kwargs: Any) -> Data | None:
        await asyncio.sleep(0)
        return {"r": data["i"]}


class Gate:
    """Holds coroutines up until it is opened, from another thread."""

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._is_open = False
        self.inside = 0

    async def passed(self) -> None:
        """Wait until it is open."""
        event = asyncio.Event()
        self._waiting.append((asyncio.get_running_loop(), event))
        self.inside += 1
        if not self._is_open:
            await event.wait()

    def open(self) -> None:
        """Let all of them through."""
        self._is_open = True
        for loop, event in self._waiting:
            with contextlib.suppress(RuntimeError):  # a worker that has ended has closed its loop
                loop.call_soon_threadsafe(event.set)


def doing(
    do: Callable[[Any, Data], Coroutine[Any, Any, Data | None]], **extra: Any
) -> tuple[type[zmqpipeline.Worker], dict[str, Any]]:
    """Make what a worker needs to do something with each task."""

    async def handle_execution(self: Any, data: Data, *args: Any, **kwargs: Any) -> Data | None:
        return await do(self, data)

    return Async, {"handle_execution": handle_execution, **extra}


def of(pipeline: Pipeline, name: str, do: Any, **extra: Any) -> Any:
    """Declare a worker that does something with each task."""
    base, body = doing(do, **extra)
    return pipeline.worker(name, base, **body)


@pytest.mark.usefixtures("descriptors")
@pytest.mark.parametrize("n_concurrent", [1, 7, 100])
def test_everything_is_collected_once(n_concurrent: int) -> None:
    pipeline = Pipeline()
    pipeline.task("ONCE", 3000)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    run_all(keeper, distributor, pipeline.worker("ONCE", Async, n_concurrent=n_concurrent)())
    assert keeper.numbers("ONCE") == list(range(3000))
    assert keeper.finished == [3000]
    assert distributor.statistics().redelivered == 0


def test_as_many_run_at_a_time_as_were_asked_for_and_never_more() -> None:
    pipeline = Pipeline()
    pipeline.task("WIDE", 600)
    inside, most = set(), []

    class Wide(Async, abc.ABC):
        n_concurrent = 200

        async def init_async(self) -> None:
            self.full = asyncio.Event()

        async def handle_execution(self, data: Data, *args: Any, **kwargs: Any) -> Data:
            inside.add(data["i"])
            most.append(len(inside))
            if len(inside) == 200:
                self.full.set()
            await self.full.wait()  # for ever, if there are never so many
            inside.remove(data["i"])
            return {"r": data["i"]}

    keeper = pipeline.keeper()
    run_all(keeper, pipeline.distributor(), pipeline.worker("WIDE", Wide)())
    assert keeper.numbers("WIDE") == list(range(600))
    assert max(most) == 200


def test_a_result_is_sent_when_it_is_there_whatever_the_others_do() -> None:
    pipeline = Pipeline()
    pipeline.task("EARLY", 500)
    gate = Gate()

    async def do(_self: Any, data: Data) -> Data:
        if data["i"] in {0, 3, 250}:
            await gate.passed()
        return {"r": data["i"]}

    keeper = pipeline.keeper()
    with running(keeper, pipeline.distributor(), of(pipeline, "EARLY", do, n_concurrent=10)()) as roles:
        eventually(lambda: len(keeper.kept) == 497)
        gate.open()
        roles.join()
    assert keeper.numbers("EARLY") == list(range(500))


def test_what_is_returned_may_change_afterwards() -> None:
    pipeline = Pipeline()
    pipeline.task("SAME", 300)

    class Reusing(Async, abc.ABC):
        async def init_async(self) -> None:
            self.result: Data = {}

        async def handle_execution(self, data: Data, *args: Any, **kwargs: Any) -> Data:
            await asyncio.sleep(0)
            self.result["r"] = data["i"]
            return self.result

    keeper = pipeline.keeper()
    run_all(keeper, pipeline.distributor(), pipeline.worker("SAME", Reusing)())
    assert keeper.numbers("SAME") == list(range(300))


def test_what_one_task_puts_into_its_context_no_other_one_finds_there() -> None:
    pipeline = Pipeline()
    pipeline.task("CONTEXT", 200)
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")
    found = set()

    class Context(Async, abc.ABC):
        n_concurrent = 3

        def init_worker(self) -> None:
            variable.set("the worker's")

        async def init_async(self) -> None:
            found.add(variable.get())
            variable.set("that of init_async")

        async def handle_execution(self, data: Data, *args: Any, **kwargs: Any) -> Data:
            found.add(variable.get())
            variable.set(f"that of task {data['i']}")
            await asyncio.sleep(0)
            return {"r": data["i"]}

    keeper = pipeline.keeper()
    run_all(keeper, pipeline.distributor(), pipeline.worker("CONTEXT", Context)())
    assert keeper.numbers("CONTEXT") == list(range(200))
    assert found == {"the worker's"}


def test_large_results_are_not_too_much() -> None:
    pipeline = Pipeline()
    pipeline.task("LARGE", 300)

    async def do(_self: Any, data: Data) -> Data:
        await asyncio.sleep(0)
        return {"r": data["i"], "body": bytes(200_000)}

    keeper = pipeline.keeper()
    run_all(keeper, pipeline.distributor(), of(pipeline, "LARGE", do, n_concurrent=50)())
    assert keeper.numbers("LARGE") == list(range(300))


# -- preparing -----------------------------------------------------------------------


def test_it_prepares_in_the_loop_before_the_first_task_and_what_that_leaves_is_cancelled() -> None:
    pipeline = Pipeline()
    pipeline.task("PREPARE", 20)
    seen: list[str] = []

    class Prepared(Async, abc.ABC):
        def init_worker(self) -> None:
            seen.append("init_worker")

        async def init_async(self) -> None:
            await asyncio.sleep(0)
            seen.append("init_async")
            self.loop = asyncio.get_running_loop()
            self.beside = asyncio.create_task(self.keep_on())

        async def keep_on(self) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(0)
                seen.append("cleaned up")

        async def handle_execution(self, data: Data, *args: Any, **kwargs: Any) -> Data:
            assert asyncio.get_running_loop() is self.loop
            assert threading.current_thread() is not threading.main_thread()
            seen.append("task")
            return {"r": data["i"]}

    keeper = pipeline.keeper()
    run_all(keeper, pipeline.distributor(), pipeline.worker("PREPARE", Prepared)())
    assert keeper.failures == []
    assert seen == ["init_worker", "init_async", *["task"] * 20, "cleaned up"]


class OfTheProgramError(Exception):
    """Nobody else raises it."""


@pytest.mark.parametrize("error", [OfTheProgramError, SystemExit, KeyboardInterrupt])
def test_a_worker_that_cannot_prepare_ends(error: type[BaseException]) -> None:
    pipeline = Pipeline()
    pipeline.task("BROKEN", 50)

    async def fails(self: Any) -> None:
        raise error("mine")

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    broken = pipeline.worker("BROKEN", Async, init_async=fails)
    with running(keeper, distributor) as roles:
        with pytest.raises(error, match="mine"):
            broken().run()
        del broken.init_async
        roles.start(broken())
        roles.join()
    assert keeper.numbers("BROKEN") == list(range(50))


class Odd(BaseException):
    """What no ``except Exception`` catches."""


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, Odd])
def test_what_is_no_exception_of_a_task_ends_the_worker(error: type[BaseException]) -> None:
    pipeline = Pipeline()
    pipeline.task("EXITS", 50)
    tries: list[int] = []

    async def do(_self: Any, data: Data) -> Data:
        if data["i"] == 20 and not tries:
            tries.append(1)
            raise error(7)
        return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    cls = of(pipeline, "EXITS", do, n_concurrent=5)
    with running(keeper, distributor) as roles:
        with pytest.raises(error) as raised:
            cls().run()
        assert raised.value.args == (7,)
        roles.start(cls())
        roles.join()
    assert keeper.numbers("EXITS") == list(range(50))


@pytest.mark.filterwarnings("error")
def test_an_exit_in_a_task_of_the_programs_own_ends_the_worker_and_everything_in_the_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pipeline = Pipeline()
    pipeline.task("SPAWNS", 50)
    cancelled: list[int] = []
    left: list[int] = []
    others: list[asyncio.Task[None]] = []

    async def leave() -> None:
        left.append(7)
        raise SystemExit(7)

    async def do(self: Any, data: Data) -> Data:
        if data["i"] == 20 and not left:
            others.append(asyncio.create_task(leave()))
        if data["i"] >= 18 and not left:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(data["i"])
                raise
        return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    cls = of(pipeline, "SPAWNS", do, n_concurrent=3)
    with running(keeper, distributor) as roles:
        with pytest.raises(SystemExit) as raised:
            cls().run()
        assert raised.value is others[0].exception()
        gc.collect()
        roles.start(cls())
        roles.join()
    assert {18, 19, 20} <= set(cancelled)
    assert keeper.numbers("SPAWNS") == list(range(50))
    assert "destroyed" not in caplog.text


# -- failures ------------------------------------------------------------------------


def test_an_exception_is_a_failed_attempt() -> None:
    pipeline = Pipeline()
    pipeline.task("FAILS", 100, max_attempts=3, retry_delay=0.001)
    tries: Counter[int] = Counter()

    async def do(_self: Any, data: Data) -> Any:
        number = data["i"]
        tries[number] += 1
        await asyncio.sleep(0)
        if number == 7 or (number == 8 and tries[8] < 3):
            raise ValueError(f"not {number}")
        if number == 9:
            return {"r": object()}
        if number == 10:
            return [number]
        if number == 11:
            raise asyncio.CancelledError
        return {"r": number}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    run_all(keeper, distributor, of(pipeline, "FAILS", do, n_concurrent=20)())
    assert keeper.numbers("FAILS") == [n for n in range(100) if n not in {7, 9, 10, 11}]
    errors = {data["i"]: error for _, data, error in keeper.failures}
    assert sorted(errors) == [7, 9, 10, 11]
    assert (errors[7]["type"], errors[7]["text"]) == ("ValueError", "not 7")
    assert "not 7" in errors[7]["traceback"]
    assert errors[9]["type"] == "SerializationError"
    assert "handle_execution returned list, expected a dictionary or None" in errors[10]["text"]
    assert (errors[11]["type"], errors[11]["text"]) == (
        "CancelledError",
        "the coroutine was cancelled, and not by its worker",
    )
    assert [tries[number] for number in (7, 8, 9, 10, 11, 12)] == [3, 3, 3, 1, 3, 1]
    assert distributor.failures == 4


def test_the_time_limit_cancels_the_coroutine_and_its_place_is_free_again() -> None:
    pipeline = Pipeline()
    pipeline.task("LIMIT", 10, time_limit=0.1, max_attempts=2, retry_delay=0.001)
    cancelled: list[int] = []

    async def do(_self: Any, data: Data) -> Data:
        if data["i"] == 3:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                cancelled.append(3)
                return {"r": "too late"}
        return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    run_all(keeper, distributor, of(pipeline, "LIMIT", do, n_concurrent=1)())
    assert keeper.numbers("LIMIT") == [n for n in range(10) if n != 3]
    assert cancelled == [3, 3]
    ((_, data, error),) = keeper.failures
    assert data == {"i": 3}
    assert (error["type"], error["text"]) == ("TimeoutError", "took longer than its time limit of 0.1 s")


def test_the_time_limit_cancels_what_has_failed_while_the_loop_stood_still() -> None:
    """On a busy machine that may be nobody's fault; what was not cancelled kept its place for ever."""
    pipeline = Pipeline()
    pipeline.task("STOOD", 10, time_limit=0.1, max_attempts=2, retry_delay=0.001)
    cancelled: list[int] = []

    async def do(_self: Any, data: Data) -> Data:
        if data["i"] == 3:
            asyncio.get_running_loop().call_soon(time.sleep, 0.5)  # of no task, so it is taken for this one's
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                cancelled.append(3)
                raise
        return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    run_all(keeper, distributor, of(pipeline, "STOOD", do, n_concurrent=1)())
    assert keeper.numbers("STOOD") == [n for n in range(10) if n != 3]
    assert cancelled == [3, 3]
    assert [data for _, data, _ in keeper.failures] == [{"i": 3}]


def test_a_coroutine_that_does_not_let_itself_be_cancelled_is_left_alone() -> None:
    pipeline = Pipeline()
    pipeline.task("DEAF", 40, time_limit=0.1, max_attempts=2, retry_delay=0.001)
    gate = Gate()

    async def do(_self: Any, data: Data) -> Data:
        while data["i"] == 7 and not gate._is_open:
            with contextlib.suppress(asyncio.CancelledError):
                await gate.passed()
        return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with running(keeper, distributor, of(pipeline, "DEAF", do, n_concurrent=4)()) as roles:
        eventually(lambda: bool(keeper.finished))
        gate.open()
        roles.join()
    assert keeper.numbers("DEAF") == [n for n in range(40) if n != 7]
    assert [data for _, data, _ in keeper.failures] == [{"i": 7}]


# -- what takes long -----------------------------------------------------------------


def test_what_waits_behind_tasks_that_take_long_is_done_by_others() -> None:
    pipeline = Pipeline()
    pipeline.task("LONG", 4000)
    gate = Gate()
    first: list[Any] = []

    async def do(self: Any, data: Data) -> Data:
        if self is first[0] and data["i"] >= 1000:
            await gate.passed()
        return {"r": data["i"]}

    cls = of(pipeline, "LONG", do, n_concurrent=10)
    first.append(cls())
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with running(keeper, distributor, first[0]) as roles:
        eventually(lambda: gate.inside == 10)
        roles.start(cls())
        eventually(lambda: len(keeper.kept) == 3990)
        gate.open()
        roles.join()
    assert keeper.numbers("LONG") == list(range(4000))


def test_a_coroutine_that_blocks_the_loop_is_noticed_and_the_worker_lives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pipeline = Pipeline()
    pipeline.task("BLOCKS", 3000)
    go, stuck = threading.Event(), Event()
    first: list[Any] = []

    async def do(self: Any, data: Data) -> Data:
        if self is first[0] and data["i"] == 1000:
            stuck.set()
            assert go.wait(GUARD)
        return {"r": data["i"]}

    cls = of(pipeline, "BLOCKS", do, n_concurrent=10)
    first.append(cls())
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with running(keeper, distributor, first[0]) as roles:
        stuck.wait()
        roles.start(cls())
        # nothing else that it has begun can go on; that it had asked for more strands nobody
        eventually(lambda: len(keeper.kept) >= 2990)
        eventually(lambda: "the event loop has stood still for 1 s" in caplog.text)
        assert distributor.statistics().workers == 2
        go.set()
        roles.join()
    assert keeper.numbers("BLOCKS") == list(range(3000))
    assert caplog.text.count("the event loop has stood still") == 1


def test_a_worker_in_a_thread_whose_loop_was_blocked_beyond_the_time_limit_works_on() -> None:
    pipeline = Pipeline()
    pipeline.task("BACK", 2000, time_limit=0.2, max_attempts=1)
    go, stuck = threading.Event(), Event()

    async def do(_self: Any, data: Data) -> Data:
        if data["i"] == 1000:
            stuck.set()
            assert go.wait(GUARD)
        return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with running(keeper, distributor, of(pipeline, "BACK", do, n_concurrent=1)()) as roles:
        stuck.wait()
        eventually(lambda: distributor.failures == 1)
        go.set()
        roles.join()
    assert keeper.numbers("BACK") == [number for number in range(2000) if number != 1000]
    assert [data for _, data, _ in keeper.failures] == [{"i": 1000}]


def test_a_task_that_was_late_before_it_could_begin_is_done_with() -> None:
    pipeline = Pipeline()
    pipeline.task("LATE", 3000, time_limit=0.2, max_attempts=1)
    go, stuck = threading.Event(), Event()
    blocking: list[asyncio.Task[None]] = []

    async def block() -> None:
        await asyncio.sleep(0)  # the next task is taken, and has not begun
        stuck.set()
        assert go.wait(GUARD)

    async def do(self: Any, data: Data) -> Data:
        if self._assignment.waiting and not blocking:
            blocking.append(asyncio.create_task(block()))
        return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    worker = of(pipeline, "LATE", do, n_concurrent=1)()
    with running(keeper, distributor, worker) as roles:
        stuck.wait()
        eventually(lambda: distributor.failures == 1)
        go.set()
        roles.join()
    ((_, data, _),) = keeper.failures
    assert keeper.numbers("LATE") == [number for number in range(3000) if number != data["i"]]
    assert worker._assignment.is_idle


# -- stopping ------------------------------------------------------------------------


def test_the_first_stop_waits_for_what_is_under_way() -> None:
    pipeline = Pipeline()
    pipeline.task("DRAIN", 500)
    gate = Gate()
    cancelled: list[int] = []

    async def do(_self: Any, data: Data) -> Data:
        try:
            await gate.passed()
        except asyncio.CancelledError:
            cancelled.append(data["i"])
            raise
        return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    cls = of(pipeline, "DRAIN", do, n_concurrent=20)
    worker = cls()
    with running(keeper, distributor, worker) as roles:
        eventually(lambda: gate.inside == 20)
        worker.stop()
        eventually(lambda: worker._assignment.waiting == 0)
        assert roles.is_running(worker)
        gate.open()
        roles.join(worker)
        eventually(lambda: len(keeper.kept) == 20)
        roles.start(cls())
        roles.join()
    assert keeper.numbers("DRAIN") == list(range(500))
    assert cancelled == []
    assert gate.inside == 500


def test_the_second_stop_cancels_and_gives_back() -> None:
    pipeline = Pipeline()
    pipeline.task("CANCEL", 200)
    gate = Gate()
    cancelled: list[int] = []

    async def do(_self: Any, data: Data) -> Data:
        try:
            await gate.passed()
        except asyncio.CancelledError:
            cancelled.append(data["i"])
            raise
        return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    cls = of(pipeline, "CANCEL", do, n_concurrent=20)
    worker = cls()
    with running(keeper, distributor, worker) as roles:
        eventually(lambda: gate.inside == 20)
        worker.stop()
        worker._stopper.request(NOW)
        roles.join(worker)
        assert keeper.kept == []
        gate.open()
        roles.start(cls())
        roles.join()
    assert sorted(cancelled) == list(range(20))
    assert keeper.numbers("CANCEL") == list(range(200))
    assert keeper.failures == []


def test_a_coroutine_that_hangs_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zmqpipeline.asyncworker._HASTE", 0.1)
    pipeline = Pipeline()
    pipeline.task("HANGS", 5)
    go, stuck = threading.Event(), Event()

    async def do(_self: Any, data: Data) -> Data:
        stuck.set()
        assert go.wait(GUARD)
        return {"r": data["i"]}

    worker = of(pipeline, "HANGS", do, stop_timeout=0.1)()
    with running(pipeline.keeper(), pipeline.distributor(), worker) as roles:
        stuck.wait()
        worker.stop()
        roles.join(worker)
        go.set()  # its thread ends as well


def test_what_a_coroutine_makes_of_being_cancelled_by_a_stop_is_no_failure() -> None:
    pipeline = Pipeline()
    pipeline.task("TURNED", 60, max_attempts=1)
    gate = Gate()

    async def do(_self: Any, data: Data) -> Data:
        try:
            await gate.passed()
        except asyncio.CancelledError:
            raise ConnectionError("closed") from None
        return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    cls = of(pipeline, "TURNED", do, n_concurrent=20)
    worker = cls()
    with running(keeper, distributor, worker) as roles:
        eventually(lambda: gate.inside == 20)
        worker.stop()
        worker._stopper.request(NOW)
        roles.join(worker)
        gate.open()
        roles.start(cls())
        roles.join()
    assert keeper.failures == []
    assert keeper.numbers("TURNED") == list(range(60))


@pytest.mark.parametrize("level", [DRAIN, NOW])
def test_nothing_is_begun_while_it_is_given_back(level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline()
    pipeline.task("LOCKED", 50)
    gate = Gate()
    locked: list[bool] = []
    original = Assignment.give_back

    async def do(_self: Any, data: Data) -> Data:
        await gate.passed()
        return {"r": data["i"]}

    def give_back(self: Assignment, *args: Any, **kwargs: Any) -> Any:
        locked.append(worker._shared.lock._is_owned())
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Assignment, "give_back", give_back)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    cls = of(pipeline, "LOCKED", do, n_concurrent=5)
    worker = cls()
    with running(keeper, distributor, worker) as roles:
        eventually(lambda: gate.inside == 5)
        worker._stopper.request(level)
        eventually(lambda: bool(locked))
        gate.open()
        roles.join(worker)
        roles.start(cls())
        roles.join()
    assert all(locked)
    assert keeper.numbers("LOCKED") == list(range(50))


# -- in a process of its own ---------------------------------------------------------

WORKER = """
import asyncio, time, zmqpipeline as z
z.TaskType.register_type("HANG")
class W(z.AsyncWorker):
    task_type = z.TaskType("HANG")
    endpoint = z.EndpointAddress("ipc://hang.ipc")
    collector_endpoint = z.EndpointAddress("ipc://collector.ipc")
    n_concurrent = 3
    async def handle_execution(self, data, *args, **kwargs):
        if data["i"] == 3:
            open("stuck", "a").write("x")
            {how}
        return {{"r": data["i"]}}
W().run()
"""
BLOCKED = "time.sleep(3600)"
DEAF = """
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
"""


def exit_code(program: str) -> int:
    """Run a program that finds the package that is tested, whichever is installed."""
    environment = {**os.environ, "PYTHONPATH": str(Path(zmqpipeline.__file__).parents[1])}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=False, timeout=GUARD, env=environment).returncode


def test_a_process_whose_loop_is_blocked_for_longer_than_the_time_limit_ends_itself() -> None:
    pipeline = Pipeline()
    pipeline.task("HANG", 30, time_limit=0.3, max_attempts=2, retry_delay=0.01)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with running(keeper, distributor) as roles:
        codes: list[int] = []
        program = WORKER.format(how=BLOCKED)
        while not codes or codes[-1] == TIME_LIMIT_EXIT:
            codes.append(exit_code(program))
        roles.join()
    assert codes == [TIME_LIMIT_EXIT, TIME_LIMIT_EXIT, 0]
    assert Path("stuck").read_text() == "xx"
    # the others that it had begun were given back, and have not failed
    assert keeper.numbers("HANG") == [n for n in range(30) if n != 3]
    assert [data for _, data, _ in keeper.failures] == [{"i": 3}]


def test_a_process_in_which_nothing_can_be_cancelled_ends_itself() -> None:
    pipeline = Pipeline()
    pipeline.task("HANG", 2, time_limit=0.1, max_attempts=1)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    program = WORKER.format(how=DEAF.strip("\n").lstrip()).replace('data["i"] == 3', "True")
    program = program.replace("n_concurrent = 3", "n_concurrent = 1")
    with running(keeper, distributor) as roles:
        codes = [exit_code(program) for _ in range(2)]
        roles.join()
    assert codes[0] == TIME_LIMIT_EXIT
    assert codes[1] in {0, TIME_LIMIT_EXIT}  # it may hear before that the run is over
    assert sorted(data["i"] for _, data, _ in keeper.failures) == [0, 1]


def test_a_process_does_not_wait_for_a_call_in_a_thread_that_hangs() -> None:
    pipeline = Pipeline()
    pipeline.task("HANG", 30, time_limit=0.2, max_attempts=1)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    program = WORKER.format(how="await asyncio.to_thread(time.sleep, 3600)")
    with running(keeper, distributor) as roles:
        code = exit_code(program)
        roles.join()
    assert code == 0
    assert keeper.numbers("HANG") == [n for n in range(30) if n != 3]
    assert [data for _, data, _ in keeper.failures] == [{"i": 3}]


def test_a_call_in_a_thread_may_end_before_the_process_does() -> None:
    pipeline = Pipeline()
    pipeline.task("HANG", 30, time_limit=0.2, max_attempts=1)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    late = "(time.sleep(0.7), open('late', 'w').close())"
    program = WORKER.format(how=f"await asyncio.to_thread(lambda: {late})")
    with running(keeper, distributor) as roles:
        code = exit_code(program)
        roles.join()
    assert code == 0
    assert Path("late").exists()
