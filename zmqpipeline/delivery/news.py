"""What has become of a worker, for the log and for whoever watches."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from zmqpipeline.delivery.peer import Peer

#: so many news are told in so many seconds
MOST_NEWS, NEWS_INTERVAL = 100, 60.0


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

    #: who connects and goes all the time must not flood the log
    MORE = (
        "nothing was said of {count} more workers that were lost, connected again or stood still: "
        "if they are not yours, somebody connects all the time and goes"
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


class Digest:
    """Makes of news what a log can bear: the first of very many, and then how many there were besides."""

    def __init__(self) -> None:
        self._since = -math.inf
        self._count = 0

    def of(self, news: list[News], now: float) -> list[News]:
        """Choose what is told of some news."""
        summary = []
        if now - self._since >= NEWS_INTERVAL:
            if self._count > MOST_NEWS:
                summary.append(News(Fate.MORE, "", Peer(b""), self._count - MOST_NEWS))
            self._since, self._count = now, 0
        room = max(0, MOST_NEWS - self._count)
        self._count += len(news)
        return summary + news[:room]
