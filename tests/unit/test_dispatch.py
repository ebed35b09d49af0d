"""What the distributor decides about a whole run: the collector, dependencies, acknowledgements, the end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.simulated.recorder import Recorder
from tests.unit.simulated.source import RUN, Numbers
from zmqpipeline.delivery.batch import NOBODY
from zmqpipeline.delivery.dispatch import FAREWELL, NO_TASKS_WAIT, Dispatch
from zmqpipeline.delivery.ledger import Ledger
from zmqpipeline.delivery.ports import Options, Outcome
from zmqpipeline.delivery.taskbook import Phase, TaskBook
from zmqpipeline.errors import SerializationError
from zmqpipeline.wire import envelope
from zmqpipeline.wire.envelope import Message

A, B = b"a", b"b"
MIB = 1024 * 1024
LIFE, NEXT_LIFE = "first life", "second life"


class Case:
    """A run of some tasks, each a total and what it depends on; the worker of each is named like it."""

    def __init__(self, *, metadata: dict[str, Any] | None = None, **tasks: tuple[int, list[str]]) -> None:
        self.link = Recorder()
        self.now = 100.0
        self.sources = {name: Numbers(total) for name, (total, _) in tasks.items()}
        self.books = {
            name: TaskBook(
                name,
                self.sources[name],
                depends,
                self.link,
                RUN,
                Ledger(envelope.cut),
                Options(ack_timeout=5.0),
            )
            for name, (_, depends) in tasks.items()
        }
        self.dispatch = Dispatch(RUN, list(self.books.values()), self.link, Options())
        if metadata is None:
            self.dispatch.set_metadata({})
        self._numbers: dict[str, int] = {}

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass, and do all that is due."""
        self.now += seconds
        while self.dispatch.advance(self.now):
            pass

    def hears(self, kind: str, life: str = LIFE, run: str | None = RUN, **fields: Any) -> None:
        """Have the collector say something."""
        self.dispatch.from_collector(
            Message(kind, fields.pop("task", ""), run=run, life=life, **fields), self.now
        )

    def collector(self, life: str = LIFE) -> list[Message]:
        """Have a collector come; return what it is told."""
        self.hears("HELLO", life, run=None)
        told = self.link.told()
        self.hears("RDY", life)
        self.advance()
        return told

    def worker(self, task: str, credit: int = 100, hands: int | None = None) -> bytes:
        """Have a worker of a task come."""
        address = task.encode()
        said = {} if hands is None else {"hands": hands}
        for message in (Message("HELLO", task, said), Message("RDY", task, run=RUN, credit=credit)):
            self.dispatch.from_worker(task, address, message, self.now)
        self.advance()
        return address

    def bye(self, task: str) -> None:
        self.dispatch.from_worker(task, task.encode(), Message("BYE", task, run=RUN), self.now)

    def ack(self, task: str, *ranges: tuple[int, int], life: str = LIFE, number: int | None = None) -> None:
        """Have the collector acknowledge; with the next number, if none is given."""
        if number is None:
            number = self._numbers[life] = self._numbers.get(life, 0) + 1
        self.hears("ACK", life, task=task, ids=list(ranges), number=number, count=0)
        self.advance()

    def complete(self, task: str) -> None:
        """Have everything acknowledged that a task handed out."""
        self.ack(task, (0, self.sources[task].total))

    def finished(self) -> bool:
        return self.dispatch.finished(self.now)

    def given(self, address: bytes) -> list[int]:
        """List the ids of the tasks that a worker got."""
        batches = [message for message in self.link.to(address) if message.type == "DATA"]
        return sorted(n for m in batches for first, count in m.ranges for n in range(first, first + count))


def kinds(messages: list[Message]) -> list[str]:
    return [message.type for message in messages]


# -- how large a message may be ---------------------------------------------------


