"""A whole pipeline without sockets, clocks and threads, whose network can be broken in every place.

The decisions are those of ``zmqpipeline.delivery``; what is written here is what
the roles do around them: poll, decode, ask, encode, send. Every link is a queue of
packed frames. Nothing moves by itself: a test says who takes a step, how many
messages are read in it, how much time passes, and what breaks.

====================  ====================================================================
link                  when it is cut
====================  ====================================================================
worker - distributor  both see it; the worker joins again as a new incarnation
worker -> collector   nobody sees it; what was under way is lost
hub -> collector      nobody sees it; what was under way is lost, what waits is kept, even
                      for the next life of the collector
collector -> hub      the collector sees it, the hub does not if it comes back at once; what
                      was under way is lost
====================  ====================================================================
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from zmqpipeline.delivery.assignment import Assignment, Work
from zmqpipeline.delivery.dispatch import Dispatch
from zmqpipeline.delivery.intervals import Intervals
from zmqpipeline.delivery.ledger import Ledger
from zmqpipeline.delivery.ports import Options, Outcome
from zmqpipeline.delivery.settlement import Settlement
from zmqpipeline.delivery.taskbook import TaskBook
from zmqpipeline.wire import envelope, messages, serializer
from zmqpipeline.wire.envelope import Message

if TYPE_CHECKING:
    from collections.abc import Callable

RUN = "the run"
#: how many frames a link takes, like a high-water mark
ROOM = 4
#: who takes a step
HUB, COLLECTOR, FIRST_WORKER = 0, 1, 2
#: both the workers and the collector give a sign of life so often, in seconds
HEARTBEAT = 1.0
#: every fifth task fails whenever it is tried, the one before it at the first attempt
ALWAYS_FAILS, FAILS_FIRST = 4, 3


class Numbers:
    """A source that hands out ``{"n": 0}``, ``{"n": 1}``, ... up to a total; a gated one, one at a time."""

    max_attempts = 3
    retry_delay = 1.0
    time_limit: float | None = None
    max_worker_deaths = 10**6  # who dies here, dies of other things

    def __init__(self, total: int, *, gated: bool = False) -> None:
        self.total = total
        self.gated = gated
        self.made = 0
        self.metadata: dict[str, Any] | None = None
        self.acknowledgements: list[tuple[int, int, list[Any] | None, bool]] = []
        self.feedback: list[Any] = []
        self.workers: list[bytes] = []
        self.when_opened: Callable[[], None] = lambda: None

    @property
    def exhausted(self) -> bool:
        return self.made >= self.total

    @property
    def acked(self) -> int:
        return sum(count for count, *_ in self.acknowledgements)

    def initialize(self, metadata: dict[str, Any]) -> None:
        assert self.metadata is None, "initialized twice"
        self.metadata = metadata
        self.when_opened()

    def available(self) -> bool:
        return self.acked == self.made

    def fill(self, limit: int, address: bytes) -> tuple[bytes, int]:
        assert limit >= 1
        assert not self.exhausted
        count = min(limit, self.total - self.made)
        body = b"".join(serializer.serialize({"n": n}) for n in range(self.made, self.made + count))
        self.made += count
        return body, count

    def acknowledged(self, count: int, first: int, feedback: list[Any] | None, failed: bool) -> None:
        self.acknowledgements.append((count, first, feedback, failed))
        self.feedback += feedback or []

    def joined(self, address: bytes) -> None:
        self.workers.append(address)


class Recorder:
    """What a book or a dispatch sends to, where there is no network: as a peer would read it."""

    def __init__(self) -> None:
        self._sent: list[tuple[bytes, Message]] = []
        self._told: list[Message] = []
        self.outcomes: dict[bytes, Outcome] = {}  #: of those that cannot be sent to
        self.room = True  #: whether the collector has some

    def to_worker(self, task: str, address: bytes, message: Message) -> Outcome:
        outcome = self.outcomes.get(address, Outcome.SENT)
        if outcome is Outcome.SENT:
            self._sent.append((address, reopened(message)))
        return outcome

    def to_collector(self, message: Message) -> bool:
        if self.room:
            self._told.append(reopened(message))
        return self.room

    def to(self, address: bytes) -> list[Message]:
        """Take what was sent to a worker."""
        found = [message for receiver, message in self._sent if receiver == address]
        self._sent = [(receiver, message) for receiver, message in self._sent if receiver != address]
        return found

    def told(self) -> list[Message]:
        """Take what was sent to the collector."""
        told, self._told = self._told, []
        return told


def reopened(message: Message) -> Message:
    """Pack and open a message."""
    opened = envelope.decode(envelope.encode(message))
    assert opened is not None
    return opened


class Link:
    """Frames under way in one direction, first in, first out."""

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()

    def put(self, message: Message) -> bool:
        """Send, if there is room."""
        if len(self.frames) >= ROOM:
            return False
        self.frames.append(envelope.encode(message))
        return True

    def take(self, limit: int) -> list[Message]:
        """Receive up to so many."""
        found = [self.frames.popleft() for _ in range(min(limit, len(self.frames)))]
        opened = [envelope.decode(frame) for frame in found]
        assert None not in opened
        return [message for message in opened if message is not None]

    def cut(self, arrived: int) -> None:
        """Break; only what has arrived by now can still be read."""
        while len(self.frames) > arrived:
            self.frames.pop()


class Connection:
    """Between a worker and the distributor, for one incarnation."""

    def __init__(self, address: bytes) -> None:
        self.address = address
        self.to_hub = Link()
        self.to_worker = Link()
        self.is_cut = False

    def cut(self, arrived: int) -> None:
        """Break, for both ends."""
        self.is_cut = True
        self.to_hub.cut(arrived)
        self.to_worker.cut(0)


class Hub:
    """The distributor's part of the roles."""

    def __init__(self, world: World, books: dict[str, tuple[Numbers, list[str]]], options: Options) -> None:
        self._world = world
        self.dispatch = Dispatch(
            RUN,
            [
                TaskBook(name, source, depends, self, RUN, Ledger(envelope.cut), options)
                for name, (source, depends) in books.items()
            ],
            self,
            options,
        )
        self.dispatch.set_metadata({"some": "metadata"})
        self.acks_cut = False

    def to_worker(self, task: str, address: bytes, message: Message) -> Outcome:
        connection = self._world.connections[task].get(address)
        if connection is None or connection.is_cut:
            return Outcome.GONE
        return Outcome.SENT if connection.to_worker.put(message) else Outcome.FULL

    def to_collector(self, message: Message) -> bool:
        return self._world.sink.put(message)

    def step(self, limit: int) -> None:
        """Read up to so many messages from each link, find out who is gone, do what is due."""
        now = self._world.now
        if self.acks_cut:
            self.acks_cut = False
            self.dispatch.collector_lost()
        for message in self._world.acks.take(limit):
            self.dispatch.from_collector(message, now)
        for task, connections in self._world.connections.items():
            for address, connection in list(connections.items()):
                for message in connection.to_hub.take(limit):
                    self.dispatch.from_worker(task, address, message, now)
                if connection.is_cut and not connection.to_hub.frames:
                    del connections[address]
                    self.dispatch.connection_gone(task, address)
        if self._world.collector.ended and not self._world.acks.frames:
            self.dispatch.collector_lost()  # it has closed its sockets, and does not come back
            self.dispatch.give_up()
        self.dispatch.advance(now)


