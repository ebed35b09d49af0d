"""``zmqpipeline metrics``: a real process that Prometheus would ask."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("prometheus_client", reason="the extra metrics is not installed")

from prometheus_client.parser import text_string_to_metric_families

from tests.roles.snapshots import FakeDistributor, make_collector, make_snapshot, make_task

from .apps import BUSY, two_tasks
from .conftest import GUARD

if TYPE_CHECKING:
    from .conftest import Command, Running

pytestmark = pytest.mark.usefixtures("folder")  # where the command runs as well

HERE = "ipc://monitor.ipc"


def served(run: Running) -> str:
    """Wait until metrics are served; return where."""
    return run.wait_for(r"are at (http://\S+)$")[0][1]


def read(url: str) -> dict[str, float]:
    """Fetch metrics; add up those of one name."""
    with urllib.request.urlopen(url, timeout=GUARD) as answer:  # noqa: S310 - our own address
        text = answer.read().decode()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def wait_until(url: str, above: dict[str, float] | None = None, **wanted: float) -> dict[str, float]:
    """Fetch metrics until they are as they should be, or above that."""
    deadline = time.monotonic() + GUARD
    expected = {f"zmqpipeline_{name}": value for name, value in wanted.items()}
    low = {f"zmqpipeline_{name}": value for name, value in (above or {}).items()}
    while True:
        found = read(url)
        if expected.items() <= found.items() and all(found.get(name, 0.0) > low[name] for name in low):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def run_of(name: str, done: int, phase: str = "running") -> FakeDistributor:
    task = make_task(acknowledged=done)
    return FakeDistributor(
        HERE, make_snapshot(run=name, phase=phase, tasks=[task], collector=make_collector(id=str(done)))
    )


def test_it_follows_one_run_after_the_other(command: Command) -> None:
    often = "from zmqpipeline.cli import metrics\nmetrics.EVERY = 0.2"
    metrics = command.start("metrics", HERE, "--port", "0", before=often)
    url = served(metrics)
    assert url.startswith("http://127.0.0.1:")
    assert read(url)["zmqpipeline_up"] == 0
    metrics.wait_for(f"nobody is at {HERE}")
    with run_of("one", 400) as distributor:
        found = wait_until(url, up=1, tasks_acknowledged_total=400)
        assert found["zmqpipeline_tasks_in_flight"] == 16
        distributor.show(make_snapshot(run="one", phase="ended", tasks=[make_task(acknowledged=500)]))
        wait_until(url, tasks_acknowledged_total=500)
        metrics.wait_for("the run has ended")
    found = wait_until(url, up=0, tasks_acknowledged_total=500)
    assert "zmqpipeline_tasks_in_flight" not in found
    with run_of("two", 10):
        wait_until(url, up=1, tasks_acknowledged_total=510)
        metrics.wait_for(f"the distributor at {HERE} answers")
    metrics.signal(signal.SIGTERM)
    assert metrics.finish() == 143, metrics.output
    assert metrics.out == []
    command.assert_clean()


def test_a_real_run_in_numbers(command: Command) -> None:
    command.write("app.py", two_tasks(execution=BUSY))
    metrics = command.start("metrics", "--port", "0", env={"ZMQPIPELINE_MONITOR_ENDPOINT": HERE})
    url = served(metrics)
    run = command.start("run", "app.py", "-w", "1", "--monitor-endpoint", HERE)
    run.wait_for("busy")
    # what is served may be of the moment before the first task
    above = {"tasks_handed_out_total": 0.0, "memory_bytes": 1e6}
    wait_until(url, above, up=1, workers=2, run_phase=1, processes=4)
    command.write("go", "")
    assert run.finish() == 0, run.output
    wait_until(url, tasks_handed_out_total=80, tasks_acknowledged_total=80, tasks_failed_total=0)
    metrics.signal(signal.SIGINT)
    assert metrics.finish() == 130, metrics.output
    command.assert_clean()


def test_only_loopback_needs_no_warning(command: Command) -> None:
    with run_of("one", 400):
        metrics = command.start("metrics", HERE, "--port", "0", "--bind", "0.0.0.0")
        url = served(metrics)
        metrics.wait_for(r"whoever can connect to 0\.0\.0\.0:\d+ reads them")
        wait_until(re.sub(r"0\.0\.0\.0", "127.0.0.1", url), up=1)
        metrics.signal(signal.SIGTERM)
        assert metrics.finish() == 143, metrics.output


def test_a_port_that_is_taken_ends_it_with_5(command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, run = command.run("metrics", HERE, "--port", str(port))
    assert code == 5
    assert run.output.splitlines()[-1] == (
        f"zmqpipeline: cannot listen at 127.0.0.1, port {port} (Address already in use): "
        f"choose others with --bind and --port"
    )


def test_an_address_of_another_machine_ends_it_with_5(command: Command) -> None:
    code, run = command.run("metrics", HERE, "--bind", "192.0.2.1")
    assert code == 5
    assert len(run.err) == 1
    assert run.err[0].startswith("zmqpipeline: cannot listen at 192.0.2.1, port 9109 (")


def test_without_the_extra_it_says_what_to_install(command: Command) -> None:
    blocked = """
import sys

class Blocks:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "prometheus_client":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocks())
from zmqpipeline.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
    done = subprocess.run(
        [sys.executable, "-c", blocked, "metrics", HERE],
        cwd=command.folder,
        env=command.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=GUARD,
    )
    assert done.returncode == 9
    assert done.stderr == 'zmqpipeline: metrics needs prometheus-client: pip install "zmqpipeline[metrics]"\n'
