"""What the distributor decides about one task type: a book, workers played by the test, no sockets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.simulated.recorder import Recorder
from tests.unit.simulated.source import RUN, Numbers
from zmqpipeline.delivery.batch import NOBODY
from zmqpipeline.delivery.handout import LOCKSTEP_LIMIT
from zmqpipeline.delivery.ledger import COLLECTOR, Ledger
from zmqpipeline.delivery.news import Fate
from zmqpipeline.delivery.ports import Options, Outcome
from zmqpipeline.delivery.roster import MAX_CREDIT
from zmqpipeline.delivery.taskbook import TaskBook
from zmqpipeline.wire import envelope
from zmqpipeline.wire.envelope import Message

A, B, C = b"a", b"b", b"c"
METADATA = {"some": "metadata"}


class Case:
    """A book, and the test's hands on both sides of it."""

    def __init__(
        self,
        total: int = 100,
        *,
        opened: bool = True,
        gated: bool = False,
        source: Numbers | None = None,
        **options: Any,
    ) -> None:
        self.source = source or Numbers(total, gated=gated)
        self.link = Recorder()
        self.options = Options(**options)
        self.ledger = Ledger(envelope.cut)
        self.book = TaskBook("t", self.source, [], self.link, RUN, self.ledger, self.options)
        self.now = 100.0
        if opened:
            self.book.open(METADATA)

    def says(self, address: bytes, kind: str, *, run: str | None = RUN, **fields: Any) -> list[Message]:
        """Have a worker say something; return what it is answered at once."""
        task = fields.pop("task", "" if kind == "" else "t")
        self.book.receive(address, Message(kind, task, run=run, **fields), self.now)
        return self.link.to(address)

    def join(self, address: bytes, credit: int) -> None:
        """Have a worker with credit say HELLO and RDY."""
        self.says(address, "HELLO", run=None)
        self.says(address, "RDY", credit=credit)

    def join_in_lockstep(self, address: bytes) -> None:
        """Have a lock-step worker ask for its first task."""
        assert kinds(self.says(address, "", run=None)) == ["METADATA"]
        assert self.says(address, "RDY", run=None) == []

    def hand_out(self) -> None:
        while self.book.hand_out(self.now):
            pass

    def given(self, address: bytes) -> list[Message]:
        """Hand out; return the batches that this worker gets."""
        self.hand_out()
        return [message for message in self.link.to(address) if message.type == "DATA"]

    def acknowledge(self, *ranges: tuple[int, int], count: int = 0, **fields: Any) -> int:
        ack = Message("ACK", "t", ids=list(ranges), count=count, **fields)
        return self.book.acknowledge(ack, self.now)

    def fail(self, address: bytes, message: Message, **error: Any) -> list[Message]:
        """Have a worker report the first task of a batch as failed."""
        task_id = message.ranges[0][0]
        error = {"type": "E", "text": "e", **error}
        return self.says(address, "FAIL", id=task_id, attempt=message.attempt, error=error)

    def beat(self, address: bytes, number: int, *held: tuple[int, int]) -> None:
        self.says(address, "HEARTBEAT", number=number, held=list(held))

    def tick(self, seconds: float = 0.0) -> list[bytes]:
        """Let time pass, while the collector gives signs of life; return who was found to be gone."""
        for second in range(int(seconds) + 1):
            self.book.overdue.heard(self.now + second)
        self.now += seconds
        self.book.overdue.heard(self.now)
        self.book.tick(self.now)
        return self.departed()

    def departed(self) -> list[bytes]:
        found = [news.peer.address for news in self.book.news if news.fate is not Fate.SILENT]
        self.book.news.clear()
        return found

    @property
    def strays(self) -> int:
        return self.book.roster.strays

    def complete(self) -> bool:
        return self.book.is_complete


def kinds(messages: list[Message]) -> list[str]:
    return [message.type for message in messages]


def ids(messages: list[Message]) -> list[int]:
    """List the ids of batches, and check that their data are those of the ids."""
    found = [
        n for message in messages for first, count in message.ranges for n in range(first, first + count)
    ]
    data = [item for m in messages for item in (m.data if m.ids is not None else [m.data])]
    assert data == [{"n": n} for n in found]
    return found


