"""The ledger against a dictionary from id to holder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests import budget
from zmqpipeline.delivery.batch import NOBODY, Batch
from zmqpipeline.delivery.ledger import COLLECTOR, Ledger
from zmqpipeline.wire import envelope

if TYPE_CHECKING:
    from collections.abc import Hashable

    from zmqpipeline.delivery.intervals import Range

A, B = b"worker a", b"worker b"
HOLDERS = st.sampled_from([A, B, COLLECTOR])
RANGES = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 60)), max_size=4)


def body(first: int, count: int) -> bytes:
    """Pack dictionaries that differ from each other, also in length."""
    packed: list[bytes] = [msgpack.packb({"n": n, "pad": "x" * (n % 7)}) for n in range(first, first + count)]
    return b"".join(packed)


def ids(batches: list[Batch]) -> list[int]:
    return [number for batch in batches for number in range(batch.first, batch.end)]


def record(ledger: Ledger, packed: bytes, count: int) -> Batch:
    """Book new tasks, which wait."""
    batch = ledger.make(packed, count)
    ledger.keep(batch)
    return batch


def new_ledger(*counts: int, holder: Hashable = NOBODY) -> tuple[Ledger, list[Batch]]:
    """Make a ledger with a batch of each size, all with one holder."""
    ledger, batches = Ledger(envelope.cut), []
    for count in counts:
        batch = record(ledger, body(ledger.handed_out, count), count)
        if holder is not NOBODY:
            ledger.give(batch, holder)
        batches.append(batch)
    return ledger, batches


class LedgerMachine(RuleBasedStateMachine):
    """``places`` is the model: where each unacknowledged id is."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(envelope.cut)
        self.places: dict[int, Any] = {}
        self.given = 0

    @rule(count=st.integers(1, 12))
    def record(self, count: int) -> None:
        batch = record(self.ledger, body(self.given, count), count)
        assert (batch.first, batch.count, batch.holder) == (self.given, count, NOBODY)
        self.places |= dict.fromkeys(range(self.given, self.given + count), NOBODY)
        self.given += count

    @rule(holder=HOLDERS, limit=st.integers(1, 15), number=st.integers(0, 9))
    def give(self, holder: Hashable, limit: int, number: int) -> None:
        batch = self.ledger.take_waiting(holder, limit, now=0.0, alone=True)
        waiting = [n for n, place in self.places.items() if place is NOBODY]
        if batch is None:
            assert not waiting
            return
        assert 1 <= batch.count <= limit
        assert set(ids([batch])) <= set(waiting), "what was acknowledged is not handed out again"
        attempt = batch.attempt
        self.ledger.give(batch, holder, number)
        assert (batch.attempt, batch.number, batch.finished_at) == (attempt + 1, number, None)
        self.places |= dict.fromkeys(ids([batch]), holder)

    @rule(ranges=RANGES)
    def settle(self, ranges: list[Range]) -> None:
        struck = {n for first, count in ranges for n in range(first, first + count)} & self.places.keys()
        assert self.ledger.settle(ranges) == len(struck)
        for number in struck:
            del self.places[number]

    @rule(holder=HOLDERS, ranges=st.none() | RANGES, data=st.data())
    def take_back(self, holder: Hashable, ranges: list[Range] | None, data: st.DataObject) -> None:
        held = self.ledger.held_by(holder)
        if not held:
            return
        batch = data.draw(st.sampled_from(held))
        meant = set(ids([batch])) & self.places.keys()
        if ranges is not None:
            meant &= {n for first, count in ranges for n in range(first, first + count)}
        taken = self.ledger.take_back(batch, ranges)
        assert sorted(ids(taken)) == sorted(meant)
        self.places |= dict.fromkeys(meant, NOBODY)

    @rule(number=st.integers(0, 60))
    def single(self, number: int) -> None:
        found, batch = self.ledger.find(number), self.ledger.single(number)
        if number in self.places:
            assert found is not None
            assert found.holder == self.places[number]
            assert batch is not None
            assert (batch.first, batch.count, batch.left) == (number, 1, 1)
        else:
            assert found is None
            assert batch is None

    @rule(first=st.integers(0, 50), count=st.integers(1, 20))
    def parts(self, first: int, count: int) -> None:
        parts = self.ledger.parts(first, count)
        assert ids(parts) == [n for n in range(first, first + count) if n in self.places]

    @rule(holder=HOLDERS)
    def lose(self, holder: Hashable) -> None:
        for batch in self.ledger.held_by(holder):
            self.ledger.take_back(batch)
        self.places = {n: NOBODY if place == holder else place for n, place in self.places.items()}

    @rule()
    def resume(self) -> None:
        """What was open waits, and nothing else is known of it."""
        before, self.ledger = self.ledger, Ledger(envelope.cut)
        batches = [(batch.first, batch.count, batch.body) for batch in before.batches]
        self.ledger.resume(before.handed_out, before.settled.ranges(), batches)
        self.places = dict.fromkeys(self.places, NOBODY)

    @precondition(lambda self: self.places)
    @rule()
    def hand_everything_out(self) -> None:
        """Each waiting task is found, and found once."""
        waiting = [n for n, place in self.places.items() if place is NOBODY]
        found: list[int] = []
        while (batch := self.ledger.take_waiting(A, 100, now=0.0, alone=True)) is not None:
            self.ledger.give(batch, A)
            found += ids([batch])
        assert sorted(found) == sorted(waiting)
        self.places |= dict.fromkeys(waiting, A)

    @invariant()
    def counts_agree(self) -> None:
        ledger = self.ledger
        assert ledger.handed_out == self.given
        assert ledger.open_count == len(self.places)
        for holder in (A, B, COLLECTOR, NOBODY):
            assert ledger.holds(holder) == sum(place == holder for place in self.places.values())
        assert ledger.has_waiting == (NOBODY in self.places.values())
        assert ledger.open_bytes == sum(batch.weight for batch in ledger.batches)
        for holder in (A, B, COLLECTOR, NOBODY):
            assert ledger.weighs(holder) == sum(batch.weight for batch in ledger.held_by(holder))

    @invariant()
    def batches_agree(self) -> None:
        listed = ids(self.ledger.batches)
        assert listed == sorted(set(listed))
        assert self.places.keys() <= set(listed)
        for batch in self.ledger.batches:
            open_ids = [n for n in ids([batch]) if n in self.places]
            assert batch.left == len(open_ids) > 0
            assert all(self.places[n] == batch.holder for n in open_ids)
            assert batch.body == body(batch.first, batch.count)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=budget.examples(100), stateful_step_count=30, deadline=None)


