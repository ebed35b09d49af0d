"""What signals do while a run is watched."""

from __future__ import annotations

import os
import signal

import pytest

from zmqpipeline.cli.top import _Signals, _Stopped
from zmqpipeline.cli.views import Lines


class View(Lines):
    """Counts how often it is drawn."""

    drawn = 0

    def draw(self) -> None:
        self.drawn += 1


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)  # to this thread, which handles it before it goes on


def wait_and(number: signal.Signals, signals: _Signals) -> None:
    with signals.heeded():
        send(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_waiting(number: signal.Signals) -> None:
    with _Signals(View()) as signals:
        with pytest.raises(_Stopped):
            wait_and(number, signals)
        assert signals.number == number


def test_a_signal_while_something_is_drawn_ends_the_next_waiting() -> None:
    with _Signals(View()) as signals:
        send(signal.SIGINT)
        send(signal.SIGTERM)
        with pytest.raises(_Stopped), signals.heeded():
            raise AssertionError("it waits although it was told to stop")
        assert signals.number == signal.SIGINT


def test_a_new_size_is_drawn_at_once_but_not_into_a_picture() -> None:
    view = View()
    with _Signals(view) as signals:
        send(signal.SIGWINCH)
        assert view.drawn == 0
        wait_and(signal.SIGWINCH, signals)
        assert view.drawn == 1


class Interrupted(View):
    """Gets signals while it is drawn, the first time."""

    def __init__(self, *numbers: signal.Signals) -> None:
        super().__init__()
        self._numbers = list(numbers)
        self.depth = self.deepest = 0

    def draw(self) -> None:
        super().draw()
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)
        while self._numbers:
            send(self._numbers.pop())
        self.depth -= 1


def test_a_size_that_changes_while_it_is_drawn_is_drawn_behind_that() -> None:
    view = Interrupted(signal.SIGWINCH, signal.SIGWINCH)
    with _Signals(view) as signals:
        wait_and(signal.SIGWINCH, signals)
    assert (view.drawn, view.deepest) == (2, 1)


def test_a_signal_while_a_new_size_is_drawn_ends_the_waiting_behind_that() -> None:
    view = Interrupted(signal.SIGTERM)
    with _Signals(view) as signals:
        with pytest.raises(_Stopped):
            wait_and(signal.SIGWINCH, signals)
        assert (view.drawn, view.depth, signals.number) == (1, 0, signal.SIGTERM)


def test_the_handlers_are_given_back() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGWINCH)
    before = [signal.getsignal(number) for number in numbers]
    with _Signals(View()):
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before