# -- the handshake of a worker with credit ---------------------------------------


def test_hello_is_answered_with_welcome_and_start() -> None:
    case = Case(max_message=1000, ping_interval=2.0)
    welcome, start = case.says(A, "HELLO", run=None, data={"pid": 1})
    assert (welcome.type, welcome.run, welcome.task) == ("WELCOME", RUN, "t")
    assert welcome.data == {"protocol": 1, "max_message": 1000, "heartbeat": 2.0}
    assert (start.type, start.run, start.data) == ("METADATA", RUN, METADATA)
    assert case.source.workers == [A]
    assert case.book.peers[A].info == {"pid": 1}


def test_start_waits_for_the_dependencies() -> None:
    case = Case(opened=False)
    assert kinds(case.says(A, "HELLO", run=None)) == ["WELCOME"]
    case.tick(5.0)
    case.link.to(A)
    case.book.open(METADATA)
    assert kinds(case.link.to(A)) == ["METADATA"]
    assert case.source.metadata == METADATA


def test_nothing_is_handed_out_before_it_is_asked_for() -> None:
    case = Case()
    case.says(A, "HELLO", run=None)
    assert case.given(A) == []


def test_a_batch_has_ids_number_attempt_and_the_tasks() -> None:
    case = Case(3)
    case.join(A, 1)
    (first,) = case.given(A)
    assert (first.run, first.task, first.ids, first.number, first.attempt) == (RUN, "t", [(0, 1)], 1, 1)
    assert first.data == [{"n": 0}]
    case.acknowledge((0, 1))
    (second,) = case.given(A)
    assert (second.ids, second.number) == ([(1, 1)], 2)


def test_a_worker_has_no_more_unacknowledged_tasks_than_its_credit() -> None:
    case = Case()
    case.join(A, 8)
    assert ids(case.given(A)) == list(range(8))
    assert case.given(A) == []
    case.acknowledge((0, 3))
    assert ids(case.given(A)) == [8, 9, 10]
    case.says(A, "RDY", credit=20)
    case.given(A)
    assert 15 <= case.ledger.holds(A) <= 20
    case.says(A, "RDY", credit=0)
    case.acknowledge((0, 20))
    assert case.given(A) == []


def test_absurd_credit_is_cut() -> None:
    case = Case(max_open=10 * MAX_CREDIT)
    case.source.total = 2 * MAX_CREDIT
    case.join(A, 2**52)
    case.hand_out()
    assert case.ledger.open_count == MAX_CREDIT


def test_workers_take_turns() -> None:
    case = Case(4)
    for address in (A, B):
        case.join(address, 4)
    case.hand_out()
    assert sorted(ids(case.link.to(A)) + ids(case.link.to(B))) == [0, 1, 2, 3]
    assert case.ledger.holds(A) == case.ledger.holds(B) == 2


def test_open_tasks_are_bounded_by_count_and_by_bytes() -> None:
    case = Case(max_open=5)
    case.join(A, 8)
    assert len(ids(case.given(A))) < 5 + 8
    assert case.given(A) == []
    case = Case(max_open_bytes=10)
    case.join(A, 2)
    assert len(ids(case.given(A))) == 1


def test_hello_again_starts_again() -> None:
    case = Case()
    case.join(A, 1)
    assert kinds(case.says(A, "HELLO", run=None)) == ["WELCOME", "METADATA"]


def test_welcome_is_sent_again_when_there_was_no_room() -> None:
    case = Case()
    case.link.outcomes[A] = Outcome.FULL
    assert case.says(A, "HELLO", run=None) == []
    del case.link.outcomes[A]
    case.tick(1.0)
    assert kinds(case.link.to(A))[:2] == ["WELCOME", "METADATA"]


def test_start_is_sent_again_when_there_was_no_room() -> None:
    case = Case(opened=False)
    case.says(A, "HELLO", run=None)
    case.link.outcomes[A] = Outcome.FULL
    case.book.open(METADATA)
    del case.link.outcomes[A]
    case.tick()
    assert kinds(case.link.to(A)) == ["METADATA"]


# -- workers in lock step --------------------------------------------------------


