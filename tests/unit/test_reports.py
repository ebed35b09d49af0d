"""What is believed of what peers say of themselves, and the figures of a process."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from zmqpipeline.delivery.reports import reported
from zmqpipeline.monitor.pace import Pace
from zmqpipeline.monitor.process import Vitals, resident


@pytest.mark.parametrize("said", [None, [], "memory", 7, {}, {"memory": None, "cpu": "1", "name": "x"}])
def test_what_is_no_figure_is_not_taken(said: Any) -> None:
    assert reported(said) == {}


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, 2**60, True, [1], {"a": 1}])
def test_no_figure_is_absurd(value: Any) -> None:
    assert reported({"memory": value, "done": 3}) == {"done": 3}


@pytest.mark.parametrize("name", ["memory", "done", "collected", "queue"])
def test_what_is_counted_is_whole_even_from_a_language_that_writes_all_numbers_as_floats(name: str) -> None:
    (value,) = reported({name: 7.9}).values()
    assert (value, type(value)) == (7, int)


def test_figures_are_taken() -> None:
    said = {"memory": 1, "cpu": 0.5, "lag": 0.0, "done": 2, "collected": 4, "queue": 0}
    assert reported({**said, "else": 9}) == said


class Clocks:
    """The two clocks of a process, in the hands of a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.used = 100.0
        monkeypatch.setattr("zmqpipeline.monitor.process.time.monotonic", lambda: self.now)
        monkeypatch.setattr("zmqpipeline.monitor.process.time.process_time", lambda: self.used)

    def go(self, seconds: float, used: float) -> None:
        self.now, self.used = self.now + seconds, self.used + used


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_a_process_tells_its_figures_since_the_last_look(clocks: Clocks) -> None:
    vitals = Vitals()
    vitals.lag = 0.5
    clocks.go(2.0, 0.5)
    said = vitals.look()
    assert (said["cpu"], said["lag"]) == (0.25, 0.5)
    clocks.go(1.0, 1.0)
    said = vitals.look()
    assert (said["cpu"], said["lag"]) == (1.0, 0.0)


def test_a_few_milliseconds_say_nothing_of_how_busy_a_process_is(clocks: Clocks) -> None:
    vitals = Vitals()
    clocks.go(1.0, 0.25)
    vitals.look()
    clocks.go(0.02, 0.02)
    vitals.lag = 0.01
    said = vitals.look()
    assert (said["cpu"], said["lag"]) == (0.25, 0.01)
    clocks.go(0.98, 0.08)
    said = vitals.look()
    assert said["cpu"] == pytest.approx(0.1)
    assert said["lag"] == 0.01


def test_the_clocks_of_a_process_are_real() -> None:
    vitals = Vitals()
    begun = time.process_time()
    while time.process_time() < begun + 0.01:
        pass
    assert (vitals.look()["cpu"] or 0) > 0


def test_memory_is_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = resident()
    assert found is None or 1 << 20 < found < 1 << 40
    monkeypatch.setattr("zmqpipeline.monitor.process._STATM", "/a file that is not there")
    assert resident() is None


def test_a_pace_is_that_of_the_last_looks() -> None:
    pace = Pace()
    assert pace.rate == 0.0
    for second in range(20):
        pace.look(second, second * (10 if second < 10 else 2), 1.5 * second)
    assert pace.rate == 2.0
    assert pace.grown(0) == 5
    assert pace.grown(2) == 7.5


def test_a_counter_that_begins_anew_has_no_pace_yet() -> None:
    pace = Pace()
    pace.look(0, 100)
    pace.look(1, 200)
    pace.look(2, 5)
    assert pace.rate == 0.0
    pace.look(3, 9)
    assert pace.rate == 4.0
