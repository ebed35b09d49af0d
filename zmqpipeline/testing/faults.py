"""What can go wrong in a simulated run, and where.

Each function makes a :class:`Fault` for :meth:`Pipeline.run() <zmqpipeline.testing.Pipeline.run>`.
``at`` is a task: its type, and its number in the order in which ``handle()``
made them, from 0. A fault happens once, or ``times`` times: a task that is
handed out again meets it again.
"""

from __future__ import annotations

import enum
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zmqpipeline.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zmqpipeline.delivery.intervals import Range

#: a task type, and the number of a task
At = tuple[str, int]


class Kind(enum.Enum):
    """What goes wrong; the values are the names of the functions."""

    KILL_WORKER = "kill_worker"
    RAISE_IN_WORKER = "raise_in_worker"
    FREEZE_WORKER = "freeze_worker"
    DROP_CONNECTION = "drop_connection"
    DELAY = "delay"
    DELAY_RESULTS = "delay_results"
    LOSE_RESULTS = "lose_results"
    DUPLICATE_RESULTS = "duplicate_results"
    LOSE_ACKS = "lose_acks"
    RESTART_COLLECTOR = "restart_collector"
    RESTART_DISTRIBUTOR = "restart_distributor"


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong at a chosen point; made by the functions of this module."""

    kind: Kind
    at: At | None = None
    times: int = 1
    seconds: float = 0.0
    after: int | None = None
    restart: bool = True
    error: Exception | None = None

    def __post_init__(self) -> None:
        if self.at is None and self.after is None:
            self._refuse("needs a point in the run: at=(task type, number)")
        if self.at is not None and not (
            isinstance(self.at, tuple)
            and len(self.at) == 2
            and isinstance(self.at[0], str)
            and type(self.at[1]) is int
            and self.at[1] >= 0
        ):
            self._refuse(f"got at={self.at!r}, expected a task type and a number from 0")
        if self.after is not None and (type(self.after) is not int or self.after < 1):
            self._refuse(f"got after={self.after!r}, expected a number from 1")
        if type(self.times) is not int or self.times < 1:
            self._refuse(f"got times={self.times!r}, expected a number from 1")
        if not (self.seconds >= 0 and math.isfinite(self.seconds)):
            self._refuse(f"got seconds={self.seconds!r}, expected a number from 0")

    def __str__(self) -> str:
        point = f"after={self.after}" if self.at is None else f"at=({str(self.at[0])!r}, {self.at[1]})"
        return f"{self.kind.value}({point})"

    def _refuse(self, why: str) -> None:
        raise DeclarationError(f"faults.{self.kind.value} {why}")


def kill_worker(at: At, *, times: int = 1, restart: bool = True) -> Fault:
    """Kill the worker that begins with a task, as ``kill -9`` does.

    What it has not sent is lost, and what it had is handed out again.

    Parameters
    ----------
    at
        the task
    times
        how many workers die of it
    restart
        whether another instance takes the worker's place half a second later; one that was given to the
        pipeline as an instance stays away

    """
    return Fault(Kind.KILL_WORKER, at, times, restart=restart)


def raise_in_worker(at: At, error: Exception | None = None, *, times: int = 1) -> Fault:
    """Let the execution of a task raise, instead of calling ``handle_execution()``.

    Parameters
    ----------
    at
        the task
    error
        what is raised; by default a RuntimeError that says so
    times
        how many attempts fail; from the task's ``max_attempts`` on it fails for good

    """
    return Fault(Kind.RAISE_IN_WORKER, at, times, error=error)


def freeze_worker(at: At, seconds: float = 30.0, *, times: int = 1) -> Fault:
    """Stop the worker when it begins with a task, as SIGSTOP does, and let it go on later.

    Its connection is lost meanwhile, so its tasks go elsewhere; its own results come late.
    """
    return Fault(Kind.FREEZE_WORKER, at, times, seconds)


def drop_connection(at: At, *, times: int = 1) -> Fault:
    """Break the connection between distributor and worker while it does a task.

    Its tasks are handed out again; it finishes what it has begun, sends the results, and joins again.
    """
    return Fault(Kind.DROP_CONNECTION, at, times)


def delay(at: At, seconds: float, *, times: int = 1) -> Fault:
    """Let a task take so long, in simulated time, in addition to its own time."""
    return Fault(Kind.DELAY, at, times, seconds)


def delay_results(at: At, seconds: float, *, times: int = 1) -> Fault:
    """Let the message with a task's result, and whatever else is in it, take so long to the collector."""
    return Fault(Kind.DELAY_RESULTS, at, times, seconds)


