"""The statistics of the benchmarks, and the schedules that they compare with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zmqpipeline.bench import schedule
from zmqpipeline.bench.case import Case, Run
from zmqpipeline.bench.sample import BARE, OURS, P50, RATE, Figure, Reading, Sample
from zmqpipeline.bench.spread import Spread, percentile, ratios
from zmqpipeline.bench.summary import summarize


def sample(turn: int, contender: str, value: float, reference: str | None = None) -> Sample:
    return Sample("throughput", "2 workers, ipc", turn, Reading(contender, RATE, value, reference))


def test_a_spread_is_the_median_the_lowest_and_the_highest() -> None:
    assert Spread.of([5.0]) == Spread(5.0, 5.0, 5.0, 1)
    assert Spread.of(iter([9.0, 1.0, 4.0])) == Spread(4.0, 1.0, 9.0, 3)
    assert Spread.of([1.0, 2.0, 3.0, 10.0]) == Spread(2.5, 1.0, 10.0, 4)


def test_ratios_are_those_of_pairs() -> None:
    assert ratios({0: 10.0, 1: 30.0}, {0: 20.0, 1: 30.0}) == [0.5, 1.0]
    # a turn that has no partner, and a partner that is nothing
    assert ratios({0: 10.0, 1: 30.0, 2: 1.0}, {1: 60.0, 2: 0.0, 3: 1.0}) == [0.5]
    assert ratios({}, {0: 1.0}) == []


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (1, 1), (50, 50), (50.5, 51), (99, 99), (99.5, 100), (100, 100)]
)
def test_a_percentile_is_a_value_that_was_there(percent: float, expected: float) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == expected
    assert percentile([7.0], percent) == 7.0


def test_a_summary_compares_each_contender_with_its_reference() -> None:
    found = summarize(
        [
            sample(0, BARE, 100.0),
            sample(0, OURS, 50.0, BARE),
            sample(0, "journal", 25.0, OURS),
            sample(1, "journal", 60.0, OURS),
            sample(1, OURS, 80.0, BARE),
            sample(1, BARE, 200.0),
        ]
    )
    bare, ours, journal = found
    assert [summary.contender for summary in found] == [BARE, OURS, "journal"]
    assert (bare.reference, bare.beside, bare.ratio) == (None, None, None)
    assert ours.measured == Spread(65.0, 50.0, 80.0, 2)
    assert ours.beside == Spread(150.0, 100.0, 200.0, 2)
    # of the pairs; the ratio of the medians would be 0.43
    assert ours.ratio == Spread(0.45, 0.4, 0.5, 2)
    assert journal.ratio == Spread(0.625, 0.5, 0.75, 2)


def test_a_reference_that_was_not_measured_leaves_no_ratio() -> None:
    (alone,) = summarize([sample(0, OURS, 50.0, BARE)])
    assert (alone.reference, alone.beside, alone.ratio) == (BARE, None, None)


def test_figures_workloads_and_variants_are_not_mixed() -> None:
    other = Figure("throughput", "MiB/s", more=True)
    samples = [
        Sample("a", "x", 0, Reading(OURS, RATE, 1.0)),
        Sample("a", "y", 0, Reading(OURS, RATE, 2.0)),
        Sample("b", "x", 0, Reading(OURS, RATE, 3.0)),
        Sample("b", "x", 0, Reading(OURS, other, 4.0)),
    ]
    assert [summary.measured.median for summary in summarize(samples)] == [1.0, 2.0, 3.0, 4.0]


def test_contenders_take_turns_and_nobody_always_comes_first() -> None:
    begun: list[tuple[str, int]] = []
    runs = tuple(Run(name, lambda name=name: [Reading(name, P50, 1.0)]) for name in "abc")  # type: ignore[misc]
    case = Case("w", "v", runs)
    samples = list(case.measure(3, lambda _case, run, turn: begun.append((run.name, turn))))
    assert "".join(name for name, _ in begun) == "abc" + "cba" + "abc"
    assert [(s.reading.contender, s.turn) for s in samples] == begun
    assert {(s.workload, s.variant) for s in samples} == {("w", "v")}


def test_durations_are_fixed_and_one_in_a_hundred_is_long() -> None:
    found = schedule.durations(1000, 0.001, 0.5)
    assert found == schedule.durations(1000, 0.001, 0.5)
    assert found.count(0.5) == 10
    assert found.count(0.001) == 990
    assert found != sorted(found)
    assert found != sorted(found, reverse=True)


@pytest.mark.parametrize(
    ("durations", "hands", "expected"),
    [
        ([], 3, 0),
        ([1, 1, 1, 1], 2, 2),
        ([1, 1, 1], 2, 2),
        ([3, 1, 1, 1], 2, 3),
        # whoever is free first takes the next one, in the order in which they come
        ([2, 1, 3, 1], 2, 4),
        ([5], 4, 5),
    ],
)
def test_the_greedy_schedule(durations: list[float], hands: int, expected: float) -> None:
    assert schedule.greedy(durations, hands) == expected


@given(st.lists(st.integers(0, 100), max_size=60), st.integers(1, 6))
def test_a_greedy_schedule_keeps_the_bounds_of_grahams_theorem(durations: list[int], hands: int) -> None:
    least = max(sum(durations) / hands, max(durations, default=0))
    found = schedule.greedy(durations, hands)
    assert least <= found <= sum(durations) / hands + max(durations, default=0)


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 4))
def test_a_greedy_schedule_is_that_of_a_simulation_step_by_step(durations: list[int], hands: int) -> None:
    left, waiting, now = [0] * hands, list(durations), 0
    while True:
        for hand in range(hands):
            # a task that takes no time leaves its hand free at once
            while left[hand] == 0 and waiting:
                left[hand] = waiting.pop(0)
        if not any(left):
            break
        left = [max(0, each - 1) for each in left]
        now += 1
    assert schedule.greedy(durations, hands) == now
