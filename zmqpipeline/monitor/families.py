"""A snapshot as metrics, with the names that Prometheus' conventions ask for."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from zmqpipeline.monitor.snapshot import Phase, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

    from zmqpipeline.monitor.snapshot import Process, Snapshot, TaskInfo
    from zmqpipeline.monitor.totals import Totals

#: so many hosts have series of their own: a worker may say of itself that it is on any
MOST_HOSTS = 500
#: the label of all others together
_OTHERS = "(others)"
#: the states of a worker that is there
_PRESENT = ("starting", "idle", "working", "silent")

#: counters of each task type: the name without ``_total``, what it counts, and what :class:`Totals` calls it
_COUNTERS = (
    ("tasks_handed_out", "Tasks given to a worker for the first time.", "handed_out"),
    ("tasks_acknowledged", "Tasks that were collected, or have failed for good.", "acknowledged"),
    ("tasks_failed", "Tasks that have failed for good.", "failed"),
    ("tasks_redelivered", "Tasks that were handed out again, and perhaps begun before.", "redelivered"),
    ("workers_lost", "Workers that were given up, because their connection ended.", "lost_workers"),
)

#: gauges of each task type that are there; what has no value now is left out
_GAUGES: tuple[tuple[str, str, Callable[[TaskInfo], float | None]], ...] = (
    ("tasks_in_flight", "Tasks handed out and not acknowledged.", lambda task: task["in_flight"]),
    ("tasks_queued", "Tasks in flight that wait to be handed out again.", lambda task: task["queued"]),
    ("tasks_expected", "How many tasks there will be, of a Task that knows.", lambda task: task["total"]),
    (
        "task_latency_seconds",
        "Mean time from hand-out to acknowledgement, of the tasks acknowledged lately.",
        lambda task: task["latency"],
    ),
)


def families(snapshot: Snapshot | None, totals: Totals, tasks: list[str]) -> Iterator[Metric]:
    """Make the metrics of a run.

    Parameters
    ----------
    snapshot
        how the run is now; None if nobody answers. Then only counters are told: they are as they were
    totals
        what was done so far
    tasks
        the task types that were ever seen

    """
    yield _gauge("up", "Whether the distributor answers.", float(snapshot is not None))
    for name, text, key in _COUNTERS:
        counter = CounterMetricFamily(f"zmqpipeline_{name}", text, labels=["task"])
        for task in tasks:
            counter.add_metric([task], totals.of(key, task))
        yield counter
    collected = CounterMetricFamily(
        "zmqpipeline_collector_results", "Results that collectors have acknowledged."
    )
    collected.add_metric([], totals.of("collected"))
    yield collected
    if snapshot is not None:
        yield from _of_run(snapshot)
        yield from _of_tasks(snapshot)
        yield from _of_workers(snapshot)
        yield from _of_processes(snapshot)


def _of_run(snapshot: Snapshot) -> Iterator[Metric]:
    yield _gauge(
        "distributor_start_time_seconds",
        "When the distributor began, as a Unix time.",
        snapshot["time"] - snapshot["uptime"],
    )
    phases = GaugeMetricFamily("zmqpipeline_run_phase", "1 for the phase of the run.", labels=["phase"])
    for phase in get_args(Phase):
        phases.add_metric([phase], float(phase == snapshot["phase"]))
    yield phases
    if (collector := snapshot["collector"]) is not None:
        states = GaugeMetricFamily(
            "zmqpipeline_collector_state", "1 for the state of the collector.", labels=["state"]
        )
        for state in get_args(State):
            states.add_metric([state], float(state == collector["state"]))
        yield states
        yield _gauge(
            "collector_queue_acknowledgements",
            "Acknowledgements that wait at the collector to be confirmed.",
            collector["queue"],
        )


def _of_tasks(snapshot: Snapshot) -> Iterator[Metric]:
    for name, text, value in _GAUGES:
        gauge = GaugeMetricFamily(f"zmqpipeline_{name}", text, labels=["task"])
        for task in snapshot["tasks"]:
            if (now := value(task)) is not None:
                gauge.add_metric([task["type"]], now)
        yield gauge
    phases = GaugeMetricFamily(
        "zmqpipeline_task_phase", "1 for the phase of a task type.", labels=["task", "phase"]
    )
    for task in snapshot["tasks"]:
        for phase in get_args(Phase):
            phases.add_metric([task["type"], phase], float(phase == task["phase"]))
    yield phases


def _of_workers(snapshot: Snapshot) -> Iterator[Metric]:
    """Count workers: each by itself would be a new series for each process that was ever started."""
    workers = GaugeMetricFamily(
        "zmqpipeline_workers", "Workers that are there, by state.", labels=["task", "state"]
    )
    hands = GaugeMetricFamily(
        "zmqpipeline_worker_hands", "How many tasks all workers do at a time.", labels=["task"]
    )
    credit = GaugeMetricFamily(
        "zmqpipeline_worker_credit", "How many tasks all workers have room for.", labels=["task"]
    )
    present = [worker for worker in snapshot["workers"] if worker["state"] in _PRESENT]
    names = dict.fromkeys(
        [task["type"] for task in snapshot["tasks"]] + [worker["task"] for worker in present]
    )
    for task in names:
        mine = [worker for worker in present if worker["task"] == task]
        for state in _PRESENT:
            workers.add_metric([task, state], sum(worker["state"] == state for worker in mine))
        hands.add_metric([task], sum(worker["hands"] for worker in mine))
        credit.add_metric([task], sum(worker["credit"] for worker in mine))
    yield from (workers, hands, credit)


def _of_processes(snapshot: Snapshot) -> Iterator[Metric]:
    """Add up what processes tell of themselves, by role and host."""
    labels = ["role", "host"]
    processes = GaugeMetricFamily("zmqpipeline_processes", "Processes that are there.", labels=labels)
    memory = GaugeMetricFamily(
        "zmqpipeline_memory_bytes", "Resident memory of these processes.", labels=labels
    )
    cores = GaugeMetricFamily("zmqpipeline_cpu_cores", "Cores that these processes keep busy.", labels=labels)
    lag = GaugeMetricFamily(
        "zmqpipeline_loop_lag_seconds",
        "How long a process was not at its sockets, at the most.",
        labels=labels,
    )
    for where, there in _processes(snapshot).items():
        processes.add_metric(where, len(there))
        for family, found in (
            (memory, [process["memory"] for process in there]),
            (cores, [process["cpu"] for process in there]),
        ):
            if known := [value for value in found if value is not None]:
                family.add_metric(where, sum(known))
        if lags := [process["lag"] for process in there if process["lag"] is not None]:
            lag.add_metric(where, max(lags))
    yield from (processes, memory, cores, lag)


def _processes(snapshot: Snapshot) -> dict[tuple[str, str], list[Process]]:
    found: defaultdict[tuple[str, str], list[Process]] = defaultdict(list)
    found["distributor", snapshot["distributor"]["host"]].append(snapshot["distributor"])
    collector = snapshot["collector"]
    if collector is not None and collector["state"] in _PRESENT:
        found["collector", collector["host"]].append(collector)
    for worker in snapshot["workers"]:
        if worker["state"] in _PRESENT:
            where = "worker", worker["host"]
            found[where if where in found or len(found) < MOST_HOSTS else ("worker", _OTHERS)].append(worker)
    return found


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"zmqpipeline_{name}", text, value)
