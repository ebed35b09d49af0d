"""Tasks of known durations, and how long they take if nobody who is free ever waits."""

from __future__ import annotations

import heapq
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: one task of so many is a long one
ONE_IN = 100


def durations(count: int, short: float, long: float) -> list[float]:
    """List the durations of tasks: one in a hundred is long, in an order that looks like chance but is fixed.

    Parameters
    ----------
    count
        how many
    short, long
        how long they take, in seconds

    """
    found = [long if number % ONE_IN == 0 else short for number in range(1, count + 1)]
    random.Random(count).shuffle(found)  # noqa: S311 - nothing is hidden here
    return found


def greedy(durations: Iterable[float], hands: int) -> float:
    """Tell how long tasks take if each in its turn goes to the hand that is free first: list scheduling.

    Parameters
    ----------
    durations
        of the tasks, in seconds
    hands
        how many can be done at a time

    """
    free_at = [0.0] * hands
    for duration in durations:
        heapq.heapreplace(free_at, free_at[0] + duration)
    return max(free_at)
