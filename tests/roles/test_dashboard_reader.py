"""The dashboard hears of a distributor, of its going, and of the next run."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from zmqpipeline.monitor.client import MonitorClient
from zmqpipeline.monitor.dashboard import reader as reading

from .dashboards import GUARD, Answer, Dashboard
from .snapshots import NOW, FakeDistributor, make_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def dashboard(descriptors: None) -> Iterator[Dashboard]:
    with Dashboard() as made:
        yield made


@contextmanager
def reads(endpoint: str, dashboard: Dashboard) -> Iterator[None]:
    """Read in a thread."""
    stopped = threading.Event()

    def run() -> None:
        with MonitorClient(endpoint) as client:
            reading.read(client, dashboard.feed, lambda: not stopped.is_set())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(GUARD)
    assert not thread.is_alive()


def heard(page: Answer, name: str, **values: object) -> Any:
    """Wait for an event with these values; return its data."""
    while True:
        found, data = page.event()
        if found == name and all(data[key] == value for key, value in values.items()):
            return data


def test_a_distributor_is_found_again_and_so_is_the_next_run(
    dashboard: Dashboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "EVERY", 0.1)
    endpoint = f"ipc://{tmp_path}/monitor.ipc"
    with reads(endpoint, dashboard), dashboard.ask("/events") as page:
        with FakeDistributor(endpoint, make_snapshot(run="first")):
            heard(page, "snapshot", run="first")
        gone = heard(page, "gone")
        assert gone["snapshot"]["run"] == "first"
        assert f"at {endpoint}" in gone["why"]
        with FakeDistributor(endpoint, make_snapshot(run="second", time=NOW + 9)) as distributor:
            heard(page, "snapshot", run="second")
            distributor.show(make_snapshot(run="second", time=NOW + 10, phase="ended"))
            heard(page, "snapshot", run="second", phase="ended")
        with FakeDistributor(endpoint, make_snapshot(run="third", time=NOW + 20)):
            heard(page, "snapshot", run="third")
