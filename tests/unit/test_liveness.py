"""Who is silent, late, or back, and what that has for consequences: decisions, without sockets."""

from __future__ import annotations

import pytest

from tests.unit.test_taskbook import Case, ids
from zmqpipeline.delivery.batch import NOBODY
from zmqpipeline.delivery.news import MOST_NEWS, Digest, Fate, News
from zmqpipeline.delivery.peer import Peer
from zmqpipeline.delivery.ports import Outcome
from zmqpipeline.ends import Ends
from zmqpipeline.errors import PeerTimeoutError
from zmqpipeline.peerclock import PeerClock

A, B = b"a", b"b"


def told(case: Case) -> list[tuple[Fate, bytes, int]]:
    found = [(news.fate, news.peer.address, news.count) for news in case.book.news]
    case.book.news.clear()
    return found


def join(case: Case, address: bytes, credit: int, process: str) -> None:
    case.says(address, "HELLO", run=None, data={"process": process})
    case.says(address, "RDY", credit=credit, order=1)


def late(case: Case, seconds: float) -> None:
    """Let time pass, and find out who is late; that nobody is reached by a ping tells nothing here."""
    case.now += seconds
    case.book.tick(case.now)
    case.link.to(A), case.link.to(B)


# -- silence ----------------------------------------------------------------------


def test_a_worker_that_is_silent_is_suspect_and_gets_nothing_until_it_is_heard() -> None:
    case = Case(20, patience=4.0)
    case.join(A, 4)
    assert len(ids(case.given(A))) == 4
    case.acknowledge((0, 4))
    late(case, 4.5)
    assert told(case) == [(Fate.SILENT, A, 0)]
    assert case.given(A) == []
    late(case, 4.5)
    assert told(case) == [], "it is said once"
    case.beat(A, 2)
    assert len(ids(case.given(A))) > 0


def test_what_a_silent_worker_has_stays_with_it() -> None:
    case = Case(4, patience=4.0)
    case.join(A, 4)
    case.join(B, 4)
    case.given(A)
    held = case.ledger.holds(A)
    assert held == 2
    case.acknowledge((2, 2))
    for _ in range(100):
        case.beat(B, 1)
        late(case, 1.0)
    assert told(case) == [(Fate.SILENT, A, held)]
    assert case.ledger.holds(A) == held
    assert ids(case.given(B)) == []


def test_a_task_goes_to_the_worker_on_which_it_failed_if_the_other_one_is_silent() -> None:
    case = Case(1, patience=4.0)
    case.join(A, 1)
    (first,) = case.given(A)
    case.join(B, 1)
    case.fail(A, first)
    case.now += 4.5
    case.beat(A, 1)
    late(case, 0.0)
    assert told(case) == [(Fate.SILENT, B, 0)]
    assert ids(case.given(A)) == [0]


@pytest.mark.parametrize("lockstep", [False, True])
def test_who_has_not_asked_yet_or_never_beats_is_not_suspected(lockstep: bool) -> None:
    case = Case(2, patience=4.0)
    if lockstep:
        case.join_in_lockstep(A)
    else:
        case.says(A, "HELLO", run=None)  # init_worker() may take its time
    late(case, 1000.0)
    assert told(case) == []


# -- time limits of those who cannot tell -------------------------------------------


def limited(total: int, seconds: float = 10.0) -> Case:
    case = Case(total, opened=False, patience=4.0, ping_interval=1.0)
    case.source.time_limit = seconds
    case.source.retry_delay = 0.0
    case.book.open({})
    return case


def test_a_lock_step_worker_that_passes_the_limit_is_lost_and_its_attempt_has_failed() -> None:
    case = limited(2)
    case.join_in_lockstep(A)
    assert ids(case.given(A)) == [0]
    late(case, 10.9)
    assert told(case) == []
    late(case, 0.2)
    assert told(case) == [(Fate.LATE, A, 1)]
    assert A not in case.book.peers
    batch = case.ledger.find(0)
    assert batch is not None
    assert (batch.failures, batch.deaths, batch.holder) == (1, 0, NOBODY)
    case.join_in_lockstep(B)
    assert ids(case.given(B)) == [0]


