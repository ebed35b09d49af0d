"""What is to go wrong, when, and to whom: drawn from a seed, so that it can be drawn again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: what can be done to a process at any instant, and how often one is chosen before another
_ACTIONS = {"kill": 10, "stop": 6, "segv": 2, "abort": 1, "memory": 1}
#: what a process can do to itself when it comes by a point
_ACTIONS_AT = {"kill": 10, "stop": 3, "segv": 2, "abort": 1, "memory": 2}
#: what the execution of a task can do to its worker
_ACTIONS_OF_TASKS = {"segv": 4, "kill": 2, "memory": 2, "abort": 1}
_ROLES = {"worker": 6, "collector": 2, "distributor": 2}
#: the points of each role; what is handed out at "task" hurts the worker that begins with it
_POINTS = {
    "worker": ("begin", "done", "init", "task", "task"),
    "collector": ("collect", "collected"),
    "distributor": ("make", "open", "ack", "checkpoint"),
}
#: the points of the collector that it passes once, at the end
_LAST_POINTS = ("finish", "finished")
#: how long a process is stopped, in seconds: for a moment, for longer than it may be silent, for so long that
#: its connections end
_STOPS = ((0.05, 0.3), (1.0, 2.0), (5.2, 6.5))
_WEIGHTS_OF_STOPS = (6, 3, 1)
#: how long a lowered memory limit lasts, in seconds
_SHORTAGE = (0.2, 1.0)
#: the mean time between two faults, in seconds
_PAUSE = 0.2
#: how often one fault follows the other at once
_VOLLEY = 0.1
#: while a collector or distributor is stopped for so many seconds or more, a worker is killed, so often:
#: it has results under way then, and what is done again comes twice
_WHILE_STOPPED, _AMBUSH = 1.0, 0.5
#: how often a fault happens at a point of the program, and not at any instant
_AT_POINT = 0.35


@dataclass(frozen=True)
class Planned:
    """One fault that is to happen.

    Parameters
    ----------
    after
        how long after the one before, at least, in seconds
    role
        to whom: worker, collector, distributor
    action
        kill, segv, abort, stop or memory
    point
        where in the program; empty for any instant
    seconds
        how long a process stays stopped, or short of memory
    choice
        which process of the role, from 0 to below 1
    regardless
        whether it does not wait until something goes on since the one before

    """

    after: float
    role: str
    action: str
    point: str
    seconds: float
    choice: float
    regardless: bool = False


class Schedule:
    """The faults of one round.

    Parameters
    ----------
    seed
        of the whole run
    number
        of the round, from 0

    """

    def __init__(self, seed: int, number: int) -> None:
        self._random = random.Random(f"{seed}-{number}")  # noqa: S311 - to be repeated, not to be secret
        #: rounds take turns in how the roles are started and where they meet
        self.supervised = number % 2 == 0
        self.transport = ("ipc", "ipc", "tcp", "tcp")[number % 4]
        #: how many faults there are until each of the two halves of the work is enough
        self.quota = (self._random.randint(12, 18), self._random.randint(5, 9))

    def faults(self) -> Iterator[Planned]:
        """Draw one fault after the other, without end."""
        while True:
            planned = self._draw()
            yield planned
            holds_up = planned.action == "stop" and planned.role != "worker" and not planned.point
            if holds_up and planned.seconds >= _WHILE_STOPPED and self._random.random() < _AMBUSH:
                after = self._random.uniform(0.1, _WHILE_STOPPED / 2)
                yield Planned(after, "worker", "kill", "", 0.0, self._random.random(), regardless=True)

    def last(self) -> Planned | None:
        """Draw what happens to the collector at the end, if anything does."""
        if self._random.random() < 0.5:
            return None
        point, action = self._random.choice(_LAST_POINTS), self._chosen(_ACTIONS_AT)
        return Planned(0.0, "collector", action, point, self._duration(action), 0.0)

    def _draw(self) -> Planned:
        draw = self._random.random
        volley = draw() < _VOLLEY
        after = 0.0 if volley else min(self._random.expovariate(1 / _PAUSE), 5 * _PAUSE)
        role = self._chosen(_ROLES)
        point = self._random.choice(_POINTS[role]) if draw() < _AT_POINT else ""
        actions = _ACTIONS_OF_TASKS if point == "task" else _ACTIONS_AT if point else _ACTIONS
        action = self._chosen(actions)
        return Planned(after, role, action, point, self._duration(action), draw(), regardless=volley)

    def _duration(self, action: str) -> float:
        if action == "stop":
            (bounds,) = self._random.choices(_STOPS, _WEIGHTS_OF_STOPS)
            return self._random.uniform(*bounds)
        return self._random.uniform(*_SHORTAGE) if action == "memory" else 0.0

    def _chosen(self, weights: dict[str, int]) -> str:
        (chosen,) = self._random.choices(list(weights), list(weights.values()))
        return chosen
