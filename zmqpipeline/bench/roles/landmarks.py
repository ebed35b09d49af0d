"""Our collector for a long run: it says where it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import zmqpipeline
from zmqpipeline import EndpointAddress

if TYPE_CHECKING:
    from zmqpipeline.bench.seat import Post


def collector(post: Post, where: dict[str, str], marks: list[int]) -> None:
    """Count what comes, and tell the time since the first result at some numbers of results."""
    ahead = iter(marks)

    class Count(zmqpipeline.Collector):
        endpoint = EndpointAddress(where["results"])
        ack_endpoint = EndpointAddress(where["acks"])
        n_results = 0
        total = 0
        begun = 0.0
        mark = next(ahead)

        def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> None:  # noqa: ARG002
            if not self.n_results:
                self.begun = time.perf_counter()
            self.n_results += 1
            self.total += data["r"]
            if self.n_results == self.mark:
                post.tell("mark", seconds=time.perf_counter() - self.begun)
                self.mark = next(ahead, 0)

        def handle_finished(self, data: Any, task_type: str) -> None:  # noqa: ARG002
            post.tell("done", seen=self.n_results, total=self.total)

    role = Count()
    role.on_event = post.tell
    role.run()
