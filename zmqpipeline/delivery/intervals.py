"""Sets of task ids, kept as intervals, so that a million contiguous ids cost two integers."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: ``(first id, how many)``
Range: TypeAlias = "tuple[int, int]"


class Intervals:
    """A set of integers, stored as sorted, disjoint, non-adjacent intervals.

    Parameters
    ----------
    ranges
        what it holds at first, as ``(first, count)`` pairs in any order

    """

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []  # exclusive
        for first, count in sorted(ranges):  # to insert many in another order takes as long as their square
            self.add(first, count)

    def add(self, first: int, count: int) -> list[Range]:
        """Add ``first`` to ``first + count - 1`` and tell which of them are new.

        Parameters
        ----------
        first, count
            the ids to add; a count below 1 adds nothing

        Returns
        -------
        list of (first, count)
            what was not in the set before, in order

        """
        if count < 1:
            return []
        starts, ends = self._starts, self._ends
        end = first + count
        if ends and ends[-1] == first:  # the common case: ids come in order
            ends[-1] = end
            return [(first, count)]
        # the intervals that touch or overlap [first, end)
        low = bisect_left(ends, first)
        high = bisect_right(starts, end)
        if low == high:
            starts.insert(low, first)
            ends.insert(low, end)
            return [(first, count)]
        new = self._gaps(low, high, first, end)
        starts[low:high] = [min(starts[low], first)]
        ends[low:high] = [max(ends[high - 1], end)]
        return new

    def missing(self, first: int, count: int) -> list[Range]:
        """Tell which of ``first`` to ``first + count - 1`` are not in the set, in order."""
        if count < 1:
            return []
        if not self._ends or first >= self._ends[-1]:  # the common case: they come in order
            return [(first, count)]
        end = first + count
        low = bisect_left(self._ends, first)
        high = bisect_right(self._starts, end)
        return self._gaps(low, high, first, end)

    def around(self, number: int) -> Range | None:
        """Find the interval that holds a number, if one does."""
        index = bisect_right(self._starts, number) - 1
        if index < 0 or number >= self._ends[index]:
            return None
        return self._starts[index], self._ends[index] - self._starts[index]

    @property
    def end(self) -> int:
        """What is behind its last number; 0 if there is none."""
        return self._ends[-1] if self._ends else 0

    def ranges(self) -> list[Range]:
        """List what is in the set as ``(first, count)`` pairs, in order."""
        return [(start, end - start) for start, end in zip(self._starts, self._ends, strict=True)]

    def _gaps(self, low: int, high: int, first: int, end: int) -> list[Range]:
        gaps = []
        position = first
        for index in range(low, high):
            if self._starts[index] > position:
                gaps.append((position, self._starts[index] - position))
            position = max(position, self._ends[index])
        if position < end:
            gaps.append((position, end - position))
        return gaps

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        index = bisect_right(self._starts, number) - 1
        return index >= 0 and number < self._ends[index]

    def __len__(self) -> int:
        return sum(self._ends) - sum(self._starts)

    def __iter__(self) -> Iterator[int]:
        for start, end in zip(self._starts, self._ends, strict=True):
            yield from range(start, end)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Intervals):
            return NotImplemented
        return self._starts == other._starts and self._ends == other._ends

    __hash__ = None  # type: ignore[assignment]  # it is mutable

    def __repr__(self) -> str:
        return f"Intervals({self.ranges()!r})"