class CreditWorker:
    """A worker that asks for several tasks at a time."""

    def __init__(self, world: World, task: str, credit: int) -> None:
        self._world = world
        self._task = task
        self._credit = credit
        self.results = Link()
        self._unsent: deque[Message] = deque()  # results that found no room
        self._join()

    def _join(self) -> None:
        self._connection = self._world.connect(self._task)
        self._assignment = Assignment(self._task)
        self._greeted = False
        self._untold = deque([self._assignment.hello({})])
        self._beat_at = self._world.now + HEARTBEAT

    def cut(self, arrived: int) -> None:
        """Lose the connection to the distributor."""
        self._connection.cut(arrived)

    def kill(self, arrived: int) -> None:
        """Lose everything but what has arrived."""
        self._connection.cut(arrived)
        self.results.cut(arrived)

    def step(self, limit: int) -> None:
        """Read and do up to so many; tell what is to be told."""
        for message in self._connection.to_worker.take(limit):
            self._assignment.receive(message)
        if self._assignment.ended:
            if not self._connection.is_cut:
                self._untold.append(self._assignment.goodbye())
                self._flush()
            return
        if self._connection.is_cut or self._assignment.reset:
            self._connection.cut(len(self._connection.to_hub.frames))
            self._join()
        if self._assignment.started and not self._greeted:
            assert self._assignment.metadata == {"some": "metadata"}
            self._greeted = True
            self._untold.append(self._assignment.ready(self._credit))
        if not self._unsent and (work := self._assignment.next(limit)) is not None:
            self._do(work)
            self._assignment.done(work)
        if self._greeted and self._world.now >= self._beat_at:
            self._beat_at = self._world.now + HEARTBEAT
            self._untold.append(self._assignment.heartbeat())
        self._flush()

    def give_back(self) -> None:
        """Give back what is not begun, and ask again."""
        if self._greeted:
            self._untold += [self._assignment.give_back(), self._assignment.ready(self._credit)]

    def _do(self, work: Work) -> None:
        for place, data in enumerate(work.tasks):
            ids = envelope.part(work.ids, place, 1)
            ((task_id, _),) = ids
            error = failure(data, task_id, work.attempt)
            if error is None:
                body = serializer.serialize({"n": data["n"], "done": True})
                self._unsent.append(self._assignment.results(work, ids, body))
            else:
                self._untold.append(self._assignment.failure(work, task_id, error))

    def _flush(self) -> None:
        for waiting, link in ((self._untold, self._connection.to_hub), (self._unsent, self.results)):
            while waiting and link.put(waiting[0]):
                waiting.popleft()


