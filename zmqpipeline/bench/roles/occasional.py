"""Our roles for tasks that come one at a time, when nobody has anything to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import zmqpipeline
from zmqpipeline import EndpointAddress, TaskType
from zmqpipeline.bench.roles import parts

if TYPE_CHECKING:
    from zmqpipeline.bench.seat import Post

TaskType.register_type("OCCASIONAL")


def distributor(post: Post, where: dict[str, str], count: int, pause: float) -> None:
    """Hand out ``count`` tasks; each as long as ``pause`` after the one before it was collected."""

    class Occasional(zmqpipeline.Task):
        task_type = TaskType("OCCASIONAL")
        endpoint = EndpointAddress(where["tasks"])
        dependencies: list[TaskType] = []  # noqa: RUF012 - as the tutorial declares it
        n_count = 0

        def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:  # noqa: ARG002
            if self.n_count:
                post.wait()
            time.sleep(pause)
            self.n_count += 1
            if self.n_count >= count:
                self.is_complete = True
            return {"i": self.n_count, "t": time.perf_counter_ns()}

    parts.hand_out(post, where, Occasional)


def worker(post: Post, where: dict[str, str]) -> None:
    """Answer each, with its time."""

    class Answer(parts.single(post, where, "OCCASIONAL")):  # type: ignore[misc] # made there
        def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            return {"r": data["i"], "t": data["t"]}

    Answer().run()


def collector(post: Post, where: dict[str, str]) -> None:
    """Note how long each was on its way, in nanoseconds, and say that it is here."""

    class Note(parts.collecting(where)):  # type: ignore[misc] # made there
        def __init__(self) -> None:
            self.times: list[int] = []

        def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> None:  # noqa: ARG002
            self.times.append(time.perf_counter_ns() - data["t"])
            self.total += data["r"]
            post.tell("collected")

        def handle_finished(self, data: Any, task_type: str) -> None:  # noqa: ARG002
            post.tell("done", seen=len(self.times), total=self.total, times=self.times)

    parts.run(Note(), post)
