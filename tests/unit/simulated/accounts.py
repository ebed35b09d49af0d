"""What goes in must come out: the books of the test itself, beside those of the pipeline."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.unit.simulated.source import ALWAYS_FAILS, FAILS_FIRST, Numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from zmqpipeline.delivery.intervals import Range
    from zmqpipeline.delivery.taskbook import TaskBook

#: task type and id
Key = tuple[str, int]


class Counts(NamedTuple):
    """What became of the tasks of a run; the first three are zero at all times."""

    lost: int  #: forgotten, or acknowledged and never collected
    doubled: int  #: collected twice where once is promised, or one id for two tasks
    unexpected: int  #: collected although nothing of the kind went in, or not at this time
    recovered: int  #: handed out more than once, and collected


class Accounts:
    """What went into one run, and what came out of it.

    Parameters
    ----------
    run
        the id of the run
    totals
        how many tasks there are, by task type

    """

    def __init__(self, run: str, totals: Mapping[str, int]) -> None:
        self.run = run
        self.totals = totals
        self.collected: dict[str, set[int]] = {name: set() for name in totals}
        self.failed: dict[str, set[int]] = {name: set() for name in totals}
        self.problems: dict[str, list[str]] = {"lost": [], "doubled": [], "unexpected": []}
        self.late = 0  #: results that came to a collector that had one already
        self._sent: Counter[Key] = Counter()
        self._reported: Counter[Key] = Counter()  #: failed attempts that a worker has told of
        self._given: dict[Key, Any] = {}
        self._tried: set[Key] = set()
        self._acks: dict[str, deque[tuple[int, str, list[Range]]]] = {}
        #: of which the collector was told that it need not say it again
        self._confirmed: dict[str, set[int]] = {name: set() for name in totals}

    # -- what happens -----------------------------------------------------------

    def hand_out(self, task: str, ranges: Iterable[Range], data: list[Any]) -> None:
        """Note that tasks are sent to a worker."""
        for task_id, item in zip(each(ranges), data, strict=True):
            self._sent[task, task_id] += 1
            given = self._given.setdefault((task, task_id), item)
            if item != given or item["n"] != task_id:
                self.problems["doubled"].append(f"{task} {task_id} is {given} and {item}")
            if task_id in self._confirmed[task]:
                self.problems["doubled"].append(f"{task} {task_id} is handed out after its confirmation")

    def attempt(self, task: str, task_id: int, data: Any) -> dict[str, Any] | None:
        """Do a task; tell how it fails, if it does."""
        key = task, task_id
        if self._given.get(key) != data:
            self.refuse(f"{task} {task_id} is done as {data}")
        fails = task_id % 5 == ALWAYS_FAILS or (task_id % 5 == FAILS_FIRST and key not in self._tried)
        self._tried.add(key)
        return {"type": "ValueError", "text": f"attempt at {task_id}"} if fails else None

    def report(self, task: str, task_id: int) -> None:
        """Note that a worker tells of a failed attempt."""
        self._reported[task, task_id] += 1

    def collect(self, task: str, task_id: int, data: Any, *, error: str | None, again: bool) -> None:
        """Note that the collector handles a result or an error, for the first time in its life or not."""
        failed = error is not None
        name = f"{task} {task_id}"
        given = self._given.get((task, task_id), {})
        always = task_id % 5 == ALWAYS_FAILS
        if data != (given if failed else {**given, "done": True}):
            self.problems["unexpected"].append(f"{name} of {given} is collected as {data}")
        # the distributor itself finds that one is too late which cannot say so
        may_fail = self._reported[task, task_id] >= Numbers.max_attempts or error == "TimeoutError"
        if failed != always and not (failed and may_fail):
            self.problems["unexpected"].append(f"{name} is collected with failed = {failed}")
        if again:
            self.problems["doubled"].append(f"{name} is collected twice in one life")
        if task_id in self._confirmed[task]:
            self.problems["doubled"].append(f"{name} is collected after its confirmation")
        self.collected[task].add(task_id)
        if failed:
            self.failed[task].add(task_id)

    def acknowledge(self, life: str, number: int, task: str, ranges: list[Range]) -> None:
        """Note an ACK that the collector makes."""
        self._acks.setdefault(life, deque()).append((number, task, ranges))

    def confirm(self, life: str, number: int) -> None:
        """Note that the collector is told that it may forget its ACKs up to a number."""
        acks = self._acks.get(life, deque())
        while acks and acks[0][0] <= number:
            _, task, ranges = acks.popleft()
            self._confirmed[task].update(each(ranges))

    def refuse(self, what: str) -> None:
        """Note something that must not happen at this time."""
        self.problems["unexpected"].append(what)

    # -- what must be true ------------------------------------------------------

    def audit(self, books: Mapping[str, TaskBook]) -> None:
        """Compare with the books of the distributor."""
        for name, book in books.items():
            ledger, collected = book.ledger, self.collected[name]
            settled = set(ledger.settled)
            problems = self.problems["lost"]
            if ledger.handed_out != ledger.open_count + len(settled):
                problems.append(f"{name}: {ledger.handed_out} != {ledger.open_count} + {len(settled)}")
            if ledger.open_count != sum(batch.left for batch in ledger.batches):
                problems.append(f"{name}: {ledger.open_count} open, in {ledger.batches}")
            problems += [f"{name} {n} is acknowledged, not collected" for n in settled - collected]
            problems += [f"{name} {n} was confirmed, and is open" for n in self._confirmed[name] - settled]

    def counts(self) -> Counts:
        """Count the problems, and what was disturbed and came out nevertheless."""
        recovered = sum(
            1
            for (task, task_id), times in self._sent.items()
            if times > 1 and task_id in self.collected[task]
        )
        lost, doubled, unexpected = (len(found) for found in self.problems.values())
        return Counts(lost, doubled, unexpected, recovered)

    def check(self) -> None:
        """Nothing was lost, doubled or unexpected so far."""
        assert self.problems == {"lost": [], "doubled": [], "unexpected": []}

    def is_out(self, task: str) -> bool:
        """Tell whether all of a task type was collected."""
        return self.collected[task] == set(range(self.totals[task]))

    def check_complete(self) -> None:
        """All that went in has come out, and what was disturbed has recovered."""
        self.check()
        assert all(self.is_out(task) for task in self.totals)
        disturbed = sum(1 for times in self._sent.values() if times > 1)
        assert self.counts() == Counts(0, 0, 0, recovered=disturbed)


def each(ranges: Iterable[Range]) -> Iterator[int]:
    """List the ids in ranges."""
    return (task_id for first, count in ranges for task_id in range(first, first + count))
