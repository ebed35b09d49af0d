"""The processes of a run by host, as lines of a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zmqpipeline.monitor import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zmqpipeline.monitor.snapshot import CollectorInfo, MetaDataInfo, Process, Snapshot, WorkerInfo

#: states of those that are not there any more, and what they have no more
GONE = ("lost", "left")
_OF_LIVING = ("rate", "memory", "cpu", "lag")
#: what is left out last if there is not room for all: a host, what is wrong, what is there only once
_HOST_IN_TROUBLE, _HOST, _ONLY_ONE = 0, 1, 3
_RANKS = {"silent": 2, "lost": 2, "starting": 4, "working": 5, "idle": 6, "left": 7}


@dataclass(frozen=True)
class Line:
    """A host or a process in words, by column.

    Parameters
    ----------
    cells
        what stands in each column that has something for it
    state
        what decides how it looks
    rank
        what has low numbers is shown if there is not room for all
    is_host
        whether the lines that follow are of its processes

    """

    cells: dict[str, str] = field(default_factory=dict)
    state: str = ""
    rank: int = 0
    is_host: bool = False


def lines(snapshot: Snapshot) -> list[Line]:
    """List the hosts, the distributor's first, each with its processes."""
    found: dict[str, list[Line]] = {}
    workers: dict[str, list[WorkerInfo]] = {}
    processes: dict[str, list[Process]] = {}

    def add(process: Process, line: Line) -> None:
        found.setdefault(process["host"], []).append(line)
        processes.setdefault(process["host"], []).append(process)

    add(snapshot["distributor"], _distributor(snapshot))
    if (collector := snapshot["collector"]) is not None and collector["state"] in GONE:
        found.setdefault(collector["host"], []).append(_collector(collector))
    elif collector is not None:
        add(collector, _collector(collector))
    if (gave := snapshot["metadata_worker"]) is not None:
        found.setdefault(gave["host"], []).append(_metadata_worker(gave, snapshot["time"]))
    for worker in sorted(snapshot["workers"], key=_order):
        if worker["state"] in GONE:
            found.setdefault(worker["host"], []).append(_worker(worker, snapshot["time"]))
        else:
            add(worker, _worker(worker, snapshot["time"]))
            workers.setdefault(worker["host"], []).append(worker)
    return [
        line
        for host, below in found.items()
        for line in (_host(host, workers.get(host, []), processes.get(host, [])), *below)
    ]


def _order(worker: WorkerInfo) -> tuple[bool, str, str, int]:
    """Keep the lines where they are from one snapshot to the next; who has gone is at the end."""
    return worker["state"] in GONE, worker["task"], worker["name"], worker["pid"] or 0


def _host(name: str, workers: list[WorkerInfo], processes: list[Process]) -> Line:
    silent = sum(worker["state"] == "silent" for worker in workers)
    cells = {"process": name or "(host unknown)", **_usage(_sum(processes))}
    if workers:
        cells["state"] = f"{len(workers)} worker{'' if len(workers) == 1 else 's'}"
        cells["hand"] = words.count(sum(worker["in_flight"] for worker in workers))
        cells |= _pace(
            sum(worker["done"] for worker in workers),
            sum(worker["failed"] for worker in workers),
            sum(worker["rate"] for worker in workers),
        )
    return Line(cells, "silent" if silent else "", _HOST_IN_TROUBLE if silent else _HOST, is_host=True)


def _distributor(snapshot: Snapshot) -> Line:
    process, phase = snapshot["distributor"], snapshot["phase"]
    return Line({"process": "distributor", "state": phase, **_of(process)}, phase, _ONLY_ONE)


def _collector(collector: CollectorInfo) -> Line:
    cells = {
        "process": collector["name"],
        "state": collector["state"],
        "hand": words.count(collector["queue"]),
        **_of(collector),
        **_pace(collector["collected"], None, collector["rate"]),
    }
    if collector["state"] in GONE:
        for name in _OF_LIVING:
            cells.pop(name)
    return Line(cells, collector["state"], _ONLY_ONE)


def _metadata_worker(gave: MetaDataInfo, now: float) -> Line:
    cells = {
        "process": gave["name"] or "(metadata worker)",
        "state": f"left {words.ago(now - gave['since'])}",
        **_of(gave),
    }
    return Line(cells, "left", _RANKS["left"])


def _worker(worker: WorkerInfo, now: float) -> Line:
    state = worker["state"]
    cells = {
        "process": worker["name"],
        "task": worker["task"],
        "state": state,
        **_of(worker),
        **_pace(worker["done"], worker["failed"], worker["rate"]),
    }
    if state == "silent":
        cells["state"] = f"silent {words.ago(worker['heard'])}"
    if state in GONE:
        cells["state"] = f"{state} {words.ago(now - worker['since'])}"
        for name in _OF_LIVING:
            cells.pop(name)
    else:
        cells["hand"] = f"{words.count(worker['in_flight'])}/{words.count(worker['credit'])}"
    return Line(cells, state, _RANKS.get(state, _ONLY_ONE))


def _of(process: Process) -> dict[str, str]:
    pid = process["pid"]
    return {"pid": "-" if pid is None else str(pid), "lag": words.span(process["lag"]), **_usage(process)}


def _usage(process: Process) -> dict[str, str]:
    return {"memory": words.size(process["memory"]), "cpu": words.share(process["cpu"])}


def _pace(done: int, failed: int | None, rate: float) -> dict[str, str]:
    cells = {"done": words.count(done), "rate": words.rate(rate)}
    return cells if failed is None else {**cells, "failed": words.count(failed)}


def _sum(processes: Iterable[Process]) -> Process:
    """Add up what the processes of a host use; what no one tells stays unknown."""
    memory = [process["memory"] for process in processes if process["memory"] is not None]
    cpu = [process["cpu"] for process in processes if process["cpu"] is not None]
    return {
        "host": "",
        "pid": None,
        "memory": sum(memory) if memory else None,
        "cpu": sum(cpu) if cpu else None,
        "lag": None,
    }
