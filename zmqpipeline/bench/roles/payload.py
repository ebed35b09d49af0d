"""Our roles for tasks that carry a large payload there and back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import zmqpipeline
from zmqpipeline import EndpointAddress, TaskType

if TYPE_CHECKING:
    from zmqpipeline.bench.seat import Post

TaskType.register_type("PAYLOAD")


def distributor(post: Post, where: dict[str, str], count: int, size: int) -> None:
    """Hand out ``count`` payloads; each begins and ends with its number."""
    filler = bytes(size - 16)

    class Payload(zmqpipeline.Task):
        task_type = TaskType("PAYLOAD")
        endpoint = EndpointAddress(where["tasks"])
        dependencies: list[TaskType] = []  # noqa: RUF012 - as the tutorial declares it
        n_count = 0

        def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:  # noqa: ARG002
            self.n_count += 1
            if self.n_count >= count:
                self.is_complete = True
            mark = self.n_count.to_bytes(8, "big")
            return {"i": self.n_count, "p": mark + filler + mark}

    results, acks = EndpointAddress(where["results"]), EndpointAddress(where["acks"])
    role = zmqpipeline.Distributor(results, acks, tasks=[Payload])
    role.on_event = post.tell
    role.run()


def worker(post: Post, where: dict[str, str]) -> None:
    """Send each payload on."""

    class Carrier(zmqpipeline.SingleThreadedWorker):
        task_type = TaskType("PAYLOAD")
        endpoint = EndpointAddress(where["tasks"])
        collector_endpoint = EndpointAddress(where["results"])

        def init_worker(self) -> None:
            post.meet()

        def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            return {"r": data["i"], "p": data["p"]}

    Carrier().run()


def collector(post: Post, where: dict[str, str], size: int) -> None:
    """Count the payloads that are whole, and tell the time from the first to the last."""

    class Take(zmqpipeline.Collector):
        endpoint = EndpointAddress(where["results"])
        ack_endpoint = EndpointAddress(where["acks"])
        n_results = 0
        total = 0
        begun = 0.0

        def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> None:  # noqa: ARG002
            if not self.n_results:
                self.begun = time.perf_counter()
            self.n_results += 1
            payload, mark = data["p"], data["r"].to_bytes(8, "big")
            if len(payload) == size and payload[:8] == payload[-8:] == mark:
                self.total += data["r"]

        def handle_finished(self, data: Any, task_type: str) -> None:  # noqa: ARG002
            seconds = time.perf_counter() - self.begun
            post.tell("done", seen=self.n_results, total=self.total, seconds=seconds)

    role = Take()
    role.on_event = post.tell
    role.run()