def test_workers_are_told_what_the_collector_takes() -> None:
    case = Case(t=(3, []))
    worker = case.worker("t")
    told = case.link.to(worker)
    assert (told[0].type, told[0].data["max_message"]) == ("WELCOME", 64 * MIB)
    case.hears("HELLO", run=None, data={"max_message": 2 * MIB})
    (again,) = case.link.to(worker)
    assert (again.type, again.data["max_message"]) == ("WELCOME", 2 * MIB)
    late = b"late"
    case.dispatch.from_worker("t", late, Message("HELLO", "t"), case.now)
    assert case.link.to(late)[0].data["max_message"] == 2 * MIB
    assert case.sources["t"].max_message == 2 * MIB


@pytest.mark.parametrize("data", [{}, None, [], {"max_message": "much"}, {"max_message": 64 * MIB}])
def test_a_collector_that_says_nothing_of_its_limit_changes_none(data: Any) -> None:
    case = Case(t=(3, []))
    worker = case.worker("t")
    case.link.to(worker)
    case.hears("HELLO", run=None, data=data)
    assert case.link.to(worker) == []


@pytest.mark.parametrize(("said", "meant"), [(0, MIB), (-1, MIB), (10**15, 10**15)])
def test_an_absurd_limit_is_bounded(said: int, meant: int) -> None:
    case = Case(t=(3, []))
    case.hears("HELLO", run=None, data={"max_message": said})
    case.worker("t")
    assert case.link.to(b"t")[0].data["max_message"] == meant
    assert case.sources["t"].max_message == min(meant, 64 * MIB)


# -- how many at once -------------------------------------------------------------


@pytest.mark.parametrize(
    ("credit", "hands", "enough"),
    [
        (100, None, 25),  # a quarter
        (100, 1, 25),
        (100, 20, 25),
        (100, 100, 1),  # else a hand would wait
        (130, 100, 15),  # half of what waits for a hand
        (4, 4, 1),
        (100, -5, 25),  # anybody may say anything
        (100, 10**9, 1),
    ],
)
def test_a_worker_gets_more_when_that_is_worth_a_message_or_a_hand_would_wait(
    credit: int, hands: int | None, enough: int
) -> None:
    case = Case(t=(1000, []))
    case.collector()
    worker = case.worker("t", credit, hands)
    assert len(case.given(worker)) == credit
    for number in range(enough - 1):
        case.ack("t", (number, 1))
    assert case.given(worker) == []
    case.ack("t", (enough - 1, 1))
    assert len(case.given(worker)) == enough


def test_metadata_that_the_collector_does_not_take_are_an_error() -> None:
    case = Case(t=(3, []), metadata={})
    case.dispatch.set_metadata({"b": bytes(MIB)})
    with pytest.raises(SerializationError, match=r"the metadata have \d+ bytes packed, more"):
        case.hears("HELLO", run=None, data={"max_message": MIB})


# -- the beginning ---------------------------------------------------------------


def test_nothing_is_handed_out_before_the_collector_is_ready() -> None:
    case = Case(t=(3, []))
    worker = case.worker("t")
    case.hears("HELLO", run=None)
    case.advance(1.0)
    assert case.sources["t"].metadata is None
    assert case.dispatch.waits_for() == ["the collector"]
    case.hears("RDY")
    case.advance()
    assert case.given(worker) == [0, 1, 2]
    assert case.dispatch.waits_for() == []


def test_nobody_is_told_anything_before_the_metadata_are_there() -> None:
    case = Case(t=(3, []), metadata={"a": 1})
    worker = case.worker("t")
    assert case.collector() == []
    assert case.dispatch.waits_for() == ["metadata"]
    case.dispatch.set_metadata({"a": 1})
    (start,) = case.collector()
    assert start.data == {"a": 1}
    assert [m.data for m in case.link.to(worker) if m.type == "METADATA"] == [{"a": 1}]
    assert case.sources["t"].metadata == {"a": 1}


