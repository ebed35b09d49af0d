"""What is written down, and when; and how a run goes on from what is written: no sockets, no files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.simulated.recorder import Recorder
from tests.unit.simulated.source import RUN, Numbers
from zmqpipeline import EndpointAddress, Task, TaskType
from zmqpipeline.delivery.dispatch import REUNION, Dispatch
from zmqpipeline.delivery.ledger import Ledger
from zmqpipeline.delivery.ports import NoJournal, Options, Outcome, Past, PastTask
from zmqpipeline.delivery.taskbook import Phase, TaskBook
from zmqpipeline.errors import SerializationError
from zmqpipeline.source import TaskSource
from zmqpipeline.wire import envelope, serializer
from zmqpipeline.wire.envelope import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zmqpipeline.delivery.intervals import Range

LIFE = "a life"


class Notes(NoJournal):
    """A journal in memory: a list of what was noted, with what was sent in between."""

    def __init__(self) -> None:
        self.due = False
        self.written: list[Any] = []
        self._noted: list[Any] = []

    def began(self, metadata: dict[str, Any]) -> None:
        self._noted.append(("metadata", metadata))

    def met(self, life: str, number: int) -> None:
        self._noted.append((life, number))

    def made(self, task: str, first: int, count: int, body: bytes) -> None:
        self._noted.append(("made", task, first, count))

    def settled(self, task: str, ranges: Iterable[Range]) -> None:
        self._noted.append(("settled", task, *ranges))

    def tried(self, task: str, task_id: int, failures: int, deaths: int) -> None:
        self._noted.append(("tried", task, task_id, failures, deaths))

    def changed(self, task: str) -> None:
        self._noted.append(("changed", task))

    def finished(self) -> None:
        self._noted.append("finished")

    def commit(self) -> None:
        if self._noted:
            self.written += [*self._noted, "commit"]
            self._noted.clear()

    def take(self) -> list[Any]:
        """Take what was written, without what the program's tasks were asked."""
        written, self.written = self.written, []
        return [note for note in written if note[0] != "changed" and note != "changed"]


class Case(Recorder):
    """A run of one task with as many workers as are wanted; what is sent stands between what is written."""

    def __init__(self, total: int = 100, *, gated: bool = False, past: Past | None = None) -> None:
        super().__init__()
        self.notes = Notes()
        self.source = Numbers(total, gated=gated)
        self.source.max_worker_deaths = 3
        self.now = 100.0
        self.book = TaskBook("t", self.source, [], self, RUN, Ledger(envelope.cut), Options(), self.notes)
        self.dispatch = Dispatch(RUN, [self.book], self, Options(), self.notes)
        if past is not None:
            self.dispatch.resume(past)
        if self.dispatch.metadata is None:
            self.dispatch.set_metadata({"a": 1})

    def to_worker(self, task: str, address: bytes, message: Message) -> Outcome:
        if message.type == "DATA":
            self.notes.written.append((address, *message.ranges))
        return super().to_worker(task, address, message)

    def to_collector(self, message: Message) -> bool:
        self.notes.written.append(message.type)
        return super().to_collector(message)

    def advance(self) -> None:
        while self.dispatch.advance(self.now):
            pass

    def collector(self, life: str = LIFE) -> Message:
        """Have a collector come; return what it is told first."""
        self.dispatch.from_collector(Message("HELLO", "", life=life), self.now)
        start = next(message for message in self.told() if message.type == "METADATA")
        self.dispatch.from_collector(Message("RDY", "", run=RUN, life=life), self.now)
        return start

    def workers(self, *addresses: bytes, credit: int = 2) -> None:
        for address in addresses:
            for message in (Message("HELLO", "t"), Message("RDY", "t", run=RUN, credit=credit)):
                self.dispatch.from_worker("t", address, message, self.now)

    def ack(self, number: int, *ranges: Range, life: str = LIFE, **fields: Any) -> None:
        message = Message("ACK", "t", run=RUN, life=life, ids=list(ranges), number=number, **fields)
        self.dispatch.from_collector(message, self.now)


# -- when it is written -------------------------------------------------------------


def test_batches_are_committed_before_they_are_sent_and_once_for_all_workers() -> None:
    case = Case(4)
    case.collector()
    case.advance()
    case.notes.take()
    case.workers(b"a", b"b", credit=2)
    case.dispatch.advance(case.now)
    assert case.notes.take() == [
        ("made", "t", 0, 1),
        ("made", "t", 1, 1),
        "commit",
        (b"a", (0, 1)),
        (b"b", (1, 1)),
    ]


