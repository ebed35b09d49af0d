"""The statistics of a few repetitions: the median, and how far the others are from it."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Spread:
    """Some values: the median, the lowest, the highest, and how many there were."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Take the spread of at least one value."""
        found = list(values)
        return cls(statistics.median(found), min(found), max(found), len(found))


def ratios(values: Mapping[int, float], references: Mapping[int, float]) -> list[float]:
    """Divide values by those of the same turn; a turn that is missing in one of them is left out.

    Only within a turn were both measured in the same minute, so the ratio of each pair is better than the
    ratio of the medians.
    """
    turns = [turn for turn in sorted(values) if references.get(turn)]
    return [values[turn] / references[turn] for turn in turns]


def percentile(values: Sequence[float], percent: float) -> float:
    """Take the smallest value that is not exceeded by so many percent of all (the nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