def test_start_tells_the_collector_its_run_its_life_and_what_is_settled() -> None:
    case = Case(t=(3, []), u=(2, []))
    (start,) = case.collector()
    assert (start.type, start.run, start.life) == ("METADATA", RUN, LIFE)
    assert start.settled == {"t": [], "u": []}


def test_start_says_which_hello_it_answers() -> None:
    case = Case(t=(3, []))
    case.hears("HELLO", run=None, number=2)
    (start,) = case.link.told()
    assert start.number == 2


def test_hello_is_answered_as_often_as_it_is_said() -> None:
    case = Case(t=(3, []))
    case.link.room = False
    case.hears("HELLO", run=None)
    case.link.room = True
    case.hears("HELLO", run=None)
    case.hears("HELLO", run=None)
    assert kinds(case.link.told()) == ["METADATA", "METADATA"]


@pytest.mark.parametrize(
    ("kind", "run", "life"),
    [
        ("HELLO", None, ""),
        ("RDY", "another run", LIFE),
        ("RDY", RUN, "another life"),
        ("ACK", RUN, "another life"),
        ("something new", RUN, LIFE),
    ],
)
def test_strangers_are_not_heeded(kind: str, run: str | None, life: str) -> None:
    case = Case(t=(3, []))
    case.hears("HELLO", run=None)
    case.hears(kind, life, run, task="t", ids=[(0, 3)], number=1)
    assert not case.dispatch.collector_ready
    assert case.dispatch.life == LIFE
    assert case.dispatch.strays == 1


# -- dependencies ------------------------------------------------------------------


def test_a_dependent_task_begins_when_all_before_it_are_acknowledged() -> None:
    case = Case(a=(3, []), b=(2, []), c=(1, ["a", "b"]), d=(1, ["c"]))
    case.collector()
    workers = {name: case.worker(name) for name in "abcd"}
    assert case.given(workers["c"]) == []
    case.complete("a")
    case.ack("b", (0, 1))
    assert case.sources["c"].metadata is None, "not before the last one"
    case.ack("b", (1, 1))
    assert case.given(workers["c"]) == [0]
    assert case.sources["d"].metadata is None
    case.complete("c")
    assert case.given(workers["d"]) == [0]


def test_a_dependent_task_begins_without_any_worker() -> None:
    case = Case(a=(0, []), b=(1, ["a"]))
    case.collector()
    assert case.sources["b"].metadata == {}
    assert case.dispatch.waits_for() == ["a worker for b"]


def test_a_dependency_that_is_nowhere_counts_as_complete() -> None:
    case = Case(a=(1, ["elsewhere"]))
    case.collector()
    assert case.books["a"].phase is Phase.OPEN


def test_a_task_without_workers_does_not_hold_up_others() -> None:
    case = Case(a=(1, []), b=(2, []))
    case.collector()
    worker = case.worker("b")
    assert case.given(worker) == [0, 1]
    case.complete("b")
    assert case.books["b"].phase is Phase.COMPLETE
    assert case.books["a"].phase is Phase.OPEN
    assert case.dispatch.ended_at is None


# -- acknowledgements ------------------------------------------------------------------


def test_acknowledgements_are_confirmed_when_there_is_room() -> None:
    case = Case(t=(3, []))
    case.collector()
    case.worker("t")
    case.link.room = False
    case.ack("t", (0, 1))
    case.ack("t", (1, 1))
    case.link.room = True
    case.advance()
    (confirmation,) = case.link.told()
    assert (confirmation.type, confirmation.run, confirmation.life) == ("OK", RUN, LIFE)
    assert confirmation.number == 2
    case.advance()
    assert case.link.told() == []
    case.hears("HEARTBEAT")
    case.advance()
    assert [message.number for message in case.link.told()] == [2]


