"""The distributor's decisions about a whole run: dependencies, the collector, the end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zmqpipeline.delivery.batch import NOBODY
from zmqpipeline.delivery.ledger import COLLECTOR
from zmqpipeline.delivery.peer import introduced
from zmqpipeline.delivery.ports import NO_JOURNAL
from zmqpipeline.delivery.reports import reported
from zmqpipeline.delivery.statistics import Statistics
from zmqpipeline.delivery.taskbook import Phase, TaskBook
from zmqpipeline.errors import SerializationError
from zmqpipeline.wire import messages
from zmqpipeline.wire.envelope import ENVELOPE_BYTES, Message
from zmqpipeline.wire.limits import SMALLEST_MAX_MESSAGE
from zmqpipeline.wire.serializer import serialize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zmqpipeline.delivery.news import News
    from zmqpipeline.delivery.ports import Journal, Link, Options, Past

#: how long workers may take to say goodbye after the collector did, in seconds
FAREWELL = 2.0
#: a run that is resumed lasts at least so long, in seconds: workers of its earlier life, who may have done
#: everything already, have to connect again to hear that it is over
REUNION = 1.0
#: while there is something to hand out, one confirmation is for so many ACKs
CONFIRM_AFTER = 16
#: a run without tasks waits so long for a collector that it could end, in seconds
NO_TASKS_WAIT = 0.5


class Dispatch:
    """A run, from the first worker to the last goodbye.

    Parameters
    ----------
    run
        the id of this run
    books
        one for each task type
    link
        where messages go
    options
        times and limits
    journal
        where the run is written down

    """

    def __init__(
        self,
        run: str,
        books: Sequence[TaskBook],
        link: Link,
        options: Options,
        journal: Journal = NO_JOURNAL,
    ) -> None:
        self.books = {book.name: book for book in books}
        self.metadata: dict[str, Any] | None = None
        self.life: str | None = None  #: of the collector that is there
        self.collector_ready = False
        self.collector_away = False
        #: what it says of itself: who it is, and with each heartbeat how it is
        self.collector_info: dict[str, Any] = {}
        self.collector_report: dict[str, Any] = {}
        self.acknowledged = 0
        self.stopping = False
        self.ended_at: float | None = None
        self.strays = 0
        self._run = run
        self._link = link
        self._options = options
        self._journal = journal
        self._collector_takes = options.max_message
        self._epoch: int | None = None
        #: the collector that an earlier life of the distributor knew, and the last of its ACKs
        self._past_collector: tuple[str | None, int] = (None, 0)
        self._last_ack = 0
        self._confirmed = 0
        self._confirm_due = False
        self._busy = False  #: whether there was more to hand out the last time
        self._end_sent = False
        self._end_due = True
        self.collector_ended = False  #: it has finished, or is not waited for
        self.collector_left = False  #: it has said goodbye, and is gone when it gets the answer
        self._ticked = 0.0
        self._begun = math.inf  #: until it begins
        self._farewell: float | None = None

    # -- what happens -------------------------------------------------------

    def from_worker(self, task: str, address: bytes, message: Message, now: float) -> None:
        """Take in a message that came to a task's endpoint."""
        self.books[task].receive(address, message, now)

    def from_collector(self, message: Message, now: float) -> None:
        """Take in a message of the collector."""
        kind = message.type
        greets = kind == messages.MESSAGE_TYPE_HELLO and bool(message.life)
        if not greets and (message.run != self._run or not message.life or message.life != self.life):
            self.strays += 1
            return
        for book in self.books.values():
            book.overdue.heard(now)
        if greets:
            self._greet_collector(message.life or "", message, now)
        elif kind == messages.MESSAGE_TYPE_READY:
            self.collector_ready = True
        elif kind == messages.MESSAGE_TYPE_ACK:
            self._acknowledge(message, now)
        elif kind == messages.MESSAGE_TYPE_HEARTBEAT:
            self._confirm_due = self._end_due = True  # it has not ended: END may be lost
            self.collector_report = reported(message.data)
        elif kind == messages.MESSAGE_TYPE_GOODBYE:
            self.collector_ready, self.collector_left = False, True
            self.collector_report.update(reported(message.data))
            said = message.data if isinstance(message.data, dict) else {}
            self.collector_ended = self._end_sent and said.get("ended") is True
            if self.collector_ended and not self.stopping:
                self._journal.finished()
                self._journal.commit()
            # without it the collector says it again; it does not leave before, so that this is not lost
            self._link.to_collector(Message(messages.MESSAGE_TYPE_GOODBYE, run=self._run, life=self.life))
        else:
            self.strays += 1

    def connection_gone(self, task: str, address: bytes | None) -> None:
        """Find out which workers of a task are gone; a lock-step worker cannot be asked, so it is named."""
        book = self.books[task]
        if address is not None:
            peer = book.peers.get(address)
            if peer is not None and peer.lockstep:
                book.lost(address)
            if not book.roster.voice_gone(address) and peer is None:
                return  # a stranger's: thousands may go, and to ask every worker each time takes long
        book.probe()

    def news(self) -> list[News]:
        """Take the list of what has become of workers since the last call."""
        found = [news for book in self.books.values() for news in book.news]
        for book in self.books.values():
            book.news.clear()
        return found

    def process_ended(self, host: str, pid: int) -> None:
        """Take back what the workers of a process had: whoever started it has seen it end."""
        for book in self.books.values():
            for peer in list(book.peers.values()):
                if (peer.info.get("host"), peer.info.get("pid")) == (host, pid):
                    book.lost(peer.address)

    def stalled(self, seconds: float, now: float) -> None:
        """Leave out a time in which this process could take nothing in: nobody is late because of it."""
        for book in self.books.values():
            book.stalled(seconds, now)

    def set_metadata(self, metadata: dict[str, Any]) -> None:
        """Take in what is sent to tasks, workers and the collector; nothing begins before."""
        self.metadata = metadata
        self._journal.began(metadata)

    def resume(self, past: Past) -> None:
        """Take over the run of an earlier life of the distributor; before anything happens."""
        self._epoch = past.epoch
        self.metadata = past.metadata
        self._past_collector = (past.life, past.number)
        for name, task in past.tasks.items():
            self.books[name].resume(task)
        self.acknowledged = sum(len(book.ledger.settled) for book in self.books.values())

    def stop(self) -> None:
        """Hand out nothing more, and end when what is under way is done."""
        self.stopping = True
        for book in self.books.values():
            book.stopping = True

    def end(self, now: float) -> None:
        """End the run now, done or not."""
        self.stopping = True
        if self.ended_at is None:
            self.ended_at = now

    def collector_lost(self) -> None:
        """Hand out nothing more until a collector is there (again)."""
        self.collector_ready, self.collector_away = False, True

    def give_up(self) -> None:
        """Do not wait for the collector's goodbye."""
        self.collector_ended = True

    # -- what is due --------------------------------------------------------

    def advance(self, now: float) -> bool:
        """Do all that is due; tell whether there is more to do at once."""
        self._begun = min(self._begun, now)
        self._journal.commit()
        self._confirm()
        if self.judges(now):
            self._tick(now)
        busy = False
        if self.collector_ready and not self.stopping and self.ended_at is None:
            busy = self._hand_out(now)
        self._busy = busy
        if not busy:
            self._confirm()
        for book in self.books.values():
            if self.collector_ready and book.ledger.holds(COLLECTOR):
                book.report_failures()
        if self.ended_at is None and self._is_over(now):
            self.ended_at = now
        if self.ended_at is not None:
            self._end()
        return busy

    def judges(self, now: float) -> bool:
        """Tell whether the next :meth:`advance` finds out who is late: read before what has arrived."""
        return now - self._ticked >= self._options.ping_interval

    def finished(self, now: float) -> bool:
        """Tell whether everybody knows that the run is over, or has had the time to."""
        if self.ended_at is None:
            return False
        if not self.books and now - self._begun >= NO_TASKS_WAIT:
            return True
        if not self.collector_ended and self.life is not None:
            return False
        if not any(book.peers for book in self.books.values()):
            return not self._epoch or now - self._begun >= REUNION
        if self._farewell is None:
            self._farewell = now + FAREWELL
        return now >= self._farewell

    def wake_at(self, now: float) -> float:
        """Tell when something is due next."""
        due = self._ticked + self._options.ping_interval
        if self.ended_at is not None:
            due = min(due, now + 0.05)
        return min([due, *(book.wake_at(now) for book in self.books.values() if book.phase is Phase.OPEN)])

    # -- what others want to know -------------------------------------------

    @property
    def dropped(self) -> int:
        """How many messages were dropped, because they made no sense or were of no task of this run."""
        return self.strays + sum(book.roster.strays for book in self.books.values())

    @property
    def open_count(self) -> int:
        """How many tasks are handed out and not acknowledged."""
        return sum(book.ledger.open_count for book in self.books.values())

    @property
    def under_way(self) -> int:
        """How many tasks are with a worker or the collector, and do not wait to be handed out again."""
        return sum(book.ledger.open_count - book.ledger.holds(NOBODY) for book in self.books.values())

    def statistics(self) -> Statistics:
        """Count."""
        books = self.books.values()
        return Statistics(
            sum(book.ledger.handed_out for book in books),
            self.acknowledged,
            sum(book.failed for book in books),
            sum(book.handout.redelivered for book in books),
            sum(len(book.peers) for book in books),
        )

    def waits_for(self) -> list[str]:
        """Name whom the run cannot go on without, in words."""
        if self.metadata is None:
            return ["metadata"]
        if not self.collector_ready:
            return ["the collector"]
        return [
            f"a worker for {book.name}"
            for book in self.books.values()
            if book.phase is Phase.OPEN and not book.peers and not book.is_complete
        ]

    # -- inside -------------------------------------------------------------

    def _greet_collector(self, life: str, hello: Message, now: float) -> None:
        if self.metadata is None:
            return  # it says HELLO again
        self._note_limit(hello.data)
        self.collector_info, self.collector_away = introduced(hello.data), False
        if life != self.life:
            restarted = self.life is not None
            self.life = life
            self.collector_ready, self.collector_report = False, {}
            past_life, past_number = self._past_collector
            self._last_ack = self._confirmed = past_number if life == past_life else 0
            self._journal.met(life, self._last_ack)
            self._end_sent = self.collector_ended = self.collector_left = False
            if restarted:
                for book in self.books.values():
                    book.collector_restarted(now)
        start = Message(messages.MESSAGE_TYPE_META_DATA, "", self.metadata, run=self._run, life=life)
        start.number = hello.number
        start.settled = {name: book.ledger.settled.ranges() for name, book in self.books.items()}
        start.epoch = self._epoch
        self._link.to_collector(start)

    def _note_limit(self, said: Any) -> None:
        """Learn what the collector takes, and let the workers know: their results have to fit."""
        largest = said.get("max_message") if isinstance(said, dict) else None
        if type(largest) is not int:
            largest = self._options.max_message  # one of an earlier version, which takes as much as we do
        largest = max(largest, SMALLEST_MAX_MESSAGE)
        if largest == self._collector_takes:
            return
        size, most = len(serialize(self.metadata)), largest - ENVELOPE_BYTES
        if size > most:
            raise SerializationError(
                f"the metadata have {size} bytes packed, more than the collector takes ({most} bytes): "
                f"hand out a reference instead, or raise max_message_size in all roles"
            )
        self._collector_takes = largest
        for book in self.books.values():
            book.collector_takes(largest)

    def _acknowledge(self, message: Message, now: float) -> None:
        """Take in ACKs in their order; one that came twice, or out of order, is asked for again."""
        self._confirm_due = True
        if message.number != self._last_ack + 1:
            return
        self._last_ack = message.number
        self._journal.met(message.life or "", message.number)
        book = self.books.get(message.task)
        if book is None:
            self.strays += 1
            return
        self.acknowledged += book.acknowledge(message, now)

    def _confirm(self) -> None:
        """Confirm the ACKs that came, several at once while there is much to do."""
        if not self._confirm_due or (self._busy and self._last_ack - self._confirmed < CONFIRM_AFTER):
            return
        number = self._last_ack
        confirmation = Message(messages.MESSAGE_TYPE_SUCCESS, run=self._run, life=self.life, number=number)
        if self._link.to_collector(confirmation):
            self._confirm_due, self._confirmed = False, number

    def _tick(self, now: float) -> None:
        self._ticked = now
        for book in self.books.values():
            book.tick(now)

    def _hand_out(self, now: float) -> bool:
        busy = False
        for book in self.books.values():
            if book.phase is Phase.WAITING and self._may_open(book):
                book.open(self.metadata or {})
                busy = True
            if book.phase is Phase.OPEN:
                busy = book.hand_out(now) or busy
                if book.is_complete:
                    self._journal.changed(book.name)
                    book.phase = Phase.COMPLETE
                    busy = True  # others may depend on it
        return busy

    def _may_open(self, book: TaskBook) -> bool:
        # a dependency that this distributor does not have counts as complete, as in the original
        needed = [self.books[name] for name in book.depends if name in self.books]
        return self.metadata is not None and all(other.phase is Phase.COMPLETE for other in needed)

    def _is_over(self, now: float) -> bool:
        if not self.books:
            return self.collector_ready or now - self._begun >= NO_TASKS_WAIT
        if self.stopping:
            return not self.under_way
        return all(book.phase is Phase.COMPLETE for book in self.books.values())

    def _end(self) -> None:
        self._journal.commit()  # that the tasks are complete, before anybody hears of it
        for book in self.books.values():
            book.end()
        if self.collector_ready and (self._end_due or not self._end_sent):
            data = {"stopped": True} if self.stopping else {}
            end = Message(messages.MESSAGE_TYPE_END, "", data, run=self._run, life=self.life)
            if self._link.to_collector(end):
                self._end_sent, self._end_due = True, False
