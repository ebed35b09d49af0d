"""Ray, on this machine."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray._private import services

from .peer import Peer, Setting, System
from .work import BATCH, Tasks, Work, each, flat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LOOPBACK = "127.0.0.1"


@ray.remote
def call(work: Work, task: dict[str, Any]) -> dict[str, Any]:
    """Do one task."""
    return work(task)


@ray.remote
def call_each(work: Work, batch: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Do a batch of tasks."""
    return each(work, batch)


def many(work: Work, tasks: Tasks) -> list[dict[str, Any]]:
    """Do the tasks one by one."""
    found: list[dict[str, Any]] = ray.get([call.remote(work, task) for task in tasks])
    return found


def many_in_batches(work: Work, tasks: Tasks) -> Iterator[dict[str, Any]]:
    """Do the tasks in batches."""
    return flat(ray.get([call_each.remote(work, batch) for batch in tasks.batches()]))


def one(work: Work, task: dict[str, Any]) -> dict[str, Any]:
    """Do one task, and wait for it."""
    result: dict[str, Any] = ray.get(call.remote(work, task))
    return result


def missing() -> str | None:
    """Tell whether it can be kept from listening to the network."""
    if hasattr(services, "resolve_ip_for_localhost"):
        return None
    return "this version cannot be kept on the loopback interface; install one that the requirements name"


@contextmanager
def start(setting: Setting) -> Iterator[System]:
    """Start its servers and workers, and end them; nobody else can reach them or is told of them."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # it would take 127.0.0.1 for a mistake, and listen on all interfaces instead
    services.resolve_ip_for_localhost = str
    try:
        ray.init(
            num_cpus=setting.workers,
            include_dashboard=False,
            log_to_driver=False,
            _node_ip_address=LOOPBACK,
            _temp_dir=str(Path.cwd() / "ray"),
        )
        if ray.util.get_node_ip_address() != LOOPBACK:
            raise RuntimeError(f"Ray listens on {ray.util.get_node_ip_address()}, not on {LOOPBACK}")
        yield System(many_in_batches if setting.tuned else many, one)
    finally:
        ray.shutdown()


PEER = Peer("Ray", "ray", start, tuning=f"batches of {BATCH} in one call", missing=missing)
