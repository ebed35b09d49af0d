"""What a distributor tells of a run: the form of a snapshot. Everything in it can be written as JSON."""

from __future__ import annotations

from typing import Literal, TypedDict

#: the version of this form; it changes when something that was there goes, or means something else
SNAPSHOT_VERSION = 1

#: the types of the messages by which one is asked for, and told
QUESTION, ANSWER = "MONITOR", "SNAPSHOT"
#: the shortest interval at which anybody is told again, in seconds
SHORTEST = 0.1

#: what a run, or one task type, is doing
Phase = Literal["waiting", "running", "complete", "stopping", "ended"]
#: how a worker is: ``starting`` has not asked for tasks yet, ``working`` has some, ``idle`` has none,
#: ``silent`` says nothing though its connection is up (it is in a call that keeps the interpreter's lock, or
#: stopped), ``lost`` was given up, ``left`` has said goodbye, or has another connection
State = Literal["starting", "idle", "working", "silent", "lost", "left"]


class Report(TypedDict, total=False):
    """What a worker or a collector says of itself with its heartbeat; see :class:`Figures`."""

    memory: int | None
    cpu: float | None
    lag: float | None
    done: int  #: of a worker: tasks that it has done, failures included
    collected: int  #: of a collector: results that it has acknowledged in its life
    queue: int  #: of a collector: acknowledgements that wait to be confirmed


class Figures(TypedDict):
    """How a process is; a figure that its system does not give is None."""

    #: resident memory, in bytes
    memory: int | None
    #: processor time in the last interval, 1.0 for one core all the time
    cpu: float | None
    #: how long its loop was not at its sockets in the last interval, at the most, in seconds
    lag: float | None


class Software(TypedDict, total=False):
    """What a process runs, if it says so; a worker in another language has no version."""

    version: str  #: of zmqpipeline
    protocol: int  #: the version of the protocol


class Process(Figures, Software):
    """Every process."""

    host: str
    pid: int | None


class Counts(TypedDict):
    """How many tasks; all but ``in_flight`` and ``queued`` since the run began."""

    handed_out: int  #: given to a worker for the first time
    in_flight: int  #: handed out and not acknowledged
    queued: int  #: of these, waiting to be handed out again
    acknowledged: int  #: collected, or failed for good
    failed: int  #: failed for good
    redelivered: int  #: handed out again, and perhaps begun before
    rate: float  #: acknowledged in a second, lately


class TaskInfo(Counts):
    """One task type."""

    type: str
    phase: Phase
    depends: list[str]
    total: int | None  #: how many tasks there will be, if the Task knows (``Task.total``)
    workers: int
    latency: (
        float | None
    )  #: from hand-out to acknowledgement, the mean of those acknowledged lately, in seconds


class WorkerInfo(Process):
    """One worker."""

    id: str
    task: str
    name: str  #: of its class
    state: State
    hands: int  #: how many tasks it does at a time
    credit: int  #: how many tasks it has room for
    in_flight: int  #: handed out to it and not acknowledged
    done: int  #: finished by it, failures included
    failed: int  #: attempts that failed with it
    rate: float  #: finished in a second, lately
    heard: float  #: when it was last heard, in seconds before the snapshot
    since: float  #: when it came, or, if it is gone, when it went, as a Unix time


class CollectorInfo(Process):
    """The collector."""

    id: str  #: of its life: another one after each start
    name: str
    state: State
    collected: int  #: results that it has acknowledged in its life
    queue: int  #: acknowledgements that wait to be confirmed
    rate: float


class MetaDataInfo(Process):
    """Who gave the metadata of the run, and was done with that: it has left."""

    name: str  #: of its class
    since: float  #: when they came, as a Unix time


class FailureInfo(TypedDict):
    """One attempt that failed."""

    time: float  #: Unix time
    task: str
    id: int
    attempt: int  #: which failure of this task it is
    final: bool  #: whether the task has failed for good
    type: str
    text: str
    traceback: str
    worker: str  #: host and pid of the worker, in words


class Snapshot(Counts):
    """A run at one moment."""

    version: int
    run: str
    time: float  #: Unix time
    uptime: float  #: since the distributor began, in seconds
    phase: Phase
    waits_for: list[str]  #: whom or what the run cannot go on without, in words
    latency: float | None
    distributor: Process
    collector: CollectorInfo | None
    metadata_worker: MetaDataInfo | None  #: None as well where they were known, from a journal
    tasks: list[TaskInfo]
    workers: list[WorkerInfo]  #: those that are there, then the last ones that are not
    failures: list[FailureInfo]  #: the last ones, the newest first
