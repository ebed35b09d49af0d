"""What the dashboard keeps for pages that are opened late."""

from __future__ import annotations

from tests.roles.snapshots import NOW, make_snapshot
from zmqpipeline.monitor.dashboard.history import MAX_POINTS, SPAN, History


def filled(*times: float, **changes: object) -> History:
    made = History()
    for time in times:
        made.add(make_snapshot(time=NOW + time, **changes))
    return made


def test_a_snapshot_is_a_point() -> None:
    history = filled(0, rate=50.0, latency=0.25)
    history.add(make_snapshot(time=NOW + 1, rate=0.0, latency=None))
    assert history.points == [(NOW, 50.0, 0.25), (NOW + 1, 0.0, None)]


def test_a_quarter_of_an_hour_is_kept() -> None:
    history = filled(*range(1000))
    assert (history.points[0][0], history.points[-1][0]) == (NOW + 999 - SPAN, NOW + 999)


def test_snapshots_that_come_too_often_take_no_more_room() -> None:
    history = filled(*(number / 1000 for number in range(3000)))
    assert len(history.points) == MAX_POINTS


def test_the_line_ends_where_the_distributor_goes() -> None:
    history = filled(0)
    history.interrupt()
    history.interrupt()
    history.add(make_snapshot(time=NOW + 9))
    assert [point[1] for point in history.points] == [50.0, None, 50.0]


def test_another_run_does_not_go_on_with_the_line_of_the_one_before() -> None:
    history = filled(0, run="first")
    history.add(make_snapshot(time=NOW + 1, run="second"))
    assert [point[1] for point in history.points] == [50.0, None, 50.0]


def test_nothing_is_later_than_now_if_the_clock_is_set_back() -> None:
    history = filled(0, 1, 2)
    history.add(make_snapshot(time=NOW + 0.5))
    assert [point[0] - NOW for point in history.points] == [0, 0.5]


def test_an_empty_history_cannot_be_interrupted() -> None:
    history = History()
    history.interrupt()
    assert history.points == []
