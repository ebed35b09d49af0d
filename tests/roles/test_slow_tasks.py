"""A task that takes long strands nobody: neither what is done, nor what was not begun, nor for ever."""

from __future__ import annotations

import abc
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import zmqpipeline
from zmqpipeline.heartbeat import TIME_LIMIT_EXIT

from .pipelines import GUARD, Event, Pipeline, Threaded, eventually, run_all, running

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("threaded", [False, True])
def test_what_is_done_and_what_was_not_begun_leaves_a_worker_that_is_stuck(threaded: bool) -> None:
    pipeline = Pipeline()
    pipeline.task("SLOW", 3000)
    stuck, go = Event(), threading.Event()

    def work(number: int) -> None:
        if number == 1500 and not go.is_set():
            stuck.set()
            assert go.wait(GUARD)

    class Slow(zmqpipeline.SingleThreadedWorker, abc.ABC):
        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            work(data["i"])
            return {"r": data["i"]}

    class SlowThreads(Threaded, abc.ABC):
        n_threads = 1

        def handle_thread_execution(self, data: dict[str, Any], index: int) -> dict[str, Any]:
            work(data["i"])
            return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    cls = pipeline.worker("SLOW", SlowThreads if threaded else Slow)
    with running(keeper, distributor, cls()) as roles:
        stuck.wait()
        roles.start(cls())
        # all but the one that is stuck, although the first worker had asked for many more
        eventually(lambda: len(keeper.kept) == 2999)
        go.set()
        roles.join()
    assert keeper.numbers("SLOW") == list(range(3000))


def test_what_one_thread_has_not_begun_is_done_by_the_others() -> None:
    pipeline = Pipeline()
    pipeline.task("OTHERS", 3000)
    go = threading.Event()

    class SlowThreads(Threaded, abc.ABC):
        n_threads = 3

        def handle_thread_execution(self, data: dict[str, Any], index: int) -> dict[str, Any]:
            if data["i"] in {700, 1500}:
                assert go.wait(GUARD)
            return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with running(keeper, distributor, pipeline.worker("OTHERS", SlowThreads)()) as roles:
        eventually(lambda: len(keeper.kept) == 2998)
        go.set()
        roles.join()
    assert keeper.numbers("OTHERS") == list(range(3000))


@pytest.mark.parametrize("threaded", [False, True])
def test_a_worker_that_becomes_slow_gives_back_what_would_take_it_too_long(threaded: bool) -> None:
    """No task is slow enough to be relieved of the others, and all of them are too many for this test."""
    pipeline = Pipeline()
    count = 40_000
    pipeline.task("PACE", count)
    slow = Event()
    made: list[Any] = []

    def work(worker: Any, number: int) -> None:
        if worker is made[0] and number > 4000:
            slow.set()
            threading.Event().wait(0.01)

    class Tired(zmqpipeline.SingleThreadedWorker, abc.ABC):
        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            work(self, data["i"])
            return {"r": data["i"]}

    class TiredThreads(Threaded, abc.ABC):
        n_threads = 2

        def handle_thread_execution(self, data: dict[str, Any], index: int) -> dict[str, Any]:
            work(self, data["i"])
            return {"r": data["i"]}

    cls = pipeline.worker("PACE", TiredThreads if threaded else Tired)
    made.append(cls())
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with running(keeper, distributor, made[0]) as roles:
        slow.wait()
        roles.start(cls())
        roles.join()
    assert keeper.numbers("PACE") == list(range(count))


def test_a_worker_that_was_stuck_works_on() -> None:
    pipeline = Pipeline()
    pipeline.task("RESUME", 400)
    naps: list[int] = []

    class Napping(zmqpipeline.SingleThreadedWorker, abc.ABC):
        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            if data["i"] % 100 == 50:
                naps.append(data["i"])
                threading.Event().wait(0.06)
            return {"r": data["i"]}

    keeper = pipeline.keeper()
    run_all(keeper, pipeline.distributor(), pipeline.worker("RESUME", Napping)())
    assert keeper.numbers("RESUME") == list(range(400))
    assert {*naps} == {50, 150, 250, 350}


def test_a_thread_that_passes_the_time_limit_is_written_off() -> None:
    pipeline = Pipeline()
    pipeline.task("LIMIT", 40, time_limit=0.15, max_attempts=2, retry_delay=0.01)
    go = threading.Event()
    tries: list[int] = []

    class Hanging(Threaded, abc.ABC):
        n_threads = 3

        def handle_thread_execution(self, data: dict[str, Any], index: int) -> dict[str, Any]:
            if data["i"] == 7:
                tries.append(index)
                assert go.wait(GUARD)
            return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with running(keeper, distributor, pipeline.worker("LIMIT", Hanging)()) as roles:
        eventually(lambda: bool(keeper.finished))
        go.set()
        roles.join()
    assert keeper.numbers("LIMIT") == [n for n in range(40) if n != 7]
    ((_, data, error),) = keeper.failures
    assert data == {"i": 7}
    assert (error["type"], error["text"]) == ("TimeoutError", "took longer than its time limit of 0.15 s")
    assert len(tries) == 2
    assert distributor.failures == 1


WORKER = """
import sys, time, zmqpipeline as z
z.TaskType.register_type("HANG")
class W(z.SingleThreadedWorker):
    task_type = z.TaskType("HANG")
    endpoint = z.EndpointAddress("ipc://hang.ipc")
    collector_endpoint = z.EndpointAddress("ipc://collector.ipc")
    def handle_execution(self, data, *args, **kwargs):
        if data["i"] == 3:
            open("stuck", "a").write("x")
            while True:
                time.sleep(1)
        return {"r": data["i"]}
W().run()
"""


def test_a_process_whose_only_thread_passes_the_time_limit_ends_itself() -> None:
    pipeline = Pipeline()
    pipeline.task("HANG", 10, time_limit=0.1, max_attempts=2, retry_delay=0.01)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with running(keeper, distributor) as roles:
        codes: list[int] = []
        while not codes or codes[-1] == TIME_LIMIT_EXIT:
            done = subprocess.run([sys.executable, "-c", WORKER], check=False, timeout=GUARD, env=os.environ)
            codes.append(done.returncode)
        roles.join()
    assert codes == [TIME_LIMIT_EXIT, TIME_LIMIT_EXIT, 0]
    assert Path("stuck").read_text() == "xx"
    assert keeper.numbers("HANG") == [n for n in range(10) if n != 3]
    assert [data for _, data, _ in keeper.failures] == [{"i": 3}]
