"""A run that looks like one: what the dashboard is drawn with, by tests and for the documentation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .snapshots import NOW, make_collector, make_failure, make_process, make_snapshot, make_task, make_worker

if TYPE_CHECKING:
    from zmqpipeline.monitor.snapshot import FailureInfo, Snapshot, TaskInfo, WorkerInfo

#: host, process, task, class, state and pace of each worker
_CREW = [
    ("heron", 4101, "fetch", "FetchWorker", "working", 212.0),
    ("heron", 4102, "fetch", "FetchWorker", "working", 208.4),
    ("heron", 4103, "resize", "ResizeWorker", "working", 96.1),
    ("kestrel", 918, "resize", "ResizeWorker", "lost", 0.0),
    ("kestrel", 919, "resize", "ResizeWorker", "working", 101.7),
    ("kestrel", 920, "resize", "ResizeWorker", "silent", 0.0),
    ("plover", 22_031, "index", "IndexWorker", "idle", 0.0),
    ("plover", 22_032, "fetch", "FetchWorker", "working", 187.9),
]
_TRACE = """Traceback (most recent call last):
  File "/srv/thumbs/thumbs.py", line 48, in handle_execution
    image = decode(data["bytes"])
  File "/srv/thumbs/codec.py", line 112, in decode
    raise UnreadableImageError(f"{name}: the header ends after {len(head)} bytes")
thumbs.codec.UnreadableImageError: cat-0117.jpg: the header ends after 11 bytes
"""


def make_busy(second: float = 600.0) -> Snapshot:
    """Make up the snapshot of a run that has gone on for so many seconds.

    Three tasks that depend on each other, eight workers on three hosts, one of them lost and one silent, and
    two attempts that failed.
    """
    wave = 1 + 0.16 * math.sin(second / 47) + 0.05 * math.sin(second / 5.3)
    tasks = _tasks(second, wave)
    sums = {name: sum(task[name] for task in tasks) for name in _SUMMED}  # type: ignore[literal-required]
    return make_snapshot(
        run="7f3a90c2d1e84b56",
        time=NOW + second,
        uptime=second,
        latency=0.0132 + 0.003 * math.sin(second / 61) + 0.0006 * math.sin(second / 4.1),
        distributor=make_process(host="heron", pid=4090, memory=61 << 20, cpu=0.38, lag=0.0021),
        collector=make_collector(
            name="ThumbnailCollector",
            host="heron",
            pid=4091,
            memory=54 << 20,
            cpu=0.22,
            collected=sums["acknowledged"],
            rate=sums["rate"],
            queue=3,
            lag=0.0008,
        ),
        tasks=tasks,
        workers=_workers(second, wave),
        failures=_failures(second),
        **sums,
    )


_SUMMED = ("handed_out", "in_flight", "queued", "acknowledged", "failed", "redelivered", "rate")


def _tasks(second: float, wave: float) -> list[TaskInfo]:
    fetched, resized = int(608 * second), int(198 * second)
    return [
        make_task(
            type="fetch",
            total=500_000,
            handed_out=fetched + 96,
            in_flight=96,
            queued=0,
            acknowledged=fetched,
            failed=0,
            redelivered=0,
            rate=608 * wave,
            workers=3,
            latency=0.0094,
        ),
        make_task(
            type="resize",
            depends=[],
            total=240_000,
            handed_out=resized + 41,
            in_flight=41,
            queued=12,
            acknowledged=resized,
            failed=1,
            redelivered=29,
            rate=198 * wave,
            workers=3,
            latency=0.0311,
        ),
        make_task(
            type="index",
            phase="waiting",
            depends=["fetch", "resize"],
            total=None,
            handed_out=0,
            in_flight=0,
            queued=0,
            acknowledged=0,
            failed=0,
            redelivered=0,
            rate=0.0,
            workers=1,
            latency=None,
        ),
    ]


def _workers(second: float, wave: float) -> list[WorkerInfo]:
    return [
        make_worker(
            id=f"worker{pid}",
            host=host,
            pid=pid,
            task=task,
            name=name,
            state=state,
            rate=pace * wave,
            in_flight=16 if pace else 12 if state == "silent" else 0,
            done=0 if task == "index" else int((pace or 40) * second),
            failed=0 if pid != 919 else 2,
            memory=(70 + pid % 37) << 20,
            cpu=0.93 if pace else 0.01,
            heard=9.4 if state == "silent" else 0.3,
            since=NOW + second - 31 if state == "lost" else NOW,
        )
        for host, pid, task, name, state, pace in _CREW
    ]


def _failures(second: float) -> list[FailureInfo]:
    common = {"task": "resize", "id": 31_178, "type": "UnreadableImageError", "traceback": _TRACE}
    text = "cat-0117.jpg: the header ends after 11 bytes"
    return [
        make_failure(
            **common,
            text=text,
            time=NOW + second - 44,
            attempt=attempt,
            final=attempt == 3,
            worker="kestrel, pid 919",
        )
        for attempt in (3, 2)
    ]
