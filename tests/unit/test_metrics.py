"""Snapshots as Prometheus sees them."""

from __future__ import annotations

import http.client
import json
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("prometheus_client", reason="the extra metrics is not installed")

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.roles.snapshots import NOW, make_collector, make_process, make_snapshot, make_task, make_worker
from zmqpipeline.monitor.exporter import Exporter, serving
from zmqpipeline.monitor.families import MOST_HOSTS

if TYPE_CHECKING:
    from zmqpipeline.monitor.snapshot import Snapshot, WorkerInfo

DOCS = Path(__file__).parents[2] / "docs"
PREFIX = "zmqpipeline_"
#: all labels that there may be
LABELS = ("task", "role", "host", "state", "phase")


def exposed(exporter: Exporter) -> str:
    registry = CollectorRegistry()
    registry.register(exporter)
    return generate_latest(registry).decode()


def samples(exporter: Exporter) -> dict[tuple[str, ...], float]:
    """List what Prometheus would read: name and values of the labels, as LABELS has them, and the value."""
    found = {}
    for family in text_string_to_metric_families(exposed(exporter)):
        for sample in family.samples:
            values = [sample.labels[label] for label in LABELS if label in sample.labels]
            key = (sample.name.removeprefix(PREFIX), *values)
            assert key not in found
            assert sample.name.startswith(PREFIX)
            found[key] = sample.value
    return found


def after(*snapshots: Snapshot | None) -> Exporter:
    exporter = Exporter()
    for snapshot in snapshots:
        exporter.take(snapshot)
    return exporter


def counted(run: str = "one", **counts: Any) -> Snapshot:
    return make_snapshot(run=run, tasks=[make_task(type="count", **counts)])


def test_before_anybody_has_answered_it_is_down() -> None:
    assert samples(after()) == {("up",): 0.0, ("collector_results_total",): 0.0}


def test_a_run_in_numbers() -> None:
    found = samples(after(make_snapshot()))
    assert found["up",] == 1.0
    assert found["distributor_start_time_seconds",] == NOW - 61
    assert found["tasks_handed_out_total", "count"] == 416
    assert found["tasks_acknowledged_total", "count"] == 400
    assert found["tasks_failed_total", "count"] == 3
    assert found["tasks_redelivered_total", "count"] == 5
    assert found["tasks_acknowledged_total", "sum"] == 0
    assert found["tasks_in_flight", "count"] == 16
    assert found["tasks_queued", "count"] == 2
    assert found["tasks_expected", "count"] == 1000
    assert found["task_latency_seconds", "count"] == 0.0123
    assert found["collector_results_total",] == 400
    assert found["collector_queue_acknowledgements",] == 0
    phases = {key[1:]: value for key, value in found.items() if key[0] == "task_phase"}
    assert [key for key, value in phases.items() if value] == [("count", "running"), ("sum", "waiting")]
    assert [key[1] for key, value in found.items() if key[0] == "run_phase" and value] == ["running"]
    assert [key[1] for key, value in found.items() if key[0] == "collector_state" and value] == ["working"]


def test_what_has_no_value_is_left_out() -> None:
    worker = make_worker(memory=None, cpu=None, lag=None)
    found = samples(after(make_snapshot(collector=None, workers=[worker])))
    assert ("tasks_expected", "sum") not in found
    assert ("task_latency_seconds", "sum") not in found
    assert not [key for key in found if key[0] in ("collector_state", "collector_queue_acknowledgements")]
    assert found["processes", "worker", "alpha"] == 1
    assert not [key for key in found if key[0] in ("memory_bytes", "cpu_cores") and key[1] == "worker"]
    assert ("loop_lag_seconds", "worker", "alpha") not in found


def test_workers_are_counted_by_task_and_state_and_those_who_are_gone_are_not() -> None:
    gone = [make_worker(id="g1", state="lost", host="gone"), make_worker(id="g2", state="left", host="gone")]
    found = samples(after(make_snapshot(workers=[*make_snapshot()["workers"], *gone])))
    workers = {key[1:]: value for key, value in found.items() if key[0] == "workers"}
    assert {key for key, value in workers.items() if value == 1} == {
        ("count", "working"),
        ("count", "silent"),
        ("sum", "starting"),
    }
    assert len(workers) == 8  # zeros included, so that what was there falls to 0
    assert found["worker_hands", "count"] == 2
    assert found["worker_credit", "count"] == 32
    assert found["workers_lost_total", "count"] == 1
    assert not [key for key in found if "gone" in key]


def test_processes_are_added_up_by_role_and_host() -> None:
    workers = [
        make_worker(id=str(n), host="beta", memory=100, cpu=0.5, lag=lag) for n, lag in enumerate((0.1, 0.3))
    ]
    found = samples(after(make_snapshot(workers=workers, distributor=make_process(host="beta", memory=7))))
    assert found["processes", "worker", "beta"] == 2
    assert found["memory_bytes", "worker", "beta"] == 200
    assert found["cpu_cores", "worker", "beta"] == 1.0
    assert found["loop_lag_seconds", "worker", "beta"] == 0.3
    assert found["memory_bytes", "distributor", "beta"] == 7


def test_workers_that_are_everywhere_do_not_make_series_without_end() -> None:
    workers = [make_worker(id=str(n), host=f"host{n % 1000}", memory=1) for n in range(2000)]
    found = samples(after(make_snapshot(workers=workers)))
    counts = {key: value for key, value in found.items() if key[0] == "processes" and key[1] == "worker"}
    assert len(counts) < MOST_HOSTS + 2
    assert counts["processes", "worker", "host0"] == 2
    assert counts["processes", "worker", "(others)"] > 1000
    assert sum(counts.values()) == 2000
    assert found["memory_bytes", "worker", "(others)"] == counts["processes", "worker", "(others)"]