def test_a_batch_comes_back_without_what_was_acknowledged() -> None:
    ledger, (batch,) = new_ledger(10, holder=A)
    ledger.settle([(0, 2), (5, 1)])
    back = ledger.take_back(batch)
    assert [(part.first, part.count) for part in back] == [(2, 3), (6, 4)]
    assert [part.body for part in back] == [body(2, 3), body(6, 4)]
    assert ledger.holds(A) == 0
    assert ledger.holds(NOBODY) == 7


def test_ids_that_are_given_back_twice_wait_once() -> None:
    ledger, (batch,) = new_ledger(4, holder=A)
    assert ids(ledger.take_back(batch, [(0, 2), (0, 4), (1, 1)])) == [0, 1, 2, 3]
    found = []
    while (batch_again := ledger.take_waiting(B, 10, now=0.0, alone=True)) is not None:
        ledger.give(batch_again, B)
        found.append(batch_again)
    assert ids(found) == [0, 1, 2, 3]


def test_what_is_acknowledged_while_it_waits_is_not_handed_out_again() -> None:
    ledger, (batch,) = new_ledger(6, holder=A)
    ledger.take_back(batch)
    ledger.settle([(0, 3), (4, 1)])
    found = ledger.take_waiting(B, 3, now=0.0, alone=True)
    assert found is not None
    assert ids([found]) == [3]


def test_parts_may_lie_in_several_batches() -> None:
    ledger, _ = new_ledger(3, 3, 3, holder=A)
    assert [ids([part]) for part in ledger.parts(1, 7)] == [[1, 2], [3, 4, 5], [6, 7]]
    assert ledger.parts(9, 100) == []


def test_oldest_first_and_cut_to_the_limit() -> None:
    ledger, batches = new_ledger(5, 5, holder=A)
    for batch in reversed(batches):
        ledger.take_back(batch)
    found = ledger.take_waiting(B, 3, now=0.0, alone=True)
    assert found is not None
    assert ids([found]) == [0, 1, 2]
    assert found.body == body(0, 3)


def test_a_task_that_backs_off_is_due_later() -> None:
    ledger, (batch,) = new_ledger(1, holder=A)
    (back,) = ledger.take_back(batch)
    back.not_before = 5.0
    assert ledger.next_due(3.0) == 5.0
    assert ledger.take_waiting(A, 1, now=4.9, alone=True) is None
    assert ledger.take_waiting(A, 1, now=5.0, alone=True) is back
    assert ledger.next_due(5.0) is None


def test_a_task_is_kept_from_the_worker_on_which_it_failed_unless_there_is_no_other() -> None:
    ledger, (batch,) = new_ledger(1, holder=A)
    (back,) = ledger.take_back(batch)
    back.shunned = A
    assert ledger.take_waiting(A, 1, now=0.0, alone=False) is None
    assert ledger.take_waiting(B, 1, now=0.0, alone=False) is back
    assert ledger.take_waiting(A, 1, now=0.0, alone=True) is back


def test_parts_of_a_batch_keep_what_is_known_of_it() -> None:
    ledger, (batch,) = new_ledger(3, holder=A)
    batch.given_at, batch.finished_at, batch.number = 1.0, 2.0, 7
    part = ledger.single(1)
    assert part is not None
    assert (part.attempt, part.given_at, part.finished_at, part.number) == (1, 1.0, 2.0, 7)
    assert part.holder == A


@pytest.mark.parametrize(
    ("settled", "batches"),
    [
        ([(0, 2)], [(2, 2)]),
        ([(0, 2)], [(2, 3), (4, 1)]),
        ([(0, 3)], [(1, 2), (3, 2)]),
        ([(0, 6)], []),
        ([(0, 3)], [(3, 2), (5, 1)]),
        ([(0, 5)], [(5, 0)]),
    ],
)
def test_books_that_do_not_fit_together_are_not_taken_over(
    settled: list[Range], batches: list[Range]
) -> None:
    with pytest.raises(ValueError, match=r"does not fit|only .* are there"):
        Ledger(envelope.cut).resume(5, settled, [(*batch, body(*batch)) for batch in batches])


def test_an_id_that_was_never_given_cannot_be_acknowledged() -> None:
    ledger, _ = new_ledger(3, holder=A)
    assert ledger.settle([(2, 2**52), (5, 1), (10**9, 3)]) == 1
    assert record(ledger, body(3, 2), 2).left == 2
    assert ledger.open_count == 4
