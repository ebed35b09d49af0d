"""What is measured: contenders that do the same thing in turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zmqpipeline.bench.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zmqpipeline.bench.sample import Reading


@dataclass(frozen=True)
class Run:
    """One contender of a case.

    Parameters
    ----------
    name
        what it is called while it runs
    measure
        does it once, and returns what came out

    """

    name: str
    measure: Callable[[], list[Reading]]


@dataclass(frozen=True)
class Case:
    """Some contenders that do the same thing, in the same way.

    Parameters
    ----------
    workload
        what they do
    variant
        how
    runs
        the contenders

    """

    workload: str
    variant: str
    runs: tuple[Run, ...]

    def measure(self, repeat: int, starting: Callable[[Case, Run, int], None]) -> Iterator[Sample]:
        """Let all take turns; every other turn in the opposite order, so that nobody always comes first.

        Parameters
        ----------
        repeat
            how many turns
        starting
            told before each run who begins, in which turn

        """
        for turn in range(repeat):
            for run in self.runs if turn % 2 == 0 else reversed(self.runs):
                starting(self, run, turn)
                for reading in run.measure():
                    yield Sample(self.workload, self.variant, turn, reading)