def test_a_collector_that_is_gone_has_no_process() -> None:
    found = samples(after(make_snapshot(collector=make_collector(state="lost", host="gone"))))
    assert found["collector_state", "lost"] == 1
    assert not [key for key in found if "gone" in key]


def test_without_an_answer_counters_stay_and_nothing_else() -> None:
    found = samples(after(make_snapshot(), None))
    assert found.pop(("up",)) == 0.0
    assert found["tasks_acknowledged_total", "count"] == 400
    assert [key for key in found if not key[0].endswith("_total")] == []


def test_counters_go_on_with_the_next_run() -> None:
    found = samples(after(counted("one", acknowledged=400), None, counted("two", acknowledged=10)))
    assert found["tasks_acknowledged_total", "count"] == 410


def test_a_run_that_goes_on_from_its_journal_counts_nothing_twice() -> None:
    exporter = after(counted(acknowledged=400, redelivered=5), counted(acknowledged=390, redelivered=2))
    assert samples(exporter)["tasks_acknowledged_total", "count"] == 400
    # no journal has that one
    assert samples(exporter)["tasks_redelivered_total", "count"] == 7
    exporter.take(counted(acknowledged=420, redelivered=3))
    assert samples(exporter)["tasks_acknowledged_total", "count"] == 420
    assert samples(exporter)["tasks_redelivered_total", "count"] == 8


def test_the_results_of_a_collector_go_on_with_the_next_one() -> None:
    first, second = (
        make_snapshot(collector=make_collector(id=life, pid=1, collected=n))
        for life, n in (("a", 50), ("b", 20))
    )
    assert samples(after(first, first, second))["collector_results_total",] == 70


def test_a_lost_worker_is_counted_once_for_as_long_as_it_is_shown() -> None:
    lost = [make_worker(id=name, state="lost") for name in "ab"]
    again = make_worker(id="b", state="lost", since=NOW)
    shown: list[list[WorkerInfo]] = [lost[:1], lost, lost, lost[1:], [again, lost[1]], [again], []]
    exporter = after(*(make_snapshot(workers=workers) for workers in shown))
    assert samples(exporter)["workers_lost_total", "count"] == 3


def test_names_and_types_follow_the_conventions() -> None:
    text = exposed(after(make_snapshot()))
    units = {"seconds", "bytes", "cores", "acknowledgements"}
    for family in text_string_to_metric_families(text):
        assert re.fullmatch(r"zmqpipeline_[a-z_]+[a-z]", family.name)
        assert len(family.documentation) > 10
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge")
        for sample in family.samples:
            assert set(sample.labels) <= set(LABELS)
            assert sample.name.endswith("_total") is (family.type == "counter")
        assert family.name.rpartition("_")[2] not in {"milliseconds", "ms", "kb", "mb", "percent"} | {
            unit[:-1] for unit in units
        }


def test_a_task_type_may_have_any_name() -> None:
    name = 'a "quoted"\\ näme\n'
    found = samples(after(make_snapshot(tasks=[make_task(type=name)], workers=[])))
    assert found["tasks_in_flight", name] == 16


def get(server_address: Any, path: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(server_address[0], server_address[1], timeout=40)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, str(answer.headers["Content-Type"]), answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_they_are_served(host: str) -> None:
    try:
        with serving(after(make_snapshot()), host, 0) as server:
            status, kind, text = get(server.server_address, "/metrics")
            assert (status, kind.partition(";")[0]) == (200, "text/plain")
            assert 'zmqpipeline_tasks_acknowledged_total{task="count"} 400.0\n' in text
            assert get(server.server_address, "/")[0] == 404
    except OSError:
        if host == "::1":
            pytest.skip("no IPv6 here")
        raise
    assert [thread for thread in threading.enumerate() if thread.name == "metrics"] == []


# -- the dashboard and the page ---------------------------------------------


def names() -> set[str]:
    """List the names of all metrics that there can be."""
    found = {sample[0] for sample in samples(after(make_snapshot()))}
    return {PREFIX + name for name in found}


@pytest.mark.skipif(not DOCS.exists(), reason="only a checkout has the documentation")
def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard = json.loads(DOCS.joinpath("grafana.json").read_text(encoding="utf-8"))
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    queries = [v["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
    used = {
        name for text in [*expressions, *map(str, queries)] for name in re.findall(r"zmqpipeline_\w+", text)
    }
    assert used
    assert used <= names()
    for expression in expressions:
        # a counter by itself says nothing, and the rate of anything else is nonsense
        for name in re.findall(r"zmqpipeline_\w+", expression):
            rated = re.search(rf"(rate|increase)\({name}\[\$__(rate_interval|range)\]\)", expression)
            assert bool(rated) is name.endswith("_total"), expression
        for labels in re.findall(r"by \(([^)]*)\)", expression):
            assert set(labels.replace(" ", "").split(",")) <= set(LABELS)


@pytest.mark.skipif(not DOCS.exists(), reason="only a checkout has the documentation")
def test_the_dashboard_fits_together() -> None:
    dashboard = json.loads(DOCS.joinpath("grafana.json").read_text(encoding="utf-8"))
    assert [v["name"] for v in dashboard["templating"]["list"] if v["type"] == "datasource"] == ["datasource"]
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        covered = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not covered & cells, panel["title"]
        cells |= covered
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["description"]


@pytest.mark.skipif(not DOCS.exists(), reason="only a checkout has the documentation")
def test_every_metric_is_on_the_page() -> None:
    listed = re.findall(
        r"^``(zmqpipeline_\w+)``", DOCS.joinpath("metrics.rst").read_text("utf-8"), re.MULTILINE
    )
    assert len(listed) == len(set(listed))
    assert set(listed) == names()