def lose_results(at: At, *, times: int = 1) -> Fault:
    """Lose the message with a task's result, and whatever else is in it, on the way to the collector."""
    return Fault(Kind.LOSE_RESULTS, at, times)


def duplicate_results(at: At, *, times: int = 1) -> Fault:
    """Let the message with a task's result, and whatever else is in it, reach the collector twice."""
    return Fault(Kind.DUPLICATE_RESULTS, at, times)


def lose_acks(at: At, *, times: int = 1) -> Fault:
    """Lose the collector's acknowledgement of a task on the way to the distributor."""
    return Fault(Kind.LOSE_ACKS, at, times)


def restart_collector(at: At | None = None, *, after: int | None = None, times: int = 1) -> Fault:
    """Kill the collector when it has handled a result, and start another instance half a second later.

    Acknowledgements that it has not sent are lost, so the results that they belong to are collected
    again, by the next instance and with the same ``result_id``.

    Parameters
    ----------
    at
        the task whose result, or failure, is the last that it handles
    after
        or how many it handles, counted over all its lives
    times
        how often; with ``after``, after each so many

    """
    if at is not None and after is not None:
        raise DeclarationError("faults.restart_collector got at and after, expected one of them")
    return Fault(Kind.RESTART_COLLECTOR, at, times, after=after)


def restart_distributor(at: At, *, times: int = 1) -> Fault:
    """Kill the distributor when it has handed out a task, and start another half a second later.

    It goes on from its journal, as with ``journal=`` in production: with new instances of the tasks, that
    are initialized and then restored from their checkpoints. Nothing of it is kept in a file.

    Parameters
    ----------
    at
        the task that is the last one to be handed out
    times
        how often; a task that is handed out again meets it again

    """
    return Fault(Kind.RESTART_DISTRIBUTOR, at, times)


class Injection:
    """The faults of one run: which of them happen now, and which never did.

    Parameters
    ----------
    faults
        what is to go wrong

    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults
        self._happened: Counter[int] = Counter()  # by the place in the list: two may be equal
        self._armed: dict[Kind, list[int]] = defaultdict(list)
        for place, fault in enumerate(faults):
            self._armed[fault.kind].append(place)
        self._handled = 0

    def armed(self, *kinds: Kind) -> bool:
        """Tell whether something of these kinds may still happen."""
        return any(self._armed[kind] for kind in kinds)

    def at(self, kind: Kind, task: str, number: int) -> Fault | None:
        """Take the fault that happens at a task."""
        for place in self._armed[kind]:
            if self._faults[place].at == (task, number):
                return self._happens(place)
        return None

    def among(self, kind: Kind, task: str, ranges: Iterable[Range]) -> Fault | None:
        """Take the fault that happens at one of these tasks."""
        if not self._armed[kind]:
            return None
        for place in self._armed[kind]:
            at = self._faults[place].at
            if at is not None and at[0] == task and any(0 <= at[1] - first < n for first, n in ranges):
                return self._happens(place)
        return None

    def handled(self, task: str, number: int) -> Fault | None:
        """Count a result that the collector has handled, and take the fault that ends it there."""
        self._handled += 1
        for place in self._armed[Kind.RESTART_COLLECTOR]:
            after = self._faults[place].after
            if after is not None and self._handled == after * (self._happened[place] + 1):
                return self._happens(place)
        return self.at(Kind.RESTART_COLLECTOR, task, number)

    def never_happened(self) -> list[Fault]:
        """List the faults whose point the run did not come to."""
        return [fault for place, fault in enumerate(self._faults) if not self._happened[place]]

    def _happens(self, place: int) -> Fault:
        fault = self._faults[place]
        self._happened[place] += 1
        if self._happened[place] == fault.times:
            self._armed[fault.kind].remove(place)
        return fault
