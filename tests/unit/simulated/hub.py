"""The distributor's part of the roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tests.unit.simulated.links import Link, reopened
from zmqpipeline import resumption
from zmqpipeline.delivery.dispatch import Dispatch
from zmqpipeline.delivery.ledger import Ledger
from zmqpipeline.delivery.ports import NO_JOURNAL, Options, Outcome
from zmqpipeline.delivery.taskbook import TaskBook
from zmqpipeline.wire import envelope, messages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.unit.simulated.accounts import Accounts
    from tests.unit.simulated.links import Connection, Network
    from tests.unit.simulated.source import Numbers
    from zmqpipeline.testing.notebook import Notebook
    from zmqpipeline.wire.envelope import Message

#: the processes that there is one of
HUB, COLLECTOR = 0, 1
#: which task types depend on which
DEPENDS: dict[str, list[str]] = {"first": [], "second": ["first"], "gated": []}
MAX_OPEN = 24
#: more frames than a link ever has
EVERYTHING = 100
#: where the distributor may die: before it writes or sends something, or behind that
INSTANTS = [
    f"{after}{what}"
    for what in ("a commit", "DATA", "METADATA", "OK", "FAIL", "END")
    for after in ("", "after ")
]
METADATA = {"some": "metadata"}
_OPTIONS = Options(ping_interval=1.0, ack_timeout=5.0, max_open=MAX_OPEN)


class Killed(Exception):  # noqa: N818 - it is no error
    """The process ends here."""


class Hub:
    """One life of the distributor.

    Parameters
    ----------
    network
        where it is
    accounts
        of the run
    sources
        the tasks, by type
    notebook
        the journal, if there is one

    """

    def __init__(
        self, network: Network, accounts: Accounts, sources: Mapping[str, Numbers], notebook: Notebook | None
    ) -> None:
        self.network = network
        self.accounts = accounts
        self.sources = sources
        self.connections: dict[str, dict[bytes, Connection]] = {name: {} for name in sources}
        self.sink = Link(network, HUB, COLLECTOR)
        self.acks = Link(network, COLLECTOR, HUB)
        self.acks_cut = False
        self.was_stopped = False  #: and could take nothing in since its last step
        self.ended: dict[str, Any] | None = None  #: a worker's process of which somebody has seen the end
        self._stepped_at: float | None = None
        self._last_acks = Link(network, COLLECTOR, HUB)  #: of the lives of the collector before this one
        self.is_dead = False
        self._dies_at: tuple[str, int] | None = None
        self._turns = 0
        journal = NO_JOURNAL if notebook is None else notebook
        books = [
            TaskBook(name, source, DEPENDS[name], self, accounts.run, Ledger(envelope.cut), _OPTIONS, journal)
            for name, source in sources.items()
        ]
        self.dispatch = Dispatch(accounts.run, books, self, _OPTIONS, journal)
        if notebook is not None:
            notebook.when_written = self._reach
            resumption.resume(cast("Any", notebook), self.dispatch, cast("Any", sources))
        if self.dispatch.metadata is None:
            self.dispatch.set_metadata(METADATA)

    # -- sending ----------------------------------------------------------------

    def to_worker(self, task: str, address: bytes, message: Message) -> Outcome:
        self._reach(message.type)
        connection = self.connections[task].get(address)
        if connection is None or connection.gone_at_hub:
            return Outcome.GONE
        frame = envelope.encode(message)
        if not connection.to_worker.put(frame):
            return Outcome.FULL
        if message.type == messages.MESSAGE_TYPE_DATA:
            sent = reopened(frame)
            self.accounts.hand_out(task, sent.ranges, sent.data if sent.ids else [sent.data])
        self._reach(f"after {message.type}")
        return Outcome.SENT

    def to_collector(self, message: Message) -> bool:
        self._reach(message.type)
        if not self.sink.put(envelope.encode(message)):
            return False
        if message.type == messages.MESSAGE_TYPE_SUCCESS:
            self.accounts.confirm(message.life or "", message.number or 0)
        self._reach(f"after {message.type}")
        return True

    # -- steps ------------------------------------------------------------------

    def step(self, limit: int, now: float, *, collector_ended: bool) -> None:
        """Read up to so many messages from each link, find out who is gone, do what is due."""
        if self.is_dead:
            return
        try:
            self._step(limit, now, collector_ended=collector_ended)
        except Killed:
            self.is_dead = True

    def die_at(self, instant: str, times: int) -> None:
        """Die when an instant has come more than so many times; see :data:`INSTANTS`."""
        self._dies_at = instant, times

    def _step(self, limit: int, now: float, *, collector_ended: bool) -> None:
        if self.was_stopped and self._stepped_at is not None:
            self.dispatch.stalled(now - self._stepped_at, now)
        self.was_stopped, self._stepped_at = False, now
        if self.dispatch.judges(now):
            limit = EVERYTHING  # nobody is late whose word has arrived
        if self.acks_cut:
            self.acks_cut = False
            self.dispatch.collector_lost()
        for message in self._last_acks.take(limit) or self.acks.take(limit):
            self.dispatch.from_collector(message, now)
        if self.ended is not None:
            self.dispatch.process_ended(self.ended["host"], self.ended["pid"])
            self.ended = None
        self._turns += 1
        for task, connections in self.connections.items():
            self._read_workers(task, connections, limit, now)
        if collector_ended and not self.acks.frames and self.dispatch.ended_at is not None:
            self.dispatch.collector_lost()  # it has closed its sockets, and does not come back
            self.dispatch.give_up()
        self.dispatch.advance(now)

    def lose_collector(self, arrived: int) -> None:
        """Lose the collector; what it has said comes before anything that the next one says."""
        self.acks.cut(arrived)
        self._last_acks.frames += self.acks.frames
        self.acks = Link(self.network, COLLECTOR, HUB)
        self.acks_cut = True

    def check(self) -> None:
        """No more is open than is allowed, and all counts agree."""
        dispatch = self.dispatch
        statistics = dispatch.statistics()
        assert statistics.acknowledged + dispatch.open_count == statistics.handed_out
        for name, book in dispatch.books.items():
            assert book.ledger.handed_out == self.sources[name].made
            assert book.ledger.open_count <= MAX_OPEN + 5
        assert dispatch.books["gated"].ledger.open_count <= 1
        self.accounts.audit(dispatch.books)

    def _read_workers(self, task: str, connections: dict[bytes, Connection], limit: int, now: float) -> None:
        listed = list(connections.items())
        for address, connection in listed if self._turns % 2 else reversed(listed):
            for message in connection.to_hub.take(limit):
                self.dispatch.from_worker(task, address, message, now)
            if connection.gone_at_hub and not connection.to_hub.frames:
                del connections[address]
                self.dispatch.connection_gone(task, address)

    def _reach(self, instant: str) -> None:
        """Die, if this is the instant to die at."""
        if self._dies_at is None:
            return
        if self._dies_at[0] == instant:
            if not self._dies_at[1]:
                raise Killed
            self._dies_at = instant, self._dies_at[1] - 1
