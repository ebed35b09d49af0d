"""The collector's decisions: each result once in its life, no acknowledgement lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zmqpipeline.delivery.settlement import CONFIRM_TIMEOUT, Settlement
from zmqpipeline.wire.envelope import Message, decode, encode
from zmqpipeline.wire.serializer import serialize

if TYPE_CHECKING:
    from zmqpipeline.delivery.intervals import Range

RUN, LIFE = "the run", "this life"


def start(run: str | None = RUN, life: str | None = LIFE, **settled: list[Range]) -> Message:
    return Message("METADATA", run=run, life=life, settled=settled)


def confirmation(number: int, life: str = LIFE) -> Message:
    return Message("OK", run=RUN, life=life, number=number)


def started() -> Settlement:
    settlement = Settlement(LIFE)
    settlement.start(start())
    return settlement


def send(settlement: Settlement, now: float = 0.0) -> list[Message]:
    """Send all that is unsent."""
    sent = []
    while (ack := settlement.next_unsent()) is not None:
        settlement.sent(now)
        sent.append(ack)
    return sent


def spread(ranges: list[Range]) -> list[int]:
    return [number for first, count in ranges for number in range(first, first + count)]


# -- the run and the life ----------------------------------------------------


def test_it_says_hello_with_its_life_and_answers_start_with_ready() -> None:
    settlement = Settlement(LIFE)
    hello = settlement.hello({"pid": 1})
    assert (hello.type, hello.life, hello.run, hello.data) == ("HELLO", LIFE, None, {"pid": 1})
    answer = settlement.start(start())
    assert answer is not None
    assert (answer.type, answer.run, answer.life) == ("RDY", RUN, LIFE)


@pytest.mark.parametrize("message", [start(life="another"), start(life=None), start(run=None), start(run="")])
def test_a_start_for_somebody_else_is_not_answered(message: Message) -> None:
    settlement = Settlement(LIFE)
    assert settlement.start(message) is None
    assert settlement.run is None
    assert settlement.strays == 1


def test_what_a_distributor_before_this_one_said_is_not_heeded_when_it_comes_late() -> None:
    settlement = Settlement(LIFE)
    settlement.connected()
    first = settlement.hello({}).number
    settlement.connected()
    second = settlement.hello({}).number
    old, new = start(run="a dead run"), start()
    old.number, new.number = first, second
    assert settlement.start(old) is None, "it would wait for results of a run that nobody has"
    assert settlement.start(new) is not None
    settlement.settle("t", [(0, 1)])
    assert settlement.start(old) is None
    assert settlement.run == RUN
    assert settlement.fresh("t", [(0, 1)]) == []


def test_nothing_belongs_before_start_and_only_its_run_after() -> None:
    settlement = Settlement(LIFE)
    for run in (None, RUN):
        assert not settlement.belongs(Message("DATA", "t", run=run))
    settlement.start(start(t=[]))
    assert settlement.belongs(Message("DATA", "t", run=RUN))
    assert not settlement.belongs(Message("DATA", "a type that this run does not have", run=RUN))
    for other in (None, "another run"):
        assert not settlement.belongs(Message("DATA", "t", run=other))
    assert settlement.strays == 4, "that of the run was no stray, but early"


def large(run: Any) -> list[bytes]:
    return [serialize({"run": run, "type": "DATA", "data": [bytes(100_000)]})]


def test_results_that_have_come_before_start_are_strays_if_they_are_of_another_run() -> None:
    """Workers may have met a collector that took the place of another one before its distributor has."""
    settlement = Settlement(LIFE)
    for run, times in ((RUN, 3), ("another run", 2)):
        for _ in range(times):
            assert not settlement.belongs(Message("DATA", "t", run=run))
            assert not settlement.expects(large(run))
    assert settlement.strays == 0, "nobody knows"
    settlement.start(start(t=[]))
    assert settlement.strays == 4
    assert not settlement.expects(large("another run"))
    assert settlement.strays == 5


@pytest.mark.parametrize("run", [None, "", "x" * 64, "x" * 10**6, 7, [RUN]])
def test_what_says_of_no_run_that_it_is_of_is_a_stray_at_once(run: Any) -> None:
    settlement = Settlement(LIFE)
    assert not settlement.expects(large(run))
    assert settlement.strays == 1


def test_of_what_comes_before_start_little_is_remembered() -> None:
    settlement = Settlement(LIFE)
    for number in range(1000):
        assert not settlement.belongs(Message("DATA", "t", run=f"run {number}"))
    assert len(settlement._early) == 1000 - settlement.strays == 16
    for kind in ("FAIL", "OK", "END"):
        assert not settlement.belongs(Message(kind, "t", run="run 0"))
    assert settlement.strays == 1000 - 16 + 3
    settlement.start(start(t=[]))
    assert settlement.strays == 1003
    assert not settlement._early


@pytest.mark.parametrize(
    ("task", "run", "ids", "data", "is_news"),
    [
        ("t", RUN, [(5, 2)], [{}, {}], True),
        ("t", RUN, [(4, 2)], [{}, {}], False),  # one of them came before
        ("t", RUN, [(0, 2)], [{}, {}], False),  # new, but that has to be looked up
        ("t", RUN, [(5, 1), (6, 1)], [{}, {}], False),
        ("t", RUN, [(5, 2)], [{}], False),
        ("t", RUN, [(5, 2)], {"a": 1, "b": 2}, False),
        ("t", RUN, None, [{}, {}], False),
        ("t", "another run", [(5, 2)], [{}, {}], False),
        ("t", None, [(5, 2)], [{}, {}], False),
        ("another", RUN, [(5, 2)], [{}, {}], False),
    ],
)
def test_what_is_behind_all_others_is_news(
    task: str, run: str | None, ids: list[tuple[int, int]] | None, data: Any, is_news: bool
) -> None:
    settlement = started()
    settlement.settle("t", [(3, 2)])
    assert settlement.is_news(Message("DATA", task, data, run, ids)) is is_news
    assert settlement.strays == 0


def test_what_an_earlier_life_has_settled_is_not_fresh() -> None:
    settlement = Settlement(LIFE)
    settlement.start(start(t=[(0, 5), (7, 1)]))
    assert settlement.fresh("t", [(3, 6)]) == [(5, 2), (8, 1)]
    assert settlement.fresh("another", [(3, 6)]) == [(3, 6)]


def test_a_second_start_of_the_same_run_forgets_nothing() -> None:
    settlement = started()
    settlement.settle("t", [(0, 2)])
    send(settlement)
    settlement.start(start(t=[(5, 1)]))
    assert settlement.fresh("t", [(0, 7)]) == [(2, 3), (6, 1)]
    # the connection may have broken: what is not confirmed is sent again
    assert [ack.ids for ack in send(settlement)] == [[(0, 2)]]


def test_another_run_replaces_the_one_before() -> None:
    settlement = started()
    settlement.settle("t", [(0, 2)])
    settlement.start(start(run="the next run"))
    assert settlement.unconfirmed == 0
    assert not settlement.has_unsent
    assert settlement.fresh("t", [(0, 2)]) == [(0, 2)]
    settlement.settle("t", [(0, 2)])
    (ack,) = send(settlement)
    assert (ack.run, ack.number) == ("the next run", 1)
    assert ack.count == 2, "it counts what it has collected in its life"


# -- results -----------------------------------------------------------------


def test_each_result_is_fresh_once() -> None:
    settlement = started()
    assert settlement.fresh("t", [(0, 3), (10, 2)]) == [(0, 3), (10, 2)]
    settlement.settle("t", [(0, 3), (10, 2)])
    assert settlement.fresh("t", [(2, 10)]) == [(3, 7)]
    assert settlement.fresh("u", [(2, 1)]) == [(2, 1)]


def test_a_result_that_one_message_holds_twice_is_fresh_once() -> None:
    assert started().fresh("t", [(0, 2), (1, 3), (0, 1)]) == [(0, 2), (2, 2)]


@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)), min_size=1, max_size=4)))
def test_fresh_ones_are_those_that_no_message_had_before(arrivals: list[list[Range]]) -> None:
    settlement, known = started(), set[int]()
    for ranges in arrivals:
        fresh = spread(settlement.fresh("t", ranges))
        assert sorted(fresh) == sorted(set(spread(ranges)) - known)
        settlement.settle("t", settlement.fresh("t", ranges))
        known |= set(fresh)
    assert settlement.collected == len(known)


def test_acknowledgements_are_numbered_and_say_how_many_came_before() -> None:
    settlement = started()
    settlement.settle("t", [(0, 3)])
    settlement.settle("u", [(0, 1), (5, 1)], feedback=[serialize(None), serialize({"a": 1})])
    settlement.settle("t", [(3, 1)], failed=True)
    acks = send(settlement)
    assert [(ack.type, ack.run, ack.life) for ack in acks] == [("ACK", RUN, LIFE)] * 3
    assert [(ack.task, ack.ids) for ack in acks] == [
        ("t", [(0, 3)]),
        ("u", [(0, 1), (5, 1)]),
        ("t", [(3, 1)]),
    ]
    assert [ack.number for ack in acks] == [1, 2, 3]
    assert [ack.count for ack in acks] == [0, 3, 5]
    opened = [decode(encode(ack)) for ack in acks]
    assert [ack and ack.data for ack in opened] == [{}, [None, {"a": 1}], {}]
    assert [ack.failed for ack in acks] == [None, None, [(3, 1)]]


def test_duplicates_are_acknowledged_and_not_counted_as_collected() -> None:
    settlement = started()
    settlement.settle("t", [(0, 3)])
    settlement.settle("t", [(0, 2)], again=True)
    assert (settlement.collected, settlement.duplicates) == (3, 2)
    assert [ack.ids for ack in send(settlement)] == [[(0, 3)], [(0, 2)]]


def test_nothing_needs_no_acknowledgement() -> None:
    settlement = started()
    settlement.settle("t", [])
    assert not settlement.has_unsent
    assert settlement.unconfirmed == 0


# -- acknowledgements under way ----------------------------------------------


def test_an_ack_that_found_no_room_stays_the_next_one() -> None:
    settlement = started()
    settlement.settle("t", [(0, 1)])
    assert settlement.next_unsent() is settlement.next_unsent()
    assert [ack.number for ack in send(settlement)] == [1]
    assert settlement.next_unsent() is None


def test_what_is_settled_before_an_ack_leaves_goes_with_it() -> None:
    settlement = started()
    settlement.settle("t", [(0, 2)])
    settlement.settle("t", [(2, 1), (7, 1)])
    settlement.settle("u", [(0, 1)])
    settlement.settle("u", [(1, 1)], failed=True)
    settlement.settle("u", [(2, 1)])
    settlement.settle("u", [(3, 1)], feedback=[serialize({"a": 1})])
    settlement.settle("u", [(4, 1)], again=True)
    assert [(ack.task, ack.ids, ack.count) for ack in send(settlement)] == [
        ("t", [(0, 3), (7, 1)], 0),
        ("u", [(0, 1)], 4),
        ("u", [(1, 1)], 5),
        ("u", [(2, 1)], 6),
        ("u", [(3, 1)], 7),
        ("u", [(4, 1)], 8),
    ]
    settlement.settle("u", [(5, 1)])
    send(settlement)
    settlement.settle("u", [(6, 1)])
    assert [ack.ids for ack in send(settlement)] == [[(6, 1)]], "the one before has left"


def test_what_is_confirmed_is_forgotten_and_the_rest_is_sent_again_in_order() -> None:
    settlement = started()
    for number in range(4):
        settlement.settle("t", [(number, 1)])
        send(settlement, now=10.0)
    settlement.confirm(confirmation(2), now=10.5)
    assert settlement.unconfirmed == 2
    settlement.repeat(10.5 + CONFIRM_TIMEOUT)
    assert not settlement.has_unsent, "there was progress a short while ago"
    settlement.repeat(10.6 + CONFIRM_TIMEOUT)
    assert [ack.number for ack in send(settlement, now=11.6)] == [3, 4]
    settlement.confirm(confirmation(4), now=12.0)
    settlement.repeat(100.0)
    assert send(settlement) == []
    assert settlement.unconfirmed == 0


def test_patience_begins_with_the_first_that_is_sent() -> None:
    settlement = started()
    settlement.settle("t", [(0, 1)])
    settlement.repeat(50.0)
    send(settlement, now=50.0)
    settlement.repeat(50.0 + CONFIRM_TIMEOUT)
    assert not settlement.has_unsent


def test_what_is_confirmed_while_it_waits_to_be_sent_again_is_not_sent() -> None:
    settlement = started()
    for number in range(3):
        settlement.settle("t", [(number, 1)])
        send(settlement)
    settlement.repeat(100.0)
    settlement.confirm(confirmation(2), now=100.0)
    assert [ack.number for ack in send(settlement)] == [3]


@pytest.mark.parametrize("message", [confirmation(5, life="another"), Message("OK", run=RUN, life=LIFE)])
def test_a_confirmation_of_nothing_or_for_another_life_confirms_nothing(message: Message) -> None:
    settlement = started()
    settlement.settle("t", [(0, 1)])
    settlement.confirm(message, now=0.0)
    assert settlement.unconfirmed == 1


class Acknowledging:
    """A collector, a distributor that takes the next number only, and a connection that may break."""

    def __init__(self) -> None:
        self.settlement = started()
        self.now = 0.0
        self.settled = 0
        self.under_way: list[Message] = []
        self.taken: list[Message] = []

    def settle(self) -> None:
        self.settlement.settle("t", [(self.settled, 1)])
        self.settled += 1

    def send(self) -> None:
        ack = self.settlement.next_unsent()
        if ack is not None:
            self.under_way.append(ack)
            self.settlement.sent(self.now)

    def lose(self) -> None:
        self.under_way.clear()

    def take(self) -> None:
        if self.under_way:
            ack = self.under_way.pop(0)
            if ack.number == len(self.taken) + 1:
                self.taken.append(ack)

    def confirm(self) -> None:
        self.settlement.confirm(confirmation(len(self.taken)), self.now)

    def wait(self) -> None:
        self.now += 0.7
        self.settlement.repeat(self.now)

    def start(self) -> None:
        self.settlement.start(start())


@given(st.lists(st.sampled_from(["settle", "send", "lose", "take", "confirm", "wait", "start"])))
def test_every_acknowledgement_arrives_once_and_in_order(steps: list[str]) -> None:
    both = Acknowledging()
    for step in steps:
        getattr(both, step)()
        waiting = [ack for ack in both.settlement._unconfirmed if (ack.number or 0) > len(both.taken)]
        known = spread([ids for ack in [*both.taken, *waiting] for ids in ack.ids or []])
        assert known == list(range(both.settled))
    for _ in range(2 * both.settled + 4):
        for step in ("wait", "send", "take", "confirm"):
            getattr(both, step)()
    ids = [spread(ack.ids or []) for ack in both.taken]
    assert [number for one in ids for number in one] == list(range(both.settled))
    assert [ack.count for ack in both.taken] == [sum(map(len, ids[:place])) for place in range(len(ids))]
    assert both.settlement.unconfirmed == 0


def test_signs_of_life_and_goodbye_name_run_and_life() -> None:
    settlement = started()
    for message, kind in ((settlement.heartbeat(), "HEARTBEAT"), (settlement.goodbye(ended=True), "BYE")):
        assert (message.type, message.run, message.life) == (kind, RUN, LIFE)


def test_what_is_said_to_many_goes_in_several_acks() -> None:
    settlement = started()
    said = [serialize({"b": bytes(100_000), "n": n}) for n in range(10)]
    settlement.settle("t", [(0, 4), (7, 6)], feedback=said)
    acks = send(settlement)
    assert max(len(encode(ack)) for ack in acks) < 300_000
    assert [number for ack in acks for number in spread(ack.ids or [])] == [0, 1, 2, 3, 7, 8, 9, 10, 11, 12]
    opened = [decode(encode(ack)) for ack in acks]
    assert [item["n"] for ack in opened if ack is not None for item in ack.data] == list(range(10))
    assert [ack.number for ack in acks] == list(range(1, len(acks) + 1))
    assert [ack.count for ack in acks] == [2 * n for n in range(len(acks))]
    assert settlement.collected == 10


def test_what_is_too_large_for_a_portion_goes_alone() -> None:
    settlement = started()
    sizes = [10, 500_000, 10, 10]
    settlement.settle("t", [(0, 4)], feedback=[serialize({"b": bytes(size)}) for size in sizes])
    assert [ack.ids for ack in send(settlement)] == [[(0, 1)], [(1, 1)], [(2, 2)]]