def test_a_lock_step_worker_that_was_late_may_ask_again() -> None:
    case = limited(3)
    case.join_in_lockstep(A)
    case.given(A)
    late(case, 12.0)
    case.says(A, "RDY", run=None)
    assert len(ids(case.given(A))) == 1


def test_an_attempt_of_a_silent_worker_fails_and_the_last_one_for_good() -> None:
    case = limited(1)
    case.source.max_attempts = 2
    for address in (A, B):
        case.join(address, 1)
        assert ids(case.given(address)) == [0]
        late(case, 5.0)
        late(case, 10.0)
        assert told(case) == [(Fate.SILENT, address, 1), (Fate.LATE, address, 1)]
    case.book.report_failures()
    (failure,) = case.link.told()
    assert (failure.type, failure.id) == ("FAIL", 0)
    text = "took longer than its time limit of 10 s, and its worker was silent"
    assert failure.error == {"type": "TimeoutError", "text": text, "traceback": ""}


def test_a_worker_that_beats_sees_to_its_limit_itself() -> None:
    case = limited(1)
    case.join(A, 1)
    case.given(A)
    for _ in range(100):
        case.beat(A, 1, (0, 1))
        late(case, 1.0)
    assert told(case) == []
    assert case.ledger.holds(A) == 1


def test_of_several_tasks_of_a_silent_worker_none_is_blamed() -> None:
    case = limited(4)
    case.join(A, 8)
    assert ids(case.given(A)) == [0, 1, 2, 3]
    late(case, 5.0)
    late(case, 10.0)
    assert told(case) == [(Fate.SILENT, A, 4), (Fate.LATE, A, 4)]
    assert [batch.failures for batch in case.ledger.batches] == [0]
    case.join(B, 8)
    assert ids(case.given(B)) == [0, 1], "in halves, so that the one that hangs is found"


def test_what_is_finished_is_not_late() -> None:
    case = limited(2)
    case.join_in_lockstep(A)
    case.given(A)
    case.says(A, "RDY", run=None)
    assert ids(case.given(A)) == [1]
    late(case, 2.0)
    case.acknowledge((1, 1))
    late(case, 9.5)
    assert A in case.book.peers, "its last answer is there, only not acknowledged"


def test_without_a_limit_nobody_is_late() -> None:
    case = Case(1)
    case.join_in_lockstep(A)
    case.given(A)
    late(case, 10_000.0)
    assert told(case) == []


# -- who is back ---------------------------------------------------------------------


@pytest.mark.parametrize("back_first", [False, True])
def test_a_process_that_connects_again_is_no_death(back_first: bool) -> None:
    case = Case(1)
    join(case, A, 1, "the process")
    assert ids(case.given(A)) == [0]
    if back_first:
        join(case, B, 1, "the process")
    case.link.outcomes[A] = Outcome.GONE
    case.book.probe()
    if not back_first:
        join(case, B, 1, "the process")
    assert told(case) == [(Fate.RECONNECTED if back_first else Fate.LOST, A, 1)]
    batch = case.ledger.find(0)
    assert batch is not None
    assert batch.deaths == 0
    assert ids(case.given(B)) == [0]


def test_a_process_whose_hellos_change_places_is_told_to_begin_again() -> None:
    """Nobody knows which of its connections lives: one that waits for START would wait for ever."""
    case = Case(1)
    join(case, B, 1, "the process")
    case.link.to(B)
    join(case, A, 1, "the process")
    assert [message.type for message in case.link.to(B)] == ["RESET"]
    assert list(case.book.peers) == [A]


def test_another_process_is_not_the_one_that_died() -> None:
    case = Case(1)
    join(case, A, 1, "one")
    case.given(A)
    join(case, B, 1, "two")
    case.link.outcomes[A] = Outcome.GONE
    case.book.probe()
    assert told(case) == [(Fate.LOST, A, 1)]
    batch = case.ledger.find(0)
    assert batch is not None
    assert batch.deaths == 1


# -- stalls -----------------------------------------------------------------------------


def test_a_stall_of_the_distributor_is_nobodys_fault() -> None:
    case = limited(4)
    case.join(A, 4)
    case.join_in_lockstep(B)
    case.given(A)
    case.book.overdue.heard(case.now)
    case.beat(A, 9)  # all is finished
    case.now += 1000.0
    case.book.stalled(1000.0, case.now)
    case.book.tick(case.now)
    assert told(case) == []
    assert case.ledger.holds(A) == 3, "its acknowledgements may still come"
    assert case.ledger.holds(B) == 1
    for _ in range(12):
        case.book.overdue.heard(case.now)
        late(case, 1.0)
    assert case.ledger.holds(A) == 0
    assert (Fate.LATE, B, 1) in told(case)


