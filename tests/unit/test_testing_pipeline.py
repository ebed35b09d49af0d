"""zmqpipeline.testing: a simulated run does what production does, in the order of production."""

from __future__ import annotations

import abc
import os
import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import zmq

import zmqpipeline
from tests.unit.testing_programs import (
    ACKS,
    Awaiting,
    Counting,
    Echo,
    Gated,
    Keeper,
    Threaded,
    check_guarantees,
    keeper,
    numbers,
    pipeline,
    task,
    worker,
)
from zmqpipeline import EndpointAddress, TaskType
from zmqpipeline.errors import (
    DeclarationError,
    SerializationError,
    SimulationError,
    SimulationLimitError,
    StalledError,
)
from zmqpipeline.testing import Event, Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable


Data = dict[str, Any]


def kinds() -> list[Any]:
    return [
        pytest.param(task_base, worker_base, id=f"{task_base.__name__}-{worker_base.__name__}")
        for task_base in (Counting, Gated)
        for worker_base in (Echo, Threaded, Awaiting)
    ]


# -- a run -----------------------------------------------------------------------


@pytest.mark.parametrize(("task_base", "worker_base"), kinds())
def test_everything_is_collected_once_and_then_it_is_finished(task_base: type, worker_base: type) -> None:
    result = pipeline(task_base, worker_base).run()
    check_guarantees(result)
    assert numbers(result) == list(range(40))
    assert result.collected == result.collector.kept
    assert result.result_ids == result.collector.ids
    assert (result.failures, result.failed, result.redelivered, result.duplicates) == ([], 0, 0, 0)
    assert len(result.workers) == 2
    assert len({event.who for event in result.events("executed")}) == 2 or task_base is Gated
    assert result.tasks["A"].is_complete
    assert len(result.tasks["A"].client_addresses) == 2


def test_nothing_of_the_outside_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("not in a simulated run")

    for place, name in (
        (zmq, "Context"),
        (threading.Thread, "start"),
        (time, "sleep"),
        (subprocess, "Popen"),
        (os, "fork"),
    ):
        monkeypatch.setattr(place, name, refuse)
    check_guarantees(pipeline(Counting, Threaded).run())


@pytest.mark.parametrize(("task_base", "worker_base"), kinds())
def test_the_same_run_goes_the_same_way(task_base: type, worker_base: type) -> None:
    same = pipeline(task_base, worker_base)
    first, second = same.run(), same.run()
    assert first.history == second.history
    assert first.collected == second.collected
    assert first.duration == second.duration