def test_only_the_next_acknowledgement_counts() -> None:
    case = Case(t=(3, []))
    case.collector()
    case.worker("t")
    case.ack("t", (1, 1), number=2)
    assert case.dispatch.open_count == 3
    assert [message.number for message in case.link.told()] == [0]
    for number in (1, 1, 2, 1):
        case.ack("t", (number - 1, 1), number=number)
    assert case.dispatch.acknowledged == 2
    assert case.sources["t"].acked == 2
    case.ack("elsewhere", (0, 1), number=3)
    case.ack("t", (2, 1), number=4)
    assert case.dispatch.acknowledged == 3
    assert case.dispatch.strays == 1


# -- the collector comes back ------------------------------------------------------------------


def test_another_life_is_told_what_is_settled_and_gets_the_rest() -> None:
    case = Case(t=(4, []))
    case.collector()
    worker = case.worker("t")
    assert case.given(worker) == [0, 1, 2, 3]
    case.dispatch.from_worker(
        "t", worker, Message("HEARTBEAT", "t", run=RUN, number=9, held=[(3, 1)]), case.now
    )
    case.ack("t", (0, 1), (2, 1))
    case.link.told()
    case.dispatch.collector_lost()
    (start,) = case.collector(NEXT_LIFE)
    assert start.settled == {"t": [(0, 1), (2, 1)]}
    assert case.given(worker) == [1], "what runs is left alone"
    case.ack("t", (1, 1), number=2)  # by the life before
    assert case.dispatch.open_count == 2
    case.ack("t", (1, 1), (3, 1), life=NEXT_LIFE)
    assert case.dispatch.open_count == 0


def test_nothing_new_is_handed_out_while_the_collector_is_away() -> None:
    case = Case(t=(2, []))
    case.collector()
    case.dispatch.collector_lost()
    worker = case.worker("t")
    assert case.given(worker) == []
    assert case.dispatch.waits_for() == ["the collector"]
    case.collector()
    assert case.given(worker) == [0, 1]


def test_the_same_life_keeps_its_numbers() -> None:
    case = Case(t=(2, []))
    case.collector()
    case.worker("t")
    case.ack("t", (0, 1))
    case.collector()
    case.ack("t", (1, 1))
    assert case.dispatch.acknowledged == 2


# -- the end -------------------------------------------------------------------------------


def over() -> Case:
    """Make a run of which all is acknowledged."""
    case = Case(t=(2, []))
    case.collector()
    case.worker("t")
    case.link.told()
    case.complete("t")
    return case


def test_the_end_is_told_when_everything_is_acknowledged() -> None:
    case = Case(t=(2, []))
    case.collector()
    worker = case.worker("t")
    case.link.to(worker)
    case.ack("t", (0, 1))
    assert "END" not in kinds(case.link.told())
    assert case.link.to(worker) == []
    case.ack("t", (1, 1))
    (end,) = [message for message in case.link.told() if message.type == "END"]
    assert (end.run, end.life, end.data) == (RUN, LIFE, {})
    assert kinds(case.link.to(worker)) == ["END"]


def test_a_run_is_finished_when_everybody_has_said_goodbye() -> None:
    case = over()
    case.bye("t")
    assert not case.finished()
    case.hears("BYE", data={"ended": True})
    assert case.finished()


def test_workers_that_do_not_say_goodbye_are_not_waited_for_long() -> None:
    case = over()
    case.hears("BYE", data={"ended": True})
    assert not case.finished()
    case.now += FAREWELL - 0.1
    assert not case.finished()
    case.now += 0.2
    assert case.finished()


def test_the_collector_is_waited_for_until_its_goodbye() -> None:
    case = over()
    case.bye("t")
    case.advance(1000.0)
    assert not case.finished()
    case.dispatch.give_up()
    assert case.finished()


def test_a_collector_that_leaves_before_the_end_is_waited_for() -> None:
    case = Case(t=(1, []))
    case.collector()
    case.hears("BYE", data={"ended": True})
    case.advance()
    assert case.dispatch.waits_for() == ["the collector"]
    assert case.dispatch.ended_at is None


