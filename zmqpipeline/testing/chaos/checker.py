"""What goes in must come out: compares what was handed in with what was collected, and when."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from zmqpipeline.testing.chaos.record import RECEIVED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from zmqpipeline.testing.chaos.record import Event

TaskKey = tuple[str, int]

#: of one kind of breach so many are described, the rest counted
_DESCRIBED = 10
#: why a task may fail that does not always do, if a memory limit was lowered
_OUT_OF_MEMORY = "MemoryError"


class Breach(NamedTuple):
    """Something that must not happen."""

    kind: str  #: lost, doubled, unexpected, early, again, finished; others add exit, raised, left, stuck
    text: str


@dataclass
class Tally:
    """What was counted, over one round or over many."""

    made: int = 0  #: tasks handed in
    collected: int = 0
    failed: int = 0  #: as they should
    recovered: int = 0  #: received again by a later life of the collector, under the same id
    begun: int = 0  #: executions, repeated ones included
    breaches: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, other: Tally) -> None:
        """Count what another one has counted."""
        self.made += other.made
        self.collected += other.collected
        self.failed += other.failed
        self.recovered += other.recovered
        self.begun += other.begun
        for kind, count in other.breaches.items():
            self.breaches[kind] += count


class Checker:
    """Takes what was written down, line by line, and finds what breaks a guarantee.

    Parameters
    ----------
    dependencies
        by task type, those that have to be complete before it begins
    always_fails
        tells of which tasks, by number, every attempt fails

    """

    def __init__(
        self, dependencies: Mapping[str, Collection[str]], always_fails: Callable[[int], bool]
    ) -> None:
        self._dependencies = dependencies
        self._always_fails = always_fails
        self._made: dict[str, int] = {}  #: how many tasks of a type were handed in
        self._begun: set[TaskKey] = set()
        self._received: dict[TaskKey, set[int]] = defaultdict(set)  #: by whom, as processes
        self._waiting: dict[str, set[int]] = defaultdict(set)  #: made and not received
        self._ids: dict[TaskKey, str] = {}
        self._keys: dict[str, TaskKey] = {}
        self._opened: set[str] = set()
        self._acknowledged: set[TaskKey] = set()
        self._sealed: set[str] = set()  #: types of which everything is acknowledged
        self._finished: list[int] = []
        #: whether tasks and processes may fail for lack of memory
        self.short_of_memory = False
        self.tally = Tally()
        self.breaches: list[Breach] = []

    def take(self, event: Event) -> None:
        """Take in a line."""
        if event.what in RECEIVED:
            self._receive(event)
        elif event.what == "begin":
            self._begin(event)
        elif event.what == "made":
            self._make(event)
        elif event.what == "open":
            self._open(event.words[0])
        elif event.what == "told":
            self._acknowledged.add(event.task)
        elif event.what == "finished":
            self._finish(event)
        elif event.what == "fault" and event.words[0] == "memory":
            self.memory_was_short()

    def memory_was_short(self) -> None:
        """Note that tasks may fail for lack of memory from now on."""
        self.short_of_memory = True

    def breach(self, kind: str, text: str) -> None:
        """Note a breach."""
        self.tally.breaches[kind] += 1
        if self.tally.breaches[kind] <= _DESCRIBED:
            self.breaches.append(Breach(kind, text))

    def conclude(self, killed: Collection[int]) -> None:
        """Find what is missing at the end.

        Parameters
        ----------
        killed
            the processes that were killed

        """
        for task, numbers in self._waiting.items():
            for number in sorted(numbers):
                self.breach(
                    "lost", f"task {number} of {task} was handed in, and neither collected nor failed"
                )
        for task, number in sorted(self._begun - set(self._received)):
            if number >= self._made.get(task, 0):
                self.breach(
                    "unexpected", f"task {number} of {task} was begun, and is none that was handed in"
                )
        if not self._finished:
            self.breach("finished", "handle_finished() never ran")
        for pid in self._finished[:-1]:
            if pid not in killed:
                self.breach(
                    "finished", f"handle_finished() ran in process {pid}, which lived on, and again later"
                )
        self.tally.made = sum(self._made.values())

    @property
    def received(self) -> int:
        """How many tasks were collected or have failed."""
        return self.tally.collected + self.tally.failed

    @property
    def made(self) -> int:
        """How many tasks were handed in so far."""
        return sum(self._made.values())

    @property
    def finished(self) -> bool:
        """Whether a collector has finished."""
        return bool(self._finished)

    # -- what is written down -------------------------------------------------

    def _make(self, event: Event) -> None:
        """Take in that a task was handed in; what a dead distributor had made last is made again."""
        task, number = event.task
        waiting = self._waiting[task]
        for dropped in range(number, self._made.get(task, 0)):
            waiting.discard(dropped)
            if (task, dropped) in self._begun or (task, dropped) in self._received:
                self.breach("doubled", f"task {dropped} of {task} was handed out, and then made once more")
        self._made[task] = number + 1
        waiting.add(number)
        for later in self._opened:
            if task in self._dependencies.get(later, ()):
                self.breach("early", f"{later} was opened before task {number} of {task} was made")
        self._too_early(task, f"task {number} of {task} was made")

    def _begin(self, event: Event) -> None:
        task, number = event.task
        self.tally.begun += 1
        self._begun.add(event.task)
        self._too_early(task, f"task {number} of {task} was begun")

    def _open(self, task: str) -> None:
        self._too_early(task, f"{task} was opened")
        self._opened.add(task)
        # what others wait for is acknowledged as a whole, or they would not begin
        self._sealed.update(self._dependencies.get(task, ()))

    def _too_early(self, task: str, what: str) -> None:
        for needed in self._dependencies.get(task, ()):
            if self._waiting[needed]:
                missing = min(self._waiting[needed])
                self.breach("early", f"{what} before task {missing} of {needed} was collected or had failed")

    def _receive(self, event: Event) -> None:
        task, number = event.task
        lives = self._received[event.task]
        if not lives:
            self._count(event)
        elif event.pid in lives:
            self.breach("doubled", f"task {number} of {task} was received twice by process {event.pid}")
        else:
            self.tally.recovered += 1
            if event.task in self._acknowledged or task in self._sealed:
                self.breach(
                    "again", f"task {number} of {task} was received again after the distributor had its ACK"
                )
        lives.add(event.pid)
        if self._finished:
            self.breach("finished", f"task {number} of {task} was received after handle_finished()")
        if number >= self._made.get(task, 0):
            self.breach("unexpected", f"task {number} of {task} was received, and is none that was handed in")
        self._waiting[task].discard(number)
        self._check_id(event)
        self._check_what(event)

    def _count(self, event: Event) -> None:
        if event.what == "failed":
            self.tally.failed += 1
        else:
            self.tally.collected += 1

    def _check_id(self, event: Event) -> None:
        """Compare the id of a result with what is known of it and of its task."""
        key, result_id = event.task, event.words[2]
        known = self._ids.setdefault(key, result_id)
        if known != result_id:
            self.breach("doubled", f"task {key[1]} of {key[0]} was received as {known} and as {result_id}")
        other = self._keys.setdefault(result_id, key)
        if other != key:
            self.breach(
                "doubled", f"{result_id} is task {key[1]} of {key[0]} and task {other[1]} of {other[0]}"
            )

    def _check_what(self, event: Event) -> None:
        """Compare a result, or an error, with what it has to be."""
        (task, number), word = event.task, event.words[3]
        if event.what == "collected":
            if self._always_fails(number):
                self.breach("unexpected", f"task {number} of {task} always fails, and was collected")
            if word != "right":
                self.breach("unexpected", f"task {number} of {task} was collected with another one's result")
        elif not self._always_fails(number) and not (self.short_of_memory and word == _OUT_OF_MEMORY):
            self.breach("unexpected", f"task {number} of {task} failed with {word}, and should not")

    def _finish(self, event: Event) -> None:
        missing = sum(map(len, self._waiting.values()))
        if missing:
            self.breach("finished", f"handle_finished() ran before {missing} tasks were received")
        if set(self._made) != set(self._dependencies):
            self.breach("finished", "handle_finished() ran before every task type had begun")
        if event.pid in self._finished:
            self.breach("finished", f"handle_finished() ran twice in process {event.pid}")
        self._finished.append(event.pid)
