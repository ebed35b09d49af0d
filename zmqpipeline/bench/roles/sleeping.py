"""Our roles for tasks that take their time: each sleeps."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import zmqpipeline
from zmqpipeline import EndpointAddress, TaskType
from zmqpipeline.bench import schedule
from zmqpipeline.bench.roles import parts

if TYPE_CHECKING:
    from zmqpipeline.bench.seat import Post

TaskType.register_type("SLEEP")
TaskType.register_type("AFTER")


def distributor(post: Post, where: dict[str, str], count: int, short: float, long: float) -> None:
    """Hand out the tasks of a schedule, and tell the time from the first one to the last acknowledgement."""
    durations = schedule.durations(count, short, long)

    class Sleep(zmqpipeline.Task):
        task_type = TaskType("SLEEP")
        endpoint = EndpointAddress(where["tasks"])
        dependencies: list[TaskType] = []  # noqa: RUF012 - as the tutorial declares it
        n_count = 0
        begun = 0.0

        def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:  # noqa: ARG002
            if not self.n_count:
                Sleep.begun = time.perf_counter()
            self.n_count += 1
            if self.n_count >= count:
                self.is_complete = True
            return {"i": self.n_count, "s": durations[self.n_count - 1]}

    class After(zmqpipeline.Task):
        """What depends on others is initialized when these are acknowledged."""

        task_type = TaskType("AFTER")
        endpoint = EndpointAddress(where["after"])
        dependencies = [TaskType("SLEEP")]  # noqa: RUF012

        def initialize(self, metadata: dict[str, Any] = {}) -> None:  # noqa: ARG002, B006
            post.tell("timed", seconds=time.perf_counter() - Sleep.begun)
            self.is_complete = True

        def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> None:
            """Do nothing: it is complete already."""

    parts.hand_out(post, where, Sleep, After)


def worker(post: Post, where: dict[str, str]) -> None:
    """Sleep, one task after the other."""

    class Sleeper(parts.single(post, where, "SLEEP")):  # type: ignore[misc] # made there
        def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            time.sleep(data["s"])
            return {"r": data["i"]}

    Sleeper().run()


def threaded_worker(post: Post, where: dict[str, str], threads: int) -> None:
    """Sleep in threads."""

    class Sleeper(parts.threaded(post, where, "SLEEP", threads)):  # type: ignore[misc] # made there
        def handle_thread_execution(self, data: dict[str, Any], index: int) -> dict[str, Any]:  # noqa: ARG002
            time.sleep(data["s"])
            return {"r": data["i"]}

    Sleeper().run()


def async_worker(post: Post, where: dict[str, str], coroutines: int) -> None:
    """Sleep in coroutines."""

    class Sleeper(parts.asynchronous(post, where, "SLEEP", coroutines)):  # type: ignore[misc] # made there
        async def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            await asyncio.sleep(data["s"])
            return {"r": data["i"]}

    Sleeper().run()


def collector(post: Post, where: dict[str, str]) -> None:
    """Count what comes."""

    class Count(parts.collecting(where)):  # type: ignore[misc] # made there
        def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> None:  # noqa: ARG002
            self.n_results += 1
            self.total += data["r"]

        def handle_finished(self, data: Any, task_type: str) -> None:  # noqa: ARG002
            post.tell("done", seen=self.n_results, total=self.total)

    parts.run(Count(), post)
