"""Credit: how much a worker asks for, by how long its tasks take and how large its results are."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zmqpipeline.delivery.credit import (
    AHEAD,
    AHEAD_BYTES,
    HOARD,
    LONG,
    MOST,
    QUICK_ROUND,
    ROUND,
    ROUND_BYTES,
    SHARED,
    Credit,
)


def settled(seconds: float, size: int = 0, hands: int = 1) -> Credit:
    """Make the credit of a worker that has done many tasks of one kind."""
    credit = Credit(hands)
    for _ in range(40):
        count = credit.round
        credit.measured(count, count * seconds, count * size)
        credit.news()
    return credit


@pytest.mark.parametrize("hands", [1, 8])
def test_a_new_worker_asks_for_one_task_for_each_hand(hands: int) -> None:
    credit = Credit(hands)
    assert credit.credit == hands
    assert credit.news() is None
    assert credit.round == 1


@pytest.mark.parametrize("hands", [1, 8])
def test_long_tasks_are_asked_for_one_by_one(hands: int) -> None:
    assert settled(LONG * 1.1, hands=hands).credit == hands


def test_no_ops_are_asked_for_by_the_thousands() -> None:
    credit = settled(1e-6)
    assert 1000 < credit.credit <= MOST
    assert 1000 < credit.round <= credit.credit


@pytest.mark.parametrize("seconds", [0.001, 0.004, 0.01])
def test_short_tasks_are_asked_for_as_far_as_a_round_and_the_way_there_and_back(seconds: float) -> None:
    credit = settled(seconds)
    assert credit.credit * seconds == pytest.approx(ROUND + AHEAD, rel=0.3)
    assert credit.round * seconds == pytest.approx(ROUND, rel=0.3)
    assert credit.round < credit.credit


def test_a_round_of_many_tasks_is_a_short_one() -> None:
    credit = settled(1e-6)
    assert credit.round * 1e-6 == pytest.approx(QUICK_ROUND, rel=0.1)
    assert credit.credit * 1e-6 == pytest.approx(QUICK_ROUND + AHEAD, rel=0.6)


def test_it_grows_in_steps() -> None:
    credit = Credit()
    told = [credit.credit]
    while True:
        credit.measured(1, 1e-6)
        news = credit.news()
        if news is None:
            break
        assert told[-1] < news <= 4 * told[-1]
        assert news == credit.credit
        told.append(news)
    assert told[-1] > 1000


def test_it_falls_at_once_when_tasks_get_slow() -> None:
    credit = settled(1e-6)
    credit.measured(1, 2.0)
    assert credit.news() == 1
    assert credit.round == 1


def test_small_changes_are_not_told() -> None:
    credit = settled(0.001)
    for seconds in (0.0009, 0.0011, 0.001):
        credit.measured(1, seconds)
        assert credit.news() is None


def test_of_many_tasks_only_large_changes_are_told() -> None:
    credit = settled(1e-6)
    for seconds in (0.6e-6, 1.5e-6, 0.6e-6, 1.5e-6, 1e-6):
        count = credit.round
        credit.measured(count, count * seconds)
        assert credit.news() is None
    credit.measured(1000, 1000 * 1e-5)
    assert credit.news() is not None


def test_after_one_long_task_as_much_as_before_is_soon_asked_for_again() -> None:
    credit = settled(0.001)
    before = credit.credit
    credit.measured(10, 0.5)
    credit.news()
    for _ in range(4):
        count = credit.round
        credit.measured(count, count * 0.001)
        credit.news()
    assert credit.credit > before / 2


@pytest.mark.parametrize("hands", [1, 4])
def test_what_was_asked_for_is_a_hoard_when_all_hands_were_slow_twice_in_a_row(hands: int) -> None:
    credit = settled(1e-6, hands=hands)
    held = credit.credit
    seen = []
    for _ in range(2 * hands):
        credit.measured(10, 10 * 0.005)
        credit.news()
        seen.append(credit.is_hoard(held))
    assert seen == [False] * (2 * hands - 1) + [True]
    assert not credit.is_hoard(credit.credit)
    assert not credit.is_hoard(int(HOARD / 0.005 * hands) - 1)


@pytest.mark.parametrize("hands", [1, 4])
def test_a_machine_that_stands_still_for_a_while_makes_no_hoard(hands: int) -> None:
    credit = settled(1e-6, hands=hands)
    held = credit.credit
    for _ in range(hands):  # all hands were in a round then
        credit.measured(5000, 0.5)
        credit.news()
        assert not credit.is_hoard(held)
    credit.measured(5000, 0.005)
    for _ in range(hands - 1):
        credit.measured(5000, 0.5)
        assert not credit.is_hoard(held)


def test_the_round_after_a_slow_one_is_a_small_one() -> None:
    credit = settled(1e-6)
    credit.measured(10, 10 * 0.005)
    assert credit.round * 0.005 == pytest.approx(ROUND, rel=0.1)


def test_the_last_tasks_are_shared_by_all_hands() -> None:
    credit = settled(0.005, hands=4)
    assert credit.share(1000) == credit.round > 4
    assert [credit.share(count) for count in (16, 9, 4, 1)] == [4, 3, 1, 1]
    assert Credit(4).share(9) == 1


def test_hardly_any_work_is_not_shared() -> None:
    credit = settled(1e-6, hands=4)
    assert credit.share(40) * 1e-6 == pytest.approx(SHARED, rel=0.1)


def test_large_results_are_asked_for_as_far_as_they_fit() -> None:
    size = 1024 * 1024
    credit = settled(1e-6, size)
    assert credit.credit * size <= 1.25 * AHEAD_BYTES
    assert credit.round * size <= ROUND_BYTES
    assert settled(1e-6, 100 * ROUND_BYTES, hands=3).credit == 3


def test_results_that_grow_count_at_once_and_small_ones_little_by_little() -> None:
    credit = settled(1e-6, 10)
    credit.measured(2, 1e-5, 2 * ROUND_BYTES)
    assert credit.news() == 8
    assert credit.round == 1
    credit.measured(1, 1e-6, 10)
    assert credit.news() == 15
    assert credit.round == 1


def test_what_was_asked_for_is_too_much_when_results_have_grown() -> None:
    credit = settled(1e-6, 10)
    assert not credit.is_too_much(credit.credit)
    credit.measured(2, 1e-5, 2 * ROUND_BYTES)
    assert credit.is_too_much(17)
    assert not credit.is_too_much(16)


MEASURES = st.tuples(st.integers(1, 100_000), st.floats(0, 1e6), st.integers(0, 2**40))


@given(st.integers(1, 64), st.lists(MEASURES, max_size=30))
# a thousand rounds in which everything fails, after one that did not
@example(1, [(1, 0.001, 100), *[(1, 0.001, 0)] * 1100])
def test_whatever_is_measured_each_hand_has_a_task_and_nothing_is_boundless(
    hands: int, measures: list[tuple[int, float, int]]
) -> None:
    credit = Credit(hands)
    for count, seconds, size in measures:
        credit.measured(count, seconds, size)
        news = credit.news()
        assert news is None or news == credit.credit
        assert hands <= credit.credit <= max(MOST, hands)
        assert 1 <= credit.round <= credit.credit