def test_a_lockstep_worker_that_begins_with_nothing_gets_the_metadata_then_a_task_for_each_ready() -> None:
    case = Case()
    (start,) = case.says(A, "", run=None)
    assert (start.type, start.run, start.data) == ("METADATA", RUN, METADATA)
    assert case.given(A) == []
    case.says(A, "RDY", run=None)
    (first,) = case.given(A)
    assert (first.id, first.ids, first.data, first.attempt) == (0, None, {"n": 0}, 1)
    assert case.given(A) == []
    case.says(A, "RDY", run=None)
    assert [message.id for message in case.given(A)] == [1]


def test_a_lockstep_worker_waits_for_the_dependencies() -> None:
    case = Case(opened=False)
    assert case.says(A, "", run=None) == []
    case.book.open(METADATA)
    assert kinds(case.link.to(A)) == ["METADATA"]


def test_a_lockstep_worker_may_begin_with_ready() -> None:
    case = Case(opened=False)
    assert case.says(A, "RDY", run=None) == []
    case.book.open(METADATA)
    assert ids(case.given(A)) == [0]


def test_a_lockstep_worker_is_told_the_end_when_it_asks_and_never_before() -> None:
    case = Case(1)
    case.join_in_lockstep(A)
    case.given(A)
    case.acknowledge((0, 1))
    case.book.end()
    assert case.link.to(A) == []
    (end,) = case.says(A, "RDY", run=None)
    assert (end.type, end.run) == ("END", RUN)
    assert not case.book.peers
    assert not case.book.news, "it did not get lost"


@pytest.mark.parametrize("kind", ["", "RDY"])
def test_a_late_lockstep_worker_gets_the_end_at_once(kind: str) -> None:
    case = Case(0)
    case.book.end()
    assert kinds(case.says(A, kind, run=None)) == ["END"]
    assert not case.book.peers


def test_a_lockstep_worker_may_say_fail_instead_of_ready() -> None:
    case = Case(2)
    case.join_in_lockstep(A)
    (first,) = case.given(A)
    assert case.fail(A, first) == []
    assert ids(case.given(A)) == [1]
    assert case.ledger.holds(NOBODY) == 1
    case.now += 10.0
    case.says(A, "RDY", run=None)
    (again,) = case.given(A)
    assert (again.id, again.attempt) == (0, 2)


def test_a_fail_of_a_lockstep_worker_asks_for_the_end_too() -> None:
    case = Case(1)
    case.join_in_lockstep(A)
    (first,) = case.given(A)
    case.book.end()
    case.fail(A, first)
    case.book.end()
    assert kinds(case.link.to(A)) == ["END"]


def test_a_lockstep_worker_whose_results_do_not_arrive_gets_no_more() -> None:
    case = Case()
    case.join_in_lockstep(A)
    got = 0
    while case.given(A):
        got += 1
        case.says(A, "RDY", run=None)
    assert got == LOCKSTEP_LIMIT
    case.acknowledge((0, 1))
    assert ids(case.given(A)) == [LOCKSTEP_LIMIT]


def test_what_a_lockstep_worker_has_finished_and_nobody_acknowledged_is_handed_out_again() -> None:
    case = Case(1, ack_timeout=10.0)
    case.join_in_lockstep(A)
    case.given(A)
    case.tick(100.0)
    assert case.ledger.holds(A) == 1, "it may take its time"
    case.says(A, "RDY", run=None)
    case.tick(9.0)
    assert case.given(A) == []
    case.tick(2.0)
    assert ids(case.given(A)) == [0]


def test_a_lockstep_worker_is_never_pinged() -> None:
    case = Case()
    case.join_in_lockstep(A)
    assert case.tick(100.0) == []
    case.book.probe()
    assert case.departed() == []
    assert case.link.to(A) == []


# -- strangers -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("RDY", {"credit": 5}),
        ("HEARTBEAT", {"number": 1, "held": [(0, 1)]}),
        ("FAIL", {"id": 0, "attempt": 1, "error": {}}),
        ("RETURN", {"number": 1, "ids": [(0, 1)], "credit": 0}),
        ("something new", {}),
    ],
)
@pytest.mark.parametrize("run", [RUN, "another run"])
def test_a_stranger_is_reset(kind: str, fields: dict[str, Any], run: str) -> None:
    case = Case()
    (reset,) = case.says(A, kind, run=run, **fields)
    assert (reset.type, reset.run) == ("RESET", RUN)
    assert not case.book.peers
    assert (case.strays, case.book.roster.late) == ((0, 1) if run == RUN else (1, 0))


