"""What has become of a worker, for the log and for whoever watches."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zmqpipeline.delivery.peer import Peer


class Fate(enum.Enum):
    """What has become of it, in words for the log."""

    #: its connection ended
    LOST = "lost a worker of {task} ({who}), with {count} unfinished tasks"
    #: its connection ended, and its process has another one
    RECONNECTED = "a worker of {task} ({who}) has connected again; {count} tasks are taken back"
    #: it has passed the time limit, and cannot say so
    LATE = "a worker of {task} ({who}) has passed the time limit in silence; {count} tasks are taken back"
    #: its connection is up, and none of its threads says anything
    SILENT = (
        "a worker of {task} ({who}) is silent, with {count} unfinished tasks: its connection is up, so it is "
        "in a call that keeps the interpreter's lock, or stopped; it gets nothing until it is heard again"
    )

    #: it takes less than it may be sent: such a task would cut its connection, and look as if it killed it
    NARROW = (
        "a worker of {task} ({who}) takes messages of at most {count} bytes, fewer than it may be sent: "
        "set max_message_size of both alike"
    )

    #: there are as many as there may be
    CROWDED = (
        "there are {count} workers of {task}, and others wait until one goes: if they are yours, "
        "raise max_peers of the Distributor"
    )

    @property
    def is_trouble(self) -> bool:
        """Whether somebody should look at it."""
        return self is not Fate.RECONNECTED


@dataclass(frozen=True)
class News:
    """What has become of a worker, and how many tasks that concerns.

    They were taken back; but a silent one still has them. In some texts it is a number of something else.
    """

    fate: Fate
    task: str
    peer: Peer
    count: int

    def __str__(self) -> str:
        return self.fate.value.format(task=self.task, who=self.peer.who, count=self.count)
