"""What was handed out and not yet acknowledged: the distributor's book of one task type.

Tasks are booked in batches of contiguous ids. A batch is in one place at a
time: with a worker, waiting to be handed out again, or with the collector as a
failure. It stays in the book until each of its results is acknowledged, so it
can always be handed out again. Only when a batch has to be taken apart (part
of it acknowledged when its worker dies, one task of it failed) does it become
several; there is no object for each task.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from zmqpipeline.delivery.batch import BATCH_COST, NOBODY, Batch
from zmqpipeline.delivery.intervals import Intervals, Range

#: the holder of failures that were sent to the collector
COLLECTOR: Hashable = "collector"

#: cuts packed items apart: ``(body, how many to skip, how many to keep) -> body``
Cutter = Callable[[bytes, int, int], bytes]


class Ledger:
    """The book of one task type.

    Parameters
    ----------
    cut
        takes packed items apart; see :data:`Cutter`

    """

    def __init__(self, cut: Cutter) -> None:
        self._cut = cut
        self._next = 0
        self._firsts: list[int] = []
        self._batches: dict[int, Batch] = {}
        self._waiting: list[Batch] = []
        self.settled = Intervals()
        #: unacknowledged tasks, and the memory that their batches take, in bytes
        self.open_count = 0
        self.open_bytes = 0
        self._holdings: dict[Hashable, int] = {}
        self._weights: dict[Hashable, int] = {}

    @property
    def handed_out(self) -> int:
        """How many ids were given."""
        return self._next

    @property
    def batches(self) -> list[Batch]:
        """All that is open, in the order of their ids."""
        return [self._batches[first] for first in self._firsts]

    @property
    def has_waiting(self) -> bool:
        """Whether something waits to be handed out again."""
        return bool(self._waiting)

    def suspects_wait(self, now: float) -> bool:
        """Tell whether something waits that only a worker without anything else may get."""
        return any(batch.suspects and batch.not_before <= now for batch in self._waiting)

    def holds(self, holder: Hashable) -> int:
        """How many unacknowledged tasks a holder has."""
        return self._holdings.get(holder, 0)

    def weighs(self, holder: Hashable) -> int:
        """How much memory the batches of a holder take, in bytes."""
        return self._weights.get(holder, 0)

    @property
    def mean_weight(self) -> float:
        """How much memory one batch takes, in bytes."""
        return self.open_bytes / max(1, len(self._firsts))

    def blame(self, batch: Batch, error: dict[str, Any]) -> None:
        """Note what the last failure of a batch said; an empty dictionary forgets it."""
        self._weigh(batch, -1)
        batch.error = error
        self._weigh(batch, 1)

    def held_by(self, holder: Hashable) -> list[Batch]:
        """List the batches of a holder, in the order of their ids."""
        return [batch for batch in self.batches if batch.holder == holder]

    def make(self, body: bytes, count: int) -> Batch:
        """Give new tasks their ids; :meth:`give` or :meth:`keep` books them, before anything else is done.

        Parameters
        ----------
        body
            the packed dictionaries, one after another
        count
            how many there are, at least 1

        """
        batch = Batch(self._next, count, body)
        self._next += count
        return batch

    def keep(self, batch: Batch) -> None:
        """Book a batch as one that waits, if it is not booked yet."""
        if not batch.is_booked:
            self._add(batch)

    def resume(
        self,
        next_id: int,
        settled: Iterable[Range],
        batches: Iterable[tuple[int, int, bytes]],
        tried: Iterable[tuple[int, int, int]] = (),
    ) -> None:
        """Take over an earlier book: whatever is open waits to be handed out.

        Parameters
        ----------
        next_id
            the first id that was not given
        settled
            what was acknowledged
        batches
            first id, count and packed dictionaries of each batch of which something is open
        tried
            id, failures and deaths of tasks that have some

        Raises
        ------
        ValueError
            if an id is neither settled nor in a batch, or is in two

        """
        self.settled = Intervals(settled)
        known = Intervals(self.settled.ranges())
        for first, count, body in batches:
            missing = self.settled.missing(first, count)
            if count < 1 or not missing or any(known.add(*part) != [part] for part in missing):
                raise ValueError(f"the batch of {first} to {first + count - 1} does not fit to the others")
            batch = Batch(first, count, body)
            batch.attempt = 1  # it may have been handed out
            self._add(batch)
            self._reduce(batch, count - sum(n for _, n in missing))
        self._next = next_id
        if known != Intervals([(0, next_id)]):
            raise ValueError(f"of the tasks 0 to {next_id - 1} only {known.ranges()} are there")
        for task_id, failures, deaths in tried:
            single = self.single(task_id)
            if single is not None:
                single.failures, single.deaths, single.suspects = failures, deaths, int(deaths > 0)

    def give(self, batch: Batch, holder: Hashable, number: int = 0) -> None:
        """Book a batch to a holder, as one more attempt."""
        if batch.is_booked:
            self.leave(batch, holder)
        else:
            batch.holder = holder
            self._add(batch)
        batch.attempt += 1
        batch.number = number
        batch.finished_at = None

    def leave(self, batch: Batch, holder: Hashable) -> None:
        """Book a batch to a holder that does not attempt it: the collector, for a failure."""
        if batch in self._waiting:
            self._waiting.remove(batch)
        self._move(batch, holder)

    def take_waiting(self, holder: Hashable, limit: int, now: float, *, alone: bool) -> Batch | None:
        """Find something that waits and may go to this holder now.

        Parameters
        ----------
        holder
            who would get it
        limit
            the most tasks that it has room for; a larger batch is cut
        now
            the caller's clock, in seconds
        alone
            whether there is no other worker: then even the one on which a task failed gets it again

        Returns
        -------
        Batch or None
            still booked to nobody: :meth:`give` it

        """
        for batch in self._waiting:
            if batch.not_before > now or (batch.shunned == holder and not alone):
                continue
            if batch.suspects and self.holds(holder):
                continue
            # some of it may have been acknowledged while it waited
            first, count = self.settled.missing(batch.first, batch.count)[0]
            return self._isolate(first, min(count, limit, batch.suspects or count))
        return None

    def next_due(self, now: float) -> float | None:
        """Tell when the next waiting task may be handed out, if that is in the future."""
        return min((batch.not_before for batch in self._waiting if batch.not_before > now), default=None)

    def settle(self, ranges: Iterable[Range]) -> int:
        """Strike out what was acknowledged, wherever it is; tell how many tasks that newly settles."""
        total = 0
        for first, count in ranges:
            # an id that was never given cannot be acknowledged
            for new_first, new_count in self.settled.add(first, min(count, self._next - first)):
                total += new_count
                self._strike(new_first, new_first + new_count)
        self.open_count -= total
        return total

    def take_back(self, batch: Batch, ranges: Iterable[Range] | None = None) -> list[Batch]:
        """Let what is not acknowledged of a batch wait for another holder.

        Parameters
        ----------
        batch
            an open batch
        ranges
            the ids that are meant, in any order, some perhaps twice; all of it if omitted

        Returns
        -------
        list of Batch
            what waits now and did not before

        """
        taken = []
        for first, count in [(batch.first, batch.count)] if ranges is None else ranges:
            low, high = max(first, batch.first), min(first + count, batch.end)
            for part in self.parts(low, high - low):
                if part.holder is not NOBODY:
                    self._move(part, NOBODY)
                    part.finished_at = None
                    insort(self._waiting, part, key=lambda waiting: waiting.first)
                    taken.append(part)
        return taken

    def take_untouched(self, batch: Batch, ranges: Iterable[Range] | None = None) -> None:
        """Take back what its holder has not begun, as :meth:`take_back` does: it was no attempt."""
        for part in self.take_back(batch, ranges):
            part.attempt -= 1

    def find(self, task_id: int) -> Batch | None:
        """Find the open batch that has an id."""
        index = bisect_right(self._firsts, task_id) - 1
        if index < 0 or task_id in self.settled:
            return None
        batch = self._batches[self._firsts[index]]
        return batch if task_id < batch.end else None

    def single(self, task_id: int) -> Batch | None:
        """Find an open task and put it into a batch of its own, wherever it is."""
        return None if self.find(task_id) is None else self._isolate(task_id, 1)

    def parts(self, first: int, count: int) -> list[Batch]:
        """Put the open tasks of a range into batches that have nothing else, wherever they are."""
        found = []
        for start, size in self.settled.missing(first, min(count, self._next - first)):
            position, end = start, start + size
            while position < end:
                found.append(self._isolate(position, end - position))
                position = found[-1].end
        return found

    def _add(self, batch: Batch) -> None:
        first, count, holder = batch.first, batch.count, batch.holder
        batch.is_booked, batch.left = True, count
        if self._firsts and first < self._firsts[-1]:
            insort(self._firsts, first)
        else:
            self._firsts.append(first)
        self._batches[first] = batch
        weight = BATCH_COST + len(batch.body) if not batch.error else batch.weight
        self.open_count += count
        self.open_bytes += weight
        self._weights[holder] = self._weights.get(holder, 0) + weight
        self._holdings[holder] = self._holdings.get(holder, 0) + count
        if holder is NOBODY:
            insort(self._waiting, batch, key=lambda waiting: waiting.first)

    def _remove(self, batch: Batch) -> None:
        del self._batches[batch.first]
        del self._firsts[bisect_right(self._firsts, batch.first) - 1]
        self._weigh(batch, -1)
        if batch.holder is NOBODY:
            self._waiting.remove(batch)

    def _change(self, holder: Hashable, count: int) -> None:
        _add_to(self._holdings, holder, count)

    def _weigh(self, batch: Batch, sign: int) -> None:
        weight = sign * batch.weight
        self.open_bytes += weight
        _add_to(self._weights, batch.holder, weight)

    def _move(self, batch: Batch, holder: Hashable) -> None:
        _shift(self._holdings, batch.holder, holder, batch.left)
        _shift(self._weights, batch.holder, holder, batch.weight)
        batch.holder = holder

    def _strike(self, first: int, end: int) -> None:
        while first < end:
            batch = self._batches[self._firsts[bisect_right(self._firsts, first) - 1]]
            struck = min(end, batch.end) - first
            batch.left -= struck
            self._change(batch.holder, -struck)
            first += struck
            if not batch.left:
                self._remove(batch)

    def _isolate(self, first: int, count: int) -> Batch:
        """Cut out a batch of these open ids, or of those of them that lie in one batch with the first."""
        index = bisect_right(self._firsts, first) - 1
        batch = self._batches[self._firsts[index]]
        if batch.first < first:
            batch = self._split(batch, first, batch.end - first)
        if batch.count > count:
            batch = self._split(batch, first, count)
        return batch

    def _split(self, batch: Batch, first: int, count: int) -> Batch:
        """Cut a batch in two at one place, and return the part that begins with ``first``."""
        border = first if first > batch.first else first + count
        self._change(batch.holder, -batch.left)
        self.open_count -= batch.left
        self._remove(batch)
        head = border - batch.first
        halves = [
            batch.part(batch.first, head, self._cut(batch.body, 0, head)),
            batch.part(border, batch.count - head, self._cut(batch.body, head, batch.count - head)),
        ]
        for half in halves:
            self._add(half)
            self._reduce(half, half.count - sum(n for _, n in self.settled.missing(half.first, half.count)))
            if not half.left:
                self._remove(half)
        return halves[1] if border == first else halves[0]

    def _reduce(self, batch: Batch, gone: int) -> None:
        """Take into account that some of a batch that was just added is settled."""
        batch.left -= gone
        self.open_count -= gone
        self._change(batch.holder, -gone)


def _add_to(sums: dict[Hashable, int], holder: Hashable, number: int) -> None:
    """Change a holder's number; nothing is kept of those that have none."""
    left = sums.get(holder, 0) + number
    if left:
        sums[holder] = left
    else:
        sums.pop(holder, None)


def _shift(sums: dict[Hashable, int], before: Hashable, after: Hashable, number: int) -> None:
    """Take a number from one holder, and give it to another; nothing is kept of those that have none."""
    left = sums.get(before, 0) - number
    if left:
        sums[before] = left
    else:
        sums.pop(before, None)
    if number:
        sums[after] = sums.get(after, 0) + number
