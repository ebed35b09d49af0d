"""The distributor's decisions about one task type: who its workers are, and who gets what."""

from __future__ import annotations

import enum
from itertools import islice
from typing import TYPE_CHECKING, Any

from zmqpipeline.delivery.gate import Gate
from zmqpipeline.delivery.ledger import COLLECTOR, Batch, Ledger
from zmqpipeline.delivery.overdue import Overdue
from zmqpipeline.delivery.ports import NO_JOURNAL, Outcome
from zmqpipeline.delivery.roster import Departure, Peer, Roster
from zmqpipeline.delivery.shares import Shares
from zmqpipeline.delivery.suspicion import Suspicion
from zmqpipeline.wire import messages
from zmqpipeline.wire.envelope import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.delivery.ports import Journal, Link, Options, PastTask, Source

#: unacknowledged tasks that a lock-step worker may have: one that does not echo ids gets no more
LOCKSTEP_LIMIT = 16


class Phase(enum.Enum):
    """Where a task type is on its way."""

    WAITING = "waiting"  #: for its dependencies
    OPEN = "open"  #: being handed out, or waiting for acknowledgements
    COMPLETE = "complete"  #: handed out, and all acknowledged


class TaskBook:
    """Hands out the tasks of one type, and takes back what was not done.

    Parameters
    ----------
    name
        the task type
    source
        where its tasks come from
    depends
        the task types that have to be complete first
    link
        where messages go
    run
        the id of this run
    ledger
        the book of what is open
    options
        times and limits
    journal
        where it is written down

    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that a book is made of
        self,
        name: str,
        source: Source,
        depends: list[str],
        link: Link,
        run: str,
        ledger: Ledger,
        options: Options,
        journal: Journal = NO_JOURNAL,
    ) -> None:
        self.name = name
        self.depends = depends
        self.phase = Phase.WAITING
        self.ledger = ledger
        self.source = source
        self.roster = Roster(name, link, run, options, source)
        #: how processes ended, by host and pid, as far as somebody knows
        self.ends: dict[tuple[Any, Any], str] = {}
        self.suspicion = Suspicion(
            ledger, name, source.max_worker_deaths, lambda *who: self.ends.get(who, ""), journal
        )
        self.failed = 0
        self.redelivered = 0
        self._link = link
        self._run = run
        self._options = options
        self._journal = journal
        self.shares = Shares(ledger, options)
        self.gate = Gate(name, source, options.ask_interval, journal)
        self.overdue = Overdue(ledger, options)
        #: workers whose connection ended, for the log
        self.departed: list[Departure] = []
        self._handlers: dict[str, Callable[[Peer, Message, float], None]] = {
            messages.MESSAGE_TYPE_HELLO: self._on_hello,
            messages.MESSAGE_TYPE_EMPTY: self._on_empty,
            messages.MESSAGE_TYPE_READY: self._on_ready,
            messages.MESSAGE_TYPE_HEARTBEAT: self._on_heartbeat,
            messages.MESSAGE_TYPE_FAILURE: self._on_failure,
            messages.MESSAGE_TYPE_RETURN: self._on_return,
            messages.MESSAGE_TYPE_GOODBYE: self._on_goodbye,
        }

    # -- what happens -------------------------------------------------------

    def open(self, metadata: dict[str, Any]) -> None:
        """Begin: the dependencies are complete."""
        self.source.initialize(metadata)
        self._journal.changed(self.name)
        self.phase = Phase.OPEN
        self.roster.open(metadata)

    def resume(self, past: PastTask) -> None:
        """Take over what an earlier life of the distributor has written down; before anything happens."""
        self.ledger.resume(past.next, past.settled, past.batches, past.tried)
        self.failed = past.failed
        self.redelivered = self.ledger.open_count
        self.gate.pending.extend(past.feedback)

    def receive(self, address: bytes, message: Message, now: float) -> None:
        """Take in a message of a worker."""
        peer = self.roster.sender(address, message, now)
        if peer is not None:
            handler = self._handlers.get(message.type)
            if handler is None:
                self.roster.strays += 1
            else:
                handler(peer, message, now)
        self._take_gone()

    def lost(self, address: bytes) -> int:
        """Take back what a worker had, because its connection is gone; tell how many tasks."""
        peer = self.peers.pop(address, None)
        if peer is None:
            return 0
        unfinished = [b for b in self.ledger.held_by(address) if b.finished_at is None]
        suspects = [part for batch in unfinished for part in self.ledger.take_back(batch)]
        self.redelivered += sum(part.count for part in suspects)
        count = self._take_back(self.ledger.held_by(address)) + sum(part.count for part in suspects)
        if not peer.ended:
            self.suspicion.accuse(suspects, peer)
            self.departed.append(Departure(self.name, peer, count))
        return count

    def acknowledge(self, message: Message, now: float) -> int:
        """Take in an ACK of the collector; tell how many tasks it newly settles."""
        self.overdue.acknowledged(now)
        count = self.ledger.settle(message.ids or ())
        if not count:
            return 0  # the task has heard of these
        if message.failed:
            self.failed += count
        self._journal.settled(self.name, message.ids or ())
        number, feedback = message.count or 0, message.data if isinstance(message.data, list) else None
        if not self.source.gated:
            self.source.acknowledged(count, number, feedback, bool(message.failed))
            return count
        ids = (i for first, n in message.ids or () for i in range(first, first + n))
        self.gate.heard(number, islice(ids, count), feedback, message.failed or ())
        return count

    def collector_restarted(self, now: float) -> None:
        """Prepare for a collector that knows only what was acknowledged."""
        self._take_back(self.overdue.restarted(now))
        for batch in self.ledger.held_by(COLLECTOR):
            batch.number = 0

    # -- what is due --------------------------------------------------------

    def hand_out(self, now: float) -> bool:
        """Give each worker that has room one batch; tell whether anything was given."""
        given = False
        parcels: list[tuple[Peer, Batch]] = []
        emptied = self.suspicion.emptied(self.roster, now)
        self.shares.divide(self.roster.working)
        for address in list(self.peers):
            peer = self.peers.get(address)
            if peer is None or peer is emptied or (room := self._room(peer)) < 1:
                continue
            batch = self._next_batch(peer, room, now)
            if batch is not None:
                self.ledger.give(batch, peer.address, peer.number + 1)
                batch.given_at = now
                parcels.append((peer, batch))
                if self._journal.due:
                    given = self._send(parcels) or given
        given = self._send(parcels) or given
        if given:
            self.roster.rotate()
        return given

    def report_failures(self) -> None:
        """Send the collector the failures that it has not been sent."""
        for batch in self.ledger.held_by(COLLECTOR):
            if batch.number == 0:
                report = Message(
                    messages.MESSAGE_TYPE_FAILURE,
                    self.name,
                    run=self._run,
                    id=batch.first,
                    attempt=batch.attempt,
                    error=batch.error,
                    body=batch.body,  # what the task was, beside what became of it
                )
                if not self._link.to_collector(report):
                    return
                batch.number = 1

    def tick(self, now: float) -> None:
        """Ping who was silent, and hand out again what was finished and never acknowledged."""
        self.overdue.remind(now)
        self._take_back(self.overdue.due())
        for batch in self.suspicion.judge():
            self._fail(batch, now)
        self.roster.tick(now)
        self._take_gone()

    def probe(self) -> None:
        """Ask the sockets which workers are there."""
        self.roster.probe()
        self._take_gone()

    def end(self) -> None:
        """Tell the workers that the run is over; call it until no worker is left."""
        self.roster.end()
        self._take_gone()

    @property
    def peers(self) -> dict[bytes, Peer]:
        """The workers that are there, by their address."""
        return self.roster.peers

    @property
    def is_complete(self) -> bool:
        """Whether everything was handed out and acknowledged."""
        return self.source.exhausted and not self.ledger.open_count and not self.gate.pending

    def wake_at(self, now: float) -> float:
        """Tell when something is due next."""
        due = now + self._options.ping_interval
        waiting = self.ledger.next_due(now)
        if waiting is not None:
            due = min(due, waiting)
        if self.source.gated and self.phase is Phase.OPEN and not self.source.exhausted:
            due = min(due, now + self._options.ask_interval)
        return due

    # -- workers ------------------------------------------------------------

    def _on_hello(self, peer: Peer, message: Message, _now: float) -> None:
        self.roster.hello(peer, message.data)
        self.suspicion.absolve(peer)

    def _on_empty(self, peer: Peer, _message: Message, _now: float) -> None:
        self.roster.empty(peer)

    def _on_ready(self, peer: Peer, message: Message, now: float) -> None:
        if message.credit is not None:
            if peer.lockstep:
                self.roster.refuse(peer)  # it is one or the other
                self._take_back(self.ledger.held_by(peer.address))
            else:
                self.roster.credit(peer, message)
            return
        if not peer.lockstep:
            self.roster.strays += 1
            return
        peer.asks = True
        self.overdue.finished(peer.address, now)
        if self.roster.ending:
            self.roster.end_peer(peer)

    def _on_heartbeat(self, peer: Peer, message: Message, now: float) -> None:
        """Note which tasks a worker has finished: those that it was sent and does not hold."""
        if message.held is None or message.number is None:
            return
        self.overdue.unheld(peer.address, message.number, message.held, now)

    def _on_failure(self, peer: Peer, message: Message, now: float) -> None:
        if peer.lockstep:
            peer.asks = True
        found = None if message.id is None else self.ledger.find(message.id)
        # a report about an earlier attempt, or by somebody else, is old news
        if (
            found is None
            or message.id is None
            or found.holder != peer.address
            or found.attempt != message.attempt
        ):
            return
        batch = self.ledger.single(message.id)
        if batch is None:
            return
        batch.failures += 1
        self._journal.tried(self.name, batch.first, batch.failures, batch.deaths)
        error = message.error or {}  # only the last one is kept
        if batch.failures < self.source.max_attempts and error.get("retry", True) is not False:
            batch.shunned = peer.address
            delay = self.source.retry_delay * 2 ** (batch.failures - 1)
            batch.not_before = now + delay * self._options.jitter()
            self._take_back([batch])
        else:
            self.ledger.blame(batch, error)
            self._fail(batch, now)

    def _fail(self, batch: Batch, now: float) -> None:
        """Let the collector know that a task has failed for good."""
        self.ledger.leave(batch, COLLECTOR)
        self.overdue.failed(batch, now)

    def _on_return(self, peer: Peer, message: Message, _now: float) -> None:
        """Take back what a worker has not begun; with a credit of 0, also what crosses its message."""
        void = (message.order or 0) if message.credit == 0 else 0
        self.roster.credit(peer, message)
        for batch in self.ledger.held_by(peer.address):
            if batch.number <= (message.number or 0):
                self.redelivered += sum(b.count for b in self.ledger.take_back(batch, message.ranges))
            elif batch.order < void:  # not by the order of arrival: a later credit may have overtaken this
                self._take_back([batch])

    def _on_goodbye(self, peer: Peer, _message: Message, _now: float) -> None:
        """Take back what a worker that leaves has not finished; the results of the rest are on their way."""
        self.peers.pop(peer.address, None)
        self._take_back([b for b in self.ledger.held_by(peer.address) if b.finished_at is None])

    def _take_gone(self) -> None:
        """Take back what those workers had whose connection was found to be gone."""
        while self.roster.gone:
            self.lost(self.roster.gone.pop())

    # -- tasks --------------------------------------------------------------

    def _room(self, peer: Peer) -> int:
        """Tell how many tasks a worker may be given now."""
        if not peer.started or peer.ended:
            return 0
        held = self.ledger.holds(peer.address)
        if held and (peer.quarantined or self.shares.is_heavy(peer.address)):
            return 0
        if peer.lockstep:
            return int(peer.asks and held < LOCKSTEP_LIMIT)
        credit = min(peer.credit, self.shares.tasks)
        room = credit - held
        # many small batches cost more than few large ones: wait for a quarter of the credit, unless idle
        if room < 1 or (held and room < credit // 4):
            return 0
        return 1 if self.source.gated else min(room, max(1, credit // 2))

    def _next_batch(self, peer: Peer, room: int, now: float) -> Batch | None:
        """Find what to give: something that waits, or else something new."""
        batch = self.ledger.take_waiting(peer.address, room, now, alone=self.roster.working == 1)
        if batch is not None:
            return batch
        if self.shares.is_full or (self.source.gated and not self.gate.may_ask(now)) or self.source.exhausted:
            return None
        body, count = self.source.fill(room, peer.address)
        batch = self.ledger.record(body, count)
        self._journal.made(self.name, batch.first, count, body)
        return self.shares.fitting(batch)

    def _send(self, parcels: list[tuple[Peer, Batch]]) -> bool:
        """Send batches that were given, once they are written down; tell whether any was sent."""
        self._journal.commit()
        sent = [self._send_one(peer, batch) for peer, batch in parcels]
        parcels.clear()
        return any(sent)

    def _send_one(self, peer: Peer, batch: Batch) -> bool:
        message = Message(
            messages.MESSAGE_TYPE_DATA,
            self.name,
            run=self._run,
            attempt=batch.attempt,
            body=batch.body,
            n=batch.count,
        )
        if peer.lockstep:
            message.id = batch.first
        else:
            message.ids = [(batch.first, batch.count)]
            message.number = batch.number
            message.order = batch.order = peer.order
        outcome = self.roster.send(peer.address, message)
        if outcome is Outcome.SENT:
            peer.number += 1
            peer.asks = False
            peer.quarantined = bool(batch.suspects)
            return True
        attempt = batch.attempt - 1
        for part in self.ledger.take_back(batch):
            part.attempt = attempt
        if outcome is Outcome.GONE:
            self.lost(peer.address)
        return False

    def _take_back(self, batches: list[Batch]) -> int:
        count = sum(part.count for batch in batches for part in self.ledger.take_back(batch))
        self.redelivered += count
        return count
