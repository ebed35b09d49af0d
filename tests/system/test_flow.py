"""Memory is bounded at every hop, and whoever is slow, stopped or gone holds up nobody else.

The bounds are in MiB, of the largest resident memory that a process ever had; an interpreter with the library
and nothing to do has some 28 of them.
"""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any

import pytest

from .flowing import MIB, PATIENT, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., Process]

pytestmark = pytest.mark.matrix

#: what the library promises of a distributor, and what its peers should do with
DISTRIBUTOR = 150
WORKER = 80
COLLECTOR = 120
#: without a single payload
SMALL = 50
#: how much a role may need more for a million tasks than for a fifth of them
GROWTH = 12
#: so many tasks of 1 MiB may a worker hold, or tasks with results of that size
HELD = 8


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start processes that are killed at the end, if they still run."""
    with contextlib.ExitStack() as stack:
        yield lambda role, **chosen: stack.enter_context(Process(folder, role, **chosen))


def assert_bounded(*processes: Process, peaks: list[float] | None = None, **bounds: float) -> None:
    """See that nobody ever needed more memory than allowed."""
    found = peaks or [process.peak for process in processes]
    limits = {"distributor": DISTRIBUTOR, "worker": WORKER, "collector": COLLECTOR, **bounds}
    measured = [(process.role, round(mib)) for process, mib in zip(processes, found, strict=True)]
    print("peak MiB:", *measured)  # noqa: T201 - for the table in the documentation
    assert all(mib < limits[role] for role, mib in measured), measured


def assert_ended(*processes: Process, **bounds: float) -> None:
    """Wait until all have ended by themselves, and see how much memory they needed."""
    assert_bounded(*processes, peaks=[process.finish() for process in processes], **bounds)


# -- a stopped worker, a slow collector ------------------------------------------------

SIZES = {
    "large tasks, large results": (MIB, MIB, 150, HELD),
    "small tasks, large results": (0, MIB, 150, HELD),
    "large tasks, small results": (MIB, 0, 150, HELD),
    "many tasks of 100 kB": (100_000, 0, 1200, 90),
    "many results of 100 kB": (0, 100_000, 1200, 90),
}


@pytest.mark.parametrize("sizes", SIZES)
def test_with_a_stopped_worker_and_a_slow_collector_the_others_do_all_the_rest(
    start: Start, sizes: str
) -> None:
    size, result, count, held = SIZES[sizes]
    collector = start("collector", seconds=0.001, patience=PATIENT)
    stopped = start("worker", size=result, stops_at=count // 20, patience=PATIENT)
    distributor = start("distributor", count=count, size=size, patience=PATIENT)
    stopped.until_stopped()  # the others come later, else they might have done everything before it begins
    others = [start("worker", size=result, patience=PATIENT) for _ in range(2)]
    # it stays in the middle of a task until all are collected that it does not hold: those are few
    collected = collector.numbers(count - held)
    stopped.signal(signal.SIGCONT)
    collected += collector.numbers(held)
    assert sorted(collected) == list(range(1, count + 1))
    assert_ended(distributor, stopped, *others, collector)


@pytest.mark.parametrize("sent", [signal.SIGCONT, signal.SIGKILL])
def test_what_a_stopped_worker_holds_comes_back_and_nothing_else_waits_for_it(
    start: Start, sent: signal.Signals
) -> None:
    count = 120
    collector = start("collector", patience=PATIENT)
    stopped = start("worker", stops_at=5, patience=PATIENT)
    distributor = start("distributor", count=count, size=MIB, patience=PATIENT)
    stopped.until_stopped()
    other = start("worker", patience=PATIENT)
    collected = collector.numbers(count - HELD)
    stopped.signal(sent)
    collected += collector.numbers(HELD)
    assert sorted(collected) == list(range(1, count + 1))
    assert_ended(distributor, other, collector)


def test_what_a_stopped_worker_holds_comes_back_when_its_connection_ends(start: Start) -> None:
    count = 120
    soon = {"patience": 500, "interval": 200}
    collector = start("collector", **soon)
    stopped = start("worker", stops_at=5, **soon)
    distributor = start("distributor", count=count, size=MIB, **soon)
    stopped.until_stopped()
    other = start("worker", **soon)
    assert sorted(collector.results()) == list(range(1, count + 1))
    assert_ended(distributor, other, collector)


# -- somebody who does not answer, and is not gone ---------------------------------------------


@pytest.mark.parametrize("busy", ["worker", "distributor"])
def test_whoever_is_busy_and_hears_nothing_is_not_taken_for_gone_nor_takes_others_for_gone(
    start: Start, busy: str
) -> None:
    count = 100
    holds = {busy: {"holds": 2000}}
    collector = start("collector", patience=400)
    workers = [start("worker", patience=400, **holds.get("worker", {})) for _ in range(2)]
    distributor = start("distributor", count=count, patience=400, **holds.get("distributor", {}))
    assert sorted(collector.results()) == list(range(1, count + 1))
    distributor.until(rf"progress {count} {count} 0")  # nothing was handed out twice
    for process in (distributor, *workers, collector):
        process.finish()


# -- a collector that is stopped, gone, or not there yet -----------------------------------


@pytest.mark.parametrize("patience", [PATIENT, 1000], ids=["connected", "cut off"])
def test_with_a_stopped_collector_all_stand_still_and_then_nothing_is_missing(
    start: Start, patience: int
) -> None:
    count = 120
    collector = start("collector", patience=patience)
    workers = [start("worker", size=MIB, patience=patience) for _ in range(2)]
    # what is not acknowledged is not sent to it again and again
    distributor = start("distributor", count=count, size=MIB, patience=patience, ack_timeout=0.1)
    collected = collector.numbers(20)
    collector.signal(signal.SIGSTOP)
    handed_out, _ = distributor.until_still()
    assert handed_out < count
    assert_bounded(distributor, *workers, collector)
    collector.signal(signal.SIGCONT)
    collected += collector.numbers(count - 20)
    assert sorted(collected) == list(range(1, count + 1))
    assert_ended(distributor, *workers, collector)


def test_a_collector_that_hangs_in_a_result_is_not_buried_under_copies(start: Start, folder: Path) -> None:
    count = 60
    collector = start("collector", hangs_at=20, patience=PATIENT)
    workers = [start("worker", size=MIB) for _ in range(2)]
    distributor = start("distributor", count=count, ack_timeout=0.1)
    collector.until("hangs")
    _, redelivered = distributor.until_still()
    assert_bounded(collector)
    assert redelivered == 0
    (folder / "go").touch()
    # it said nothing of the last one before it hung
    assert len(set(collector.numbers(count - 19))) == count - 19
    assert_ended(distributor, *workers, collector)


def test_without_a_collector_nothing_is_made(start: Start) -> None:
    count = 50
    worker = start("worker", size=MIB)
    distributor = start("distributor", count=count, size=MIB)
    assert distributor.until_still() == (0, 0)
    assert_bounded(distributor, worker, distributor=SMALL, worker=SMALL)
    collector = start("collector")
    assert sorted(collector.numbers(count)) == list(range(1, count + 1))
    assert_ended(distributor, worker, collector)


def test_when_the_collector_has_died_workers_keep_their_results_for_the_next(start: Start) -> None:
    count = 120
    collector = start("collector")
    workers = [start("worker", size=MIB) for _ in range(2)]
    distributor = start("distributor", count=count, size=MIB)
    collected = collector.numbers(20) + collector.killed()
    handed_out, _ = distributor.until_still()
    assert handed_out < count
    assert_bounded(distributor, *workers)
    following = start("collector")
    again = following.results()
    assert len(set(again)) == len(again)
    assert set(collected) | set(again) == set(range(1, count + 1))
    assert_ended(distributor, *workers, following)


# -- many ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [False, True])
def test_results_that_become_large_in_the_middle(start: Start, threads: bool) -> None:
    count = 50_000
    collector = start("collector", every=count)
    workers = [start("worker", threads=threads, grow=48_000, grown=100_000) for _ in range(2)]
    distributor = start("distributor", count=count)
    collector.until(f"finished {count} {sum(range(1, count + 1))}")
    assert_ended(distributor, *workers, collector, distributor=SMALL)


def test_a_million_tasks_need_no_more_memory_than_a_fifth_of_them(start: Start) -> None:
    count = 1_000_000
    collector = start("collector", every=count // 5)
    workers = [start("worker"), start("worker", threads=True)]
    distributor = start("distributor", count=count)
    roles: list[Any] = [distributor, *workers, collector]
    collector.until(f"collected {count // 5}")
    before = [role.peak for role in roles]
    collector.until(f"finished {count} {sum(range(1, count + 1))}")
    after = [role.finish() for role in roles]
    grown = [(role.role, round(b, 1), round(a, 1)) for role, b, a in zip(roles, before, after, strict=True)]
    print("MiB at a fifth, at the end:", *grown)  # noqa: T201
    assert all(a - b < GROWTH for _, b, a in grown), grown