def test_a_stranger_that_leaves_is_let_go() -> None:
    assert Case().says(A, "BYE") == []


def test_a_worker_that_leaves_may_be_overtaken_by_its_heartbeat() -> None:
    case = Case()
    case.join(A, 1)
    case.says(A, "BYE")
    assert case.says(B, "HEARTBEAT", worker=A.decode(), number=1, held=[]) == []
    assert (case.strays, case.book.roster.late) == (0, 1)


def test_a_stranger_of_another_task_type_is_not_met() -> None:
    case = Case()
    assert "HELLO" not in kinds(case.says(A, "HELLO", run=None, task="another"))
    assert not case.book.peers
    assert case.strays == 1


def test_messages_of_another_run_from_a_worker_that_is_known_are_dropped() -> None:
    case = Case()
    case.join(A, 0)
    assert case.says(A, "RDY", run="another run", credit=5) == []
    assert case.given(A) == []
    assert case.strays == 1


def test_what_makes_no_sense_is_counted() -> None:
    case = Case()
    case.join(A, 0)
    assert case.says(A, "something new") == []
    assert case.strays == 1


def test_hostile_numbers_do_no_harm() -> None:
    case = Case()
    case.join(A, 2)
    case.given(A)
    huge = 2**53 - 1
    for kind in ("RETURN", "HEARTBEAT"):
        case.says(A, kind, number=huge, ids=[(huge, huge), (0, huge)], held=[(0, huge), (huge, huge)])
    case.says(A, "FAIL", id=huge, attempt=huge)
    case.says(A, "FAIL")
    case.says(A, "HEARTBEAT")
    case.acknowledge((huge, huge))
    assert case.ledger.open_count == 2


# -- peers without room, peers that are gone ------------------------------------------


def test_a_full_worker_keeps_nobody_waiting() -> None:
    case = Case(2)
    case.join(A, 2)
    case.link.outcomes[A] = Outcome.FULL
    assert case.given(A) == []
    case.join(B, 4)
    batches = case.given(B)
    assert sorted(ids(batches)) == [0, 1]
    assert {message.attempt for message in batches} == {1}, "what was not sent was no attempt"
    assert case.book.handout.redelivered == 0
    del case.link.outcomes[A]
    case.acknowledge((0, 2))
    case.says(B, "BYE")
    case.source.total = 3
    (message,) = case.given(A)
    assert message.number == 1


def test_a_worker_that_cannot_be_reached_is_lost_with_all_that_it_had() -> None:
    case = Case(10)
    case.join(A, 8)
    assert len(ids(case.given(A))) == 8
    case.acknowledge((0, 5))
    case.link.outcomes[A] = Outcome.GONE
    case.hand_out()
    assert A not in case.book.peers
    (departure,) = case.book.news
    assert (departure.task, departure.peer.address, departure.count) == ("t", A, 3)
    case.join(B, 10)
    # any of the three may have killed the worker: half of them first, and nothing else with them
    batches = case.given(B)
    assert ids(batches) == [5, 6]
    case.acknowledge((5, 2))
    batches += case.given(B)
    assert ids(batches) == [5, 6, 7]
    case.acknowledge((7, 1))
    batches += case.given(B)
    assert ids(batches) == [5, 6, 7, 8, 9]
    assert {n: m.attempt for m in batches for n in ids([m])} == {5: 2, 6: 2, 7: 2, 8: 1, 9: 1}


def test_a_result_may_arrive_after_its_worker_was_lost() -> None:
    case = Case(2)
    case.join(A, 2)
    case.given(A)
    assert case.book.lost(A) == 2
    case.acknowledge((0, 1))
    case.join(B, 2)
    assert ids(case.given(B)) == [1]
    assert case.acknowledge((0, 2)) == 1
    assert case.complete()