def test_what_is_due_does_not_wait_for_the_other_workers() -> None:
    case = Case(4)
    case.collector()
    case.advance()
    case.notes.take()
    case.workers(b"a", b"b", credit=2)
    case.notes.due = True
    case.dispatch.advance(case.now)
    assert case.notes.take() == [
        ("made", "t", 0, 1),
        "commit",
        (b"a", (0, 1)),
        ("made", "t", 1, 1),
        "commit",
        (b"b", (1, 1)),
    ]


def test_acks_are_committed_before_they_count() -> None:
    case = Case(2)
    case.collector()
    case.workers(b"a", credit=2)
    case.advance()
    case.notes.take()
    case.ack(1, (0, 1))
    case.ack(2, (1, 1))
    assert case.notes.take() == []
    case.advance()
    assert case.notes.take() == [
        (LIFE, 1),
        ("settled", "t", (0, 1)),
        (LIFE, 2),
        ("settled", "t", (1, 1)),
        "commit",
        "OK",
        "commit",  # that it is complete
        "END",
    ]


def test_what_is_handed_out_again_is_not_written_again() -> None:
    case = Case(1)
    case.collector()
    case.workers(b"a", credit=1)
    case.advance()
    case.outcomes[b"a"] = Outcome.GONE
    case.dispatch.connection_gone("t", None)
    case.notes.take()
    case.workers(b"b", credit=1)
    case.advance()
    assert case.notes.take() == [("tried", "t", 0, 0, 1), "commit", (b"b", (0, 1))]


def test_failures_are_written() -> None:
    case = Case(1)
    case.collector()
    case.workers(b"a", credit=1)
    case.advance()
    case.notes.take()
    failure = Message("FAIL", "t", run=RUN, id=0, attempt=1, error={"type": "E"})
    case.dispatch.from_worker("t", b"a", failure, case.now)
    case.advance()
    assert case.notes.take() == [("tried", "t", 0, 1, 0), "commit"]


def test_metadata_and_the_collector_are_written_before_anything_else() -> None:
    case = Case(1)
    case.collector()
    case.advance()
    assert case.notes.take()[:4] == ["METADATA", ("metadata", {"a": 1}), (LIFE, 0), "commit"]


@pytest.mark.parametrize("stopped", [False, True])
def test_a_run_is_finished_when_the_collector_says_goodbye_after_the_last_result(stopped: bool) -> None:
    case = Case(1)
    case.collector()
    case.workers(b"a", credit=1)
    case.advance()
    case.ack(1, (0, 1))
    if stopped:
        case.dispatch.stop()
    case.advance()
    case.notes.take()
    case.dispatch.from_collector(Message("BYE", "", {"ended": True}, run=RUN, life=LIFE), case.now)
    case.advance()
    assert ("finished" in case.notes.take()) != stopped


def test_a_run_is_not_finished_when_the_collector_was_stopped_before_it_heard_of_the_end() -> None:
    case = Case(1)
    case.collector()
    case.workers(b"a", credit=1)
    case.advance()
    case.ack(1, (0, 1))
    case.advance()
    case.notes.take()
    case.dispatch.from_collector(Message("BYE", "", {"ended": False}, run=RUN, life=LIFE), case.now)
    case.advance()
    assert "finished" not in case.notes.take()


# -- how it goes on -----------------------------------------------------------------


def packed(*numbers: int) -> bytes:
    return b"".join(serializer.serialize({"n": n}) for n in numbers)


def earlier(**fields: Any) -> Past:
    """Make what a journal knows of a run of which tasks 0 and 2 of five are acknowledged."""
    task = PastTask(5, [(0, 1), (2, 1)], [(0, 2, packed(0, 1)), (2, 3, packed(2, 3, 4))], failed=1)
    return Past(RUN, 2, LIFE, 7, {"b": 2}, {"t": task}, **fields)


def resumed(past: Past | None = None, **arguments: Any) -> Case:
    case = Case(8, past=past or earlier(), **arguments)
    case.source.made = 5
    return case


def test_what_is_acknowledged_is_not_handed_out_again_and_what_is_not_is() -> None:
    case = resumed()
    assert case.dispatch.statistics()[:4] == (5, 2, 1, 0)
    start = case.collector()
    assert (start.epoch, start.data, start.settled) == (2, {"b": 2}, {"t": [(0, 1), (2, 1)]})
    case.workers(b"a", credit=100)
    case.advance()
    batches = [message for message in case.to(b"a") if message.type == "DATA"]
    given = {n: item for m in batches for n, item in zip(_ids(m.ranges), m.data, strict=True)}
    assert given == {n: {"n": n} for n in (1, 3, 4, 5, 6, 7)}
    assert case.dispatch.statistics().redelivered == 3


