"""Who gets which tasks next: the room that each worker has, and what is sent into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zmqpipeline.delivery.ports import NO_JOURNAL, Outcome
from zmqpipeline.delivery.shares import Shares
from zmqpipeline.wire import messages
from zmqpipeline.wire.envelope import Message

if TYPE_CHECKING:
    from zmqpipeline.delivery.batch import Batch
    from zmqpipeline.delivery.gate import Gate
    from zmqpipeline.delivery.ledger import Ledger
    from zmqpipeline.delivery.peer import Peer
    from zmqpipeline.delivery.ports import Journal, Options, Source
    from zmqpipeline.delivery.roster import Roster
    from zmqpipeline.delivery.suspicion import Suspicion

#: unacknowledged tasks that a lock-step worker may have: one that does not echo ids gets no more
LOCKSTEP_LIMIT = 16


class Handout:
    """Gives the tasks of one type to its workers.

    Parameters
    ----------
    run
        the id of this run
    source
        where new tasks come from
    gate
        says when a gated task may be asked
    ledger
        the book of what is open; what waits there goes first
    roster
        the workers
    suspicion
        says who has to be empty before suspects can be handed out
    options
        limits
    journal
        where new batches are written down before they are sent

    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that it chooses by
        self,
        run: str,
        source: Source,
        gate: Gate,
        ledger: Ledger,
        roster: Roster,
        suspicion: Suspicion,
        options: Options,
        journal: Journal,
    ) -> None:
        self.redelivered = 0  #: tasks that were handed out again, and may have been begun before
        self._run = run
        self._source = source
        self._gate = gate
        self._ledger = ledger
        self._roster = roster
        self._suspicion = suspicion
        self._shares = Shares(ledger, options)
        self._journal = None if journal is NO_JOURNAL else journal

    def turn(self, now: float) -> bool:
        """Give each worker that has room one batch; tell whether anything was given."""
        given = False
        parcels: list[tuple[Peer, Batch]] = []
        emptied = self._suspicion.emptied(self._roster, now)
        self._shares.divide(self._roster.working)
        for peer in list(self._roster.peers.values()):
            if peer is emptied or (room := self._room(peer)) < 1:
                continue
            batch = self._next_batch(peer, room, now)
            if batch is not None:
                if self._journal is None:
                    given = self._send_one(peer, batch, now) or given
                    continue
                parcels.append((peer, batch))
                # what is booked already may not be given twice, what is not can wait for a few others
                if self._journal.due or batch.is_booked:
                    given = self._send(parcels, now) or given
        given = self._send(parcels, now) or given
        if given:
            self._roster.rotate()
        return given

    def _room(self, peer: Peer) -> int:
        """Tell how many tasks a worker may be given now."""
        if not peer.started or peer.ended or peer.suspect:
            return 0
        held = self._ledger.holds(peer.address)
        if held and (peer.quarantined or self._shares.is_heavy(peer.address)):
            return 0
        if peer.lockstep:
            return int(peer.asks and held < LOCKSTEP_LIMIT)
        credit = min(peer.credit, self._shares.tasks)
        room = credit - held
        # many small batches cost more than few large ones: wait for a quarter of the credit, unless idle; but
        # not until a hand is idle: whoever asks for little more than it has hands gets each task at once
        reserve = credit - peer.info.get("hands", 0)
        if room < 1 or (held and room < min(credit // 4, reserve // 2)):
            return 0
        return 1 if self._source.gated else min(room, max(1, credit // 2))

    def _next_batch(self, peer: Peer, room: int, now: float) -> Batch | None:
        """Find what to give: something that waits, or else something new."""
        ledger = self._ledger
        batch = ledger.take_waiting(peer.address, room, now, alone=self._roster.working == 1)
        if batch is not None:
            return self._shares.fitting(batch)
        if self._shares.is_full or (self._source.gated and not self._gate.may_ask(now)):
            return None
        if self._source.exhausted:
            return None
        body, count = self._source.fill(room, peer.address)
        batch = ledger.make(body, count)
        if self._journal is not None:
            self._journal.made(self._roster.name, batch.first, count, body)
        if len(body) > self._shares.frame:
            ledger.keep(batch)
            batch = self._shares.fitting(batch)
        return batch

    def _send(self, parcels: list[tuple[Peer, Batch]], now: float) -> bool:
        """Send batches, once they are written down; tell whether any was sent."""
        if self._journal is not None:
            self._journal.commit()
        sent = False
        for peer, batch in parcels:
            sent = self._send_one(peer, batch, now) or sent
        parcels.clear()
        return sent

    def _send_one(self, peer: Peer, batch: Batch, now: float) -> bool:
        """Send a batch, then book it: whoever waits for it need not wait for that."""
        kind, name, run, attempt = messages.MESSAGE_TYPE_DATA, self._roster.name, self._run, batch.attempt + 1
        body, count, number, order = batch.body, batch.count, peer.number + 1, peer.order
        if peer.lockstep:
            message = Message(kind, name, None, run, None, attempt, body, count)
            message.id = batch.first
        else:
            ids = [(batch.first, count)]
            message = Message(kind, name, None, run, ids, attempt, body, count, order, number)
        outcome = self._roster.link.to_worker(name, peer.address, message)
        if outcome is not Outcome.SENT:
            self._ledger.keep(batch)
            if outcome is Outcome.GONE:
                self._roster.unreachable(peer)
            return False
        self._ledger.give(batch, peer.address, number)
        batch.order, batch.given_at = order, now
        peer.number = number
        peer.asks = False
        peer.quarantined = bool(batch.suspects)
        if attempt > 1:
            self.redelivered += batch.left
        return True
