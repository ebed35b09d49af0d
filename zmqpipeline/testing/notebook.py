"""A journal in memory, for simulated runs: what was noted and not committed is lost with its distributor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zmqpipeline.delivery.intervals import Intervals
from zmqpipeline.delivery.ports import Past, PastTask
from zmqpipeline.wire import serializer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zmqpipeline.delivery.intervals import Range


class _Kept:
    """What is written of one task type."""

    def __init__(self) -> None:
        self.next = 0
        self.settled = Intervals()
        self.batches: dict[int, tuple[int, bytes]] = {}
        self.tried: dict[int, tuple[int, int]] = {}
        self.counters: list[Any] | None = None
        self.checkpoint: bytes | None = None

    def made(self, first: int, count: int, body: bytes) -> None:
        """Write down a batch; they come in the order of their ids."""
        self.next = first + count
        self.batches[first] = (count, body)

    def settle(self, ranges: list[Range]) -> None:
        """Write down an ACK, and forget the batches that are settled."""
        for first, count in ranges:
            self.settled.add(first, min(count, self.next - first))
        missing = self.settled.missing
        self.batches = {first: batch for first, batch in self.batches.items() if missing(first, batch[0])}
        self.tried = {task_id: row for task_id, row in self.tried.items() if task_id not in self.settled}

    def past(self) -> PastTask:
        """Tell the next life of the distributor what is written."""
        batches = [(first, *batch) for first, batch in self.batches.items()]
        tried = [(task_id, *counts) for task_id, counts in self.tried.items()]
        return PastTask(self.next, self.settled.ranges(), batches, tried)


class Notebook:
    """What :class:`zmqpipeline.journal.Journal` is, without a file: the same one for all lives of a run.

    Parameters
    ----------
    run
        the id of the run
    tasks
        the task types
    due
        whether to commit each batch by itself

    Attributes
    ----------
    when_written
        told ``"a commit"`` before each one, and ``"after a commit"``: instants at which it hurts to die

    """

    path = "the notebook"

    def __init__(self, run: str, tasks: Iterable[str], *, due: bool) -> None:
        self.due = due
        self.is_finished = False
        self.past = Past(run, 0, tasks={name: PastTask() for name in tasks})
        self.when_written: Callable[[str], None] = lambda _instant: None
        self._kept = {name: _Kept() for name in self.past.tasks}
        self._of_run: dict[str, Any] = {"metadata": None, "life": None, "number": 0}
        self._forget()

    def reopen(self) -> None:
        """Begin another life of the distributor: with what was committed."""
        self._forget()
        tasks = {name: kept.past() for name, kept in self._kept.items()}
        self.past = Past(self.past.run, self.past.epoch + 1, **self._of_run, tasks=tasks)

    def keep(
        self, task: str, counters: Callable[[], list[Any]], checkpoint: Callable[[], bytes | None]
    ) -> None:
        """Remember how to tell what a task needs to go on."""
        self._makers[task] = counters, checkpoint

    def state(self, task: str) -> tuple[list[Any] | None, Any]:
        """Tell what was kept of a task: its counters, and its checkpoint."""
        kept = self._kept[task]
        return kept.counters, None if kept.checkpoint is None else serializer.deserialize(kept.checkpoint)

    def began(self, metadata: dict[str, Any]) -> None:
        """Note the metadata of the run."""
        self._noted.append(lambda: self._of_run.update(metadata=metadata))

    def met(self, life: str, number: int) -> None:
        """Note the collector's life, and the last of its ACKs that counts."""
        self._noted.append(lambda: self._of_run.update(life=life, number=number))

    def made(self, task: str, first: int, count: int, body: bytes) -> None:
        """Note a new batch."""
        self._noted.append(lambda: self._kept[task].made(first, count, body))
        self._changed.add(task)

    def settled(self, task: str, ranges: Iterable[Range]) -> None:
        """Note an ACK."""
        listed = list(ranges)
        self._noted.append(lambda: self._kept[task].settle(listed))
        self._counted.add(task)

    def tried(self, task: str, task_id: int, failures: int, deaths: int) -> None:
        """Note that an open task has failed, or killed a worker, so often."""
        self._noted.append(lambda: self._kept[task].tried.update({task_id: (failures, deaths)}))

    def changed(self, task: str) -> None:
        """Note that the program's Task may not be what it was."""
        self._changed.add(task)

    def finished(self) -> None:
        """Note that the run is over."""
        self._noted.append(lambda: setattr(self, "is_finished", True))

    def commit(self) -> None:
        """Write what was noted."""
        if not (self._noted or self._changed or self._counted):
            return
        self.when_written("a commit")
        for note in self._noted:
            note()
        for task in self._changed | self._counted:
            counters, checkpoint = self._makers[task]
            self._kept[task].counters = counters()
            if task in self._changed:
                self._kept[task].checkpoint = checkpoint()
        self._noted.clear()
        self._changed.clear()
        self._counted.clear()
        self.when_written("after a commit")

    def _forget(self) -> None:
        self._noted: list[Callable[[], object]] = []
        self._changed: set[str] = set()
        self._counted: set[str] = set()
        self._makers: dict[str, tuple[Callable[[], list[Any]], Callable[[], bytes | None]]] = {}
