"""Intervals against a set of ints: whatever is added, in whatever order, both agree."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from zmqpipeline.delivery.intervals import Intervals, Range

# few numbers, so that ranges touch, overlap and repeat
RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(-1, 12)), max_size=12)


def ids(ranges: list[Range]) -> list[int]:
    return [number for first, count in ranges for number in range(first, first + count)]


@given(RANGES)
def test_add_tells_what_is_new_in_order(ranges: list[Range]) -> None:
    numbers, model = Intervals(), set[int]()
    for first, count in ranges:
        new = ids(numbers.add(first, count))
        wanted = set(ids([(first, count)]))
        assert new == sorted(wanted - model)
        model |= wanted
        assert list(numbers) == sorted(model)


@given(RANGES, st.integers(0, 60), st.integers(-1, 20))
def test_missing_tells_what_is_not_there_and_changes_nothing(
    ranges: list[Range], first: int, count: int
) -> None:
    numbers = Intervals(ranges)
    before = numbers.ranges()
    assert ids(numbers.missing(first, count)) == sorted(set(ids([(first, count)])) - set(ids(ranges)))
    assert numbers.ranges() == before


@given(RANGES)
def test_ranges_are_as_few_as_possible(ranges: list[Range]) -> None:
    listed = Intervals(ranges).ranges()
    for (first, count), (following, _) in pairwise(listed):
        assert first + count < following
    assert all(count > 0 for _, count in listed)


@given(RANGES, st.integers(-1, 60))
def test_it_tells_what_lies_around_a_number(ranges: list[Range], number: int) -> None:
    numbers = Intervals(ranges)
    around = numbers.around(number)
    assert (around is None) == (number not in numbers)
    if around is not None:
        assert around in numbers.ranges()
        assert around[0] <= number < sum(around)


@given(RANGES)
def test_it_is_a_collection(ranges: list[Range]) -> None:
    numbers, model = Intervals(ranges), set(ids(ranges))
    assert len(numbers) == len(model)
    assert [number for number in range(-1, 60) if number in numbers] == sorted(model)
    assert bool(numbers) == bool(model)


@given(RANGES, RANGES)
def test_equality_is_that_of_the_sets(some: list[Range], others: list[Range]) -> None:
    assert Intervals(some) == Intervals(reversed(some))
    assert (Intervals(some) == Intervals(others)) == (set(ids(some)) == set(ids(others)))


def test_a_million_ids_in_order_cost_one_interval() -> None:
    numbers = Intervals()
    for first in range(0, 1_000_000, 1000):
        numbers.add(first, 1000)
    assert numbers.ranges() == [(0, 1_000_000)]


def test_other_things_are_not_in_it() -> None:
    assert "1" not in Intervals([(0, 5)])
    assert Intervals([(0, 5)]) != {0, 1, 2, 3, 4}
    assert repr(Intervals([(0, 5)])) == "Intervals([(0, 5)])"
