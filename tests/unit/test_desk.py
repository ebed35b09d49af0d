"""What a distributor does for those who watch, and how seldom: from the books alone, without a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.test_observer import Watched
from zmqpipeline.monitor.desk import Desk
from zmqpipeline.wire import envelope

if TYPE_CHECKING:
    from zmqpipeline.monitor.snapshot import Report


class Clocked:
    """Says as memory how often it was asked how the process is."""

    def __init__(self) -> None:
        self.looks = 0

    def look(self) -> Report:
        self.looks += 1
        return {"memory": self.looks, "cpu": 0.0, "lag": 0.0}


class Asked:
    """A desk that is asked without a socket."""

    def __init__(self) -> None:
        self.watched = Watched(t=(2, []))
        vitals: Any = Clocked()
        self.desk = Desk(None, self.watched.observer, vitals)  # type: ignore[arg-type]
        self.now = self.desk._own_at

    def turn(self, seconds: float) -> None:
        self.now += seconds
        self.desk.turn(self.now, asked=False)

    def told(self) -> Any:
        message = envelope.decode(self.desk._snapshot(self.now))
        assert message is not None
        return message.data


def test_the_distributors_own_figures_are_those_of_the_last_second_whenever_somebody_asks() -> None:
    asked = Asked()
    for _ in range(20):
        asked.turn(0.5)
    assert asked.told()["distributor"]["memory"] == 11


@pytest.mark.parametrize(("seconds", "pause"), [(0.0005, 0.1), (0.1, 5.0)])
def test_snapshots_that_take_long_are_made_seldom(
    monkeypatch: pytest.MonkeyPatch, seconds: float, pause: float
) -> None:
    asked, used = Asked(), [0.0]

    def pack(*_: Any, **__: Any) -> Any:
        used[0] += seconds
        return {}

    monkeypatch.setattr("zmqpipeline.monitor.desk.time.thread_time", lambda: used[0])
    monkeypatch.setattr(asked.watched.observer, "snapshot", pack)
    for _ in range(1000):
        asked.told()
        asked.now += 0.01
    assert used[0] == pytest.approx(seconds * 10 / pause, rel=0.15)
