"""The distributor's decisions about one task type: who its workers are, and who gets what."""

from __future__ import annotations

import enum
import math
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from zmqpipeline.delivery.admission import SAY_INTERVAL
from zmqpipeline.delivery.gate import Gate
from zmqpipeline.delivery.handout import Handout
from zmqpipeline.delivery.intervals import Intervals
from zmqpipeline.delivery.ledger import COLLECTOR, Ledger
from zmqpipeline.delivery.news import Fate, News
from zmqpipeline.delivery.overdue import Overdue
from zmqpipeline.delivery.overtime import Overtime
from zmqpipeline.delivery.peer import Peer
from zmqpipeline.delivery.ports import NO_JOURNAL
from zmqpipeline.delivery.reports import MOST_FAILURES, FailedAttempt, failed_attempt, reported
from zmqpipeline.delivery.roster import Roster
from zmqpipeline.delivery.suspicion import Suspicion
from zmqpipeline.wire import messages
from zmqpipeline.wire.envelope import ENVELOPE_BYTES, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.delivery.batch import Batch
    from zmqpipeline.delivery.intervals import Range
    from zmqpipeline.delivery.ports import Journal, Link, Options, PastTask, Source


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
        #: the last attempts that failed, for whoever watches
        self.failures: deque[FailedAttempt] = deque(maxlen=MOST_FAILURES)
        #: from hand-out to acknowledgement: the seconds of the tasks that were looked at, and their number
        self.latencies = (0.0, 0)
        self.stopping = False  #: whether workers are told to go before everything is done
        self._link = link
        self._run = run
        self._options = options
        self._journal = journal
        self.gate = Gate(name, source, options.ask_interval, journal)
        self.overdue = Overdue(ledger, options)
        self.handout = Handout(run, source, self.gate, ledger, self.roster, self.suspicion, options, journal)
        self.overtime = Overtime(ledger, source, options)
        self._narrow_said_at = -math.inf
        #: what has become of workers, for the log
        self.news: list[News] = []
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
        count = self._take_back(self.ledger.held_by(address)) + sum(part.count for part in suspects)
        if peer.ended or self.stopping:  # it was told to go, and whoever told it may kill it
            return count
        if not (peer.welcomed or peer.number or count):
            return 0  # gone before it was told anything: its words come one by one, each as new
        if self.roster.is_back(peer):
            self.news.append(News(Fate.RECONNECTED, self.name, peer, count))
        else:
            self.suspicion.accuse(suspects, peer)
            self.news.append(News(Fate.LOST, self.name, peer, count))
        return count

    def acknowledge(self, message: Message, now: float) -> int:
        """Take in an ACK of the collector; tell how many tasks it newly settles."""
        self.overdue.acknowledged(now)
        self._clock(message.ids, now)
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

    def collector_takes(self, largest: int) -> None:
        """Take in how large a frame the collector takes: workers have to know before they get a task.

        A task may be no larger either, because one that has failed goes to the collector.
        """
        self.source.max_message = min(self._options.max_message, largest)
        self.roster.limit_results(largest)

    # -- what is due --------------------------------------------------------

    def hand_out(self, now: float) -> bool:
        """Give each worker that has room one batch; tell whether anything was given."""
        given = self.handout.turn(now)
        self._take_gone()
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
                if len(batch.body) > self.source.max_message - ENVELOPE_BYTES:
                    report.body = b"\x80"  # this collector takes less than the one before it; an empty map
                if not self._link.to_collector(report):
                    return
                batch.number = 1

    def tick(self, now: float) -> None:
        """Ping who was silent, and hand out again what was finished and never acknowledged."""
        for address, greeting in self.roster.admission.due(len(self.peers), now):
            self.receive(address, greeting, now)
        if self.roster.admission.is_crowded(len(self.peers), now):
            self.news.append(News(Fate.CROWDED, self.name, Peer(b""), len(self.peers)))
        self.overdue.remind(now)
        self._take_back(self.overdue.due())
        for batch in self.suspicion.judge():
            self._fail(batch, now)
        for peer in self.roster.silenced(now):
            self.news.append(News(Fate.SILENT, self.name, peer, self.ledger.holds(peer.address)))
        for peer, batches in self.overtime.due(list(self.peers.values()), now):
            self._over(peer, batches, now)
        self.roster.tick(now)
        self._take_gone()

    def stalled(self, seconds: float, now: float) -> None:
        """Leave out a time in which nothing could be taken in: nobody is late because of it."""
        self.overdue.stalled(seconds)
        self.roster.stalled(seconds, now)

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

    def _on_hello(self, peer: Peer, message: Message, now: float) -> None:
        self.roster.hello(peer, message.data)
        former = self.roster.former(peer)
        if former is not None:
            self.lost(former)
            # HELLOs of two connections may change places: then the one that was lost lives, and is to know
            self.roster.reset(former)
        self.suspicion.absolve(peer)
        largest = peer.info.get("max_message")
        if type(largest) is not int or largest >= self._options.max_message:
            return
        if now - self._narrow_said_at >= SAY_INTERVAL:
            self._narrow_said_at = now
            self.news.append(News(Fate.NARROW, self.name, peer, largest))

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

    def _clock(self, ids: list[Range] | None, now: float) -> None:
        """Measure how long the first of some tasks took; those with it were handed out with it, or later."""
        batch = self.ledger.find(ids[0][0]) if ids else None
        if batch is not None and batch.number:  # else an earlier life of this distributor gave it
            seconds, count = self.latencies
            self.latencies = seconds + now - batch.given_at, count + 1

    def _on_heartbeat(self, peer: Peer, message: Message, now: float) -> None:
        """Note which tasks a worker has finished: those that it was sent and does not hold."""
        if message.data:
            peer.report = reported(message.data)
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
        if batch is not None:
            self._failed(batch, message.error or {}, now)

    def _over(self, peer: Peer, batches: list[Batch], now: float) -> None:
        """Fail the attempt of a worker that has passed the time limit; it may have what it does for good."""
        parts = [part for batch in batches for part in self.ledger.parts(batch.first, batch.count)]
        count = sum(part.count for part in parts)
        self.news.append(News(Fate.LATE, self.name, peer, count))
        if peer.lockstep:
            self.peers.pop(peer.address, None)  # when it asks again, it is a new one
        if count == 1:
            self._failed(parts[0], self.overtime.error(), now)
        else:
            self.suspicion.narrow([taken for part in parts for taken in self.ledger.take_back(part)])

    def _failed(self, batch: Batch, error: dict[str, Any], now: float) -> None:
        """Count a failed attempt of the one task of a batch: it is tried again, or has failed for good."""
        batch.failures += 1
        self._journal.tried(self.name, batch.first, batch.failures, batch.deaths)
        if batch.failures < self.source.max_attempts and error.get("retry", True) is not False:
            batch.shunned = batch.holder
            self.failures.append(failed_attempt(self.name, batch, error, now, self.peers))
            delay = self.source.retry_delay * 2 ** (batch.failures - 1)
            batch.not_before = now + delay * self._options.jitter()
            self._take_back([batch])
        else:
            self.ledger.blame(batch, error)
            self._fail(batch, now)

    def _fail(self, batch: Batch, now: float) -> None:
        """Let the collector know that a task has failed for good."""
        self.failures.append(failed_attempt(self.name, batch, batch.error, now, self.peers, final=True))
        self.ledger.leave(batch, COLLECTOR)
        self.overdue.failed(batch, now)

    def _on_return(self, peer: Peer, message: Message, _now: float) -> None:
        """Take back what a worker has not begun; with a credit of 0, also what crosses its message."""
        void = (message.order or 0) if message.credit == 0 else 0
        self.roster.credit(peer, message)
        held = self.ledger.held_by(peer.address)
        returned = Intervals(message.ranges if held else ())  # sorted, as there may be as many as it likes
        for batch in held:
            if batch.number <= (message.number or 0):
                kept = Intervals(returned.missing(batch.first, batch.count))
                self.ledger.take_untouched(batch, kept.missing(batch.first, batch.count))
            elif batch.order < void:  # not by the order of arrival: a later credit may have overtaken this
                self.ledger.take_untouched(batch)

    def _on_goodbye(self, peer: Peer, _message: Message, _now: float) -> None:
        """Take back what a worker that leaves has not finished; the results of the rest are on their way."""
        self.peers.pop(peer.address, None)
        self._take_back([b for b in self.ledger.held_by(peer.address) if b.finished_at is None])

    def _take_gone(self) -> None:
        """Take back what those workers had whose connection was found to be gone."""
        while self.roster.gone:
            self.lost(self.roster.gone.pop())

    # -- tasks --------------------------------------------------------------

    def _take_back(self, batches: list[Batch]) -> int:
        return sum(part.count for batch in batches for part in self.ledger.take_back(batch))
