"""How many tasks a measurement takes, so that it is long enough to tell something and ends soon."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: tasks of the first attempt, where nothing else is said, and of a measurement at most
FIRST, MOST = 500, 5_000_000

#: an attempt that takes so much of the time wanted tells the pace well enough
ENOUGH = 0.2


def choose_count(rate: Callable[[int], float], seconds: float, first: int = FIRST) -> int:
    """Choose how many tasks take the time wanted.

    Parameters
    ----------
    rate
        measures how many tasks a second are done, with a number of tasks
    seconds
        the time wanted
    first
        tasks of the first attempt

    """
    count = first
    while True:
        pace = rate(count)
        wanted = rounded(pace * seconds)
        # a few tasks are done at the pace of a start rather than at that of many
        if wanted <= count or count / pace >= seconds * ENOUGH:
            return wanted
        count = wanted


def rounded(number: float) -> int:
    """Round to two digits, within the limits."""
    if number < 1:
        return 1
    digits = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return min(MOST, max(1, round(number / digits) * digits))
