"""What a measurement yields: a figure with its value, and who was measured."""

from __future__ import annotations

from dataclasses import dataclass

#: what this library is called in a result
OURS = "zmqpipeline"
#: and what is measured beside it
BARE = "bare sockets"
IDEAL = "ideal"


@dataclass(frozen=True)
class Figure:
    """What is measured.

    Parameters
    ----------
    name
        in a word or two: ``throughput``, ``p99``
    unit
        of the value: ``tasks/s``, ``ms``
    more
        whether more of it is better

    """

    name: str
    unit: str
    more: bool = False

    def __str__(self) -> str:
        return f"{self.name}, {self.unit}"


RATE = Figure("throughput", "tasks/s", more=True)
P50 = Figure("p50", "µs")
P99 = Figure("p99", "µs")
TIME = Figure("time", "s")
#: what each process has had at most, added up
MEMORY = Figure("memory of all", "MiB")


@dataclass(frozen=True)
class Reading:
    """One value that a run yields.

    Parameters
    ----------
    contender
        who was measured
    figure
        what was measured
    value
        how much it was
    reference
        the contender that it is compared with; None if others are compared with it
    series
        how it went over time: pairs of seconds and values

    """

    contender: str
    figure: Figure
    value: float
    reference: str | None = None
    series: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Sample:
    """A reading, and where it belongs.

    Parameters
    ----------
    workload
        what was done: ``throughput``, ``latency``
    variant
        how: ``2 workers, ipc``
    turn
        in which turn, from 0; readings of the same turn are pairs
    reading
        what came out

    """

    workload: str
    variant: str
    turn: int
    reading: Reading