class LockstepWorker:
    """A worker that asks, gets one answer, and asks again, like one with a REQ socket."""

    def __init__(self, world: World, task: str) -> None:
        self._world = world
        self._task = task
        self.results = Link()
        self._unsent: deque[Message] = deque()
        self._ended = False
        self._join()

    def _join(self) -> None:
        self._connection = self._world.connect(self._task)
        self._connection.to_hub.put(Message(messages.MESSAGE_TYPE_EMPTY))

    def cut(self, arrived: int) -> None:
        """Lose the connection to the distributor."""
        self._connection.cut(arrived)

    def kill(self, arrived: int) -> None:
        """Lose everything but what has arrived."""
        self._connection.cut(arrived)
        self.results.cut(arrived)

    def give_back(self) -> None:
        """Do nothing: it has nothing that it has not begun."""

    def step(self, limit: int) -> None:
        """Take the answer, if it is there; do the task, and ask for the next one."""
        while self._unsent and self.results.put(self._unsent[0]):
            self._unsent.popleft()
        if self._unsent or self._ended:
            return
        if self._connection.is_cut:
            self._join()
        for answer in self._connection.to_worker.take(1):
            assert answer.type in {"METADATA", "DATA", "END", "RESET"}
            self._ended = answer.type == messages.MESSAGE_TYPE_END
            if not self._ended:
                self._connection.to_hub.put(self._answer(answer))

    def _answer(self, answer: Message) -> Message:
        request = Message(messages.MESSAGE_TYPE_READY, self._task)
        if answer.type == messages.MESSAGE_TYPE_DATA:
            assert answer.id is not None
            assert answer.attempt is not None
            echo: dict[str, Any] = {"run": answer.run, "id": answer.id, "attempt": answer.attempt}
            error = failure(answer.data, answer.id, answer.attempt)
            if error is not None:
                return Message(messages.MESSAGE_TYPE_FAILURE, self._task, **echo, error=error)
            result = {"n": answer.data["n"], "done": True}
            self._unsent.append(Message(messages.MESSAGE_TYPE_DATA, self._task, result, **echo))
        return request


