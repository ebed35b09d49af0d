"""What a type checker is to accept, and what it infers: it is checked, and not run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypedDict

import zmqpipeline
from zmqpipeline.testing import Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import assert_type  # noqa: TC004 - none of this is called


class Settings(TypedDict):
    """The metadata."""

    folder: str


class Job(TypedDict):
    """What a worker gets."""

    path: str


class Count(TypedDict):
    """What a collector gets."""

    words: int


COUNT = zmqpipeline.TaskType.register_type("COUNT")
ENDPOINT = zmqpipeline.EndpointAddress("ipc://count.ipc")
RESULTS = zmqpipeline.EndpointAddress("ipc://results.ipc")


class Jobs(zmqpipeline.Task[Settings, Job]):
    task_type = COUNT
    endpoint = ENDPOINT
    dependencies: list[zmqpipeline.TaskType] = []  # noqa: RUF012 - as the tutorial declares it

    def handle(self, data: Settings, address: bytes, msgtype: str) -> Job:
        assert_type(self.metadata, Settings)
        assert_type(self.total, int | None)
        return {"path": self.metadata["folder"]}


class MoreJobs(Jobs):
    def handle(self, data: Settings, address: bytes, msgtype: str) -> Job:
        assert_type(super().handle(data, address, msgtype), Job)
        return {"path": ""}


class Paths(zmqpipeline.IterableTask[Settings, str]):
    task_type = COUNT
    endpoint = ENDPOINT
    dependencies: list[zmqpipeline.TaskType] = []  # noqa: RUF012

    def items(self) -> Iterator[str]:
        yield self.metadata["folder"]


def read_paths(metadata: Settings) -> Iterator[str]:
    yield metadata["folder"]


class FromFunction(zmqpipeline.IterableTask[Settings, str]):
    task_type = COUNT
    endpoint = ENDPOINT
    dependencies: list[zmqpipeline.TaskType] = []  # noqa: RUF012
    items = read_paths


class FromList(zmqpipeline.IterableTask):
    task_type = COUNT
    endpoint = ENDPOINT
    dependencies: list[zmqpipeline.TaskType] = []  # noqa: RUF012
    items = ("a", "b")


class Counter(zmqpipeline.SingleThreadedWorker[Job, Count]):
    task_type = COUNT
    endpoint = ENDPOINT
    collector_endpoint = RESULTS

    def handle_execution(self, data: Job, *args: Any, **kwargs: Any) -> Count:
        assert_type(data["path"], str)
        return {"words": len(data["path"])}


class Threads(zmqpipeline.MultiThreadedWorker[Job, Count]):
    task_type = COUNT
    endpoint = ENDPOINT
    collector_endpoint = RESULTS
    n_threads = 2

    def handle_execution(self, data: Job, *args: Any, **kwargs: Any) -> Job:
        return data

    def handle_thread_execution(self, data: Job, index: int) -> Count:
        return {"words": len(data["path"]) + index}


class Coroutines(zmqpipeline.AsyncWorker[Job, Count]):
    task_type = COUNT
    endpoint = ENDPOINT
    collector_endpoint = RESULTS

    async def handle_execution(self, data: Job, *args: Any, **kwargs: Any) -> Count | None:
        await asyncio.sleep(0)
        return {"words": len(data["path"])} if data["path"] else None


class Sum(zmqpipeline.Collector[Count]):
    endpoint = RESULTS
    ack_endpoint = zmqpipeline.EndpointAddress("ipc://acks.ipc")
    words = 0

    def handle_collection(self, data: Count, task_type: str, msgtype: str) -> None:
        self.words += data["words"]


class Metadata(zmqpipeline.MetaDataWorker[Settings]):
    endpoint = zmqpipeline.EndpointAddress("ipc://metadata.ipc")

    def get_metadata(self) -> Settings:
        return {"folder": "texts"}


class Plain(zmqpipeline.Task):
    """Without parameters a role means dictionaries of anything."""

    task_type = COUNT
    endpoint = ENDPOINT
    dependencies: list[zmqpipeline.TaskType] = []  # noqa: RUF012

    def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:
        assert_type(self.metadata, dict[str, Any])
        return data


class PlainCoroutines(zmqpipeline.AsyncWorker):
    task_type = COUNT
    endpoint = ENDPOINT
    collector_endpoint = RESULTS

    async def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        return data


def use(task: zmqpipeline.Task[Settings, Job], collector: Sum) -> None:
    """Whatever takes roles takes all of them, whatever their parameters are."""
    assert_type(task.handle({"folder": ""}, b"", ""), Job | None)
    distributor = zmqpipeline.Distributor(RESULTS, collector.ack_endpoint, tasks=[Jobs, Plain, Paths()])
    zmqpipeline.Distributor.register_task(Jobs)
    assert_type(distributor.tasks, dict[str, zmqpipeline.Task[Any, Any]])
    pipeline = Pipeline(
        [Jobs, FromList], [Counter, Threads, Coroutines, PlainCoroutines], Sum, metadata=Metadata
    )
    pipeline.run()


async def wait(worker: Coroutines) -> None:
    assert_type(await worker.handle_execution({"path": ""}), Count | None)
