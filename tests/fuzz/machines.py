"""The state machines of the roles, fed with valid envelopes of whoever may have sent them.

Each takes frames, the first byte of which tells who says it, and raises if anything was settled, handed out
or ended that should not be.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import zmqpipeline
from tests.unit.simulated.recorder import Recorder
from tests.unit.simulated.source import RUN, Numbers
from zmqpipeline import EndpointAddress
from zmqpipeline.delivery.assignment import Assignment
from zmqpipeline.delivery.dispatch import Dispatch
from zmqpipeline.delivery.ledger import Ledger
from zmqpipeline.delivery.ports import Options, Outcome
from zmqpipeline.delivery.settlement import Settlement
from zmqpipeline.delivery.taskbook import TaskBook
from zmqpipeline.wire import envelope
from zmqpipeline.wire.envelope import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

LIFE = "the life"
TASK = "t"
TOTAL = 20
#: who says it, by the first byte of a frame
STRANGERS = (b"a", b"b", b"c")
GOOD = b"good"


def opened(frames: list[bytes]) -> Iterator[tuple[int, Message]]:
    """Open messages; what is none is dropped, as the roles do."""
    for frame in frames:
        message = envelope.decode(frame[1:]) if frame else None
        if message is not None:
            yield frame[0], message


# -- the distributor ---------------------------------------------------------------


class Run:
    """A distributor's decisions about one task, among strangers."""

    def __init__(self) -> None:
        self.link = Recorder()
        self.book = TaskBook(TASK, Numbers(TOTAL), [], self.link, RUN, Ledger(envelope.cut), Options())
        self.dispatch = Dispatch(RUN, [self.book], self.link, Options())
        self.dispatch.set_metadata({})
        self.now = 100.0
        self.number = 0
        self.of_collector(Message("HELLO", life=LIFE))
        self.of_collector(Message("RDY", run=RUN, life=LIFE))
        self.advance(0.0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        while self.dispatch.advance(self.now):
            pass

    def of_collector(self, message: Message) -> None:
        self.dispatch.from_collector(message, self.now)

    def of_worker(self, address: bytes, message: Message) -> None:
        self.dispatch.from_worker(TASK, address, message, self.now)

    def given(self, address: bytes) -> list[Message]:
        """Take what a worker was given; each task is what its id says."""
        batches = [message for message in self.link.to(address) if message.type == "DATA"]
        for batch in batches:
            ids = [n for first, count in batch.ranges for n in range(first, first + count)]
            data = [batch.data] if batch.ids is None else batch.data
            assert [item["n"] for item in data] == ids
            assert all(0 <= n < TOTAL for n in ids)
        return batches

    def acknowledge(self, message: Message, *, failed: bool = False) -> None:
        """Have the collector acknowledge."""
        self.number += 1
        ack = Message("ACK", TASK, run=RUN, life=LIFE, ids=message.ranges, number=self.number, count=0)
        ack.failed = message.ranges if failed else None
        self.of_collector(ack)

    def finish(self) -> None:
        """Let the strangers go, and a good worker do everything."""
        for address in list(self.book.peers):
            self.link.outcomes[address] = Outcome.GONE
            self.book.lost(address)
        self.of_worker(GOOD, Message("HELLO", TASK))
        self.of_worker(GOOD, Message("RDY", TASK, run=RUN, credit=100, order=1))
        number = 0
        for _ in range(300):
            self.advance(1.0)
            for batch in self.given(GOOD):
                number = batch.number or number
                self.acknowledge(batch)
            for told in self.link.told():
                if told.type == "FAIL":
                    self.acknowledge(told, failed=True)
            self.of_worker(GOOD, Message("HEARTBEAT", TASK, run=RUN, number=number, held=[]))
            self.of_collector(Message("HEARTBEAT", run=RUN, life=LIFE))
            if self.dispatch.ended_at is not None:
                return
        raise AssertionError(f"it stands still with {self.book.ledger.open_count} open tasks")


def dispatch(frames: list[bytes]) -> None:
    """Whatever strangers say to a distributor, it settles nothing, and everything is done in the end."""
    run = Run()
    for who, message in opened(frames):
        if who % 4 == 3:
            knows = message.run == RUN and message.life == LIFE
            if knows or message.type == "HELLO":
                continue  # that would be the collector, or another one in its place
            run.of_collector(message)
        else:
            run.of_worker(STRANGERS[who % 4], message)
        run.advance(0.05)
        for address in STRANGERS:
            run.given(address)
        assert not run.dispatch.acknowledged
        assert not len(run.book.ledger.settled)
        assert run.dispatch.ended_at is None
    run.finish()
    assert run.book.ledger.settled.ranges() == [(0, TOTAL)]
    assert run.dispatch.acknowledged == TOTAL


# -- the worker ---------------------------------------------------------------------


def assignment(frames: list[bytes]) -> None:
    """Whatever comes, a worker has as many tasks as ids, and ends only with the run that welcomed it."""
    made = Assignment(TASK)
    for who, message in opened(frames):
        run, ended = made.run, made.ended
        made.receive(message)
        if who % 4 == 1 and (work := made.next(3)) is not None:
            made.put_back(work, 1)
            assert len(work.tasks) == envelope.total(work.ids) == 1
            made.done(work)
        for waiting in made.work:
            assert len(waiting.tasks) == envelope.total(waiting.ids)
            assert isinstance(waiting.attempt, int)
        assert envelope.total(made.held()) == made.waiting
        assert made.ended == (ended or (message.type == "END" and run is not None and message.run == run))
        for said in (made.heartbeat(), made.ready(3)):
            assert envelope.decode(envelope.encode(said)) is not None


# -- the collector -------------------------------------------------------------------


class Quiet(zmqpipeline.Collector):
    """Has no sockets, and counts."""

    endpoint = EndpointAddress("inproc://fuzz-results")
    ack_endpoint = EndpointAddress("inproc://fuzz-acks")

    def __init__(self) -> None:
        self.count = 0
        self._settlement = Settlement(LIFE)
        self._settlement.start(Message("METADATA", run=RUN, life=LIFE, settled={TASK: []}))
        self._greeted = self._met = True
        self._ended = None
        self._has_ack_data = False
        self._polled_at, self._refused_at = 0.0, math.inf

    def handle_collection(self, data: Any, task_type: str, msgtype: str) -> None:
        self.count += 1

    def handle_failure(self, data: Any, task_type: str, error: dict[str, Any]) -> None:
        self.count += 1

    def _say(self, message: Message) -> bool:
        assert envelope.decode(envelope.encode(message)) is not None
        return True


def collector(frames: list[bytes]) -> None:
    """Whatever comes, results are collected once, and only with the id of the run."""
    made = Quiet()
    settlement = made._settlement
    is_told = False  # what is settled, by somebody who knew the life
    for frame in frames:
        message = envelope.decode(frame[1:]) if frame else None
        life_is_known = message is not None and message.life == LIFE
        run_is_known = message is not None and message.run == settlement.run
        before = made.count
        made._receive([frame[1:], *([frame[1:]] if frame[:1] == b"\x05" else [])])
        if not run_is_known:
            assert made.count == before
        if not life_is_known:
            assert settlement.run == RUN
            assert made._ended is None
        if settlement.run != RUN:  # somebody who knew the life has begun another run
            return
        assert settlement.collected == made.count
        settled = sum(len(known) for known in settlement._settled.values())
        is_told = is_told or life_is_known
        assert is_told or settled == made.count
        while settlement.next_unsent() is not None:
            settlement.sent(0.0)
