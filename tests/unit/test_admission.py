"""Which strangers are met: by their number, and by how fast they come; nobody is forgotten for good."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.simulated.recorder import Recorder
from tests.unit.simulated.source import RUN, Numbers
from tests.unit.test_brokerage import Recorder as Transport
from zmqpipeline.delivery.admission import BURST, SAY_INTERVAL, Admission
from zmqpipeline.delivery.brokerage import Brokerage, Limits
from zmqpipeline.delivery.ledger import Ledger
from zmqpipeline.delivery.news import Fate
from zmqpipeline.delivery.ports import Options
from zmqpipeline.delivery.taskbook import TaskBook
from zmqpipeline.wire import envelope
from zmqpipeline.wire.envelope import Message


def name(number: int) -> bytes:
    return b"stranger %d" % number


# -- the bucket ---------------------------------------------------------------------


def test_as_many_come_at_once_as_a_burst_and_then_at_an_even_rate() -> None:
    admission: Admission[int] = Admission(most=1000, rate=10.0)
    came = [n for n in range(100) if admission.comes(name(n), n, 0, 50.0)]
    assert came == list(range(int(10 * BURST)))
    assert len(admission) == 100 - len(came)
    assert admission.due(0, 50.0) == []
    assert admission.due(0, 50.5) == [(name(n), n) for n in range(20, 25)]
    assert admission.due(0, 1000.0) == [(name(n), n) for n in range(25, 45)]  # no more than a burst
    assert admission.comes(name(25), 25, 20, 1000.0)  # it was called
    assert not admission.comes(name(25), 25, 20, 1000.0)
    assert not admission.comes(name(200), 200, 20, 2000.0)  # behind those that wait


def test_there_is_room_for_so_many_and_as_many_wait() -> None:
    admission: Admission[int] = Admission(most=3, rate=100.0)
    assert [admission.comes(name(n), n, min(n, 3), 0.0) for n in range(8)] == [True] * 3 + [False] * 5
    assert [name(n) in admission for n in range(8)] == [False] * 3 + [True] * 3 + [False] * 2
    assert admission.due(3, 1.0) == []
    assert admission.due(1, 1.0) == [(name(3), 3), (name(4), 4)]


def test_who_has_gone_waits_no_more_and_what_was_said_last_counts() -> None:
    admission: Admission[str] = Admission(most=1, rate=100.0)
    for address, said in ((name(1), "a"), (name(2), "b"), (name(1), "c")):
        assert not admission.comes(address, said, 1, 0.0)
    assert admission.due(0, 0.0) == [(name(1), "c")]
    admission.comes(name(3), "d", 1, 0.0)
    admission.forget(name(3))
    admission.forget(name(4))
    assert not len(admission)
    assert admission.due(0, 0.0) == []


def test_it_is_said_once_in_a_while_that_there_is_no_room() -> None:
    admission: Admission[int] = Admission(most=1, rate=100.0)
    assert not admission.is_crowded(1, 0.0)
    admission.comes(name(1), 1, 1, 0.0)
    assert not admission.is_crowded(0, 0.0)
    assert [admission.is_crowded(1, now) for now in (0.0, 1.0, SAY_INTERVAL, SAY_INTERVAL + 1)] == [
        True, False, True, False,
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 0.5)), max_size=200))
def test_nobody_who_comes_again_waits_for_ever(comings: list[tuple[int, float]]) -> None:
    admission: Admission[int] = Admission(most=31, rate=2.0)
    present: set[bytes] = set()
    wanted = {name(number) for number, _ in comings}
    now = 0.0
    for number, pause in comings:
        now += pause
        if name(number) not in present and admission.comes(name(number), number, len(present), now):
            present.add(name(number))
    while len(admission):
        now += 1.0
        for address, said in admission.due(len(present), now):
            assert admission.comes(address, said, len(present), now)
            present.add(address)
    assert present == wanted


# -- the workers of a distributor ------------------------------------------------------


class Case:
    """A book and what its strangers say."""

    def __init__(self, **options: Any) -> None:
        self.link = Recorder()
        self.book = TaskBook("t", Numbers(10), [], self.link, RUN, Ledger(envelope.cut), Options(**options))
        self.book.open({})
        self.now = 100.0

    def says(self, address: bytes, kind: str, run: str | None = None, **fields: Any) -> list[str]:
        self.book.receive(address, Message(kind, "t" if kind else "", run=run, **fields), self.now)
        return self.told(address)

    def told(self, address: bytes) -> list[str]:
        return [message.type for message in self.link.to(address)]

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.book.tick(self.now)


@pytest.mark.parametrize(("kind", "answer"), [("HELLO", ["WELCOME", "METADATA"]), ("", ["METADATA"])])
def test_who_comes_too_fast_is_greeted_later(kind: str, answer: list[str]) -> None:
    case = Case(max_hellos=2)
    told = [case.says(name(n), kind) for n in range(10)]
    assert told == [answer] * 4 + [[]] * 6
    assert len(case.book.peers) == 4
    assert case.book.roster.strays == 6
    assert case.says(name(9), kind) == []
    assert case.book.roster.strays == 6  # it is counted once
    case.tick(1.0)
    assert [case.told(name(n)) for n in range(4, 7)] == [answer, answer, []]
    case.tick(10.0)
    case.tick(10.0)
    assert [case.told(name(n))[: len(answer)] for n in range(6, 10)] == [answer] * 4


def test_workers_that_are_known_go_on_while_others_wait_for_room() -> None:
    case = Case(max_peers=2)
    told = [case.says(name(n), "HELLO") for n in range(3)]
    assert told == [["WELCOME", "METADATA"]] * 2 + [[]]
    case.says(name(0), "RDY", RUN, credit=3)
    case.book.hand_out(case.now)
    assert case.told(name(0)) == ["DATA"]
    assert case.says(name(1), "HELLO") == ["WELCOME", "METADATA"]  # it is known
    case.tick(1.0)
    (news,) = case.book.news
    assert news.fate is Fate.CROWDED
    assert str(news).startswith("there are 2 workers of t, and others wait")
    case.tick(1.0)
    assert len(case.book.news) == 1
    assert "WELCOME" not in case.told(name(2))
    case.says(name(1), "BYE", RUN)
    case.tick(1.0)
    assert case.told(name(2))[:2] == ["WELCOME", "METADATA"]


def test_who_has_left_while_it_waited_is_not_met() -> None:
    case = Case(max_peers=2)
    for number in range(4):
        case.says(name(number), "HELLO" if number < 3 else "")
    assert len(case.book.roster.admission) == 2
    case.says(name(2), "BYE")
    case.book.roster.voice_gone(name(3))
    case.says(name(0), "BYE", RUN)
    case.tick(1.0)
    assert list(case.book.peers) == [name(1)]


def test_one_in_lock_step_for_whom_there_is_not_even_room_to_wait_is_answered() -> None:
    case = Case(max_peers=1)
    told = [case.says(name(n), kind) for n, kind in enumerate(["HELLO", "HELLO", "", "RDY", "HELLO"])]
    assert told == [["WELCOME", "METADATA"], [], ["RESET"], ["RESET"], []]
    assert len(case.book.roster.admission) == 1


def test_a_worker_that_greets_all_the_time_is_answered_once_in_a_while() -> None:
    case = Case(max_hellos=2)
    told = [case.says(name(1), "HELLO") for _ in range(10)]
    assert told == [["WELCOME", "METADATA"]] * 5 + [[]] * 5
    assert case.book.roster.strays == 5
    case.tick(1.0)
    assert case.told(name(1))[:2] == ["WELCOME", "METADATA"]
    case.tick(1.0)
    assert "WELCOME" not in case.told(name(1))


def test_that_a_worker_takes_little_is_said_once_in_a_while() -> None:
    case = Case()
    for number in range(5):
        case.says(name(number), "HELLO", data={"max_message": number - 2})
    assert [news.fate for news in case.book.news] == [Fate.NARROW]
    case.now += SAY_INTERVAL
    case.says(name(6), "HELLO", data={"max_message": 1})
    assert [news.fate for news in case.book.news] == [Fate.NARROW] * 2


def test_who_waits_when_the_run_ends_is_told_so() -> None:
    case = Case(max_peers=1)
    for number, kind in enumerate(["HELLO", "HELLO"]):
        case.says(name(number), kind)
    case.book.end()
    assert case.told(name(1)) == ["WELCOME", "END"]
    assert case.says(name(2), "") == []
    case.book.end()
    assert case.told(name(2)) == ["END"]
    assert list(case.book.peers) == [name(0)]


def test_a_worker_cannot_say_more_of_itself_than_is_kept() -> None:
    case = Case(max_peers=1)
    told = {"pid": 1, "host": "h", "data": bytes(10**6), "text": "x" * 257, "list": [1], 5: 6}
    many = {f"n{number}": number for number in range(1000)}
    case.says(name(1), "HELLO", data={**told, **many})
    assert case.book.peers[name(1)].info == {"pid": 1, "host": "h"}
    case.says(name(2), "HELLO", data=told)
    ((_, greeting),) = case.book.roster.admission.due(0, case.now)
    assert greeting.data == {"pid": 1, "host": "h"}


def test_a_process_that_connects_again_is_found_however_many_have_gone() -> None:
    case = Case()
    for number in range(1000):
        case.says(name(number), "HELLO", data={"process": str(number)})
        if number != 7:
            case.says(name(number), "BYE", RUN)
    assert len(case.book.roster._processes) < 200
    case.says(b"again", "HELLO", data={"process": "7"})
    assert list(case.book.peers) == [b"again"]
    assert case.told(name(7)) == ["RESET"]
    (news,) = case.book.news
    assert news.fate is Fate.RECONNECTED
    case.says(b"again", "HELLO", data={"process": "7"})
    assert list(case.book.peers) == [b"again"]


def test_who_does_not_say_what_process_it_is_replaces_nobody() -> None:
    case = Case()
    for number in range(3):
        case.says(name(number), "HELLO")
    assert len(case.book.peers) == 3


# -- the workers of a service --------------------------------------------------------------


def test_a_service_has_so_many_workers_and_the_others_wait() -> None:
    transport = Transport()
    brokerage = Brokerage(transport, Limits(max_peers=2))
    for number in range(4):
        brokerage.ready(name(number), "t", 0.0)
    assert [worker.identity for worker in brokerage.workers] == [name(0), name(1)]
    assert brokerage.is_crowded(0.0)
    assert not brokerage.is_crowded(1.0)
    for number in range(3):
        brokerage.request(b"client", number, "t", b"body", 1.0)
    assert len(transport.worked) == 2
    brokerage.left(name(2), 1.0)
    brokerage.left(name(0), 1.0)
    brokerage.probe(2.0)
    assert {worker.identity for worker in brokerage.workers} == {name(1), name(3)}
    assert [worker for worker, _ in transport.worked][2:] == [name(3)]


def test_a_service_meets_so_many_workers_in_a_second() -> None:
    brokerage = Brokerage(Transport(), Limits(max_hellos=5))
    for number in range(30):
        brokerage.ready(name(number), "t", 0.0)
    assert len(brokerage.workers) == 10
    brokerage.probe(1.0)
    assert len(brokerage.workers) == 15
    for second in range(2, 10):
        brokerage.probe(float(second))
    assert len(brokerage.workers) == 30


def test_a_service_that_ends_lets_those_go_that_wait() -> None:
    transport = Transport()
    brokerage = Brokerage(transport, Limits(max_hellos=1))
    for number in range(4):
        brokerage.ready(name(number), "t", 0.0)
    brokerage.drain()
    assert sorted(transport.ended) == [name(number) for number in range(4)]