def test_a_clock_leaves_out_a_stall() -> None:
    clock = PeerClock("the collector", 60.0)
    clock.forgive(5.0)
    clock.came()
    clock.went(100.0)
    clock.forgive(1000.0)
    clock.check(1159.0)
    with pytest.raises(PeerTimeoutError, match="the collector has been gone for 60 s"):
        clock.check(1161.0)


def test_news_are_sentences() -> None:
    peer = Peer(A, info={"pid": 7, "host": "h"})
    assert str(News(Fate.LOST, "t", peer, 3)) == "lost a worker of t (pid 7 on h), with 3 unfinished tasks"
    assert str(News(Fate.SILENT, "t", Peer(A), 1)).startswith("a worker of t (pid ? on ?) is silent, with 1")


def test_of_very_many_news_a_log_gets_the_first_of_each_minute_and_how_many_there_were() -> None:
    digest = Digest()
    one = News(Fate.LOST, "t", Peer(A), 0)
    for minute in range(3):
        told = [digest.of([one], 1000.0 + 60.0 * minute + second / 100) for second in range(1000)]
        if minute:
            assert [news.fate for news in told[0]] == [Fate.MORE, Fate.LOST]
            assert str(told[0].pop(0)).startswith(f"nothing was said of {1000 - MOST_NEWS} more workers")
        assert told == [[one]] * MOST_NEWS + [[]] * (1000 - MOST_NEWS)
    assert [news.fate for news in digest.of([], 2000.0)] == [Fate.MORE]
    assert digest.of([], 3000.0) == []


# -- who was stalled cannot judge ------------------------------------------------------


def test_after_a_long_stall_workers_have_time_to_come_back() -> None:
    """The heartbeat of one that is inside a task speaks for it; the others connect again."""
    case = Case(3, patience=4.0, ping_interval=1.0)
    for address, process in ((A, "one"), (B, "two")):
        join(case, address, 1, process)
        case.given(address)
    case.now += 10.0
    case.book.stalled(10.0, case.now)
    case.link.outcomes = {A: Outcome.GONE, B: Outcome.GONE}
    case.book.probe()
    assert told(case) == []
    case.beat(A, 1, (0, 1))
    case.link.outcomes = {}
    assert case.ledger.holds(A) == 1
    join(case, b"b again", 1, "two")
    assert told(case) == [(Fate.RECONNECTED, B, 1)]
    assert case.ledger.holds(B) == 0
    for _ in range(5):
        case.beat(A, 1, (0, 1))
        case.beat(b"b again", 0)
        late(case, 1.0)
    assert (case.ledger.holds(A), told(case)) == (1, [])


def test_who_does_not_come_back_is_lost_then() -> None:
    case = Case(1, patience=4.0, ping_interval=1.0)
    case.join(A, 1)
    case.given(A)
    case.now += 10.0
    case.book.stalled(10.0, case.now)
    case.link.outcomes[A] = Outcome.GONE
    case.book.probe()
    late(case, 3.9)
    assert told(case) == []
    late(case, 1.0)
    assert told(case) == [(Fate.LOST, A, 1)]


def test_after_a_short_stall_who_cannot_be_reached_is_lost() -> None:
    case = Case(1, patience=4.0, ping_interval=1.0)
    case.join(A, 1)
    case.book.stalled(1.0, case.now)
    case.link.outcomes[A] = Outcome.GONE
    case.book.probe()
    assert told(case) == [(Fate.LOST, A, 0)]


def test_an_end_is_due_when_the_last_words_must_have_come() -> None:
    ends = Ends()
    assert list(ends.due(1e12)) == []
    for pid in range(1100):
        ends.note(pid, "signal SIGKILL", "h")
    assert list(ends.due(ends.due_at - 0.01)) == []
    assert list(ends.due(1e12)) == [("h", pid) for pid in range(1100)]
    assert ends.due_at == float("inf")
    assert len(ends.how) == 1000
    assert ends.how["h", 1099] == "signal SIGKILL"