def test_silent_workers_are_pinged_and_those_that_are_gone_are_named() -> None:
    case = Case(ping_interval=1.0)
    for address in (A, B, C):
        case.join(address, 0)
    case.link.outcomes |= {A: Outcome.GONE, B: Outcome.FULL}
    assert case.tick(0.5) == []
    assert case.link.to(C) == []
    assert case.tick(0.6) == [A]
    (ping,) = case.link.to(C)
    assert (ping.type, ping.run) == ("HEARTBEAT", RUN)
    case.tick(0.6)
    assert case.link.to(C) == [], "it was pinged a short while ago"
    case.says(C, "HEARTBEAT", number=0, held=[])
    case.tick(0.6)
    assert case.link.to(C) == [], "it was heard a short while ago"


def test_a_worker_whose_heartbeat_lost_its_connection_and_that_is_silent_is_lost() -> None:
    case = Case(10)
    case.join(A, 4)
    case.join(B, 4)
    case.hand_out()
    for voice, worker in ((b"voice of a", "a"), (b"voice of b", "b")):
        case.says(voice, "HEARTBEAT", worker=worker, number=0, held=[])
    case.book.roster.voice_gone(b"voice of a")
    case.book.roster.voice_gone(b"voice of nobody")
    assert [case.tick(1), case.tick(1), case.tick(1)] == [[], [], [A]]
    assert case.ledger.holds(A) == 0
    assert case.ledger.holds(B) > 0


def test_a_worker_whose_heartbeat_lost_its_connection_and_that_speaks_is_there() -> None:
    case = Case(10)
    case.join(A, 4)
    case.says(b"voice", "HEARTBEAT", worker="a", number=0, held=[])
    case.book.roster.voice_gone(b"voice")
    assert [case.tick(1), case.tick(1)] == [[], []]
    case.says(b"voice", "HEARTBEAT", worker="a", number=0, held=[])
    assert [case.tick(1) for _ in range(5)] == [[]] * 5


def test_a_probe_asks_everybody_at_once() -> None:
    case = Case()
    for address in (A, B):
        case.join(address, 0)
    case.link.outcomes[B] = Outcome.GONE
    case.book.probe()
    assert case.departed() == [B]


# -- failures -----------------------------------------------------------------------


def test_a_failed_task_is_tried_again_with_growing_delays_on_another_worker() -> None:
    case = Case(1)
    case.source.retry_delay, case.source.max_attempts = 1.0, 4
    case.join(A, 1)
    (message,) = case.given(A)
    case.join(B, 1)
    holder, other = A, B
    for attempt, delay in ((1, 1.0), (2, 2.0), (3, 4.0)):
        assert message.attempt == attempt
        case.fail(holder, message)
        case.now += delay - 0.01
        assert case.given(other) == []
        assert case.book.wake_at(case.now) == pytest.approx(case.now + 0.01)
        case.now += 0.01
        (message,) = case.given(other)
        assert case.link.to(holder) == []
        holder, other = other, holder
    case.fail(holder, message)
    assert case.ledger.holds(COLLECTOR) == 1


def test_delays_are_spread() -> None:
    case = Case(1, jitter=lambda: 1.5)
    case.source.retry_delay = 2.0
    case.join(A, 1)
    case.fail(A, case.given(A)[0])
    assert case.ledger.next_due(case.now) == case.now + 3.0


def test_a_worker_that_is_alone_gets_what_failed_on_it() -> None:
    case = Case(1)
    case.join(A, 1)
    case.fail(A, case.given(A)[0])
    case.now += 10.0
    assert ids(case.given(A)) == [0]


def test_a_worker_that_asks_for_nothing_is_no_other_worker() -> None:
    case = Case(1)
    case.join(A, 1)
    case.join(B, 0)  # it drains, or prepares itself for long
    case.fail(A, case.given(A)[0])
    case.now += 10.0
    assert ids(case.given(A)) == [0]


def test_the_rest_of_a_batch_goes_on_when_one_of_it_fails() -> None:
    case = Case(4)
    case.join(A, 4)
    case.given(A)
    case.says(A, "FAIL", id=1, attempt=1, error={"type": "E"})
    assert case.ledger.holds(A) == 3
    case.acknowledge((0, 1), (2, 2))
    assert case.ledger.open_count == 1