def test_the_end_is_told_again_to_a_collector_that_goes_on() -> None:
    case = over()
    case.link.told()
    case.advance(1.0)
    assert "END" not in kinds(case.link.told())
    case.hears("HEARTBEAT")
    case.advance()
    assert "END" in kinds(case.link.told())
    case.hears("BYE", data={"ended": True})
    case.bye("t")
    assert case.finished()


@pytest.mark.parametrize("life", [LIFE, NEXT_LIFE])
def test_the_end_is_told_to_a_collector_that_comes_back(life: str) -> None:
    case = over()
    case.dispatch.collector_lost()
    case.link.told()
    assert "METADATA" in kinds(case.collector(life))
    case.hears("HEARTBEAT", life)
    case.advance()
    assert "END" in kinds(case.link.told())


def test_late_workers_are_told_the_end() -> None:
    case = over()
    for message in (Message("HELLO", "t"), Message("")):
        address = message.type.encode() or b"lock step"
        case.dispatch.from_worker("t", address, message, case.now)
        assert kinds(case.link.to(address))[-1] == "END"


def test_a_run_without_tasks_waits_shortly_for_a_collector_to_end() -> None:
    case = Case()
    case.advance()
    assert not case.finished()
    case.advance(NO_TASKS_WAIT)
    assert case.finished()
    case = Case()
    case.advance()
    case.collector()
    assert "END" in kinds(case.link.told())
    case.hears("BYE", data={"ended": True})
    assert case.finished()


# -- stopping --------------------------------------------------------------------------------


def test_a_stopped_run_waits_for_what_is_under_way_and_tells_that_it_is_not_complete() -> None:
    case = Case(t=(10, []))
    case.collector()
    worker = case.worker("t", credit=2)
    assert case.given(worker) == [0, 1]
    case.dispatch.stop()
    case.ack("t", (0, 1))
    assert case.given(worker) == []
    assert case.dispatch.ended_at is None
    case.link.told()
    case.ack("t", (1, 1))
    (end,) = [message for message in case.link.told() if message.type == "END"]
    assert end.data == {"stopped": True}
    assert kinds(case.link.to(worker)) == ["END"]


def test_a_stopped_run_does_not_wait_for_what_would_be_handed_out_again() -> None:
    case = Case(t=(2, []))
    case.collector()
    worker = case.worker("t")
    case.dispatch.stop()
    case.dispatch.from_worker(
        "t", worker, Message("FAIL", "t", run=RUN, id=0, attempt=1, error={"type": "E"}), case.now
    )
    case.advance()
    assert case.dispatch.ended_at is None
    case.link.outcomes[worker] = Outcome.GONE
    case.dispatch.connection_gone("t", None)
    case.advance()
    assert case.dispatch.ended_at is not None


@pytest.mark.parametrize("ended", [True, False])
def test_the_goodbye_of_the_collector_is_answered_as_often_as_it_is_said(ended: bool) -> None:
    case = Case(t=(0, []))
    case.collector()
    case.link.told()
    for _ in range(2):
        case.hears("BYE", data={"ended": ended})
        assert [(m.type, m.run, m.life) for m in case.link.told()] == [("BYE", RUN, LIFE)]


def test_a_worker_that_is_killed_while_the_run_is_stopped_has_not_died_of_its_task() -> None:
    """Who does not listen is killed by the supervisor; that counts against nobody."""
    case = Case(t=(1, []))
    case.collector()
    worker = case.worker("t")
    case.dispatch.stop()
    case.link.outcomes[worker] = Outcome.GONE
    case.dispatch.connection_gone("t", None)
    batch = case.books["t"].ledger.find(0)
    assert batch is not None
    assert (batch.deaths, batch.holder) == (0, NOBODY)
    assert case.dispatch.news() == []


def test_a_run_can_be_ended_at_once() -> None:
    case = Case(t=(10, []))
    case.collector()
    worker = case.worker("t")
    case.dispatch.end(case.now)
    case.advance()
    assert kinds(case.link.to(worker))[-1] == "END"
    assert [m.data for m in case.link.told() if m.type == "END"] == [{"stopped": True}]
    case.dispatch.end(case.now + 5.0)
    assert case.dispatch.ended_at == case.now


