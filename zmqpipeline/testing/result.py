"""What a simulated run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from zmqpipeline.collector import Collector
    from zmqpipeline.task import Task
    from zmqpipeline.worker import Worker

#: the program's collector
C = TypeVar("C", bound="Collector[Any]")


class Event(NamedTuple):
    """Something that happened in a run."""

    time: float  #: in simulated seconds from the start
    #: ``"started"``, ``"given"`` (to a worker), ``"executed"``, ``"collected"``, ``"failed"`` (for good),
    #: ``"lost"`` (a worker), ``"time limit"`` (ended a worker), ``"finished"``, or the name of a fault
    what: str
    task_type: str = ""
    number: int | None = None  #: of the task, in the order in which ``handle()`` made them, from 0
    who: str = ""  #: the worker or the collector, in its first life or a later one

    def __str__(self) -> str:
        task = "" if self.number is None else f" {self.task_type} {self.number}"
        return f"{self.time:9.3f} {self.who}: {self.what}{task}"


class Failure(NamedTuple):
    """A task that has failed for good, as ``handle_failure()`` got it."""

    task_type: str
    data: Any  #: what ``handle()`` returned
    error: dict[str, Any]  #: ``type``, ``text`` and ``traceback`` of the last attempt


@dataclass
class Result(Generic[C]):
    """What a run has done.

    Attributes
    ----------
    collected
        task type and data of each result that ``handle_collection()`` got, in order; after a restart
        of the collector a result whose acknowledgement was lost is here twice
    result_ids
        the ``result_id`` of each of these
    failures
        what ``handle_failure()`` got
    finished
        whether ``handle_finished()`` was called
    handed_out, acknowledged, failed, redelivered
        numbers of tasks, see :class:`zmqpipeline.Statistics`
    duplicates
        how many results were dropped, because the collector had them
    duration
        in simulated seconds
    collectors
        the collector's instances, one for each of its lives
    workers
        the workers' instances in the order in which they started
    tasks
        the Task instances by task type
    history
        everything that happened, in order

    """

    collected: list[tuple[str, Any]] = field(default_factory=list)
    result_ids: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    finished: bool = False
    handed_out: int = 0
    acknowledged: int = 0
    failed: int = 0
    redelivered: int = 0
    duplicates: int = 0
    duration: float = 0.0
    collectors: list[C] = field(default_factory=list)
    workers: list[Worker[Any, Any]] = field(default_factory=list)
    tasks: dict[str, Task[Any, Any]] = field(default_factory=dict)
    history: list[Event] = field(default_factory=list)

    @property
    def collector(self) -> C:
        """The collector, in its last life."""
        return self.collectors[-1]

    def of(self, task_type: str) -> list[Any]:
        """List the data of the results of one task type, in the order in which they were collected."""
        return [data for name, data in self.collected if name == task_type]

    def events(self, what: str) -> list[Event]:
        """List the events of one kind, in order."""
        return [event for event in self.history if event.what == what]
