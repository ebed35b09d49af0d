"""zmqpipeline.testing: whatever breaks, and wherever, nothing is lost and nothing is doubled."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import zmqpipeline
from tests import budget
from tests.unit.testing_programs import (
    Counting,
    Echo,
    Gated,
    Keeper,
    Threaded,
    check_guarantees,
    numbers,
    pipeline,
    task,
    worker,
)
from zmqpipeline.errors import DeclarationError, FaultNotReachedError, StalledError
from zmqpipeline.testing import Fault, Pipeline, faults

if TYPE_CHECKING:
    from collections.abc import Callable

FAULTS: dict[str, Callable[[tuple[str, int]], Fault]] = {
    "kill_worker": faults.kill_worker,
    "raise_in_worker": faults.raise_in_worker,
    "freeze_worker": faults.freeze_worker,
    "freeze_worker for a moment": lambda at: faults.freeze_worker(at, 0.3),
    "drop_connection": faults.drop_connection,
    "delay": lambda at: faults.delay(at, 30.0),
    "delay for a moment": lambda at: faults.delay(at, 0.01),
    "delay_results": lambda at: faults.delay_results(at, 30.0),
    "delay_results for a moment": lambda at: faults.delay_results(at, 0.3),
    "lose_results": faults.lose_results,
    "duplicate_results": faults.duplicate_results,
    "lose_acks": faults.lose_acks,
    "restart_distributor": faults.restart_distributor,
    "restart_collector": faults.restart_collector,
    "kill_worker twice": lambda at: faults.kill_worker(at, times=2),
    "raise_in_worker thrice": lambda at: faults.raise_in_worker(at, times=3),
    "lose_results twice": lambda at: faults.lose_results(at, times=2),
    "lose_acks twice": lambda at: faults.lose_acks(at, times=2),
    "restart_collector twice": lambda at: faults.restart_collector(at, times=2),
}


def program(task_base: type = Counting, worker_base: type = Echo) -> Pipeline[Keeper]:
    """Make a pipeline of two task types, of which the second waits for the first."""
    return Pipeline(
        [task("A", task_base, count=25), task("B", task_base, ("A",), count=10)],
        [worker("A", worker_base), worker("B", worker_base)],
        Keeper,
        n_workers=2,
    )


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("task_base", [Counting, Gated])
@pytest.mark.parametrize("worker_base", [Echo, Threaded])
def test_a_fault_ends_in_the_same_guarantees(name: str, task_base: type, worker_base: type) -> None:
    run = program(task_base, worker_base)
    kind = name.split(maxsplit=1)[0]
    for at in (("A", 0), ("A", 13), ("A", 24), ("B", 0), ("B", 9)):
        result = run.run(FAULTS[name](at))
        check_guarantees(result)
        assert [(event.task_type, event.number) for event in result.events(kind)][:1] == [at]
        if name != "raise_in_worker thrice":
            assert sorted(set(numbers(result))) == list(range(25))
            assert sorted(set(numbers(result, "B"))) == list(range(10))
        if at in {("A", 13), ("B", 9)}:
            assert run.run(FAULTS[name](at)).history == result.history


_POINTS = st.one_of(st.tuples(st.just("A"), st.integers(0, 24)), st.tuples(st.just("B"), st.integers(0, 9)))


@given(
    st.lists(st.tuples(st.sampled_from(sorted(FAULTS)), _POINTS), min_size=2, max_size=8),
    st.sampled_from([Counting, Gated]),
    st.sampled_from([Echo, Threaded]),
)
@example([("kill_worker", ("A", 0)), ("restart_distributor", ("A", 0))], Counting, Echo)
@settings(max_examples=budget.examples(40))
def test_many_faults_end_in_the_same_guarantees(
    chosen: list[tuple[str, tuple[str, int]]], task_base: type, worker_base: type
) -> None:
    zmqpipeline.Worker.clear_workers()
    try:
        result = program(task_base, worker_base).run(*(FAULTS[name](at) for name, at in chosen))
    except FaultNotReachedError:
        return  # one has made the other impossible
    check_guarantees(result)


# -- what each of them does ---------------------------------------------------------


def test_a_killed_worker_loses_what_it_had_and_is_started_again() -> None:
    result = Pipeline([task("A", count=1000)], [worker("A")], Keeper, n_workers=2).run(
        faults.kill_worker(at=("A", 17))
    )
    (killed,) = result.events("kill_worker")
    started = [event for event in result.events("started") if event.task_type == "A"]
    assert [event.who for event in started] == ["WorkerA-1", "WorkerA-2", f"{killed.who}, life 2"]
    assert started[2].time == pytest.approx(killed.time + 0.5, abs=0.01)
    assert len(result.workers) == 3
    (done,) = [event for event in result.events("executed") if event.number == 17]
    assert done.who != killed.who
    assert result.redelivered > 0
    assert [event.who for event in result.events("lost")] == [killed.who]


def test_a_task_that_kills_every_worker_fails_for_good() -> None:
    result = pipeline().run(faults.kill_worker(at=("A", 17), times=20))
    check_guarantees(result)
    assert [(f.data, f.error["type"]) for f in result.failures] == [({"i": 17}, "WorkerDeaths")]
    assert numbers(result) == [number for number in range(40) if number != 17]
    assert 3 <= len(result.events("kill_worker")) < 20
    assert result.failures[0].error["text"].count("on simulated: signal SIGKILL") == 3


def test_a_killed_worker_may_stay_away() -> None:
    result = pipeline().run(faults.kill_worker(at=("A", 17), restart=False))
    check_guarantees(result)
    assert len(result.workers) == 2


def test_when_all_workers_are_dead_the_run_says_so() -> None:
    program = Pipeline([task("A")], [worker("A")()], Keeper)
    with pytest.raises(StalledError) as raised:
        program.run(faults.kill_worker(at=("A", 17)))
    assert "A waits for a worker, and there is none (" in str(raised.value)
    assert "Workers: WorkerA-1 (dead)." in str(raised.value)


def test_an_exception_in_a_worker_is_an_attempt() -> None:
    error = ValueError("mine")
    result = pipeline().run(faults.raise_in_worker(at=("A", 17), error=error, times=3))
    (failure,) = result.failures
    assert failure.data == {"i": 17}
    assert (failure.error["type"], failure.error["text"]) == ("ValueError", "mine")
    assert len(result.events("raise_in_worker")) == 3
    assert len(result.events("failed")) == 1


def test_an_injected_exception_says_what_it_is() -> None:
    (failure,) = pipeline().run(faults.raise_in_worker(at=("A", 17), times=3)).failures
    assert (failure.error["type"], failure.error["text"]) == ("RuntimeError", "injected at task 17 of A")


def test_a_frozen_worker_is_taken_for_dead_and_comes_back() -> None:
    run = Pipeline([task("A", count=1000)], [worker("A")], Keeper, n_workers=2)
    result = run.run(faults.freeze_worker(at=("A", 17), seconds=0.1))
    check_guarantees(result)
    (frozen,) = result.events("freeze_worker")
    assert [event.who for event in result.events("lost")] == [frozen.who]
    assert result.redelivered > 0
    silent = [event.time - frozen.time for event in result.events("executed") if event.who == frozen.who]
    assert not [time for time in silent if 0 < time < 0.1 - 1e-9]
    assert max(silent) > 0.2
    assert len(result.workers) == 2
    assert len(result.tasks["A"].client_addresses) == 3


def test_a_dropped_connection_is_made_again() -> None:
    # one thread is in the middle of a round then, and the others have not begun
    result = Pipeline([task("A", count=1000)], [worker("A", Threaded)], Keeper).run(
        faults.drop_connection(at=("A", 500))
    )
    check_guarantees(result)
    assert result.redelivered > 0
    assert len(result.events("lost")) == len(result.workers) == 1
    assert len(result.tasks["A"].client_addresses) == 2


def test_a_slow_task_strands_nothing() -> None:
    result = pipeline().run(faults.delay(at=("A", 17), seconds=20.0))
    check_guarantees(result)
    collected = {event.number: event.time for event in result.events("collected")}
    assert collected[17] > 20
    assert max(time for number, time in collected.items() if number != 17) < 1


def test_a_task_may_pass_its_time_limit() -> None:
    limited = Pipeline([task("A", time_limit=5.0)], [worker("A")], Keeper)
    result = limited.run(faults.delay(at=("A", 17), seconds=20.0))
    check_guarantees(result)
    assert numbers(result) == list(range(40))
    (ended,) = result.events("time limit")
    assert ended.time == pytest.approx(5.0, abs=0.1)
    assert len(result.workers) == 2
    result = limited.run(faults.delay(at=("A", 17), seconds=20.0, times=3))
    check_guarantees(result)
    ((_, data, error),) = result.failures
    assert (data, error["type"]) == ({"i": 17}, "TimeoutError")
    assert error["text"] == "took longer than its time limit of 5 s"


def test_a_thread_that_passes_the_time_limit_is_written_off() -> None:
    limited = Pipeline([task("A", time_limit=5.0)], [worker("A", Threaded)], Keeper)
    result = limited.run(faults.delay(at=("A", 17), seconds=20.0))
    check_guarantees(result)
    assert result.events("time limit") == []
    assert len(result.workers) == 1
    assert result.duration < 10


def test_results_that_are_lost_are_made_again() -> None:
    result = pipeline().run(faults.lose_results(at=("A", 17)))
    assert len([event for event in result.events("executed") if event.number == 17]) == 2
    assert result.duplicates == 0
    assert result.duration > 10  # the distributor waits for the acknowledgement for so long


def test_results_that_come_late_are_collected_once() -> None:
    slow = faults.delay(at=("A", 30), seconds=40.0)  # so that the run is still on
    result = pipeline().run(faults.delay_results(at=("A", 17), seconds=20.0), slow)
    check_guarantees(result)
    assert result.duplicates > 0


def test_results_that_come_twice_are_collected_once() -> None:
    result = pipeline().run(faults.duplicate_results(at=("A", 17)))
    assert numbers(result) == list(range(40))
    assert result.duplicates > 0


def test_acknowledgements_that_are_lost_are_sent_again() -> None:
    result = pipeline().run(faults.lose_acks(at=("A", 17)))
    assert numbers(result) == list(range(40))
    assert result.redelivered == 0


def test_a_collector_that_is_killed_collects_again_what_it_had_not_acknowledged() -> None:
    result = pipeline().run(faults.restart_collector(after=20))
    check_guarantees(result)
    first, second = result.collectors
    assert len(first.ids) == 20
    assert first.finished == []
    assert set(first.ids) & set(second.ids)
    assert result.collector is second
    assert result.result_ids == first.ids + second.ids
    assert [data for _, data in result.collected] == [data for _, data in first.kept + second.kept]


def test_a_killed_distributor_goes_on_from_its_journal() -> None:
    result = pipeline().run(faults.restart_distributor(at=("A", 17)))
    check_guarantees(result)
    (killed,) = result.events("restart_distributor")
    (started,) = [event for event in result.events("started") if event.who == "Distributor"]
    assert started.time == pytest.approx(killed.time + 0.5, abs=0.01)
    assert numbers(result) == list(range(40))
    assert (result.handed_out, result.acknowledged) == (40, 40)
    assert len(result.collectors) == 1, "the collector lives on, and collects nothing twice"
    last: Any = result.tasks["A"]
    assert last.made == 40, "the last distributor's own"


def test_a_distributor_and_a_collector_may_be_killed_again_and_again() -> None:
    points = [faults.restart_distributor(at=("A", number)) for number in range(0, 40, 3)]
    result = pipeline().run(*points, faults.restart_collector(after=7, times=3))
    check_guarantees(result)
    assert sorted(set(numbers(result))) == list(range(40))
    assert len(result.events("restart_distributor")) == 14


def test_a_restored_task_is_a_new_instance_that_was_initialized() -> None:
    made: list[Any] = []

    def initialize(self: Any, metadata: dict[str, Any]) -> None:
        made.append(self)
        self.opened = object()  # it cannot be written down, so checkpoint() leaves it out

    def checkpoint(self: Any) -> dict[str, Any]:
        return {"made": self.made}

    kind = task("A", initialize=initialize, checkpoint=checkpoint)
    result = Pipeline([kind], [worker("A")], Keeper).run(faults.restart_distributor(at=("A", 17)))
    check_guarantees(result)
    assert numbers(result) == list(range(40))
    assert len({id(one) for one in made}) == 2


def test_what_a_task_forgets_in_its_checkpoint_shows() -> None:
    kind = task("A", checkpoint=lambda self: {})
    result = Pipeline([kind], [worker("A")], Keeper).run(faults.restart_distributor(at=("A", 17)))
    assert numbers(result).count(0) == 2, "it begins anew"


def test_an_instance_of_a_task_cannot_be_started_again() -> None:
    program = Pipeline([task("A")()], [worker("A")], Keeper)
    with pytest.raises(DeclarationError, match="was given an instance of a Task, which cannot be made again"):
        program.run(faults.restart_distributor(at=("A", 17)))


def test_a_collector_may_be_killed_again_and_again() -> None:
    result = Pipeline([task("A")], [worker("A")], Keeper).run(faults.restart_collector(after=10, times=5))
    check_guarantees(result)
    assert [event.what for event in result.history].count("restart_collector") == 5
    lives: list[Any] = result.collectors
    assert [len(life.ids) for life in lives[:5]] == [10] * 5


def test_a_failure_is_reported_again_to_the_next_life_of_the_collector() -> None:
    result = pipeline().run(
        faults.raise_in_worker(at=("A", 17), times=3), faults.restart_collector(at=("A", 17))
    )
    check_guarantees(result)
    assert len(result.failures) == 2
    assert result.failed == 1


def test_idempotent_collecting_survives_a_restart() -> None:
    written: dict[str, int] = {}

    class Writing(Keeper):
        def handle_collection(
            self, data: dict[str, Any], task_type: str, msgtype: str
        ) -> dict[str, Any] | None:
            written.setdefault(self.result_id, data["r"])
            return super().handle_collection(data, task_type, msgtype)

    Pipeline([task("A")], [worker("A")], Writing).run(faults.restart_collector(after=20))
    assert sorted(written.values()) == list(range(40))


def test_a_worker_that_is_no_exception_catcher_still_dies() -> None:
    class Stubborn(Threaded, abc.ABC):
        def handle_thread_execution(self, data: dict[str, Any], index: int) -> dict[str, Any] | None:
            try:
                return super().handle_thread_execution(data, index)
            except BaseException:  # noqa: BLE001 - that is what this is about
                return {"r": -1}

    result = pipeline(Counting, Stubborn).run(faults.kill_worker(at=("A", 17)))
    check_guarantees(result)
    assert numbers(result) == list(range(40))


# -- what cannot happen ---------------------------------------------------------------


def test_a_fault_that_never_happens_is_an_error() -> None:
    with pytest.raises(FaultNotReachedError) as raised:
        pipeline().run(faults.kill_worker(at=("A", 17)), faults.kill_worker(at=("A", 40)))
    assert str(raised.value) == (
        "kill_worker(at=('A', 40)) never happened: the run was over before. "
        "It had 40 tasks handed out, 40 acknowledged, 0 failed"
    )


def test_a_fault_at_an_unknown_task_type_is_refused() -> None:
    with pytest.raises(DeclarationError, match="no task has the type 'Z', only 'A'"):
        pipeline().run(faults.kill_worker(at=("Z", 1)))


def test_what_is_no_fault_is_refused() -> None:
    with pytest.raises(DeclarationError, match="run got 'kill', expected"):
        pipeline().run("kill")  # type: ignore[arg-type]


def test_an_instance_of_a_collector_cannot_be_started_again() -> None:
    with pytest.raises(DeclarationError, match="given an instance, which cannot be started again"):
        Pipeline([task("A")], [worker("A")], Keeper()).run(faults.restart_collector(after=1))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: faults.kill_worker(at=17), "got at=17, expected a task type and a number from 0"),  # type: ignore[arg-type]
        (lambda: faults.kill_worker(at=("A", -1)), "got at="),
        (lambda: faults.kill_worker(at=("A", 1), times=0), "got times=0"),
        (lambda: faults.delay(at=("A", 1), seconds=-1), "got seconds=-1"),
        (lambda: faults.delay(at=("A", 1), seconds=float("nan")), "got seconds=nan"),
        (faults.restart_collector, "needs a point in the run"),
        (lambda: faults.restart_collector(after=0), "got after=0"),
        (lambda: faults.restart_collector(("A", 1), after=1), "got at and after, expected one of them"),
    ],
)
def test_a_fault_is_checked_when_it_is_made(make: Callable[[], Fault], sentence: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        make()
    assert sentence in str(raised.value)


def test_a_fault_names_itself() -> None:
    assert str(faults.restart_collector(after=3)) == "restart_collector(after=3)"
    assert str(faults.delay(("A", 3), 1.0)) == "delay(at=('A', 3))"
