"""A worker's side of the protocol: what it was given, what it has begun, what it still has."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zmqpipeline.delivery.assignment import Assignment, Work
from zmqpipeline.wire import envelope, messages
from zmqpipeline.wire.envelope import Message

if TYPE_CHECKING:
    from zmqpipeline.delivery.intervals import Range

RUN = "the run"


def started(metadata: dict[str, Any] | None = None) -> Assignment:
    assignment = Assignment("t")
    assignment.receive(Message("WELCOME", "t", {}, run=RUN))
    assignment.receive(Message("METADATA", "t", metadata or {}, run=RUN))
    return assignment


def batch(ids: list[Range], number: int = 1, attempt: int = 1) -> Message:
    return Message("DATA", "t", spread(ids), run=RUN, ids=ids, number=number, attempt=attempt)


def spread(ranges: list[Range]) -> list[int]:
    return [number for first, count in ranges for number in range(first, first + count)]


def test_from_hello_to_the_first_task() -> None:
    assignment = Assignment("t")
    hello = assignment.hello({"pid": 1})
    assert (hello.type, hello.task, hello.data, hello.run) == ("HELLO", "t", {"pid": 1}, None)
    assignment.receive(Message("WELCOME", "t", {"max_message": 1000, "heartbeat": 1.0}, run=RUN))
    assert (assignment.run, assignment.max_message, assignment.started) == (RUN, 1000, False)
    assignment.receive(Message("METADATA", "t", {"a": 1}, run=RUN))
    assert (assignment.metadata, assignment.started) == ({"a": 1}, True)
    ready = assignment.ready(5)
    assert (ready.type, ready.task, ready.run, ready.credit) == ("RDY", "t", RUN, 5)
    assignment.receive(batch([(10, 3)], attempt=2))
    work = assignment.next(10)
    assert work is not None
    assert work == Work([10, 11, 12], [(10, 3)], 2, RUN)
    results = assignment.results(work, [(10, 3)], b"abc", 3)
    assert (results.type, results.task, results.run, results.ids) == ("DATA", "t", RUN, [(10, 3)])
    assert (results.attempt, results.body, results.n) == (2, b"abc", 3)
    assert assignment.strays == 0


def test_what_is_put_back_comes_next() -> None:
    assignment = started()
    assignment.receive(batch([(0, 3), (7, 2)]))
    assignment.receive(batch([(20, 1)], number=2))
    work = assignment.next(5)
    assert work is not None
    assert assignment.waiting == 1
    assignment.put_back(work, 2)
    assert work == Work([0, 1], [(0, 2)], 1, RUN)
    assert assignment.waiting == 4
    assert sorted(assignment.held()) == [(0, 2), (2, 1), (7, 2), (20, 1)]
    assignment.done(work)
    assert assignment.next(3) == Work([2, 7, 8], [(2, 1), (7, 2)], 1, RUN)
    assignment.put_back(work, 2)
    assert assignment.waiting == 1, "there is nothing more in it"


def test_a_single_task_is_taken_as_well() -> None:
    assignment = started()
    assignment.receive(Message("DATA", "t", {"a": 1}, run=RUN, id=7, attempt=1))
    assert assignment.next(5) == Work([{"a": 1}], [(7, 1)], 1, RUN)


def test_end_ends_it_and_reset_asks_for_another_incarnation() -> None:
    assignment = started()
    assignment.receive(Message("END", "t", run=RUN))
    assert assignment.ended
    assert not assignment.reset
    assignment = Assignment("t")
    assignment.receive(Message("RESET", "t", run="another"))
    assert assignment.reset


@pytest.mark.parametrize("run", [None, "another run"])
@pytest.mark.parametrize("kind", ["METADATA", "END", "DATA", "HEARTBEAT"])
@pytest.mark.parametrize("welcomed", [False, True])
def test_what_is_not_of_its_run_is_not_heeded(kind: str, run: str | None, welcomed: bool) -> None:
    assignment = Assignment("t")
    if welcomed:
        assignment.receive(Message("WELCOME", "t", {}, run=RUN))
    assignment.receive(Message(kind, "t", [1], run=run, ids=[(0, 1)]))
    assert assignment.strays == 1
    assert (assignment.started, assignment.ended, assignment.has_work) == (False, False, False)


@pytest.mark.parametrize(
    "message",
    [
        Message("DATA", "t", [1, 2], run=RUN, ids=[(0, 3)]),
        Message("DATA", "t", {"a": 1}, run=RUN, ids=[(0, 1)]),
        Message("DATA", "t", [1], run=RUN),
        Message("DATA", "t", [], run=RUN, ids=[(0, 2**50)]),
        Message("ACK", "t", run=RUN),
        Message("something new", "t", run=RUN),
    ],
)
def test_what_makes_no_sense_is_counted_and_dropped(message: Message) -> None:
    assignment = started()
    assignment.receive(message)
    assert assignment.strays == 1
    assert not assignment.has_work


@pytest.mark.parametrize("data", [None, [], {"max_message": "x"}, {"max_message": -1}, {"max_message": 0}])
def test_a_welcome_without_sensible_limits_sets_none(data: Any) -> None:
    assignment = Assignment("t")
    assignment.receive(Message("WELCOME", "t", data, run=RUN))
    assert assignment.run == RUN
    assert assignment.max_message is None


def test_metadata_that_is_no_map_is_empty() -> None:
    assignment = Assignment("t")
    assignment.receive(Message("WELCOME", "t", {}, run=RUN))
    assignment.receive(Message("METADATA", "t", [1], run=RUN))
    assert assignment.started
    assert assignment.metadata == {}


def test_work_is_taken_in_pieces_and_in_order() -> None:
    assignment = started()
    assignment.receive(batch([(0, 2), (8, 3)], number=1))
    assignment.receive(batch([(20, 1)], number=2, attempt=3))
    pieces = [assignment.next(count) for count in (3, 1, 5, 1, 1)]
    assert [work and work.tasks for work in pieces] == [[0, 1, 8], [9], [10], [20], None]
    assert [work and work.ids for work in pieces[:2]] == [[(0, 2), (8, 1)], [(9, 1)]]
    assert pieces[3] is not None
    assert pieces[3].attempt == 3


def test_batches_are_done_together_if_their_results_echo_the_same() -> None:
    assignment = started()
    for number, (ids, attempt) in enumerate(
        [([(0, 2)], 1), ([(2, 3)], 1), ([(9, 1), (12, 4)], 1), ([(20, 1)], 2), ([(21, 2)], 2)]
    ):
        assignment.receive(batch(ids, number, attempt))
    pieces = [assignment.next(count) for count in (7, 9, 9)]
    assert [work and (work.ids, work.attempt) for work in pieces] == [
        ([(0, 5), (9, 1), (12, 1)], 1),
        ([(13, 3)], 1),
        ([(20, 3)], 2),
    ]
    assert all(work and work.tasks == spread(work.ids) for work in pieces)


def test_a_batch_that_comes_twice_is_not_twice_in_one_message() -> None:
    assignment = started()
    for _ in range(2):
        assignment.receive(batch([(0, 3)]))
    assert [work and work.ids for work in (assignment.next(9), assignment.next(9))] == [[(0, 3)], [(0, 3)]]


def test_what_is_prepared_waits_for_a_thread_and_is_held() -> None:
    assignment = started()
    assignment.receive(batch([(0, 4)]))
    work = assignment.next(3)
    assert work is not None
    assignment.prepared(work, ["zero", "two"], [(0, 1), (2, 1)])  # the other one has failed
    assert (assignment.unprepared, assignment.ready_to_do, assignment.waiting) == (1, 2, 3)
    assert sorted(assignment.held()) == [(0, 1), (2, 1), (3, 1)]
    begun = assignment.next(1, prepared=True)
    assert begun == Work(["zero"], [(0, 1)], 1, RUN)
    assert not assignment.is_idle
    assert assignment.give_back(prepared=False).ids == [(3, 1)]
    assert assignment.give_back().ids == [(2, 1)]
    assert assignment.next(1, prepared=True) is None
    assignment.done(begun)
    assert assignment.is_idle


def test_to_count_what_waits_is_safe_while_threads_take_it() -> None:
    assignment, lock, ended = started(), threading.Lock(), threading.Event()
    for first in range(0, 300, 3):
        assignment.receive(batch([(first, 3)], number=first + 1))

    def take_and_put_back() -> None:
        while not ended.is_set():
            with lock:
                work = assignment.next(2)
                assert work is not None
                assignment.put_back(work, 0)
                assignment.done(work)

    thread, before = threading.Thread(target=take_and_put_back), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        assert all(0 < assignment.waiting <= 300 for _ in range(3000))
    finally:
        ended.set()
        thread.join()
        sys.setswitchinterval(before)


def test_tasks_that_are_done_in_any_order_are_each_a_work_of_its_own() -> None:
    assignment = started()
    assignment.receive(batch([(0, 2), (8, 3)]))
    assignment.receive(batch([(20, 1)], number=2, attempt=3))
    begun = assignment.next_each(4)
    assert [(work.tasks, work.ids, work.attempt) for work in begun] == [
        ([number], [(number, 1)], 1) for number in (0, 1, 8, 9)
    ]
    assert (assignment.waiting, assignment.is_idle) == (2, False)
    for work in (begun[2], begun[0]):
        assignment.done(work)
    assert sorted(assignment.held()) == [(1, 1), (9, 1), (10, 1), (20, 1)]
    assert [(work.ids, work.attempt) for work in assignment.next_each(9)] == [([(10, 1)], 1), ([(20, 1)], 3)]
    assert assignment.next_each(9) == []


def test_when_everything_fails_while_it_is_prepared_nothing_waits() -> None:
    assignment = started()
    assignment.receive(batch([(0, 1)]))
    work = assignment.next(3)
    assert work is not None
    assignment.prepared(work, [], [])
    assert assignment.is_idle


@pytest.mark.parametrize("prepared", [False, True])
def test_what_was_taken_out_of_a_round_comes_next(prepared: bool) -> None:
    assignment = started()
    assignment.receive(batch([(0, 6)]))
    work = assignment.next(4 if prepared else 3)
    assert work is not None
    if prepared:
        assignment.prepared(work, work.tasks, work.ids)
        work = assignment.next(3, prepared=True)
        assert work is not None
    del work.tasks[1:]
    assignment.requeue(work, Work([1, 2], [(1, 2)], 1, RUN), prepared=prepared)
    follows = assignment.next(9, prepared=True) if prepared else assignment.next(9)
    assert follows is not None
    assert follows.ids == ([(1, 3)] if prepared else [(1, 5)])


def test_what_an_earlier_incarnation_was_given_does_not_come_back() -> None:
    assignment = started()
    assignment.requeue(Work([0], [(0, 2)], 1, RUN), Work([1], [(1, 1)], 1, RUN))
    assert assignment.is_idle


@pytest.mark.parametrize(
    ("keep", "given_back"), [(0, [0, 1, 2, 3, 8]), (2, [2, 3, 8]), (4, [8]), (5, []), (9, [])]
)
def test_what_is_far_from_being_begun_is_given_back(keep: int, given_back: list[int]) -> None:
    assignment = started()
    assignment.receive(batch([(10, 1)]))
    assert assignment.next(1) is not None
    assignment.receive(batch([(0, 3)], number=2))
    prepared = assignment.next(3)
    assert prepared is not None
    assignment.prepared(prepared, prepared.tasks, prepared.ids)
    assignment.receive(batch([(3, 1), (8, 1)], number=3))
    message = assignment.give_back_all_but(keep)
    assert (message.type, message.number, message.credit) == ("RETURN", 3, None)
    assert sorted(spread(message.ids or [])) == given_back
    assert sorted(spread(assignment.held())) == sorted({0, 1, 2, 3, 8, 10} - {*given_back})


def test_a_heartbeat_says_what_is_not_finished_up_to_the_last_batch() -> None:
    assignment = started()
    assignment.receive(batch([(0, 4)], number=1))
    assignment.receive(batch([(10, 2)], number=2))
    work = assignment.next(2)
    assert work is not None
    heartbeat = assignment.heartbeat()
    assert (heartbeat.type, heartbeat.run, heartbeat.number) == ("HEARTBEAT", RUN, 2)
    assert sorted(spread(heartbeat.held or [])) == [0, 1, 2, 3, 10, 11]
    assignment.done(work)
    assert assignment.heartbeat().held == [(2, 2), (10, 2)]


def test_an_old_batch_that_comes_again_does_not_hide_the_last_one() -> None:
    """The distributor would wait for ever for results that were lost on their way to the collector."""
    assignment = started()
    for ids, number in (([(0, 4)], 1), ([(10, 2)], 2), ([(0, 4)], 1)):
        assignment.receive(batch(ids, number=number))
        work = assignment.next(10)
        assert work is not None
        assignment.done(work)
    heartbeat = assignment.heartbeat()
    assert (heartbeat.number, heartbeat.held) == (2, [])


def test_giving_back_keeps_what_was_begun() -> None:
    assignment = started()
    assignment.receive(batch([(0, 4)], number=3))
    work = assignment.next(1)
    assert work is not None
    given_back = assignment.give_back()
    assert (given_back.type, given_back.ids, given_back.number) == ("RETURN", [(1, 3)], 3)
    assert given_back.credit == 0
    assert assignment.held() == [(0, 1)]
    assert not assignment.has_work
    assert not assignment.is_idle
    assignment.done(work)
    assert assignment.give_back().ids == []
    assert started().is_idle


def test_a_failure_and_a_goodbye_name_the_run() -> None:
    assignment = started()
    failure = assignment.failure(Work([], [(7, 1)], 2, RUN), 7, {"type": "E"})
    assert (failure.type, failure.task, failure.run) == ("FAIL", "t", RUN)
    assert (failure.id, failure.attempt, failure.error) == (7, 2, {"type": "E"})
    assert (assignment.goodbye().type, assignment.goodbye().run) == (messages.MESSAGE_TYPE_GOODBYE, RUN)


def test_results_belong_to_the_run_that_handed_the_work_out() -> None:
    assignment = started()
    assignment.receive(batch([(0, 2)]))
    work = assignment.next(2)
    assert work is not None
    another = Assignment("t")  # the distributor has been replaced while the work was done
    another.receive(Message("WELCOME", "t", {}, run="another run"))
    assert another.results(work, [(0, 2)], b"", 2).run == RUN
    assert another.failure(work, 0, {}).run == RUN


@given(st.lists(st.tuples(st.sampled_from(["receive", "next", "done", "give_back"]), st.integers(1, 6))))
def test_every_task_is_held_until_it_is_done_or_given_back(steps: list[tuple[str, int]]) -> None:
    assignment, given = started(), 0
    waiting: list[int] = []
    busy: list[Work] = []
    for number, (step, count) in enumerate(steps):
        if step == "receive":
            assignment.receive(batch([(given, count)], number=number))
            waiting += range(given, given + count)
            given += count + 1  # not all ids are neighbours
        elif step == "next":
            work = assignment.next(count)
            assert (work is None) == (not waiting)
            if work is not None:
                assert 1 <= len(work.tasks) <= count
                assert work.tasks == spread(work.ids) == waiting[: len(work.tasks)]
                del waiting[: len(work.tasks)]
                busy.append(work)
        elif step == "done" and busy:
            assignment.done(busy.pop(count % len(busy)))
        elif step == "give_back":
            assert spread(assignment.give_back().ids or []) == waiting
            waiting.clear()
        held = [task for work in busy for task in work.tasks] + waiting
        assert sorted(spread(assignment.held())) == sorted(held)
        assert assignment.has_work == bool(waiting)
        assert assignment.is_idle == (not held)
        assert envelope.total(assignment.held()) == len(held)
