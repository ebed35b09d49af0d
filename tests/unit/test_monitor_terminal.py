"""A run as it looks on a terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from tests.roles.snapshots import (
    NOW,
    make_collector,
    make_failure,
    make_metadata_worker,
    make_process,
    make_snapshot,
    make_task,
    make_worker,
)
from zmqpipeline.monitor import hosts
from zmqpipeline.monitor.terminal import kept, picture, shares

if TYPE_CHECKING:
    from zmqpipeline.monitor.snapshot import Snapshot


def drawn(snapshot: Snapshot, width: int = 80, height: int | None = None, notice: str = "") -> list[str]:
    """Draw a run; return its lines."""
    console = Console(record=True, width=width, file=io.StringIO(), highlight=False)
    console.print(picture(snapshot, width, height, notice))
    lines = console.export_text().rstrip("\n").split("\n")
    assert max(map(len, lines)) <= width
    return [line.rstrip() for line in lines]


def squeezed(line: str) -> str:
    """Leave one space between two words."""
    return " ".join(line.split())


def crowd(number: int, **changes: Any) -> list[Any]:
    return [make_worker(id=str(pid), pid=pid, **changes) for pid in range(1000, 1000 + number)]


def test_a_run_at_80_columns() -> None:
    assert drawn(make_snapshot()) == [
        "run 01234567  running 1:01  50/s  latency 12 ms  3 workers (1 silent)",
        "400 acknowledged, 16 in flight, 2 queued, 3 failed, 5 handed out again",
        "",
        "task                  progress         left     done failed rate latency workers",
        "count                 ━━━━╸        40% 0:12 400/1000      3 50/s   12 ms       2",
        "sum                   after count                  0      0  0/s       -       1",
        "",
        "host, process               pid state      in hand done failed rate  memory  cpu",
        "alpha                           1 worker         8  200      1 25/s 128 MiB 140%",
        "  distributor              4000 running                              48 MiB  25%",
        "  CountCollector           4009 working          0  400        50/s  48 MiB  25%",
        "  CountWorker              4001 working       8/16  200      1 25/s  32 MiB  90%",
        "beta                            2 workers        8  200      1 25/s  64 MiB 180%",
        "  CountWorker               501 silent 6 s    8/16  200      1 25/s  32 MiB  90%",
        "  SumWorker                 502 starting       0/0    0      0  0/s  32 MiB  90%",
        "",
        "ago failure          attempt error",
        "5 s count 17         2       ValueError: 17 is not even",
    ]


def test_who_gave_the_metadata_is_below_its_host() -> None:
    lines = drawn(make_snapshot(metadata_worker=make_metadata_worker()))
    place = next(n for n, line in enumerate(lines) if line.startswith("alpha"))
    assert squeezed(lines[place + 3]) == "Given 4010 left 1 min 30 MiB 100%"
    lines = drawn(make_snapshot(metadata_worker=make_metadata_worker(name="", host="?", pid=None)))
    place = lines.index(next(line for line in lines if line.startswith("? ")))
    assert squeezed(lines[place + 1]) == "(metadata worker) - left 1 min 30 MiB 100%"


@pytest.mark.parametrize("state", ["lost", "left"])
def test_a_collector_that_is_gone_uses_nothing(state: str) -> None:
    lines = drawn(make_snapshot(collector=make_collector(state=state)))
    place = next(n for n, line in enumerate(lines) if line.startswith("alpha"))
    assert squeezed(lines[place]) == "alpha 1 worker 8 200 1 25/s 80 MiB 115%"
    assert squeezed(lines[place + 2]) == f"CountCollector 4009 {state} 0 400"


def test_the_documented_picture_is_this_one() -> None:
    page = Path(__file__).parents[2] / "docs" / "monitoring.rst"
    if not page.exists():
        pytest.skip("only a checkout has the documentation")
    text = page.read_text(encoding="utf-8")
    assert "\n".join(f"    {line}".rstrip() for line in drawn(make_snapshot())) in text


def test_120_columns_show_more() -> None:
    lines = drawn(make_snapshot(), 120)
    assert squeezed(lines[3]) == "task phase progress left done in flight failed again rate latency workers"
    assert squeezed(lines[4]) == "count running ━━━━━━━━━╸ 40% 0:12 400/1000 16 3 5 50/s 12 ms 2"
    assert squeezed(lines[7]) == "host, process task pid state in hand done failed rate memory cpu lag"
    assert squeezed(lines[11]) == "CountWorker count 4001 working 8/16 200 1 25/s 32 MiB 90% 2.0 ms"
    assert lines[17].endswith("alpha, pid 4001")


@pytest.mark.parametrize("width", [20, 40, 60, 75, 99, 200])
def test_other_widths_show_what_there_is_room_for(width: int) -> None:
    text = "\n".join(drawn(make_snapshot(), width))
    assert "400/1000" in text or width < 40
    assert "silent" in text or width < 40


@pytest.mark.parametrize("height", [1, 5, 10, 17, 18, 23, 40])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_picture_is_higher_than_the_terminal(width: int, height: int) -> None:
    crowded = make_snapshot(
        tasks=[make_task(type=f"task {number}") for number in range(20)],
        workers=crowd(50),
        failures=[make_failure() for _ in range(20)],
        waits_for=[
            "a worker for 'sum'",
            "the collector at tcp://10.0.0.1:5602",
            "metadata at tcp://10.0.0.1:5603",
        ],
    )
    notice = "nothing new for 6 s: nobody is at tcp://10.0.0.1:5700"
    assert len(drawn(crowded, width, height, notice)) <= max(height, 10)
    assert len(drawn(make_snapshot(), width, 18)) <= 18


def test_of_many_workers_those_in_trouble_are_shown() -> None:
    workers = [
        *crowd(50),
        make_worker(host="omega", pid=77, state="silent"),
        make_worker(pid=78, state="lost"),
    ]
    lines = drawn(make_snapshot(workers=workers, failures=[]), 80, 24)
    assert [line.split()[1:3] for line in lines if line.startswith("  CountWorker")][-1] == ["77", "silent"]
    assert any(line.startswith("  CountWorker") and " 78 lost 1 min" in line for line in lines)
    assert "and 41 more" in lines


def test_the_tasks_that_run_are_shown_first_if_there_is_not_room_for_all() -> None:
    tasks = [make_task(type=f"done {number}", phase="complete") for number in range(30)]
    lines = drawn(make_snapshot(tasks=[*tasks, make_task(type="this one")]), 80, 24)
    assert any(line.startswith("this one") for line in lines)
    assert "and 24 more" in lines


def test_tasks_without_a_total_have_no_bar() -> None:
    tasks = [
        make_task(total=None),
        make_task(total=None, phase="complete"),
        make_task(type="sum", depends=["x"]),
    ]
    lines = drawn(make_snapshot(tasks=tasks))
    assert lines[4].split()[:3] == ["count", "running", "400"]
    assert lines[5].split()[:3] == ["count", "complete", "400"]
    assert lines[6].split()[:3] == ["sum", "━━━━╸", "40%"]
    assert "left" not in lines[0]


def test_a_task_that_has_nothing_to_do_is_done() -> None:
    lines = drawn(make_snapshot(tasks=[make_task(total=0, acknowledged=0, phase="complete")]))
    assert lines[4].split()[:4] == ["count", "━━━━━━━━━━━━", "100%", "0/0"]


def test_the_whole_run_has_a_time_left_if_all_totals_are_known() -> None:
    assert drawn(make_snapshot(tasks=[make_task(), make_task(total=500)]))[0].endswith("  0:22 left")


def test_who_has_gone_says_since_when_and_uses_nothing() -> None:
    workers = [
        make_worker(),
        make_worker(pid=2, state="lost", since=NOW - 7),
        make_worker(pid=3, state="left"),
    ]
    lines = drawn(make_snapshot(workers=workers))
    assert squeezed(lines[8]) == "alpha 1 worker 8 200 1 25/s 128 MiB 140%"
    assert squeezed(lines[12]) == "CountWorker 2 lost 7 s 200 1"
    assert squeezed(lines[13]) == "CountWorker 3 left 1 min 200 1"


def test_what_is_waited_for_and_what_is_the_matter_is_said() -> None:
    snapshot = make_snapshot(waits_for=["a worker for 'sum'", "the collector"], collector=None)
    lines = drawn(snapshot, notice="nothing new for 6 s")
    assert lines[2:4] == ["nothing new for 6 s", "waits for a worker for 'sum', the collector"]
    assert not any("CountCollector" in line for line in lines)


def test_a_failure_for_good_is_told_from_one_that_is_tried_again() -> None:
    failures = [make_failure(final=True, attempt=3, id=number) for number in range(9)]
    lines = drawn(make_snapshot(failures=failures))
    assert [line.split()[:6] for line in lines[-5:]] == [
        ["5", "s", "count", str(number), "3,", "last"] for number in range(5)
    ]


def test_what_is_not_known_is_not_made_up() -> None:
    unknown = make_process(pid=None, memory=None, cpu=None, lag=None, host="")
    snapshot = make_snapshot(distributor=unknown, collector=make_collector(**unknown), workers=[])
    lines = drawn(snapshot)
    assert lines[8].split() == ["(host", "unknown)", "-", "-"]
    assert lines[9].split() == ["distributor", "-", "running", "-", "-"]


def test_nothing_that_comes_from_elsewhere_moves_the_cursor() -> None:
    hostile = "\x1b[2J\x1b]0;title\x07\r\n[bold]x[/bold]"
    snapshot = make_snapshot(
        run=hostile,
        phase=hostile,
        waits_for=[hostile],
        tasks=[
            make_task(type=hostile, phase=hostile),
            make_task(phase="waiting", handed_out=0, depends=[hostile]),
        ],
        workers=[make_worker(name=hostile, host=hostile, state=hostile, task=hostile)],
        collector=make_collector(name=hostile, state=hostile),
        failures=[make_failure(text=hostile, type=hostile, task=hostile, worker=hostile)],
    )
    console = Console(width=200, file=io.StringIO(), highlight=False)
    console.print(picture(snapshot, 200))
    written = console.file.getvalue()  # type: ignore[attr-defined] # it is a StringIO
    assert "\x1b" not in written
    assert "\x07" not in written
    assert "\r" not in written
    assert "[bold]x[/bold]" in written


def test_lines_are_shared() -> None:
    assert shares(100, [2, 5, 3]) == [2, 5, 3]
    assert shares(10, [2, 50, 3]) == [2, 5, 3]
    assert shares(10, [20, 50, 3]) == [3, 4, 3]
    assert shares(2, [20, 50, 3]) == [1, 1, 0]
    assert shares(-4, [1, 1, 0]) == [0, 0, 0]


def test_the_lines_of_low_rank_are_kept_in_their_order() -> None:
    assert kept([0, 5, 1], 3) == [0, 1, 2]
    assert kept([3, 0, 3, 1, 3], 3) == [1, 3]
    assert kept([3, 3], 1) == []


def test_each_host_has_its_processes_below_it() -> None:
    workers = [make_worker(host="beta"), make_worker(), make_worker(host="beta", name="Another")]
    lines = hosts.lines(make_snapshot(workers=workers))
    assert [(line.is_host, line.cells["process"]) for line in lines] == [
        (True, "alpha"),
        (False, "distributor"),
        (False, "CountCollector"),
        (False, "CountWorker"),
        (True, "beta"),
        (False, "Another"),
        (False, "CountWorker"),
    ]
