"""What our measured roles have in common: declarations, and to say when they are ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zmqpipeline
from zmqpipeline import EndpointAddress, TaskType
from zmqpipeline.monitor.client import MonitorClient

if TYPE_CHECKING:
    from zmqpipeline.bench.seat import Post


def run(role: Any, post: Post) -> None:
    """Run a role, which says "ready" when it is bound."""
    role.on_event = post.tell
    role.run()


def hand_out(
    post: Post, where: dict[str, str], *tasks: type[zmqpipeline.Task], journal: str | None = None
) -> None:
    """Run a distributor."""
    results, acks = EndpointAddress(where["results"]), EndpointAddress(where["acks"])
    role = zmqpipeline.Distributor(results, acks, tasks=list(tasks), journal=journal)
    role.keys = where.get("keys")
    if "monitor" in where:
        role.monitor_endpoint = EndpointAddress(where["monitor"])
    run(role, post)


def watch(post: Post, where: dict[str, str]) -> None:
    """Have oneself told once a second how the run is, until it ends, as ``zmqpipeline top`` does.

    It says "watching" when it has heard the first time: who comes when a run has ended waits for another one.
    """
    with MonitorClient(where["monitor"]) as client:
        watching = False
        for snapshot in client.stream():
            if snapshot is not None and not watching:
                watching = True
                post.tell("watching")


def single(post: Post, where: dict[str, str], kind: str) -> Any:
    """Declare a worker with one thread, which begins with the others; its method is missing."""

    class Single(zmqpipeline.SingleThreadedWorker):
        task_type = TaskType(kind)
        endpoint = EndpointAddress(where["tasks"])
        collector_endpoint = EndpointAddress(where["results"])
        keys = where.get("keys")

        def init_worker(self) -> None:
            post.meet()

    return Single


def threaded(post: Post, where: dict[str, str], kind: str, threads: int) -> Any:
    """Declare a worker with many threads, which begins with the others; its second method is missing."""

    class Threaded(zmqpipeline.MultiThreadedWorker):
        task_type = TaskType(kind)
        endpoint = EndpointAddress(where["tasks"])
        collector_endpoint = EndpointAddress(where["results"])
        keys = where.get("keys")
        n_threads = threads

        def init_worker(self) -> None:
            post.meet()

        def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            return data

    return Threaded


def asynchronous(post: Post, where: dict[str, str], kind: str, coroutines: int) -> Any:
    """Declare an asyncio worker, which begins with the others; its method is missing."""

    class Asynchronous(zmqpipeline.AsyncWorker):
        task_type = TaskType(kind)
        endpoint = EndpointAddress(where["tasks"])
        collector_endpoint = EndpointAddress(where["results"])
        keys = where.get("keys")
        n_concurrent = coroutines

        def init_worker(self) -> None:
            post.meet()

    return Asynchronous


def collecting(where: dict[str, str]) -> Any:
    """Declare a collector; its method is missing."""

    class Collecting(zmqpipeline.Collector):
        endpoint = EndpointAddress(where["results"])
        ack_endpoint = EndpointAddress(where["acks"])
        keys = where.get("keys")
        n_results = 0
        total = 0
        begun = 0.0

    return Collecting