def _ids(ranges: list[Range]) -> list[int]:
    return [n for first, count in ranges for n in range(first, first + count)]


def test_a_first_run_has_epoch_0_and_one_without_a_journal_has_none() -> None:
    assert Case(past=Past(RUN, 0, tasks={"t": PastTask()})).collector().epoch == 0
    assert Case().collector().epoch is None


def test_metadata_need_not_come_again() -> None:
    case = resumed()
    assert case.dispatch.metadata == {"b": 2}
    assert case.dispatch.waits_for() == ["the collector"]


def test_the_collector_that_was_there_goes_on_with_its_numbers() -> None:
    case = resumed()
    case.ack(8, (1, 1))  # before it has said HELLO: it says so again
    assert case.dispatch.acknowledged == 2
    case.collector()
    case.ack(7, (1, 1))  # known
    assert case.dispatch.acknowledged == 2
    case.ack(8, (1, 1))
    assert case.dispatch.acknowledged == 3


def test_what_was_handed_out_in_an_earlier_life_has_no_latency() -> None:
    case = resumed()
    case.collector()
    case.now = 5000.0
    case.ack(8, (1, 1))
    assert case.book.latencies == (0.0, 0)
    case.workers(b"a")
    case.advance()
    case.now += 0.5
    case.ack(9, (3, 1))
    assert case.book.latencies == (0.5, 1)


def test_another_collector_begins_anew() -> None:
    case = resumed()
    case.collector("another life")
    case.ack(1, (1, 1), life="another life")
    assert case.dispatch.acknowledged == 3


def test_attempts_are_not_forgotten() -> None:
    past = earlier()
    past.tasks["t"].tried = [(3, 2, 0), (2, 1, 0)]
    case = resumed(past)
    case.collector()
    case.workers(b"a", credit=100)
    case.advance()
    failure = Message("FAIL", "t", run=RUN, id=3, attempt=2, error={"type": "E"})
    case.dispatch.from_worker("t", b"a", failure, case.now)
    case.advance()
    assert "FAIL" in [message.type for message in case.told()], "it was the third attempt"


def test_deaths_are_not_forgotten() -> None:
    past = earlier()
    past.tasks["t"].tried = [(3, 0, 2)]
    case = resumed(past)
    case.collector()
    case.workers(b"a", credit=100)
    case.advance()
    case.ack(8, (0, 3), (4, 1))
    case.to(b"a")
    case.advance()
    (alone,) = [message for message in case.to(b"a") if message.type == "DATA"]
    assert alone.ranges == [(3, 1)]
    case.outcomes[b"a"] = Outcome.GONE
    case.dispatch.connection_gone("t", None)
    case.now += 5.0
    case.advance()
    (report,) = [message for message in case.told() if message.type == "FAIL"]
    assert report.id == 3
    assert report.error is not None
    assert report.error["type"] == "WorkerDeaths"


def test_a_gated_task_hears_what_it_had_not_heard() -> None:
    past = earlier()
    past.tasks["t"].feedback = [(3, {"x": 1}, False), (4, None, True)]
    case = resumed(past, gated=True)
    case.collector()
    case.workers(b"a", credit=100)
    case.advance()
    assert case.source.acknowledgements == [(1, 3, [{"x": 1}], False), (1, 4, None, True)]


def test_a_run_of_which_all_is_acknowledged_only_has_to_end() -> None:
    case = Case(5, past=Past(RUN, 1, LIFE, 7, {}, {"t": PastTask(5, [(0, 5)])}))
    case.source.made = 5
    case.collector()
    case.advance()
    assert case.book.phase is Phase.COMPLETE
    assert "END" in [message.type for message in case.told()]


def test_the_workers_of_an_earlier_life_have_time_to_hear_of_the_end() -> None:
    case = Case(5, past=Past(RUN, 1, LIFE, 7, {}, {"t": PastTask(5, [(0, 5)])}))
    case.source.made = 5
    case.collector()
    case.advance()
    case.dispatch.from_collector(Message("BYE", "", {"ended": True}, run=RUN, life=LIFE), case.now)
    assert not case.dispatch.finished(case.now), "nobody has come yet"
    case.now += REUNION / 2
    case.dispatch.from_worker("t", b"late", Message("HELLO", "t"), case.now)
    case.advance()
    assert "END" in [message.type for message in case.to(b"late")]
    case.dispatch.from_worker("t", b"late", Message("BYE", "t", run=RUN), case.now)
    assert not case.dispatch.finished(case.now)
    assert case.dispatch.finished(case.now + REUNION / 2)


