"""Our roles for tasks that carry a large payload there and back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import zmqpipeline
from zmqpipeline import EndpointAddress, TaskType
from zmqpipeline.bench.roles import parts

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

    parts.hand_out(post, where, Payload)


def worker(post: Post, where: dict[str, str]) -> None:
    """Send each payload on."""

    class Carrier(parts.single(post, where, "PAYLOAD")):  # type: ignore[misc] # made there
        def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            return {"r": data["i"], "p": data["p"]}

    Carrier().run()


def collector(post: Post, where: dict[str, str], size: int) -> None:
    """Count the payloads that are whole, and tell the time from the first to the last."""

    class Take(parts.collecting(where)):  # type: ignore[misc] # made there
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

    parts.run(Take(), post)