def test_a_task_that_fails_for_good_is_reported_to_the_collector_until_it_is_acknowledged() -> None:
    case = Case(1, ack_timeout=5.0)
    case.source.retry_delay = 0.0
    case.join(A, 1)
    for _ in range(3):
        (message,) = case.given(A)
        case.fail(A, message, traceback="tb")
    assert case.given(A) == []
    case.link.room = False
    case.book.report_failures()
    case.link.room = True
    case.book.report_failures()
    case.book.report_failures()
    (report,) = case.link.told()
    assert (report.type, report.task, report.run, report.id) == ("FAIL", "t", RUN, 0)
    assert report.data == {"n": 0}
    assert report.error == {"type": "E", "text": "e", "traceback": "tb"}
    # the report may be lost
    case.tick(4.0)
    case.book.report_failures()
    assert case.link.told() == []
    case.tick(2.0)
    case.book.report_failures()
    assert kinds(case.link.told()) == ["FAIL"]
    case.book.collector_restarted(case.now)
    case.book.report_failures()
    assert kinds(case.link.told()) == ["FAIL"]
    assert not case.complete()
    assert case.acknowledge((0, 1), failed=[(0, 1)]) == 1
    assert case.source.acknowledgements == [(1, 0, None, True)]
    assert case.complete()
    assert case.book.failed == 1


def test_a_report_says_at_which_attempt_the_task_failed() -> None:
    case = Case(1)
    case.join(A, 1)
    case.fail(A, case.given(A)[0], retry=False)
    case.book.report_failures()
    (report,) = case.link.told()
    assert report.attempt == 1


def test_a_task_whose_result_overtakes_its_failure_has_not_failed() -> None:
    case = Case(1)
    case.join(A, 1)
    case.given(A)
    case.book.lost(A)  # its result is under way
    case.join(B, 1)
    case.fail(B, case.given(B)[0], retry=False)
    case.acknowledge((0, 1))
    assert case.complete()
    assert case.book.failed == 0


def test_a_failure_that_no_attempt_would_change_is_final() -> None:
    case = Case(1)
    case.join(A, 1)
    case.fail(A, case.given(A)[0], retry=False)
    assert case.ledger.holds(COLLECTOR) == 1


def test_old_news_of_failures_are_ignored() -> None:
    case = Case(1)
    case.source.retry_delay = 0.0
    case.join(A, 1)
    (first,) = case.given(A)
    case.book.lost(A)
    case.join(A, 1)
    case.join(B, 0)
    (second,) = case.given(A)
    assert second.attempt == 2
    case.fail(A, first)  # an attempt that is over
    case.fail(B, second)  # somebody else
    case.says(A, "FAIL", id=7, attempt=1)  # never handed out
    assert case.ledger.holds(A) == 1
    case.acknowledge((0, 1))
    case.fail(A, second)  # acknowledged meanwhile
    assert case.complete()
    assert case.book.failed == 0


# -- giving back and leaving ---------------------------------------------------------------


def test_what_is_given_back_goes_to_another_worker_and_is_no_failure() -> None:
    case = Case(4)
    case.join(A, 4)
    case.given(A)
    case.says(A, "RETURN", number=4, ids=[(2, 2)], credit=0)
    assert case.ledger.holds(A) == 2
    assert case.given(A) == []
    case.join(B, 4)
    given = case.given(B)
    assert ids(given) == [2, 3]
    assert {message.attempt for message in given} == {1}, "nobody has begun them"
    assert case.book.handout.redelivered == 0
    case.book.lost(A)
    case.acknowledge((2, 2))
    (again, *_) = case.given(B)
    assert (ids([again])[0], again.attempt) == (0, 2), "it may have been begun"
    assert case.book.handout.redelivered > 0


def test_a_batch_that_a_worker_never_took_was_no_attempt() -> None:
    case = Case(2)
    case.join(A, 2)
    (*_, last) = case.given(A)
    case.says(A, "RETURN", number=0, ids=[], credit=0, order=(last.order or 0) + 1)
    assert case.ledger.holds(NOBODY) == 2
    case.join(B, 2)
    given = case.given(B)
    assert {message.attempt for message in given} == {1}
    assert case.fail(B, given[0]) == []
    assert case.ledger.holds(NOBODY) == 1, "its failure is known by its attempt"


