"""Signals that are waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from zmqpipeline.cli import asking, reload
from zmqpipeline.cli.endpoints import PLAN
from zmqpipeline.cli.starting import StoppedEarly
from zmqpipeline.cli.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    made = Wakeup()
    yield made
    made.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_before_anybody_waits_is_not_missed(wakeup: Wakeup, number: int) -> None:
    with wakeup.signals():
        os.kill(os.getpid(), number)
        wakeup.wait()
    assert wakeup.take() == [number]
    assert wakeup.take() == []


def test_a_signal_that_another_thread_gets_wakes_up_the_main_thread(wakeup: Wakeup) -> None:
    def gets_it() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    with wakeup.signals():
        other = threading.Thread(target=gets_it)
        other.start()
        wakeup.wait()
        other.join()
    assert wakeup.take() == [signal.SIGINT]


def test_a_child_that_ends_wakes_up(wakeup: Wakeup) -> None:
    with wakeup.signals():
        child = subprocess.Popen([sys.executable, "-c", ""])
        wakeup.wait()
        assert child.wait() == 0
    assert wakeup.take() == []


def test_handlers_are_what_they_were(wakeup: Wakeup) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
    before = [signal.getsignal(number) for number in numbers]
    with wakeup.signals():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_to_be_woken_too_often_or_too_late_is_no_error() -> None:
    wakeup = Wakeup()
    for _ in range(100_000):
        wakeup.wake()
    wakeup.wait()
    wakeup.close()
    wakeup.wake()


def test_whoever_waits_for_a_change_is_stopped_by_a_signal_of_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may give it to the thread that watches, which is no lock that the main thread waits at."""
    pytest.importorskip("watchfiles")
    others: list[threading.Thread] = []

    def said(_sentence: str) -> None:
        def gets_it() -> None:
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

        others.append(threading.Thread(target=gets_it))
        others[0].start()

    monkeypatch.setattr(reload, "say", said)
    with reload.Watcher(tmp_path) as watcher, pytest.raises(reload.StoppedWaiting) as stopped:
        watcher.wait()
    assert stopped.value.code == 128 + signal.SIGTERM
    others[0].join()


def test_a_change_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("watchfiles")
    monkeypatch.setattr(reload, "say", lambda _sentence: tmp_path.joinpath("a.py").write_text("1\n"))
    with reload.Watcher(tmp_path) as watcher:
        watcher.wait()
        assert watcher.take() == ["a.py"]
        assert not watcher.has_changed()


def test_a_signal_is_not_lost_with_an_answer_that_is_of_no_use(tmp_path: Path) -> None:
    def is_outdated() -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return True

    target = tmp_path / "sleeps.py"
    target.write_text("import time; time.sleep(600)")
    with pytest.raises(StoppedEarly) as stopped:
        asking.ask(PLAN, str(target), [], os.environ, lambda _event: False, is_outdated)
    assert stopped.value.code == 128 + signal.SIGTERM


def test_a_signal_of_which_the_interpreter_has_not_written_is_not_missed(wakeup: Wakeup) -> None:
    with wakeup.signals():
        signal.set_wakeup_fd(-1)  # as it is until all handlers are there
        os.kill(os.getpid(), signal.SIGINT)
        wakeup.wait()
    assert wakeup.take() == [signal.SIGINT]
