"""The broker's decisions, without sockets: events go in, and what would be sent is recorded."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from zmqpipeline.delivery.brokerage import Brokerage, Limits, Refusal, Request
from zmqpipeline.delivery.ports import Outcome

A, B, C, D = b"a", b"b", b"c", b"d"
ME, YOU = b"me", b"you"


class Recorder:
    """A transport that writes down what it is given; peers in ``gone`` and ``full`` are not reached."""

    def __init__(self) -> None:
        self.gone: set[bytes] = set()
        self.full: set[bytes] = set()
        self.worked: list[tuple[bytes, int]] = []
        self.answers: list[tuple[bytes, int | None, bytes]] = []
        self.refusals: list[tuple[bytes, int | None, Refusal]] = []
        self.ended: list[bytes] = []
        self.probed: list[bytes] = []

    def _outcome(self, peer: bytes) -> Outcome:
        if peer in self.gone:
            return Outcome.GONE
        return Outcome.FULL if peer in self.full else Outcome.SENT

    def work(self, worker: bytes, request: Request) -> Outcome:
        outcome = self._outcome(worker)
        if outcome is Outcome.SENT:
            self.worked.append((worker, request.number))
        return outcome

    def end(self, worker: bytes) -> Outcome:
        self.ended.append(worker)
        return self._outcome(worker)

    def probe_worker(self, worker: bytes) -> Outcome:
        self.probed.append(worker)
        return self._outcome(worker)

    probe_client = probe_worker

    def answer(self, request: Request, answer: bytes) -> Outcome:
        self.answers.append((request.client, request.id, answer))
        return self._outcome(request.client)

    def refuse(self, request: Request, why: Refusal) -> Outcome:
        self.refusals.append((request.client, request.id, why))
        return self._outcome(request.client)


def make(**limits: Any) -> tuple[Brokerage, Recorder]:
    sent = Recorder()
    return Brokerage(sent, Limits(**limits)), sent


def is_empty(broker: Brokerage) -> bool:
    return broker.settled and not broker.open_bytes and not broker._clients and not broker._desks


def test_request_goes_to_a_worker_of_its_type_and_the_answer_to_its_client() -> None:
    broker, sent = make()
    broker.ready(A, "other", 0)
    broker.ready(B, "t", 0)
    broker.request(ME, 7, "t", b"body", 0)
    assert sent.worked == [(B, 1)]
    broker.answered(B, b"answer", 1)
    assert sent.answers == [(ME, 7, b"answer")]
    assert broker.settled
    assert broker.open_bytes == 0


def test_requests_wait_in_order_for_a_worker() -> None:
    broker, sent = make()
    for number in range(3):
        broker.request(ME, number, "t", b"", 0)
    broker.ready(A, "t", 1)
    for _ in range(3):
        broker.answered(A, b"", 2)
    assert [number for _, number in sent.worked] == [1, 2, 3]
    assert [number for _, number, _ in sent.answers] == [0, 1, 2]


def test_the_most_recently_freed_worker_is_first() -> None:
    broker, sent = make()
    for worker in (A, B, C):
        broker.ready(worker, "t", 0)
    for number in range(3):
        broker.request(ME, number, "t", b"", 0)
    assert [worker for worker, _ in sent.worked] == [C, B, A]
    broker.answered(C, b"", 1)
    broker.answered(A, b"", 1)
    broker.request(ME, 3, "t", b"", 1)
    assert sent.worked[-1][0] == A


def test_a_busy_worker_gets_nothing() -> None:
    broker, sent = make()
    broker.ready(A, "t", 0)
    broker.request(ME, 1, "t", b"", 0)
    broker.request(ME, 2, "t", b"", 0)
    assert sent.worked == [(A, 1)]


def test_ready_twice_changes_nothing() -> None:
    broker, sent = make()
    broker.ready(A, "t", 0)
    broker.ready(A, "t", 1)
    broker.request(ME, 1, "t", b"", 1)
    broker.request(ME, 2, "t", b"", 1)
    assert sent.worked == [(A, 1)]


def test_a_worker_may_change_its_type() -> None:
    broker, sent = make()
    broker.ready(A, "t", 0)
    broker.ready(A, "u", 0)
    broker.request(ME, 1, "t", b"", 0)
    assert sent.worked == []
    broker.request(ME, 2, "u", b"", 0)
    assert sent.worked == [(A, 2)]


def test_no_worker_in_time() -> None:
    broker, sent = make(worker_timeout=30)
    broker.request(ME, 1, "never seen", b"", 0)
    broker.ready(A, "t", 1)
    broker.request(ME, 2, "t", b"", 1)
    broker.request(ME, 3, "t", b"", 2)
    assert broker.expire(29.9) == 30
    assert sent.refusals == []
    assert broker.expire(30) == 32
    assert broker.expire(32) is None
    assert sent.refusals == [(ME, 1, Refusal.UNKNOWN_TASK), (ME, 3, Refusal.NO_WORKER)]
    assert broker.open_count == 1  # what runs may take as long as it likes


def test_a_type_is_known_after_its_worker_has_gone() -> None:
    broker, sent = make(worker_timeout=30)
    broker.ready(A, "t", 0)
    broker.left(A, 1)
    broker.request(ME, 1, "t", b"", 1)
    broker.expire(31)
    assert sent.refusals == [(ME, 1, Refusal.NO_WORKER)]


def test_an_idle_worker_that_is_gone_costs_no_try() -> None:
    broker, sent = make(max_tries=1)
    sent.gone = {B, C}
    for worker in (A, B, C):
        broker.ready(worker, "t", 0)
    broker.request(ME, 1, "t", b"", 0)
    assert sent.worked == [(A, 1)]
    assert [worker.identity for worker in broker.workers] == [A]


def test_an_idle_worker_without_room_is_kept_for_later() -> None:
    broker, sent = make()
    sent.full = {A}
    broker.ready(A, "t", 0)
    broker.request(ME, 1, "t", b"", 0)
    assert sent.worked == []
    sent.full = set()
    broker.probe(1)
    assert sent.worked == [(A, 1)]


def test_workers_without_room_keep_their_order() -> None:
    broker, sent = make()
    sent.full = {B, C}
    for worker in (A, B, C):
        broker.ready(worker, "t", 0)
    broker.request(ME, 1, "t", b"", 0)
    sent.full = set()
    broker.request(ME, 2, "t", b"", 0)
    assert sent.worked == [(A, 1), (C, 2)]


def test_a_lost_workers_request_goes_first_to_the_next() -> None:
    broker, sent = make()
    broker.ready(A, "t", 0)
    broker.request(ME, 1, "t", b"", 0)
    broker.request(ME, 2, "t", b"", 0)
    sent.gone = {A}
    broker.probe(1)
    assert len(broker.workers) == 1  # what it had sent before it went may not be read yet
    broker.probe(2)
    assert broker.workers == []
    broker.ready(B, "t", 3)
    broker.answered(B, b"", 4)
    assert sent.worked == [(A, 1), (B, 1), (B, 2)]


def test_what_a_lost_worker_had_sent_before_still_counts() -> None:
    broker, sent = make()
    broker.ready(A, "t", 0)
    broker.request(ME, 1, "t", b"", 0)
    sent.gone = {A}
    broker.probe(1)
    broker.answered(A, b"last words", 1.5)
    broker.probe(2)
    assert sent.answers == [(ME, 1, b"last words")]
    assert broker.workers == []
    assert is_empty(broker)


def test_a_probe_that_has_no_room_is_no_death() -> None:
    broker, sent = make()
    broker.ready(A, "t", 0)
    broker.request(ME, 1, "t", b"", 0)
    sent.full = {A, ME}
    for now in range(1, 1000):
        broker.probe(now)
    assert [worker.identity for worker in broker.workers] == [A]
    assert not broker.settled


def test_probes_keep_their_interval() -> None:
    broker, sent = make(probe_interval=1)
    broker.ready(A, "t", 0)
    assert broker.probe(10) == 11
    assert broker.probe(10.5) == 11
    assert sent.probed == [A]
    assert broker.probe(11) == 12
    assert sent.probed == [A, A]


def test_a_request_is_tried_on_three_workers() -> None:
    broker, sent = make(max_tries=3)
    broker.request(ME, 1, "t", b"", 0)
    for worker in (A, B, C, D):
        broker.ready(worker, "t", 0)
        sent.gone.add(worker)
        broker._next_probe = 0
        broker.probe(1)
        broker._next_probe = 0
        broker.probe(1)
    assert sent.worked == [(A, 1), (B, 1), (C, 1)]
    assert sent.refusals == [(ME, 1, Refusal.WORKER_LOST)]


def test_a_worker_that_says_ready_while_busy_has_lost_its_request() -> None:
    broker, sent = make(max_tries=2)
    broker.request(ME, 1, "t", b"", 0)
    for _ in range(3):
        broker.ready(A, "t", 0)
    assert sent.worked == [(A, 1), (A, 1)]
    assert sent.refusals == [(ME, 1, Refusal.WORKER_LOST)]


def test_a_request_that_is_given_back_costs_no_try() -> None:
    broker, sent = make(max_tries=1)
    broker.request(ME, 1, "t", b"", 0)
    broker.request(ME, 2, "t", b"", 0)
    for worker in (A, B, C):
        broker.ready(worker, "t", 0)
        broker.left(worker, 0)
    broker.ready(D, "t", 0)
    broker.answered(D, b"", 0)
    assert sent.worked == [(A, 1), (B, 1), (C, 1), (D, 1), (D, 2)]
    assert sent.refusals == []


def test_a_lost_request_has_the_full_time_for_another_worker() -> None:
    broker, sent = make(worker_timeout=30)
    broker.ready(A, "t", 0)
    broker.request(ME, 1, "t", b"", 0)
    broker.left(A, 100)
    assert broker.expire(100) == 130
    broker.request(ME, 2, "t", b"", 110)
    assert broker.expire(130) == 140
    assert sent.refusals == [(ME, 1, Refusal.NO_WORKER)]


def test_a_cancelled_request_is_not_given_out() -> None:
    broker, sent = make()
    for number in (1, 2, 3):
        broker.request(ME, number, "t", b"x", 0)
    broker.cancel(ME, 2)
    broker.ready(A, "t", 0)
    broker.answered(A, b"", 0)
    assert [number for _, number in sent.worked] == [1, 3]
    broker.cancel(ME)
    assert broker.settled


def test_the_answer_to_a_cancelled_request_is_dropped_and_its_worker_free() -> None:
    broker, sent = make()
    broker.ready(A, "t", 0)
    broker.request(ME, 1, "t", b"", 0)
    broker.cancel(ME, 1)
    broker.request(YOU, 2, "t", b"", 0)
    assert sent.worked == [(A, 1)]
    broker.answered(A, b"late", 1)
    assert sent.answers == []
    assert sent.worked[-1] == (A, 2)


def test_a_cancelled_request_is_not_tried_again() -> None:
    broker, sent = make()
    broker.ready(A, "t", 0)
    broker.request(ME, 1, "t", b"", 0)
    broker.cancel(ME)
    broker.left(A, 1)
    broker.ready(B, "t", 1)
    assert sent.worked == [(A, 1)]
    assert broker.settled


def test_a_client_that_is_gone_wants_nothing_any_more() -> None:
    broker, sent = make()
    broker.ready(A, "t", 0)
    for number in range(3):
        broker.request(ME, number, "t", b"", 0)
    sent.gone = {ME}
    broker.probe(1)
    broker.answered(A, b"", 2)
    assert sent.answers == []
    assert broker.settled


def test_a_client_that_is_gone_when_it_is_answered_wants_nothing_any_more() -> None:
    broker, sent = make()
    broker.ready(A, "t", 0)
    for number in range(3):
        broker.request(ME, number, "t", b"", 0)
    sent.gone = {ME}
    broker.answered(A, b"", 1)
    assert broker.settled
    assert sent.worked == [(A, 1)]


def test_an_answer_of_nobody_is_dropped() -> None:
    broker, sent = make()
    broker.answered(A, b"", 0)
    broker.ready(A, "t", 0)
    broker.answered(A, b"", 0)
    assert sent.answers == []
    assert broker.running(A) is None
    assert broker.running(B) is None


def test_a_client_may_have_so_many_requests() -> None:
    broker, sent = make(max_client_requests=2)
    for number in range(3):
        broker.request(ME, number, "t", b"", 0)
    broker.request(YOU, 0, "t", b"", 0)
    assert sent.refusals == [(ME, 2, Refusal.CLIENT_FULL)]
    assert broker.open_count == 3


@pytest.mark.parametrize("limits", [{"max_requests": 2}, {"max_bytes": 20}])
def test_all_clients_may_have_so_many_requests(limits: dict[str, Any]) -> None:
    broker, sent = make(**limits)
    for client in (A, B, C):
        broker.request(client, 1, "t", b"0123456789", 0)
    assert sent.refusals == [(C, 1, Refusal.FULL)]
    broker.cancel(A)
    broker.request(C, 2, "t", b"0123456789", 0)
    assert len(sent.refusals) == 1


def test_drain_refuses_what_waits_and_answers_what_runs() -> None:
    broker, sent = make()
    broker.ready(A, "t", 0)
    broker.ready(B, "u", 0)
    broker.request(ME, 1, "t", b"", 0)
    broker.request(ME, 2, "t", b"", 0)
    broker.drain()
    assert sent.refusals == [(ME, 2, Refusal.STOPPED)]
    assert sent.ended == [B]
    assert not broker.settled
    broker.request(YOU, 3, "t", b"", 0)
    assert sent.refusals[-1] == (YOU, 3, Refusal.STOPPED)
    broker.ready(C, "t", 0)
    assert sent.ended == [B, C]
    broker.answered(A, b"done", 1)
    assert sent.answers == [(ME, 1, b"done")]
    assert sent.ended == [B, C, A]
    assert is_empty(broker)


def test_a_worker_lost_while_draining_is_told_to_its_client() -> None:
    broker, sent = make()
    broker.ready(A, "t", 0)
    broker.request(ME, 1, "t", b"", 0)
    broker.drain()
    broker.left(A, 1)
    assert sent.refusals == [(ME, 1, Refusal.STOPPED)]
    assert broker.settled


def test_finish_refuses_what_runs_and_ends_the_busy() -> None:
    broker, sent = make()
    broker.ready(A, "t", 0)
    broker.request(ME, 1, "t", b"", 0)
    broker.drain()
    broker.finish()
    assert sent.refusals == [(ME, 1, Refusal.STOPPED)]
    assert sent.ended == [A]
    assert is_empty(broker)


def test_junk_types_do_not_fill_the_memory() -> None:
    broker, _ = make()
    for number in range(20_000):
        broker.ready(A, f"type {number}", 0)
    assert len(broker._seen) == 10_000
    assert len(broker._desks) == 1
    broker.left(A, 0)
    assert is_empty(broker)


@pytest.mark.parametrize("seed", range(30))
def test_every_request_ends_once_whatever_happens(seed: int) -> None:
    """In a random life, each request is answered, refused or cancelled, once, and nothing is left."""
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated
    broker, sent = make(worker_timeout=20, max_client_requests=15, max_requests=40)
    workers, clients, types = [b"w%d" % n for n in range(6)], [b"c%d" % n for n in range(4)], ["t", "u"]
    asked, cancelled, now = 0, set[int | None](), 0.0
    for _ in range(2000):
        now += chance.random()
        worker, client = chance.choice(workers), chance.choice(clients)
        match chance.randrange(8):
            case 0 | 1:
                asked += 1
                broker.request(client, asked, chance.choice(types), b"x" * chance.randrange(9), now)
            case 2:
                broker.ready(worker, chance.choice(types), now)
            case 3 | 4:
                broker.answered(worker, b"", now)
            case 5:
                broker.left(worker, now)
            case 6:
                open_ids = {request.id for request in broker._clients.get(client, {}).values()}
                cancelled |= open_ids if chance.random() < 0.1 else set()
                if cancelled & open_ids:
                    broker.cancel(client)
            case 7:
                sent.gone = {peer for peer in workers if chance.random() < 0.2}
                sent.full = {peer for peer in workers if chance.random() < 0.2}
                broker.expire(now)
                broker.probe(now)
    sent.gone, sent.full = set(), set()
    broker.finish()
    ended = Counter([number for _, number, _ in (*sent.answers, *sent.refusals)])
    assert all(count == 1 for count in ended.values())
    assert set(ended) | cancelled == set(range(1, asked + 1))
    assert not set(ended) & cancelled
    assert is_empty(broker)
