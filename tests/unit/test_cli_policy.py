"""What becomes of a run when one of its processes has ended."""

from __future__ import annotations

import pytest

from zmqpipeline.cli.exits import Exit, described
from zmqpipeline.cli.policy import Ended, Fail, Fine, Restart, judge
from zmqpipeline.cli.process import Slot

SIGKILL, SIGSEGV = -9, -11


def verdict(
    kind: str, ended: Ended, *, finished: bool = False, acknowledged: int = 0, slot: Slot | None = None
) -> Fine | Restart | Fail:
    return judge(slot or Slot(kind, "Name"), ended, finished=finished, acknowledged=acknowledged)


@pytest.mark.parametrize(
    "kind", ["distributor", "collector", "worker", "metadata", "service", "service-worker"]
)
def test_one_that_ends_with_0_has_done_its_work(kind: str) -> None:
    assert verdict(kind, Ended(0, ready=True)) == Fine()


def test_failed_tasks_are_no_failure_of_the_distributor() -> None:
    assert verdict("distributor", Ended(Exit.TASKS_FAILED, ready=True)) == Fine()


def test_an_error_that_was_told_ends_the_run_with_its_code_and_sentence() -> None:
    told = Ended(5, ready=False, error=(5, "cannot bind"))
    assert verdict("worker", told) == Fail(5, "cannot bind")
    assert verdict("worker", told, finished=True) == Fail(5, "cannot bind")


@pytest.mark.parametrize("returncode", [0, 1, 143, SIGKILL])
def test_one_that_was_stopped_may_end_as_it_likes(returncode: int) -> None:
    assert verdict("collector", Ended(returncode, ready=True, stopped=True)) == Fine()


@pytest.mark.parametrize("kind", ["collector", "worker", "metadata", "service", "service-worker"])
@pytest.mark.parametrize("returncode", [SIGKILL, SIGSEGV, 1, 77])
def test_one_that_crashes_is_replaced_at_once(kind: str, returncode: int) -> None:
    assert verdict(kind, Ended(returncode, ready=True)) == Restart(0.0)


def test_a_distributor_cannot_be_replaced() -> None:
    lost = verdict("distributor", Ended(SIGKILL, ready=True))
    assert isinstance(lost, Fail)
    assert lost.code == Exit.PROCESS_LOST
    assert "killed by SIGKILL" in lost.reason


def test_a_distributor_with_a_journal_is_replaced_as_long_as_something_is_collected_in_between() -> None:
    slot = Slot("distributor", "Distributor")
    killed = Ended(SIGKILL, ready=True)
    for acknowledged in (0, 10, 10, 10, 10):
        assert judge(slot, killed, finished=False, acknowledged=acknowledged, journal=True) == Restart(0.0)
    lost = judge(slot, killed, finished=False, acknowledged=10, journal=True)
    assert isinstance(lost, Fail)
    assert lost.reason.startswith("Distributor was lost 5 times without anything collected in between")


def test_a_distributor_that_had_handed_out_nothing_can() -> None:
    assert isinstance(verdict("distributor", Ended(SIGKILL, ready=False)), Restart)


def test_three_in_a_row_that_end_before_they_are_ready_end_the_run() -> None:
    slot = Slot("worker", "Does")
    first, second, third = (verdict("worker", Ended(7, ready=False), slot=slot) for _ in range(3))
    assert first == Restart(0.2)
    assert second == Restart(0.4)
    assert third == Fail(Exit.PROCESS_LOST, "Does ended 3 times before it was ready (exit code 7)")


def test_one_that_got_ready_in_between_begins_the_count_again() -> None:
    slot = Slot("worker", "Does")
    for _ in range(5):
        assert isinstance(verdict("worker", Ended(7, ready=False), slot=slot), Restart)
        assert isinstance(verdict("worker", Ended(7, ready=False), slot=slot), Restart)
        assert isinstance(verdict("worker", Ended(7, ready=True), slot=slot), Restart)


def test_a_worker_may_die_of_one_task_until_that_counts_as_failed() -> None:
    slot = Slot("worker", "Does")
    for _ in range(20):
        assert verdict("worker", Ended(SIGSEGV, ready=True), slot=slot, acknowledged=4) == Restart(0.0)


def test_a_collector_that_gets_nowhere_ends_the_run() -> None:
    slot = Slot("collector", "Keeps")
    for acknowledged in (10, 20, 20, 20, 20):
        ended = verdict("collector", Ended(SIGSEGV, ready=True), slot=slot, acknowledged=acknowledged)
        assert ended == Restart(0.0)
    lost = verdict("collector", Ended(SIGSEGV, ready=True), slot=slot, acknowledged=20)
    assert isinstance(lost, Fail)
    assert lost.code == Exit.PROCESS_LOST


@pytest.mark.parametrize("kind", ["worker", "metadata", "collector"])
def test_once_the_distributor_is_done_nobody_is_needed(kind: str) -> None:
    # it has waited until the collector had finished
    assert verdict(kind, Ended(SIGKILL, ready=True), finished=True) == Fine()


@pytest.mark.parametrize(
    ("returncode", "words"),
    [(0, "exit code 0"), (7, "exit code 7"), (-9, "killed by SIGKILL"), (-250, "killed by signal 250")],
)
def test_ends_are_described(returncode: int, words: str) -> None:
    assert described(returncode) == words