def test_another_process_goes_the_same_way() -> None:
    program = (
        "from tests.unit.testing_programs import pipeline\n"
        "from zmqpipeline.testing import faults\n"
        "result = pipeline().run(faults.kill_worker(at=('A', 17)), faults.restart_collector(after=9))\n"
        "print(*result.history, sep='\\n')"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert re.search(r"WorkerA-\d, life 2: started", said[0])


def test_how_long_user_code_takes_changes_nothing() -> None:
    calls: list[float] = []

    class Irregular(Counting, abc.ABC):
        def handle(self, data: Data, address: bytes, msgtype: str) -> Data | None:
            if slow and self.made % 7 == 0:
                deadline = time.perf_counter() + 0.002
                while time.perf_counter() < deadline:
                    calls.append(deadline)
            return super().handle(data, address, msgtype)

    slow = False
    same = pipeline(Irregular)
    first = same.run()
    slow = True
    assert same.run().history == first.history
    assert calls


def test_many_tasks() -> None:
    result = Pipeline([task("A", count=20_000)], [worker("A")], Keeper, n_workers=3).run()
    check_guarantees(result)
    assert result.handed_out == 20_000


def test_an_event_reads_as_a_line() -> None:
    assert str(Event(1.5, "given", "A", 3, "WorkerA-1")) == "    1.500 WorkerA-1: given A 3"
    assert str(Event(0.0, "started", "A", None, "WorkerA-1")) == "    0.000 WorkerA-1: started"


# -- its roles -------------------------------------------------------------------


def test_roles_are_classes_functions_or_instances() -> None:
    made = task("A")()
    collector = Keeper()
    first = worker("A")()

    def second() -> Any:
        return type(first)()

    result = Pipeline([made], [first, second], collector, n_workers=2).run()
    check_guarantees(result)
    assert result.tasks == {"A": made}
    assert result.workers[0] is first
    assert len(result.workers) == 3
    assert result.collectors == [collector]


def test_roles_are_given_back_as_they_were() -> None:
    only, collector = task("A"), Keeper()
    one = worker("A", Threaded)()
    before = set(vars(one)), set(vars(collector))
    Pipeline([only], [one], collector).run()
    assert set(vars(one)) - before[0] == {"metadata", "worker_id"}
    assert set(vars(collector)) - before[1] == {"metadata", "_current"}


def test_a_collector_is_given_back_when_the_run_ends_badly() -> None:
    collector = Keeper()
    with pytest.raises(StalledError):
        Pipeline([task("A")], [], collector).run()
    assert "_settlement" not in vars(collector)


def test_a_module_is_searched_as_the_command_does(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("somewhere")
    for found in (task("A"), worker("A"), keeper()):
        found.__module__ = "somewhere"
        setattr(module, found.__name__, found)
    result = Pipeline.of(module, n_workers=3).run()
    check_guarantees(result)
    assert len(result.workers) == 3
    delattr(module, "Keeping")
    with pytest.raises(DeclarationError, match="somewhere declares no Collector"):
        Pipeline.of(module)


def test_a_threaded_worker_prepares_itself_and_its_threads() -> None:
    calls: list[Any] = []

    class Preparing(Threaded, abc.ABC):
        def init_worker(self) -> None:
            calls.append(("worker", self.metadata))

        def init_thread(self, worker_index: int) -> None:
            calls.append(worker_index)

        def handle_execution(self, data: Data, *args: Any, **kwargs: Any) -> Data | None:
            return {**data, "prepared": True}

        def handle_thread_execution(self, data: Data, index: int) -> Data | None:
            assert data["prepared"]
            data["prepared"] = "by the thread"
            if index == 0:
                return None
            return {"r": data["i"], "index": index}

    result = Pipeline([task("A")], [worker("A", Preparing)], Keeper, metadata={"m": 1}).run()
    assert calls == [("worker", {"m": 1}), 0, 1, 2]
    assert sorted(data["i"] for data in result.of("A")) == list(range(40))
    assert {data.get("index", 0) for data in result.of("A")} == {0, 1, 2}
    assert {data["prepared"] for data in result.of("A")} == {"by the thread"}


def test_a_worker_is_prepared_once_in_its_life_and_after_the_dependencies() -> None:
    calls: list[str] = []

    class Preparing(Echo, abc.ABC):
        def init_worker(self) -> None:
            calls.append(f"init {self.task_type}")

        def handle_execution(self, data: Data, *args: Any, **kwargs: Any) -> Data | None:
            calls.append(str(self.task_type))
            return super().handle_execution(data)

    Pipeline(
        [task("A", count=3), task("B", depends=("A",), count=2)],
        [worker("B", Preparing), worker("A", Preparing)],
        Keeper,
    ).run()
    assert calls == ["init A", *"AAA", "init B", *"BB"]


# -- metadata, dependencies, completion, feedback ----------------------------------


class Source(zmqpipeline.MetaDataWorker):
    endpoint = EndpointAddress("ipc://metadata.ipc")

    def get_metadata(self) -> dict[str, Any]:
        return {"n": [1, 2]}


@pytest.mark.parametrize("metadata", [{"n": (1, 2)}, Source, Source()], ids=["dict", "class", "instance"])
def test_everybody_gets_the_metadata_as_it_arrives(metadata: Any) -> None:
    seen: list[Any] = []

    class Task(Counting, abc.ABC):
        def initialize(self, metadata: dict[str, Any] | None = None) -> None:
            seen.append(metadata)

        def handle(self, data: Data, address: bytes, msgtype: str) -> Data | None:
            seen.append(dict(data))
            data["mine"] = 1
            return super().handle(data, address, msgtype)

    result = Pipeline([task("A", Task, count=2)], [worker("A")], Keeper, metadata=metadata).run()
    arrived = result.workers[0].metadata
    assert list(arrived["n"]) == [1, 2]
    assert seen == [arrived] * 3
    assert result.collector.metadata == arrived


def test_a_dependent_task_begins_when_everything_before_it_is_acknowledged() -> None:
    acknowledged: list[int] = []

    class Second(Counting, abc.ABC):
        def initialize(self, metadata: dict[str, Any] | None = None) -> None:
            acknowledged.append(self.siblings["A"].n_acks)

    result = Pipeline(
        [task("A"), task("B", Second, ("A",)), task("C", Second, ("A", "B"))],
        [worker("C"), worker("B", Threaded), worker("A")],
        Keeper,
    ).run()
    check_guarantees(result)
    assert acknowledged == [40, 40]
    assert [name for name, _ in result.collected] == ["A"] * 40 + ["B"] * 40 + ["C"] * 40


def test_a_task_that_is_complete_from_the_start_needs_no_worker() -> None:
    class Empty(Counting, abc.ABC):
        def initialize(self, metadata: dict[str, Any] | None = None) -> None:
            self.is_complete = True

    result = Pipeline([task("A", Empty), task("B", depends=("A",), count=1)], [worker("B")], Keeper).run()
    assert result.collected == [("B", {"r": 0})]
    assert result.tasks["A"].n_sent == 0


def test_without_tasks_it_is_finished() -> None:
    result = Pipeline([], [], Keeper).run()
    assert (result.finished, result.collected) == (True, [])


def test_nothing_becomes_an_empty_dictionary() -> None:
    class Nothing(Counting, abc.ABC):
        def handle(self, data: Data, address: bytes, msgtype: str) -> Data | None:
            super().handle(data, address, msgtype)
            return None

    class Returning(Echo, abc.ABC):
        def handle_execution(self, data: Data, *args: Any, **kwargs: Any) -> Data | None:
            assert data == {}
            return None

    result = Pipeline([task("A", Nothing, count=2)], [worker("A", Returning)], Keeper).run()
    assert result.collected == [("A", {})] * 2


def test_a_dictionary_may_be_reused() -> None:
    class Reusing(Counting, abc.ABC):
        def initialize(self, metadata: dict[str, Any] | None = None) -> None:
            self.job: Data = {}

        def handle(self, data: Data, address: bytes, msgtype: str) -> Data | None:
            self.job.update(super().handle(data, address, msgtype) or {})
            return self.job

    class Filling(Echo, abc.ABC):
        def init_worker(self) -> None:
            self.answer: Data = {}

        def handle_execution(self, data: Data, *args: Any, **kwargs: Any) -> Data | None:
            self.answer["r"] = data["i"]
            return self.answer

    class Emptying(Keeper):
        def handle_collection(self, data: Data, task_type: str, msgtype: str) -> Data | None:
            super().handle_collection(dict(data), task_type, msgtype)
            data.clear()
            return None

    result = Pipeline([task("A", Reusing)], [worker("A", Filling)], Emptying).run()
    assert numbers(result) == list(range(40))
    assert result.collected == [("A", data) for data in result.of("A")]


def test_what_the_collector_says_comes_back_to_the_task() -> None:
    told: list[Data] = []

    class Listening(Gated, abc.ABC):
        def handle(  # type: ignore[override]
            self, data: Data, address: bytes, msgtype: str, ack_data: Data
        ) -> Data | None:
            told.append(ack_data)
            return super().handle(data, address, msgtype)

    class Saying(Keeper):
        def handle_collection(self, data: Data, task_type: str, msgtype: str) -> Data | None:
            return {"squared": data["r"] ** 2}

        def get_ack_data(self) -> Data:
            return {"host": "mine"}

    Pipeline([task("A", Listening, count=4)], [worker("A")], Saying, n_workers=2).run()
    extra = {"_task_type": "A", "host": "mine"}
    assert told == [{}, *({"_id": n + 1, "squared": n * n, **extra} for n in range(3))]


def test_a_gate_is_asked_again_until_it_opens() -> None:
    class Opening(Counting, abc.ABC):
        asked = 0

        def is_available_for_handling(self, last_ack_data: Data) -> bool:
            self.asked += 1
            return self.asked > 100

    result = Pipeline([task("A", Opening, count=1)], [worker("A")], Keeper).run()
    assert result.handed_out == 1
    assert 4.5 < result.events("given")[0].time < 5.5


# -- failures ---------------------------------------------------------------------


def failing(times: int) -> Any:
    attempts: dict[int, int] = {}

    class Failing(Echo, abc.ABC):
        def handle_execution(self, data: Data, *args: Any, **kwargs: Any) -> Data | None:
            attempts[data["i"]] = attempts.get(data["i"], 0) + 1
            if data["i"] == 7 and attempts[7] <= times:
                raise ValueError(f"attempt {attempts[7]}")
            return super().handle_execution(data)

    return Failing


def test_what_fails_is_tried_again_after_a_while_on_another_worker() -> None:
    result = Pipeline([task("A")], [worker("A", failing(2))], Keeper, n_workers=2).run()
    check_guarantees(result)
    assert numbers(result) == list(range(40))
    tried = [event for event in result.events("executed") if event.number == 7]
    assert len({event.who for event in tried[:2]}) == 2
    pauses = [tried[1].time - tried[0].time, tried[2].time - tried[1].time]
    assert pauses[0] >= 0.1
    assert pauses[1] >= 0.2


def test_what_always_fails_is_handed_to_the_collector() -> None:
    result = Pipeline([task("A")], [worker("A", failing(3))], Keeper, n_workers=2).run()
    check_guarantees(result)
    ((name, data, error),) = result.failures
    assert (name, data) == ("A", {"i": 7})
    assert (error["type"], error["text"]) == ("ValueError", "attempt 3")
    assert "handle_execution" in error["traceback"]
    assert (result.handed_out, result.acknowledged, result.failed) == (40, 40, 1)
    assert result.collector.failures == [(name, data, error)]


@pytest.mark.parametrize("base", [Echo, Threaded])
@pytest.mark.parametrize("value", [{"r": object()}, "text", {"r": 2**70}], ids=["object", "text", "number"])
def test_a_result_that_cannot_be_sent_is_a_failure(base: type, value: Any) -> None:
    name = "handle_execution" if base is Echo else "handle_thread_execution"
    extra: dict[str, Any] = {name: lambda self, data, *args: value}
    result = Pipeline([task("A", count=2)], [worker("A", base, **extra)], Keeper).run()
    check_guarantees(result)
    assert len(result.failures) == 2
    assert {failure.error["type"] for failure in result.failures} <= {"SerializationError", "TypeError"}


def test_what_the_main_thread_cannot_prepare_is_a_failure() -> None:
    class Refusing(Threaded, abc.ABC):
        def handle_execution(self, data: Data, *args: Any, **kwargs: Any) -> Data | None:
            if data["i"] % 2:
                raise ValueError("odd")
            return data

    result = pipeline(Counting, Refusing).run()
    check_guarantees(result)
    assert numbers(result) == list(range(0, 40, 2))
    assert sorted(failure.data["i"] for failure in result.failures) == list(range(1, 40, 2))


# -- exceptions of the program come out as they are ------------------------------------


class Oops(Exception):  # noqa: N818
    """Something of the program's own."""


def raising(error: Exception) -> Callable[..., Any]:
    def raise_it(*args: Any, **kwargs: Any) -> Any:
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("role", "method"),
    [
        ("task", "handle"),
        ("task", "initialize"),
        ("task", "is_available_for_handling"),
        ("task", "__init__"),
        ("worker", "init_worker"),
        ("worker", "init_thread"),
        ("worker", "__init__"),
        ("collector", "handle_collection"),
        ("collector", "handle_failure"),
        ("collector", "handle_finished"),
        ("collector", "get_ack_data"),
        ("collector", "__init__"),
        ("metadata", "get_metadata"),
    ],
)
def test_what_the_program_raises_comes_out_of_run(role: str, method: str) -> None:
    error = Oops()
    extra: dict[str, Any] = {method: raising(error)}
    if method == "handle_failure":
        fails: dict[str, Any] = {"handle_execution": raising(ValueError())}
    else:
        fails = {}
    program = Pipeline(
        [task("A", count=3, **(extra if role == "task" else {}))],
        [worker("A", Threaded, **(extra if role == "worker" else fails))],
        keeper(**(extra if role == "collector" else {})),
        metadata=type("Meta", (Source,), extra) if role == "metadata" else None,
    )
    with pytest.raises(Oops) as raised:
        program.run()
    assert raised.value is error


@pytest.mark.parametrize("base", [Echo, Threaded])
def test_what_is_no_exception_comes_out_of_run(base: type) -> None:
    extra: dict[str, Any] = {"handle_execution": raising(KeyboardInterrupt())}  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        Pipeline([task("A")], [worker("A", base, **extra)], Keeper).run()


def test_what_cannot_be_packed_is_the_error_of_production() -> None:
    task_returns: dict[str, Any] = {"handle": lambda self, data, address, msgtype: {"a": {"b": object()}}}
    with pytest.raises(SerializationError, match=r"TaskA\.handle: data\['a'\]\['b'\]"):
        Pipeline([task("A", **task_returns)], [worker("A")], Keeper).run()
    zmqpipeline.Worker.clear_workers()
    collector: dict[str, Any] = {"handle_collection": lambda self, data, task_type, msgtype: {"a": object()}}
    with pytest.raises(SerializationError, match="handle_collection or get_ack_data"):
        Pipeline([task("A")], [worker("A")], keeper(**collector)).run()
    meta: dict[str, Any] = {"get_metadata": lambda self: {"a": object()}}
    with pytest.raises(SerializationError, match="get_metadata"):
        Pipeline([], [], Keeper, metadata=type("Meta", (Source,), meta)).run()
    with pytest.raises(SerializationError):
        Pipeline([], [], Keeper, metadata={"a": object()}).run()


@pytest.mark.parametrize(
    ("role", "method", "sentence"),
    [
        ("task", "handle", "TaskA.handle returned str, expected a dictionary or None"),
        ("collector", "handle_collection", "Keeping.handle_collection returned str, expected"),
        ("collector", "get_ack_data", "Keeping.get_ack_data returned str, expected a dictionary"),
        ("metadata", "get_metadata", "Meta.get_metadata returned str, expected a dictionary"),
    ],
)
def test_what_is_no_dictionary_is_the_error_of_production(role: str, method: str, sentence: str) -> None:
    extra: dict[str, Any] = {method: lambda self, *args: "text"}
    program = Pipeline(
        [task("A", **(extra if role == "task" else {}))],
        [worker("A")],
        keeper(**(extra if role == "collector" else {})),
        metadata=type("Meta", (Source,), extra) if role == "metadata" else None,
    )
    with pytest.raises(TypeError, match=sentence):
        program.run()


# -- runs that do not end -----------------------------------------------------------


def stalls(program: Pipeline[Any], error: type[SimulationError] = StalledError) -> str:
    with pytest.raises(error) as raised:
        program.run()
    return str(raised.value)


def test_a_task_without_a_worker_is_named() -> None:
    said = stalls(Pipeline([task("A"), task("B", depends=("A",)), task("C")], [worker("C")], Keeper))
    assert "A waits for a worker, and there is none (0 handed out, 0 acknowledged)" in said
    assert "B waits for A to be complete" in said
    assert "C waits" not in said
    assert "Workers: WorkerC-1." in said
    assert "40 tasks handed out, 40 acknowledged, 0 failed" in said


def test_a_gate_that_never_opens_is_named() -> None:
    class Closed(Counting, abc.ABC):
        def is_available_for_handling(self, last_ack_data: Data) -> bool:
            return self.n_sent < 2

    said = stalls(pipeline(Closed))
    assert "A waits for its own is_available_for_handling() to say yes (2 handed out, 2 acknowledged)" in said


def test_a_task_that_is_never_complete_meets_the_limit() -> None:
    said = stalls(
        Pipeline([task("A", count=2**60)], [worker("A")], Keeper, max_steps=500), SimulationLimitError
    )
    assert said.startswith("the run has not ended after 500 steps (max_steps)")
    assert "Does a task never set is_complete?" in said


def test_simulated_time_is_limited() -> None:
    program = Pipeline([task("A", retry_delay=1000.0)], [worker("A", failing(2))], Keeper, max_time=1500)
    said = stalls(program, SimulationLimitError)
    assert "1500 simulated seconds (max_time)" in said
    assert "39 acknowledged" in said


def test_a_long_wait_is_no_standstill() -> None:
    result = Pipeline([task("A", retry_delay=500.0)], [worker("A", failing(2))], Keeper).run()
    check_guarantees(result)
    assert 1500 < result.duration < 1600


# -- declarations ----------------------------------------------------------------------


def refused(*arguments: Any, **options: Any) -> str:
    with pytest.raises(DeclarationError) as raised:
        Pipeline(*arguments, **options).run()
    return str(raised.value)


def test_who_would_never_meet_is_refused() -> None:
    a, other = task("A"), EndpointAddress("ipc://other.ipc")
    said = refused([a], [worker("A", endpoint=other)], Keeper)
    assert (
        said
        == "WorkerA.endpoint is ipc://other.ipc, but TaskA.endpoint is ipc://a.ipc: they would never meet"
    )
    zmqpipeline.Worker.clear_workers()
    said = refused([a], [worker("A", collector_endpoint=other)], Keeper)
    assert said.startswith("WorkerA.collector_endpoint is ipc://other.ipc, but Keeper.endpoint is")
    TaskType.register_type("B")
    said = refused([a], [worker("B")], Keeper)
    assert said == "WorkerB does tasks of the type 'B', which no task has, only 'A'"


@pytest.mark.parametrize(
    ("bound", "connected", "meets"),
    [
        ("tcp://*:5555", "tcp://localhost:5555", True),
        ("tcp://0.0.0.0:5555", "tcp://10.0.0.1:5555", True),
        ("tcp://127.0.0.1:5555", "tcp://localhost:5555", True),
        ("tcp://127.0.0.1:5555", "tcp://*:5555", True),
        ("tcp://eth0:5555", "tcp://10.0.0.1:5555", True),
        ("tcp://127.0.0.1:5555", "tcp://10.0.0.1:5555", False),
        ("tcp://*:5555", "tcp://localhost:5556", False),
        ("tcp://*:5555", "ipc://*:5555", False),
    ],
)
def test_addresses_may_differ_where_they_mean_the_same(bound: str, connected: str, meets: bool) -> None:
    program = (
        [task("A", endpoint=EndpointAddress(bound))],
        [worker("A", endpoint=EndpointAddress(connected))],
        Keeper,
    )
    if meets:
        assert Pipeline(*program).run().finished
    else:
        assert "they would never meet" in refused(*program)


def test_one_address_cannot_be_bound_twice() -> None:
    said = refused([task("A", endpoint=ACKS)], [], Keeper)
    assert said == "Keeper and TaskA bind one address, ipc://acks.ipc"


def test_what_is_no_role_is_refused() -> None:
    assert refused([], [Keeper], Keeper).startswith("workers contains <class")
    assert refused([], [Keeper()], Keeper).startswith("workers contains <")
    assert refused([], [lambda: 3], Keeper) == (
        "workers contains 3, expected a Worker class, a function that makes a Worker, or a Worker"
    )
    assert refused([], [], None).startswith("collector is None, expected a Collector class")
    assert refused([Keeper], [], Keeper).startswith("tasks contains")
    assert refused([], [], Keeper, n_workers=0) == "n_workers is 0, expected a number from 1"
    assert refused([], [], Keeper, metadata=3).startswith("metadata is 3, expected a dictionary")


def test_declarations_are_checked_as_by_a_distributor() -> None:
    TaskType.register_type("B")
    assert "circle" in refused([task("A", depends=("B",)), task("B", depends=("A",))], [], Keeper)


def test_an_instance_of_a_task_runs_once() -> None:
    program = Pipeline([task("A")()], [worker("A")], Keeper)
    program.run()
    with pytest.raises(DeclarationError, match="an instance that has run already: give its class instead"):
        program.run()


def test_another_kind_of_worker_is_refused() -> None:
    class Strange(zmqpipeline.Worker):
        def handle_execution(self, data: Data, *args: Any, **kwargs: Any) -> Data | None:
            return data

        def _work(self) -> None:
            """Do nothing."""

        task_type = TaskType.register_type("A")
        endpoint = EndpointAddress("ipc://a.ipc")
        collector_endpoint = Keeper.endpoint

    assert "expected a SingleThreadedWorker, a MultiThreadedWorker or an AsyncWorker" in refused(
        [task("A")], [Strange], Keeper
    )
