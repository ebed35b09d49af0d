"""What the decisions need of the outside: how to send, where tasks come from, times and limits."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from zmqpipeline.wire.limits import MAX_HELLOS, MAX_MESSAGE_SIZE, MAX_PEERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zmqpipeline.delivery.intervals import Range
    from zmqpipeline.wire.envelope import Message


class Outcome(enum.Enum):
    """What became of a message to a peer."""

    SENT = enum.auto()
    FULL = enum.auto()  #: it is there and has no room now
    GONE = enum.auto()  #: it is not connected


class Link(Protocol):
    """How decisions become messages; never blocks."""

    def to_worker(self, task: str, address: bytes, message: Message) -> Outcome:
        """Send to one worker of a task type."""

    def to_collector(self, message: Message) -> bool:
        """Send to the collector; False if it has no room now."""


class Source(Protocol):
    """Where the tasks come from: the program's own Task."""

    max_attempts: int
    retry_delay: float
    time_limit: float | None
    max_worker_deaths: int
    #: the largest frame that everybody takes who gets one of its tasks, in bytes
    max_message: int
    #: whether it must be asked before each task
    gated: bool

    @property
    def total(self) -> int | None:
        """How many tasks there will be in all, if that is known."""

    @property
    def exhausted(self) -> bool:
        """Whether there will be no more tasks."""

    def initialize(self, metadata: dict[str, Any]) -> None:
        """Take in the metadata, once, before the first task."""

    def available(self) -> bool:
        """Tell whether the next task may be handed out, if :attr:`gated`."""

    def fill(self, limit: int, address: bytes) -> tuple[bytes, int]:
        """Make up to ``limit`` tasks, at least one: the packed dictionaries and their number."""

    def acknowledged(self, count: int, first: int, feedback: list[Any] | None, failed: bool) -> None:
        """Take in the acknowledgement of ``count`` tasks, the collector's ``first`` and following."""

    def joined(self, address: bytes) -> None:
        """Note a new worker."""


class Journal(Protocol):
    """Where a run is written down, so that it survives the distributor's death.

    What is noted counts as written after :meth:`commit`, all of it or nothing.
    """

    @property
    def due(self) -> bool:
        """Whether what was noted is to be committed before more is made."""

    def began(self, metadata: dict[str, Any]) -> None:
        """Note the metadata of the run."""

    def met(self, life: str, number: int) -> None:
        """Note the collector's life, and the last of its ACKs that counts."""

    def made(self, task: str, first: int, count: int, body: bytes) -> None:
        """Note a new batch; to be committed before it is sent."""

    def settled(self, task: str, ranges: Iterable[Range]) -> None:
        """Note an ACK; to be committed before it has any consequence."""

    def tried(self, task: str, task_id: int, failures: int, deaths: int) -> None:
        """Note that an open task has failed, or killed a worker, so often."""

    def changed(self, task: str) -> None:
        """Note that the program's Task may not be what it was."""

    def finished(self) -> None:
        """Note that the run is over, and that the collector knows."""

    def commit(self) -> None:
        """Write what was noted since the last call."""


class NoJournal:
    """Writes nothing down: the run ends with its distributor."""

    due = True  #: so that nothing waits for a commit

    def began(self, metadata: dict[str, Any]) -> None:
        """Do nothing."""

    def met(self, life: str, number: int) -> None:
        """Do nothing."""

    def made(self, task: str, first: int, count: int, body: bytes) -> None:
        """Do nothing."""

    def settled(self, task: str, ranges: Iterable[Range]) -> None:
        """Do nothing."""

    def tried(self, task: str, task_id: int, failures: int, deaths: int) -> None:
        """Do nothing."""

    def changed(self, task: str) -> None:
        """Do nothing."""

    def finished(self) -> None:
        """Do nothing."""

    def commit(self) -> None:
        """Do nothing."""


#: what a run has that is not to be written down
NO_JOURNAL: Journal = NoJournal()


@dataclass
class PastTask:
    """What a journal knows of one task type."""

    next: int = 0  #: the first id that was not given
    settled: list[Range] = field(default_factory=list)
    batches: list[tuple[int, int, bytes]] = field(default_factory=list)  #: first, count and body of open ones
    tried: list[tuple[int, int, int]] = field(default_factory=list)  #: id, failures, deaths
    failed: int = 0  #: for good, and acknowledged
    feedback: list[tuple[int, Any, bool]] = field(default_factory=list)  #: what the task has not heard yet


@dataclass
class Past:
    """What a journal knows of a run that is to be resumed."""

    run: str
    epoch: int  #: how often it was resumed, this time included
    life: str | None = None  #: of the collector that was there
    number: int = 0  #: of the last of its ACKs that counts
    metadata: dict[str, Any] | None = None
    tasks: dict[str, PastTask] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """Times in seconds, sizes in tasks and bytes."""

    ping_interval: float = 1.0
    patience: float = 4.0  #: how long a worker may be silent until it is suspect
    ack_timeout: float = 10.0
    ask_interval: float = 0.05  #: how often a gated task is asked again
    max_open: int = 200_000
    max_open_bytes: int = 64 * 1024 * 1024
    max_held_bytes: int = 8 * 1024 * 1024  #: of one worker; a single batch may be larger
    max_peers: int = MAX_PEERS  #: workers of one task type
    max_hellos: float = MAX_HELLOS  #: of workers that are not known, for one task type, in a second
    max_message: int = MAX_MESSAGE_SIZE  #: the largest frame that is handed out
    jitter: Callable[[], float] = lambda: 1.0  #: multiplies a back-off
