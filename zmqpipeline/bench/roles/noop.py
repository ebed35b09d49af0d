"""Our roles for tasks that do nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import zmqpipeline
from zmqpipeline import EndpointAddress, TaskType
from zmqpipeline.bench.roles import parts

if TYPE_CHECKING:
    from zmqpipeline.bench.seat import Post

TaskType.register_type("NOOP")


def distributor(post: Post, where: dict[str, str], count: int, journal: str | None = None) -> None:
    """Hand out ``count`` small dictionaries, and write the run down if there is a journal."""

    class Noop(zmqpipeline.Task):
        task_type = TaskType("NOOP")
        endpoint = EndpointAddress(where["tasks"])
        dependencies: list[TaskType] = []  # noqa: RUF012 - as the tutorial declares it
        n_count = 0

        def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:  # noqa: ARG002
            self.n_count += 1
            if self.n_count >= count:
                self.is_complete = True
            return {"i": self.n_count}

    parts.hand_out(post, where, Noop, journal=journal)


def worker(post: Post, where: dict[str, str]) -> None:
    """Answer each dictionary with another."""

    class Answer(parts.single(post, where, "NOOP")):  # type: ignore[misc] # made there
        def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            return {"r": data["i"]}

    Answer().run()


def threaded_worker(post: Post, where: dict[str, str], threads: int) -> None:
    """Do the same in threads."""

    class Answer(parts.threaded(post, where, "NOOP", threads)):  # type: ignore[misc] # made there
        def handle_thread_execution(self, data: dict[str, Any], index: int) -> dict[str, Any]:  # noqa: ARG002
            return {"r": data["i"]}

    Answer().run()


def collector(post: Post, where: dict[str, str]) -> None:
    """Count what comes, and tell the time from the first to the last."""
    parts.run(_counting(post, where)(), post)


def answering_collector(post: Post, where: dict[str, str]) -> None:
    """Count, and tell the task something with each acknowledgement."""

    class Answering(_counting(post, where)):  # type: ignore[misc] # made above
        def get_ack_data(self) -> dict[str, Any]:
            return {"seen": self.n_results}

    parts.run(Answering(), post)


def _counting(post: Post, where: dict[str, str]) -> Any:
    class Count(parts.collecting(where)):  # type: ignore[misc] # made there
        def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> None:  # noqa: ARG002
            if not self.n_results:
                self.begun = time.perf_counter()
            self.n_results += 1
            self.total += data["r"]

        def handle_finished(self, data: Any, task_type: str) -> None:  # noqa: ARG002
            seconds = time.perf_counter() - self.begun
            post.tell("done", seen=self.n_results, total=self.total, seconds=seconds)

    return Count