def test_a_run_that_never_met_a_collector_ends_without_one() -> None:
    case = Case(t=(10, []))
    case.dispatch.end(case.now)
    case.advance()
    assert case.finished()


# -- workers that are gone -----------------------------------------------------------------------


def test_the_end_of_a_process_is_enough_for_taking_back_what_it_had() -> None:
    case = Case(t=(4, []), u=(4, []))
    case.collector()
    hello = Message("HELLO", "t", {"host": "h", "pid": 7})
    case.dispatch.from_worker("t", b"t", hello, case.now)
    case.dispatch.from_worker("t", b"t", Message("RDY", "t", run=RUN, credit=100), case.now)
    case.worker("u")
    case.dispatch.process_ended("another host", 7)
    assert case.dispatch.news() == []
    case.dispatch.process_ended("h", 7)
    assert [(news.task, news.peer.address, news.count) for news in case.dispatch.news()] == [("t", b"t", 4)]
    assert case.books["u"].ledger.holds(b"u") == 4


def test_a_broken_connection_gives_back_the_tasks_of_whoever_cannot_be_reached() -> None:
    case = Case(t=(4, []))
    case.collector()
    worker = case.worker("t")
    case.link.outcomes[worker] = Outcome.GONE
    case.dispatch.connection_gone("t", None)
    assert [(d.task, d.peer.address, d.count) for d in case.dispatch.news()] == [("t", worker, 4)]
    assert case.dispatch.news() == []
    assert case.dispatch.statistics().redelivered == 0, "nobody is there who could get them"
    del case.link.outcomes[worker]
    case.worker("t")
    assert case.dispatch.statistics().redelivered == 2, "suspects are handed out in halves"


def test_a_lockstep_worker_is_gone_with_its_connection() -> None:
    case = Case(t=(4, []))
    case.collector()
    case.dispatch.from_worker("t", A, Message("RDY", "t"), case.now)
    case.dispatch.from_worker("t", B, Message("HELLO", "t"), case.now)
    case.advance()
    case.dispatch.connection_gone("t", A)
    case.dispatch.connection_gone("t", B)  # it is not in lock step, and it answers
    assert [departure.peer.address for departure in case.dispatch.news()] == [A]


def test_nobody_is_asked_when_a_stranger_goes() -> None:
    case = Case(t=(4, []))
    case.collector()
    worker = case.worker("t")
    case.link.to(worker)
    case.dispatch.from_worker("t", B, Message("RDY", "t", run=RUN, credit=1), case.now)
    case.dispatch.connection_gone("t", B)
    assert case.link.to(worker) == []
    case.dispatch.connection_gone("t", None)
    assert kinds(case.link.to(worker)) == ["HEARTBEAT"]


def test_workers_are_asked_for_by_the_tick() -> None:
    case = Case(t=(4, []))
    case.collector()
    worker = case.worker("t")
    case.link.outcomes[worker] = Outcome.GONE
    case.advance(1.5)
    assert [departure.peer.address for departure in case.dispatch.news()] == [worker]


# -- what others want to know -----------------------------------------------------------------------


def test_statistics_count_the_whole_run() -> None:
    case = Case(a=(3, []), b=(5, []))
    case.collector()
    case.worker("a")
    case.worker("b")
    case.ack("a", (0, 2))
    assert case.dispatch.statistics()._asdict() == {
        "handed_out": 8,
        "acknowledged": 2,
        "failed": 0,
        "redelivered": 0,
        "workers": 2,
    }
    assert case.dispatch.open_count == 6


def test_it_wakes_when_something_is_due() -> None:
    case = Case(t=(1, []))
    case.collector()
    assert case.now < case.dispatch.wake_at(case.now) <= case.now + Options().ping_interval
    case.dispatch.end(case.now)
    assert case.dispatch.wake_at(case.now) <= case.now + 0.05
