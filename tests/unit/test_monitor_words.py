"""Figures as a person reads them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.roles.snapshots import make_snapshot, make_task, make_worker
from zmqpipeline.monitor import words


@pytest.mark.parametrize(
    ("function", "cases"),
    [
        (words.clock, {0: "0:00", 59.4: "0:59", 59.6: "1:00", 3599: "59:59", 3600: "1:00:00", -1: "0:00"}),
        (words.clock, {86399: "23:59:59", 86400: "1d 00h", 100 * 86400: "100d 00h", 1e17: ">999d"}),
        (words.ago, {0: "0 s", 59: "59 s", 61: "1 min", 7200: "2 h", 90000: "1 d", -3: "0 s"}),
        (words.span, {None: "-", 0: "0 us", 0.000_31: "310 us", 0.000_999_6: "1.0 ms", 0.0123: "12 ms"}),
        (words.span, {0.25: "250 ms", 0.9996: "1.0 s", 12.5: "12 s", 999.6: "1000 s", 3600: "1:00:00"}),
        (words.size, {None: "-", 0: "0 B", 1000: "1 KiB", 48 << 20: "48 MiB", 3 << 29: "1.5 GiB"}),
        (words.size, {5 << 40: "5.0 TiB", 999 << 10: "999 KiB"}),
        (words.share, {None: "-", 0.0: "0%", 0.254: "25%", 8.0: "800%"}),
        (words.rate, {0: "0/s", 0.25: "0.25/s", 5: "5.0/s", 50: "50/s", 999.4: "999/s", 1234.5: "1.2k/s"}),
        (words.rate, {12345: "12k/s", 1.5e6: "1.5M/s", 1e17: "100P/s"}),
        (words.count, {0: "0", 99_999: "99999", 100_000: "100k", 1_234_567: "1.2M", 10**7: "10M"}),
    ],
)
def test_figures(function: Any, cases: dict[Any, str]) -> None:
    assert {value: function(value) for value in cases} == cases


def test_all_is_done_only_when_it_is() -> None:
    assert [words.percent(done, 1000) for done in (0, 9, 10, 999, 1000, 1001)] == [0, 0, 1, 99, 100, 100]
    assert words.percent(0, 0) == 100


def test_the_time_left_is_known_only_with_a_total_and_a_rate() -> None:
    assert words.left(400, 1000, 50) == "0:12"
    assert words.left(400, None, 50) == ""
    assert words.left(400, 1000, 0) == ""
    assert words.left(1000, 1000, 50) == ""


def test_what_a_terminal_would_obey_is_left_out() -> None:
    assert words.clean("a\x1b[2Jb\r\nc\x9bd\u202ee") == "a [2Jb  c d e"
    assert words.clean("größer 木") == "größer 木"


def test_the_workers_that_are_there_are_counted() -> None:
    states = ["working", "idle", "starting", "silent", "lost", "left"]
    assert words.workers(make_snapshot(workers=[make_worker(state=state) for state in states])) == (
        "4 workers (1 silent)"
    )
    assert words.workers(make_snapshot(workers=[make_worker()])) == "1 worker"
    assert words.workers(make_snapshot(workers=[])) == "0 workers"


def test_a_run_in_one_line() -> None:
    assert words.line(make_snapshot()) == (
        "1:01 running, 416 handed out, 400 acknowledged, 3 failed, 50/s, latency 12 ms, 3 workers (1 silent)"
        "; count 40%, 0:12 left"
    )
    hostile = make_task(type="a\nb\x1b[31m", rate=0.0)
    assert words.line(
        make_snapshot(tasks=[hostile, make_task(total=None)], latency=None, workers=[], waits_for=["x", "y"])
    ) == (
        "1:01 running, 416 handed out, 400 acknowledged, 3 failed, 50/s, 0 workers; a b [31m 40%"
        "; waits for x, y"
    )