def test_a_batch_that_crosses_a_return_is_not_meant_by_it() -> None:
    case = Case(2)
    case.join(A, 1)
    case.given(A)
    case.says(A, "RETURN", number=0, ids=[(0, 1)], credit=1)
    assert case.ledger.holds(A) == 1


def test_what_is_given_back_is_compared_with_each_batch_only_where_it_lies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A message may list 250 000 ranges, and a worker may have as many batches as it has asked for."""
    case = Case()
    case.join(A, 20)
    _, last = case.given(A)
    assert last.ids == [(10, 10)]
    compared: list[tuple[int, int]] = []
    take_back = case.ledger.take_back

    def noting(batch: Any, ranges: Any = None) -> Any:
        compared.extend(ranges)
        return take_back(batch, ranges)

    monkeypatch.setattr(case.ledger, "take_back", noting)
    nobodys = [(1000 + 2 * number, 1) for number in range(500)]
    case.says(A, "RETURN", number=last.number, ids=[*nobodys, (3, 1), (9, 2), (1, 1), (2, 1), (3, 1)])
    assert compared == [(1, 3), (9, 1), (10, 1)]
    assert case.ledger.holds(NOBODY) == 5


def test_goodbye_gives_back_what_is_not_finished_and_waits_for_the_rest() -> None:
    case = Case(4, ack_timeout=10.0)
    case.join(A, 4)
    number = case.given(A)[-1].number or 0
    case.beat(A, number, (1, 1), (3, 1))
    case.says(A, "BYE")
    assert A not in case.book.peers
    assert not case.book.news
    case.join(B, 4)
    assert sorted(ids(case.given(B))) == [1, 3]
    case.acknowledge((0, 1))
    case.tick(11.0)
    case.beat(B, 1, (1, 1), (3, 1))
    assert ids(case.given(B)) == [2]


def test_end_is_told_once_and_late_comers_hear_it_at_once() -> None:
    case = Case(0)
    case.join(A, 1)
    case.link.outcomes[A] = Outcome.FULL
    case.book.end()
    del case.link.outcomes[A]
    case.book.end()
    case.book.end()
    assert kinds(case.link.to(A)) == ["END"]
    assert kinds(case.says(B, "HELLO", run=None)) == ["WELCOME", "END"]
    case.says(A, "BYE")
    case.link.outcomes[B] = Outcome.GONE
    case.book.probe()
    assert not case.book.peers
    assert case.departed() == [], "who was told the end is expected to go"


def test_what_crossed_a_return_comes_back_even_if_the_next_credit_overtakes_it() -> None:
    case = Case(20)
    case.join(A, 1)
    case.says(A, "RDY", credit=8, order=1)
    first, *under_way = case.given(A)
    assert len(ids(under_way)) == 4
    # the worker's heartbeat gives everything back; by its other connection it asks again, and is faster
    case.says(A, "RDY", credit=2, order=3)
    case.acknowledge(*first.ranges)
    case.says(A, "RETURN", credit=0, order=2, number=first.number, ids=[])
    assert case.ledger.holds(NOBODY) == 4
    again = ids(case.given(A))
    assert again == ids(under_way)[:2]
    # what was sent for the credit behind it is the worker's
    case.says(A, "RETURN", credit=0, order=2, number=first.number, ids=[])
    assert case.ledger.holds(A) == 2


# -- finished, but not acknowledged ----------------------------------------------------------


def test_what_is_finished_and_not_acknowledged_in_time_is_handed_out_again() -> None:
    case = Case(4, ack_timeout=10.0)
    case.join(A, 4)
    number = case.given(A)[-1].number or 0
    case.beat(A, number, (2, 2))
    case.acknowledge((0, 1))
    case.tick(9.9)
    assert case.ledger.holds(A) == 3
    case.tick(0.2)
    assert case.ledger.holds(NOBODY) == 1
    assert case.ledger.holds(A) == 2, "what runs is left alone, however long it takes"
    case.beat(A, number, (2, 2))
    assert ids(case.given(A)) == [1]


def test_patience_begins_with_the_first_heartbeat_that_says_so() -> None:
    case = Case(1, ack_timeout=10.0)
    case.join(A, 1)
    case.given(A)
    for _ in range(11):
        case.beat(A, 1)
        case.tick(1.0)
    assert case.ledger.holds(NOBODY) == 1


def test_a_heartbeat_says_nothing_about_batches_that_it_crossed() -> None:
    case = Case(1, ack_timeout=10.0)
    case.join(A, 1)
    case.given(A)
    case.beat(A, 0)
    case.tick(11.0)
    assert case.ledger.holds(A) == 1


def test_a_new_collector_gets_again_what_the_old_one_did_not_acknowledge() -> None:
    case = Case(6, ack_timeout=10.0, ping_interval=1.0)
    case.join(A, 6)
    number = case.given(A)[-1].number or 0
    case.beat(A, number, (2, 4))
    case.acknowledge((0, 1))
    case.now += 1.0
    case.book.collector_restarted(case.now)
    assert case.ledger.holds(NOBODY) == 1
    # what was finished by then is known soon: the worker's next heartbeat tells
    case.beat(A, number, (4, 2))
    case.tick(1.1)
    assert case.ledger.holds(NOBODY) == 3
    assert sorted(ids(case.given(A))) == [1, 2, 3]


# -- tasks that are asked ------------------------------------------------------------------------


def test_a_gated_task_runs_strictly_one_at_a_time() -> None:
    case = Case(3, gated=True, ask_interval=0.05)
    case.join(A, 8)
    case.join_in_lockstep(B)
    for number in range(3):
        case.hand_out()
        assert case.ledger.open_count == 1
        case.hand_out()
        case.now += 1.0
        case.hand_out()
        assert case.ledger.open_count == 1
        case.acknowledge((number, 1), count=number)
        # the ACK comes again, or the result does: that is no news
        case.acknowledge((number, 1), count=number + 1)
    assert case.source.acked == 3
    assert case.complete()


def test_a_gated_task_is_asked_again_after_a_while() -> None:
    case = Case(1, gated=True, ask_interval=0.05)
    case.source.made, case.source.total = 1, 2  # it waits for something else
    case.join(A, 1)
    assert case.given(A) == []
    assert case.book.wake_at(case.now) == pytest.approx(case.now + 0.05)
    case.source.acknowledged(1, 0, None, failed=False)
    case.now += 0.04
    assert case.given(A) == []
    case.now += 0.02
    case.hand_out()
    assert case.source.exhausted


def test_a_gated_task_hears_each_acknowledgement_in_order() -> None:
    case = Case(4, gated=True)
    case.source.available = lambda: True  # type: ignore[method-assign]
    case.join(A, 4)
    case.hand_out()
    feedback = [{"a": 1}, None, {"b": 2}]
    case.acknowledge((0, 1), (2, 2), count=10, data=feedback, failed=[(3, 1)])
    case.acknowledge((1, 1), count=13)
    assert case.source.acknowledgements == [
        (1, 10, [{"a": 1}], False),
        (1, 11, None, False),
        (1, 12, [{"b": 2}], True),
        (1, 13, None, False),
    ]
    assert case.complete()


def test_a_task_hears_of_as_many_acknowledgements_as_it_handed_out() -> None:
    for gated in (False, True):
        case = Case(3, gated=gated)
        case.source.available = lambda: True  # type: ignore[method-assign]
        case.join(A, 3)
        case.hand_out()
        assert case.acknowledge((0, 2)) == 2
        assert case.acknowledge((0, 2)) == 0
        assert case.acknowledge((0, 100_000)) == 1
        assert case.source.acked == 3


# -- the whole ---------------------------------------------------------------------------------


def test_it_is_complete_when_everything_was_handed_out_and_acknowledged() -> None:
    case = Case(2)
    assert not case.complete()
    case.join(A, 2)
    case.given(A)
    assert not case.complete()
    case.acknowledge((0, 2))
    assert case.complete()


def test_it_wakes_for_the_next_ping() -> None:
    assert Case(ping_interval=3.0).book.wake_at(10.0) == 13.0
