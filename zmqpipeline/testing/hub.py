"""The distributor of a simulated run: its decisions are production's, its sockets are queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zmqpipeline import resumption
from zmqpipeline.delivery.batch import NOBODY
from zmqpipeline.delivery.dispatch import Dispatch
from zmqpipeline.delivery.ledger import Ledger
from zmqpipeline.delivery.news import Fate
from zmqpipeline.delivery.ports import NO_JOURNAL, Options, Outcome
from zmqpipeline.delivery.taskbook import Phase, TaskBook
from zmqpipeline.source import TaskSource
from zmqpipeline.testing.faults import Kind
from zmqpipeline.wire import envelope, messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline.task import Task
    from zmqpipeline.testing.network import Network
    from zmqpipeline.testing.notebook import Notebook
    from zmqpipeline.wire.envelope import Message

#: the id of every simulated run, so that result ids are the same in each
RUN = "simulated"


class Killed(BaseException):
    """Ends a distributor in the middle of a step; never leaves the simulation."""


class SteadySource(TaskSource):
    """Makes batches of a size that does not depend on how fast this machine is today."""

    def fill(self, limit: int, address: bytes) -> tuple[bytes, int]:
        """Call handle() until there are enough or no more."""
        packed: list[bytes] = []
        while len(packed) < limit and not (packed and self.exhausted):
            # one at a time: the real clock closes a batch behind a task, never within it
            packed.append(super().fill(1, address)[0])
        return b"".join(packed), len(packed)


class Hub:
    """The distributor.

    Parameters
    ----------
    network
        the wires
    tasks
        the Task instances by task type
    metadata
        what everybody is told
    journal
        where the run is written down, if it is

    """

    def __init__(
        self,
        network: Network,
        tasks: dict[str, Task[Any, Any]],
        metadata: dict[str, Any],
        journal: Notebook | None,
    ) -> None:
        self._network = network
        self._moved = False
        self._collector_was_up = False
        options = Options()
        self._sources = {name: SteadySource(task, options.max_message) for name, task in tasks.items()}
        books = [
            TaskBook(
                name,
                source,
                [str(other) for other in source.task.dependencies],
                self,
                RUN,
                Ledger(envelope.cut),
                options,
                journal or NO_JOURNAL,
            )
            for name, source in self._sources.items()
        ]
        for book in books:
            book.ends = network.ends
        self.dispatch = Dispatch(RUN, books, self, options, journal or NO_JOURNAL)
        if journal is not None:
            resumption.resume(journal, self.dispatch, self._sources)
        if self.dispatch.metadata is None:
            self.dispatch.set_metadata(metadata)

    # -- sending ------------------------------------------------------------

    def to_worker(self, task: str, address: bytes, message: Message) -> Outcome:
        """Send to one worker."""
        connection = self._network.connections.get(task, {}).get(address)
        if connection is None or connection.is_cut:
            return Outcome.GONE
        self._moved = True
        connection.to_worker.append(envelope.encode(message))
        if message.type == messages.MESSAGE_TYPE_DATA:
            for first, count in message.ranges:
                for number in range(first, first + count):
                    self._network.clock.note("given", task, number, connection.who)
            fault = self._network.faults.among(Kind.RESTART_DISTRIBUTOR, task, message.ranges)
            if fault is not None:
                self._network.clock.note_fault(fault, "Distributor")
                raise Killed
        return Outcome.SENT

    def to_collector(self, message: Message) -> bool:
        """Send to the collector, if it is there."""
        if self._network.collector_is_up:
            self._moved = True
            self._network.to_collector.append(envelope.encode(message))
        return self._network.collector_is_up

    # -- what a role's loop does ----------------------------------------------

    def step(self) -> bool:
        """Read everything, and do what is due; tell whether anything happened."""
        now = self._network.clock.now
        self._moved = False
        self._follow_collector()
        while self._network.acks:
            self._moved = True
            message = envelope.decode(self._network.acks.popleft())
            if message is not None:
                self.dispatch.from_collector(message, now)
        for task in self._network.connections:
            self._read_workers(task, now)
        return self.dispatch.advance(now) or self._moved

    def finished(self) -> bool:
        """Tell whether everybody knows that the run is over."""
        return self.dispatch.finished(self._network.clock.now)

    def wake_at(self) -> float:
        """Tell when something is due next."""
        return self.dispatch.wake_at(self._network.clock.now)

    def _follow_collector(self) -> None:
        was_up, self._collector_was_up = self._collector_was_up, self._network.collector_is_up
        if was_up and not self._network.collector_is_up:
            self.dispatch.collector_lost()

    def _read_workers(self, task: str, now: float) -> None:
        connections = self._network.connections[task]
        gone = False
        for address, connection in list(connections.items()):
            while connection.to_distributor:
                self._moved = True
                message = envelope.decode(connection.to_distributor.popleft())
                if message is not None:
                    self.dispatch.from_worker(task, address, message, now)
            if connection.is_cut:
                del connections[address]
                gone = True
        if gone:
            self.dispatch.connection_gone(task, None)
            for news in self.dispatch.news():
                if news.fate is Fate.LOST:
                    self._network.clock.note("lost", news.task, None, str(news.peer.info.get("name", "")))

    # -- for whoever wants to know why nothing happens ---------------------------

    def retry_at(self) -> float | None:
        """Tell when a task that waits for its next attempt may be handed out."""
        now = self._network.clock.now
        due = [book.ledger.next_due(now) for book in self.dispatch.books.values()]
        return min((at for at in due if at is not None), default=None)

    def waits_for(self) -> list[str]:
        """Say what each task type that is not complete waits for."""
        if not self.dispatch.collector_ready:
            return ["every task waits for the collector"]
        return [line for book in self.dispatch.books.values() for line in self._waits(book)]

    def _waits(self, book: TaskBook) -> Iterator[str]:
        if book.phase is Phase.WAITING:
            missing = [
                name
                for name in book.depends
                if name in self.dispatch.books and self.dispatch.books[name].phase is not Phase.COMPLETE
            ]
            yield f"{book.name} waits for {' and '.join(missing)} to be complete"
        elif book.phase is Phase.OPEN:
            handed, settled = book.ledger.handed_out, len(book.ledger.settled)
            state = f"({handed} handed out, {settled} acknowledged)"
            if not book.peers:
                yield f"{book.name} waits for a worker, and there is none {state}"
            elif book.ledger.holds(NOBODY):
                yield f"{book.name} has tasks that no worker has room for {state}"
            elif handed > settled:
                yield f"{book.name} waits for results, or for their acknowledgements {state}"
            elif book.source.gated:
                yield f"{book.name} waits for its own is_available_for_handling() to say yes {state}"
            else:
                yield f"{book.name} waits for a worker to ask for more {state}"
