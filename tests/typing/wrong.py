"""What a type checker is to refuse: an error that is not there is one as well, the comment being unused."""

from __future__ import annotations

import abc
from typing import Any, TypedDict

import zmqpipeline


class Job(TypedDict):
    path: str


class Count(TypedDict):
    words: int


class Jobs(zmqpipeline.Task[dict[str, Any], Job], abc.ABC):
    def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> Job:
        return {"words": 1}  # type: ignore[typeddict-item, typeddict-unknown-key]


class Others(zmqpipeline.Task[dict[str, Any], Job], abc.ABC):
    def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> Count:  # type: ignore[override]
        return {"words": 1}


class Lists(zmqpipeline.Task[dict[str, Any], list[int]], abc.ABC):  # type: ignore[type-var]
    pass


class Plain(zmqpipeline.Task, abc.ABC):
    def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> int:  # type: ignore[override]
        return 0


class Texts(zmqpipeline.IterableTask[dict[str, Any], str], abc.ABC):
    items = [1, 2]  # type: ignore[list-item] # noqa: RUF012


class Counter(zmqpipeline.SingleThreadedWorker[Job, Count], abc.ABC):
    def handle_execution(self, data: Job, *args: Any, **kwargs: Any) -> Count:
        return {"words": data["words"]}  # type: ignore[typeddict-item]


class Paths(zmqpipeline.SingleThreadedWorker[Job, Count], abc.ABC):
    def handle_execution(self, data: Job, *args: Any, **kwargs: Any) -> Job:  # type: ignore[override]
        return data


class Threads(zmqpipeline.MultiThreadedWorker[Job, Count], abc.ABC):
    def handle_thread_execution(self, data: Job, index: int) -> Job:  # type: ignore[override]
        return data


class Coroutines(zmqpipeline.AsyncWorker[Job, Count], abc.ABC):
    def handle_execution(self, data: Job, *args: Any, **kwargs: Any) -> Count:  # type: ignore[override]
        return {"words": 1}


class Sum(zmqpipeline.Collector[Count], abc.ABC):
    def handle_collection(self, data: Job, task_type: str, msgtype: str) -> None:  # type: ignore[override]
        pass


class Metadata(zmqpipeline.MetaDataWorker[Count], abc.ABC):
    def get_metadata(self) -> Job:  # type: ignore[override]
        return {"path": ""}


def use(task: zmqpipeline.Task[dict[str, Any], Job], results: zmqpipeline.EndpointAddress) -> None:
    task.handle({}, "text", "")  # type: ignore[arg-type]
    zmqpipeline.Distributor(results, results, tasks=[Sum])  # type: ignore[list-item]