class Collector:
    """One life of the collector."""

    def __init__(self, world: World, life: int) -> None:
        self._world = world
        self._settlement = Settlement(f"life {life}")
        self._greeted = False
        self._hello_at = self._beat_at = 0.0
        self.handled: set[tuple[str, int]] = set()
        self.ended = False

    def disconnected(self) -> None:
        """Note that the distributor was gone, and is there again."""
        self._greeted = False
        self._hello_at = 0.0

    def step(self, limit: int) -> None:
        """Read up to so many messages from each link, and send what is due."""
        if self.ended:
            return
        for link in (self._world.sink, *self._world.result_links()):
            for message in link.take(limit):
                self._receive(message)
        self._send(self._world.now)

    def _receive(self, message: Message) -> None:
        if message.type == messages.MESSAGE_TYPE_META_DATA:
            answer = self._settlement.start(message)
            if answer is not None:
                self._greeted = self._world.acks.put(answer)
        elif not self._settlement.belongs(message):
            pass
        elif message.type == messages.MESSAGE_TYPE_DATA:
            self._collect(message, failed=False)
        elif message.type == messages.MESSAGE_TYPE_FAILURE:
            self._collect(message, failed=True)
        elif message.type == messages.MESSAGE_TYPE_SUCCESS:
            self._settlement.confirm(message, self._world.now)
        elif message.type == messages.MESSAGE_TYPE_END and message.life == self._settlement.life:
            self.ended = True
            self._world.check_end(message)
            self._world.acks.put(self._settlement.goodbye(ended=True))

    def _collect(self, message: Message, *, failed: bool) -> None:
        data = [message.data] if message.ids is None else message.data
        assert len(data) == envelope.total(message.ranges) > 0
        new = Intervals(self._settlement.fresh(message.task, message.ranges))
        ids = [task_id for first, count in message.ranges for task_id in range(first, first + count)]
        for task_id, item in zip(ids, data, strict=True):
            if task_id in new:
                self._handle(message.task, task_id, item, failed=failed)
        again = [part for ids_ in message.ranges for part in new.missing(*ids_)]
        feedback = [{"id": task_id} for task_id in new]
        self._settlement.settle(message.task, new.ranges(), feedback=feedback, failed=failed)
        self._settlement.settle(message.task, again, again=True)

    def _handle(self, task: str, task_id: int, data: Any, *, failed: bool) -> None:
        assert (task, task_id) not in self.handled, "handled twice in one life"
        settled = self._world.hub.dispatch.books[task].ledger.settled
        assert task_id not in settled, "handled again, although the distributor has the acknowledgement"
        assert not self.ended, "handled after the end"
        self.handled.add((task, task_id))
        assert data == ({"n": task_id} if failed else {"n": task_id, "done": True})
        assert failed == (task_id % 5 == ALWAYS_FAILS)
        self._world.collected.add((task, task_id))

    def _send(self, now: float) -> None:
        acks = self._world.acks
        if not self._greeted and now >= self._hello_at:
            self._hello_at = now + 0.25
            acks.put(self._settlement.hello({}))
        if now >= self._beat_at:
            self._beat_at = now + HEARTBEAT
            self._settlement.repeat(now)
            if self._greeted:
                acks.put(self._settlement.heartbeat())
        while not self.ended and (ack := self._settlement.next_unsent()) is not None:
            if not acks.put(ack):
                break
            self._settlement.sent(now)