# -- checkpoints --------------------------------------------------------------------


def make(**body: Any) -> tuple[Any, TaskSource]:
    """Make a task, and what stands between it and the distributor."""
    TaskType.register_type("kept")

    def handle(self: Any, data: Any, address: bytes, msgtype: str) -> dict[str, Any]:
        self.count = getattr(self, "count", 0) + 1
        return {"n": self.count}

    cls: Any = type(
        "Kept",
        (Task,),
        {
            "task_type": TaskType("kept"),
            "endpoint": EndpointAddress("inproc://kept"),
            "dependencies": [],
            "handle": handle,
            **body,
        },
    )
    task = cls()
    return task, TaskSource(task, 1 << 20)


def again(source: TaskSource, **body: Any) -> Any:
    """Make the same task in another process, which goes on from where this one is."""
    checkpoint = source.checkpoint()
    counters = serializer.deserialize(serializer.serialize(source.counters()))
    task, following = make(**body)
    following.resume(counters, None if checkpoint is None else serializer.deserialize(checkpoint))
    assert following.checkpoint() is None, "what it is before initialize() is not to be kept"
    assert following.counters() == counters
    following.initialize({})
    assert following.counters() == counters
    return task


def test_every_attribute_survives_but_those_of_the_library() -> None:
    task, source = make()
    source.initialize({"some": "metadata"})
    source.joined(b"a worker")
    source.fill(1, b"a worker")
    task.name, task._private, task.nested = "x", [1], {"a": {"b": b"c"}}
    packed_state = source.checkpoint()
    assert packed_state is not None
    assert serializer.deserialize(packed_state) == {
        "count": 1,
        "name": "x",
        "_private": [1],
        "nested": {"a": {"b": b"c"}},
    }
    task.is_complete = True
    source.acknowledged(1, 4, [{"extra": 1}], failed=False)
    found = again(source)
    assert (found.count, found.name, found._private, found.nested) == (1, "x", [1], {"a": {"b": b"c"}})
    assert (found.is_complete, found.n_sent, found.n_acks) == (True, 1, 1)
    assert found.client_addresses == set()


def test_the_data_of_the_last_ack_survives() -> None:
    _, source = make()
    source.initialize({})
    source.acknowledged(1, 4, [{"extra": 1}], failed=False)
    heard: list[Any] = []

    def asked(self: Any, last: Any) -> bool:
        heard.append(last)
        return True

    task, following = make(is_available_for_handling=asked)
    following.resume(source.counters(), {})
    following.initialize({})
    assert following.available()
    assert heard == [{"_id": 5, "_task_type": "kept", "extra": 1}]
    assert task.n_acks == 1


def test_the_checkpoint_has_the_last_word() -> None:
    def initialize(self: Any, metadata: Any) -> None:
        self.count, self.made_anew = 100, object
        self.is_complete = True

    def checkpoint(self: Any) -> dict[str, Any]:
        return {"count": self.count}

    _, source = make(initialize=initialize, checkpoint=checkpoint)
    source.initialize({})
    source.task.is_complete = False
    source.fill(1, b"")
    found = again(source, initialize=initialize, checkpoint=checkpoint)
    assert (found.count, found.is_complete, found.made_anew) == (101, False, object)


def test_a_program_may_restore_as_it_likes() -> None:
    def restore(self: Any, state: dict[str, Any]) -> None:
        self.restored = state

    _, source = make()
    source.initialize({})
    source.fill(1, b"")
    source.fill(1, b"")
    assert again(source, restore=restore).restored == {"count": 2}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Path("x"), r"state\['thing'\]: cannot serialize PosixPath"),
        ([1, {2}], r"state\['thing'\]\[1\]: cannot serialize set"),
        (iter(()), r"state\['thing'\]: cannot serialize tuple_iterator"),
    ],
)
def test_what_cannot_be_kept_is_named_and_so_is_the_way_out(value: Any, words: str) -> None:
    task, source = make()
    source.initialize({})
    task.thing = value
    with pytest.raises(SerializationError, match=rf"^Kept\.checkpoint: {words}.* override checkpoint\(\)"):
        source.checkpoint()


def test_a_checkpoint_is_a_dictionary() -> None:
    _, source = make(checkpoint=lambda _self: [1])
    source.initialize({})
    with pytest.raises(TypeError, match=r"Kept\.checkpoint returned list, expected a dictionary"):
        source.checkpoint()
