"""Flow: how much a worker asks for whose tasks wait side by side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zmqpipeline.delivery.credit import AHEAD_BYTES, MOST
from zmqpipeline.delivery.flow import RESERVE, Flow


def settled(hands: int, seconds: float, size: int = 0) -> Flow:
    """Make the credit of a worker that has done many tasks of one kind."""
    flow = Flow(hands)
    for _ in range(20):
        flow.measured(hands, hands * seconds, hands * size)
        flow.news()
    return flow


def test_a_new_worker_asks_for_what_it_can_do_at_a_time() -> None:
    flow = Flow(1000)
    assert (flow.credit, flow.round, flow.news()) == (1000, 1000, None)


@pytest.mark.parametrize(
    ("hands", "seconds", "reserve"),
    [(1000, 0.1, 300), (100, 0.1, 30), (100, 1.0, 3), (100, 3.1, 0), (1, 0.1, 0)],
)
def test_the_reserve_is_what_is_begun_in_a_moment(hands: int, seconds: float, reserve: int) -> None:
    assert settled(hands, seconds).credit == pytest.approx(hands + reserve, abs=1)


def test_it_asks_for_a_reserve_at_the_first_measurement() -> None:
    flow = Flow(1000)
    flow.measured(1, 0.1)
    assert flow.news() == pytest.approx(1300, abs=1)
    assert flow.news() is None


def test_a_small_change_is_no_news_and_a_large_one_is() -> None:
    flow = settled(1000, 0.1)
    flow.measured(1, 0.11)
    assert flow.news() is None
    for _ in range(10):
        flow.measured(1, 1.0)
    assert flow.news() == pytest.approx(1030, abs=1)
    for _ in range(20):
        flow.measured(1, 100.0)
    assert flow.news() == 1000


def test_large_results_take_the_reserve_and_no_more() -> None:
    assert settled(100, 0.001, AHEAD_BYTES // 200).credit == 200
    assert settled(100, 0.001, AHEAD_BYTES).credit == 100


@given(st.integers(1, 10_000), st.lists(st.tuples(st.floats(1e-9, 1e4), st.integers(0, 1 << 30))))
def test_it_never_asks_for_less_than_it_can_do_or_for_much_too_much(
    hands: int, rounds: list[tuple[float, int]]
) -> None:
    flow = Flow(hands)
    for seconds, size in rounds:
        flow.measured(1, seconds, size)
        flow.news()
        assert hands <= flow.credit <= hands + MOST
        assert flow.round == hands
        assert not flow.is_hoard(10**6)
    assert RESERVE > 0