class World:
    """A distributor with three tasks, four workers, and a collector.

    ``second`` depends on ``first``; ``gated`` runs one at a time. ``first`` has
    two workers, of which one works in lock step.
    """

    def __init__(self) -> None:
        self.now = 100.0
        self.connections: dict[str, dict[bytes, Connection]] = {"first": {}, "second": {}, "gated": {}}
        self.sink = Link()
        self.acks = Link()
        self.sources = {"first": Numbers(32), "second": Numbers(9), "gated": Numbers(9, gated=True)}
        self.sources["second"].when_opened = self._check_first
        depends = {"first": [], "second": ["first"], "gated": list[str]()}
        self.collected: set[tuple[str, int]] = set()
        self._incarnations = 0
        self._lives = 1
        self.hub = Hub(
            self,
            {name: (source, depends[name]) for name, source in self.sources.items()},
            Options(ping_interval=1.0, ack_timeout=5.0, max_open=8),
        )
        self._makers: list[Callable[[], CreditWorker | LockstepWorker]] = [
            lambda: CreditWorker(self, "first", 5),
            lambda: LockstepWorker(self, "first"),
            lambda: CreditWorker(self, "second", 3),
            lambda: CreditWorker(self, "gated", 2),
        ]
        self._workers = [make() for make in self._makers]
        self._left_behind: list[Link] = []  # results of workers that were killed
        self.collector = Collector(self, self._lives)

    @property
    def workers(self) -> int:
        """How many workers there are; they are meant by their places."""
        return len(self._workers)

    def connect(self, task: str) -> Connection:
        """Make a connection to a task's endpoint, with a new routing id."""
        self._incarnations += 1
        connection = Connection(b"incarnation %d" % self._incarnations)
        self.connections[task][connection.address] = connection
        return connection

    def result_links(self) -> list[Link]:
        """List where the collector gets results from."""
        return [*self._left_behind, *(worker.results for worker in self._workers)]

    # -- steps ------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def step(self, role: int, limit: int) -> None:
        """Give a turn to the distributor, the collector, or a worker."""
        if role == HUB:
            self.hub.step(limit)
            self.check_books()
        elif role == COLLECTOR:
            self.collector.step(limit)
        else:
            self._workers[role - FIRST_WORKER].step(limit)

    def step_everybody(self, limit: int, last: int = COLLECTOR, frozen: int | None = None) -> None:
        """Give a turn to everybody but who is frozen; what the last one sends is under way then."""
        self.pass_time(0.1)
        roles = range(self.workers + 2)
        for role in (*roles[last + 1 :], *roles[: last + 1]):
            if role != frozen:
                self.step(role, limit)

    def give_back(self, place: int) -> None:
        self._workers[place].give_back()

    # -- faults -----------------------------------------------------------------

    def cut_worker(self, place: int, arrived: int) -> None:
        self._workers[place].cut(arrived)

    def cut_results(self, place: int, arrived: int) -> None:
        self._workers[place].results.cut(arrived)

    def cut_sink(self, arrived: int) -> None:
        self.sink.cut(arrived)

    def cut_acks(self, arrived: int, *, noticed: bool) -> None:
        self.acks.cut(arrived)
        self.hub.acks_cut = noticed
        self.collector.disconnected()

    def kill_worker(self, place: int, arrived: int) -> None:
        """Kill a worker, and start another one in its place."""
        self._workers[place].kill(arrived)
        self._left_behind.append(self._workers[place].results)
        self._workers[place] = self._makers[place]()

    def kill_collector(self, arrived: int) -> None:
        """Kill the collector, and start it again."""
        if self.collector.ended:
            return  # it may be gone then
        for link in (*self.result_links(), self.acks):
            link.cut(arrived)
        self.hub.acks_cut = True
        self._lives += 1
        self.collector = Collector(self, self._lives)

    # -- what must be true ----------------------------------------------------------

    def check_books(self) -> None:
        """Nothing is lost from the books, and no more is open than is allowed."""
        books = self.hub.dispatch.books
        statistics = self.hub.dispatch.statistics()
        assert statistics.acknowledged + self.hub.dispatch.open_count == statistics.handed_out
        for name, book in books.items():
            assert book.ledger.handed_out == self.sources[name].made
            assert book.ledger.open_count <= 8 + 5
            assert all((name, task_id) in self.collected for task_id in book.ledger.settled)
        assert books["gated"].ledger.open_count <= 1

    def check_end(self, end: Message) -> None:
        """The collector is told to end after everything was collected."""
        assert end.data == {}
        assert self.collected == {(name, n) for name, s in self.sources.items() for n in range(s.total)}

    def _check_first(self) -> None:
        """A dependent task starts when everything before it was collected and acknowledged."""
        assert {("first", n) for n in range(self.sources["first"].total)} <= self.collected
        assert self.sources["first"].acked == self.sources["first"].total

    def heal(self, rounds: int = 600) -> None:
        """Break nothing any more: the run has to complete."""
        for _ in range(rounds):
            self.step_everybody(ROOM)
            if self.hub.dispatch.finished(self.now):
                break
        else:
            raise AssertionError(f"not complete after {rounds} rounds: {self.hub.dispatch.statistics()}")
        assert self.collector.ended
        for source in self.sources.values():
            assert source.acked == source.total
            # what the collector had to say to each result has arrived
            assert sorted(said["id"] for said in source.feedback) == list(range(source.total))
        statistics = self.hub.dispatch.statistics()
        total = sum(source.total for source in self.sources.values())
        failed = sum(n % 5 == ALWAYS_FAILS for s in self.sources.values() for n in range(s.total))
        assert statistics[:3] == (total, total, failed)


def failure(data: dict[str, Any], task_id: int, attempt: int) -> dict[str, Any] | None:
    """Tell how a task fails at an attempt, if it does."""
    assert data == {"n": task_id}
    if task_id % 5 == ALWAYS_FAILS or (task_id % 5 == FAILS_FIRST and attempt == 1):
        return {"type": "ValueError", "text": f"attempt {attempt} of {task_id}"}
    return None
