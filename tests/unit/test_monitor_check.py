"""What counts as a snapshot."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.roles.snapshots import make_metadata_worker, make_snapshot
from zmqpipeline.monitor.check import is_snapshot


def changed(path: str, value: Any) -> Any:
    """Make a snapshot that says something else at one place."""
    snapshot: Any = copy.deepcopy(make_snapshot())
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    inner = snapshot
    for part in way:
        inner = inner[part]
    inner[last] = value
    return snapshot


def test_a_snapshot_is_one() -> None:
    assert is_snapshot(make_snapshot())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("collector", None),
        ("metadata_worker", make_metadata_worker()),
        ("latency", None),
        ("latency", 1),  # a float that had no fraction may arrive as a whole number
        ("workers", []),
        ("distributor.version", "1.0"),  # an earlier one does not tell it
        ("tasks.0.total", None),
        ("workers.0.state", "asleep"),  # a state of a later version
        ("workers.0.more", "than we know"),
        ("distributor.pid", None),
        ("distributor.memory", 2**40),
        ("tasks.0.total", 2**53 - 1),
    ],
)
def test_what_may_be_otherwise(path: str, value: Any) -> None:
    assert is_snapshot(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("run", 7),
        ("run", None),
        ("phase", None),
        ("acknowledged", 1.5),
        ("acknowledged", True),
        ("acknowledged", "12"),
        ("acknowledged", 10**400),
        ("distributor.pid", 2**53 + 1),
        ("rate", float("nan")),
        ("rate", float("inf")),
        ("rate", 1e300),
        ("distributor.version", 1),
        ("waits_for", "a worker"),
        ("waits_for.0", None),
        ("collector", {}),
        ("collector.host", None),
        ("tasks", None),
        ("tasks", {}),
        ("tasks.0", []),
        ("tasks.0.depends", [1]),
        ("tasks.0.total", "1"),
        ("workers.1.cpu", "1"),
        ("workers.1.state", 3),
        ("failures.0.text", b"bytes"),
    ],
)
def test_what_may_not(path: str, value: Any) -> None:
    if path == "waits_for.0":
        assert not is_snapshot({**make_snapshot(), "waits_for": [value]})
    else:
        assert not is_snapshot(changed(path, value))


@pytest.mark.parametrize("value", [None, [], 1, "snapshot", {}, {"version": 1}])
def test_what_is_nothing_of_the_kind(value: Any) -> None:
    assert not is_snapshot(value)


@pytest.mark.parametrize("name", sorted(make_snapshot()))
def test_nothing_may_be_missing(name: str) -> None:
    snapshot: Any = make_snapshot()
    del snapshot[name]
    assert not is_snapshot(snapshot)
