"""The collector's decisions: which results are new, and which acknowledgements the distributor has."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from zmqpipeline.delivery.intervals import Intervals, Range
from zmqpipeline.wire import messages
from zmqpipeline.wire.envelope import OWN_FRAME, Message, names, part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zmqpipeline.wire.sockets import Frame

#: how long the collector waits for a confirmation before it sends ACKs again, in seconds
CONFIRM_TIMEOUT = 1.0
#: ACKs that were not sent yet become one, of so many ranges at the most
_MOST_RANGES = 1000
#: what names a task type of the run; the rest is about the run itself
_OF_A_TASK = {messages.MESSAGE_TYPE_DATA, messages.MESSAGE_TYPE_FAILURE}
#: of so many runs is counted what comes before this one is known; a worker is of one at a time
_MOST_EARLY, _LONGEST_RUN = 16, 64
#: what is said to several tasks goes in ACKs of about so many bytes, unless it is that much for a single one
_PORTION = OWN_FRAME


class Settlement:
    """What one life of a collector has collected, and what of it is confirmed.

    ACKs are numbered, and kept until the distributor has confirmed their
    number; so neither an ACK nor the data that travels with it is lost while
    both live. In memory are intervals of ids, and the ACKs under way.

    Parameters
    ----------
    life
        the id of this life of the collector

    """

    def __init__(self, life: str) -> None:
        self.life = life
        self.run: str | None = None
        self.collected = 0  #: tasks acknowledged in this life, failures included
        self.duplicates = 0
        self.strays = 0
        #: results that came before any run was known, by the run that they say they are of
        self._early: Counter[str] = Counter()
        self._settled: dict[str, Intervals] = {}
        self._connections = 0
        self._number = 0
        self._unconfirmed: deque[Message] = deque()
        self._unsent = 0  #: how many at the end of ``_unconfirmed`` were not sent yet
        self._progress = 0.0
        #: the last ACK, while it was not sent and says no more than which tasks were collected
        self._plain: Message | None = None

    def connected(self) -> None:
        """Note that a distributor has connected: what another one has said before counts no more."""
        self._connections += 1

    def hello(self, info: dict[str, Any]) -> Message:
        """Introduce this collector to the distributor."""
        number = self._connections
        return Message(messages.MESSAGE_TYPE_HELLO, "", info, life=self.life, number=number)

    def start(self, message: Message) -> Message | None:
        """Take in the distributor's START; the answer says that results may come.

        A run that is not the present one replaces it: nothing is known of its results then.
        So what a distributor said that is dead by now, and comes late, must not count.
        """
        if message.life != self.life or not message.run or (message.number or 0) != self._connections:
            self.strays += 1
            return None
        if message.run != self.run:
            self.run = message.run
            del self._early[message.run]  # workers have met this collector first, and do these tasks again
            self.strays += self._early.total()
            self._early.clear()
            self._settled = {}
            self._unconfirmed.clear()
            self._unsent = self._number = 0
            self._plain = None
        for task, ranges in (message.settled or {}).items():
            known = self._settled.setdefault(task, Intervals())
            for first, count in ranges:
                known.add(first, count)
        self._unsent = len(self._unconfirmed)
        return Message(messages.MESSAGE_TYPE_READY, run=self.run, life=self.life)

    def expects(self, frames: Sequence[Frame]) -> bool:
        """Tell whether a large message is of this run, or of a distributor that knows this life.

        It is counted if not, and asked before the message is opened: that may take a hundred times its size.
        """
        run, life = names(frames[0])
        if len(frames) <= 2 and (life == self.life or (run is not None and run == self.run)):
            return True
        self._count(run)
        return False

    def belongs(self, message: Message) -> bool:
        """Tell whether a message is of the present run and one of its task types, and count it if not."""
        is_known = message.task in self._settled or (not message.task and message.type not in _OF_A_TASK)
        if is_known and self.run is not None and message.run == self.run:
            return True
        self._count(message.run if message.type == messages.MESSAGE_TYPE_DATA else None)
        return False

    def _count(self, run: object) -> None:
        """Count a message that is dropped, which may be of a run that this collector will be told of."""
        may_be = self.run is None and isinstance(run, str) and 0 < len(run) < _LONGEST_RUN
        if may_be and (run in self._early or len(self._early) < _MOST_EARLY):
            self._early[str(run)] += 1
        else:
            self.strays += 1

    def is_news(self, message: Message) -> bool:
        """Tell, at once, whether a message has results behind all others of its task, as most have."""
        known, ids = self._settled.get(message.task), message.ids
        if known is None or ids is None or message.run != self.run or len(ids) != 1:
            return False
        (first, count), data = ids[0], message.data
        return type(data) is list and len(data) == count and first >= known.end

    def fresh(self, task: str, ranges: Sequence[Range]) -> list[Range]:
        """Tell which of these tasks have no result yet, in order, and each once."""
        known = self._settled.get(task)
        if known is None:
            known = self._settled[task] = Intervals()
        if len(ranges) == 1:
            return known.missing(*ranges[0])
        seen = Intervals()
        return [new for ids in ranges for missing in known.missing(*ids) for new in seen.add(*missing)]

    def settle(
        self,
        task: str,
        ranges: list[Range],
        *,
        feedback: list[bytes] | None = None,
        failed: bool = False,
        again: bool = False,
    ) -> None:
        """Acknowledge results that were handled.

        Parameters
        ----------
        task
            their task type
        ranges
            their ids, in the order in which they were handled
        feedback
            what the program has to say to each, packed, in the same order, if it says anything
        failed
            whether these are failures
        again
            whether these are duplicates, acknowledged in case that the first ACK was lost

        """
        if not ranges:
            return
        if feedback is not None and len(portions := list(_portions(feedback))) > 1:
            for place, count in portions:
                self.settle(task, part(ranges, place, count), feedback=feedback[place : place + count])
            return
        known = self._settled.setdefault(task, Intervals())
        for first, count in ranges:
            known.add(first, count)
        total = sum(count for _, count in ranges)
        plain = feedback is None and not failed and not again
        if plain and self._plain is not None and self._joined(self._plain, task, ranges):
            self.collected += total
            return
        self._number += 1
        ack = Message(
            messages.MESSAGE_TYPE_ACK,
            task,
            run=self.run,
            life=self.life,
            ids=ranges,
            number=self._number,
            count=self.collected,
            failed=ranges if failed else None,
        )
        if feedback is not None:
            ack.body, ack.n = b"".join(feedback), len(feedback)
        if again:
            self.duplicates += total
        else:
            self.collected += total
        self._unconfirmed.append(ack)
        self._unsent += 1
        self._plain = ack if plain else None

    @staticmethod
    def _joined(ack: Message, task: str, ranges: list[Range]) -> bool:
        """Let an ACK that was not sent yet be about more tasks, if that is possible."""
        ids = ack.ids or []
        if ack.task != task or len(ids) + len(ranges) > _MOST_RANGES:
            return False
        (first, count), *rest = ranges
        last, size = ids[-1]
        ack.ids = [*ids[:-1], (last, size + count), *rest] if last + size == first else [*ids, *ranges]
        return True

    def confirm(self, message: Message, now: float) -> None:
        """Forget the ACKs that the distributor says it has."""
        if message.life != self.life:
            self.strays += 1  # it is about the numbers of another life
            return
        number = message.number or 0
        while self._unconfirmed and (self._unconfirmed[0].number or 0) <= number:
            self._unconfirmed.popleft()
            self._progress = now
        self._unsent = min(self._unsent, len(self._unconfirmed))

    def next_unsent(self) -> Message | None:
        """Look at the ACK that is to be sent next; :meth:`sent` says that it was."""
        return self._unconfirmed[-self._unsent] if self._unsent else None

    def sent(self, now: float) -> None:
        """Note that the ACK of :meth:`next_unsent` is on its way."""
        self._plain = None
        if self._unsent == len(self._unconfirmed):
            self._progress = now
        self._unsent -= 1

    def repeat(self, now: float) -> None:
        """Send everything again that is not confirmed, if that has taken too long."""
        if self._unconfirmed and not self._unsent and now - self._progress > CONFIRM_TIMEOUT:
            self._unsent = len(self._unconfirmed)
            self._progress = now

    def heartbeat(self, report: Mapping[str, Any] | None = None) -> Message:
        """Give a sign of life, and say how this collector is."""
        said = {**(report or {}), "collected": self.collected, "queue": self.unconfirmed}
        return Message(messages.MESSAGE_TYPE_HEARTBEAT, "", said, run=self.run, life=self.life)

    def goodbye(self, *, ended: bool) -> Message:
        """Leave, by the distributor's END or without."""
        said = {"ended": ended, "collected": self.collected, "queue": self.unconfirmed}
        return Message(messages.MESSAGE_TYPE_GOODBYE, "", said, run=self.run, life=self.life)

    def is_goodbye(self, message: Message) -> bool:
        """Tell whether a message is the distributor's answer to :meth:`goodbye`."""
        is_ours = message.life == self.life and message.run == self.run
        return is_ours and message.type == messages.MESSAGE_TYPE_GOODBYE

    @property
    def unconfirmed(self) -> int:
        """How many ACKs the distributor has not confirmed."""
        return len(self._unconfirmed)

    @property
    def has_unsent(self) -> bool:
        """Whether ACKs wait to be sent."""
        return self._unsent > 0


def divided(
    ranges: Sequence[Range], data: Sequence[Any], fresh: Sequence[Range]
) -> tuple[dict[int, Any], list[Range]]:
    """Divide results into the new ones, by id, and the ids of those that came before.

    Parameters
    ----------
    ranges, data
        the ids and the results, in one order
    fresh
        the ids of which there is no result yet

    """
    new = Intervals(fresh)
    again = [part for first, count in ranges for part in new.missing(first, count)]
    ids = [task_id for first, count in ranges for task_id in range(first, first + count)]
    return {task_id: item for task_id, item in zip(ids, data, strict=True) if task_id in new}, again


def _portions(said: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Divide what is said into portions for one ACK each: the place of the first one, and how many."""
    start = size = 0
    for place, words in enumerate(said):
        if place > start and size + len(words) > _PORTION:
            yield start, place - start
            start, size = place, 0
        size += len(words)
    yield start, len(said) - start
