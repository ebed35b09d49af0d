"""The lines that a run writes, and what it removes at its end."""

from __future__ import annotations

import fcntl
import socket
from typing import TYPE_CHECKING

import pytest

from zmqpipeline import Statistics
from zmqpipeline.cli import leftovers
from zmqpipeline.cli.lines import LONGEST_LINE, Lines
from zmqpipeline.cli.output import Output, Rate
from zmqpipeline.cli.summary import progress, summary
from zmqpipeline.cli.voice import Voice

if TYPE_CHECKING:
    from pathlib import Path


def test_lines_are_put_together_from_pieces() -> None:
    lines = Lines()
    assert lines.feed(b"on") == []
    assert lines.feed(b"e\ntwo\r\n\nthr") == [b"one", b"two", b""]
    assert lines.rest() == [b"thr"]
    assert lines.rest() == []


def test_a_line_of_100_kb_that_comes_in_pieces_stays_whole() -> None:
    lines, line = Lines(), b"x" * 100_000
    found = [whole for start in range(0, len(line), 4096) for whole in lines.feed(line[start : start + 4096])]
    assert found == []
    assert lines.feed(b"\nnext") == [line]
    assert lines.rest() == [b"next"]


def test_a_line_without_end_does_not_grow_for_ever() -> None:
    lines = Lines()
    (cut,) = lines.feed(b"x" * (LONGEST_LINE + 1))
    assert len(cut) == LONGEST_LINE + 1
    assert lines.rest() == []


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate()
    assert rate.per_second() == 0
    rate.seen(0.0, 0)
    assert rate.per_second() == 0
    for second in range(1, 11):
        rate.seen(float(second), second * second)
    assert rate.per_second() == pytest.approx((100 - 49) / 3)


def test_no_rate_is_negative_when_a_distributor_goes_on_from_its_journal() -> None:
    rate = Rate()
    for second, acknowledged in ((0.0, 0), (1.0, 400), (2.0, 390)):
        rate.seen(second, acknowledged)
    assert rate.per_second() == 0
    rate.seen(3.0, 420)
    assert rate.per_second() == 30


def test_progress_is_said_when_there_is_news_and_not_too_often(capfd: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.tick(0.0)
    assert capfd.readouterr().err == ""
    output.counted(Statistics(10, 4, 0, 0, 1), 1.0)
    output.tick(1.0)
    assert capfd.readouterr().err == "zmqpipeline: 10 handed out, 4 acknowledged, 0 failed, 0/s, 1 worker\n"
    output.counted(Statistics(20, 8, 0, 0, 2), 2.0)
    output.tick(2.0)
    assert capfd.readouterr().err == ""
    output.tick(6.0)
    assert capfd.readouterr().err == "zmqpipeline: 20 handed out, 8 acknowledged, 0 failed, 4/s, 2 workers\n"
    output.tick(60.0)
    assert capfd.readouterr().err == ""


def test_with_a_total_it_is_said_how_much_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.counted(Statistics(10, 4, 0, 0, 1), 1.0, 100)
    output.tick(1.0)
    assert capfd.readouterr().err == "zmqpipeline: 4 of 100 (4%), 0 failed, 0/s, 1 worker\n"
    output.counted(Statistics(20, 8, 1, 0, 2), 2.0, 100)
    output.tick(6.0)
    assert capfd.readouterr().err == "zmqpipeline: 8 of 100 (8%), 0:23 left, 1 failed, 4/s, 2 workers\n"


def test_that_the_workers_have_gone_is_said_only_if_it_lasts(capfd: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.counted(Statistics(10, 4, 0, 0, 1), 1.0)
    output.tick(1.0)
    output.counted(Statistics(10, 10, 0, 0, 0), 10.0)
    output.tick(10.0)
    assert len(capfd.readouterr().err.splitlines()) == 1
    output.tick(15.0)
    assert "10 acknowledged, 0 failed, 1/s, 0 workers" in capfd.readouterr().err


def test_a_run_that_is_over_before_it_is_seen_says_nothing_of_workers(
    capfd: pytest.CaptureFixture[str],
) -> None:
    output = Output()
    output.counted(Statistics(0, 0, 0, 0, 0), 1.0)
    output.counted(Statistics(10, 10, 0, 0, 0), 1.5)
    output.tick(1.5)
    assert capfd.readouterr().err == ""
    output.tick(6.5)
    assert "10 acknowledged, 0 failed, 20/s, 0 workers" in capfd.readouterr().err


def test_nothing_more_is_said_of_progress_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.counted(Statistics(10, 10, 0, 0, 1), 1.0)
    output.ending()
    output.tick(100.0)
    assert capfd.readouterr().err == ""


def test_lines_go_where_they_came_from(capfd: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.line(Voice("Does", 1), b"out \xff", error=False)
    output.line(Voice("Does", 1), b"err", error=True)
    out, err = capfd.readouterr()
    assert out.startswith("Does[1] out ")
    assert err == "Does[1] err\n"


def test_the_summary() -> None:
    done = Statistics(100, 98, 2, 1, 0)
    assert summary(done, 2.0, stopped=False, restarts=1) == (
        "done: 100 handed out, 98 acknowledged, 2 failed, 1 redelivered in 2.0 s (49/s), 1 restart"
    )
    assert summary(done, 0.0, stopped=True).startswith("stopped: ")
    assert progress(done, 49.4).endswith("49/s, 0 workers")


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    path, lock = tmp_path / "a.ipc", tmp_path / "a.ipc.lock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    lock.write_text("1234\n")
    leftovers.clean([str(path)], {99})
    assert path.is_socket()
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        leftovers.clean([str(path)], {1234})
        assert path.is_socket()
    leftovers.clean([str(path)], {1234})
    assert list(tmp_path.iterdir()) == []
    leftovers.clean([str(path)], {1234})


def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path, lock = tmp_path / "a.ipc", tmp_path / "a.ipc.lock"
    path.write_text("mine")
    lock.write_text("1234\n")
    leftovers.clean([str(path)], {1234})
    assert path.read_text() == "mine"
    assert not lock.exists()
