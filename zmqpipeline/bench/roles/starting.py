"""Our roles, which say when they are up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import zmqpipeline
from zmqpipeline import EndpointAddress, TaskType

if TYPE_CHECKING:
    from zmqpipeline.bench.seat import Post

TaskType.register_type("FIRST")


def distributor(post: Post, where: dict[str, str]) -> None:
    """Say when everything is bound, and when a worker has asked for the only task."""

    class First(zmqpipeline.Task):
        task_type = TaskType("FIRST")
        endpoint = EndpointAddress(where["tasks"])
        dependencies: list[TaskType] = []  # noqa: RUF012 - as the tutorial declares it

        def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:  # noqa: ARG002
            post.tell("asked", at=time.perf_counter_ns())
            self.is_complete = True
            return {"i": 1}

    def on_event(event: str) -> None:
        if event == "ready":
            post.tell("bound", at=time.perf_counter_ns())

    results, acks = EndpointAddress(where["results"]), EndpointAddress(where["acks"])
    role = zmqpipeline.Distributor(results, acks, tasks=[First])
    role.on_event = on_event
    role.run()


def worker(post: Post, where: dict[str, str]) -> None:  # noqa: ARG001 - it says nothing
    """Do it."""

    class Answer(zmqpipeline.SingleThreadedWorker):
        task_type = TaskType("FIRST")
        endpoint = EndpointAddress(where["tasks"])
        collector_endpoint = EndpointAddress(where["results"])

        def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            return {"r": data["i"]}

    Answer().run()


def collector(post: Post, where: dict[str, str]) -> None:
    """Say when the distributor was met."""

    class Take(zmqpipeline.Collector):
        endpoint = EndpointAddress(where["results"])
        ack_endpoint = EndpointAddress(where["acks"])
        seen = total = 0

        def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> None:  # noqa: ARG002
            self.seen += 1
            self.total += data["r"]

        def handle_finished(self, data: Any, task_type: str) -> None:  # noqa: ARG002
            post.tell("done", seen=self.seen, total=self.total)

    role = Take()
    role.on_event = post.tell
    role.run()
