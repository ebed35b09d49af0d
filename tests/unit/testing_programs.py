"""Small programs for the tests of zmqpipeline.testing, and what every run of them must fulfil."""

from __future__ import annotations

import abc
import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import zmqpipeline
from zmqpipeline import EndpointAddress, TaskType
from zmqpipeline.testing import Pipeline

if TYPE_CHECKING:
    from zmqpipeline.testing import Result

RESULTS = EndpointAddress("ipc://results.ipc")
ACKS = EndpointAddress("ipc://acks.ipc")


class Counting(zmqpipeline.Task, abc.ABC):
    """Hands out ``{"i": 0}``, ``{"i": 1}`` and so on."""

    count = 40
    made = 0

    def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any] | None:
        number = self.made
        self.made += 1
        self.is_complete = self.made >= self.count
        return {"i": number}


class Gated(Counting, abc.ABC):
    """Waits for the acknowledgement of each before it makes the next."""

    def is_available_for_handling(self, last_ack_data: dict[str, Any]) -> bool:
        return self.n_acks == self.n_sent


class Echo(zmqpipeline.SingleThreadedWorker, abc.ABC):
    """Returns the number that it got."""

    def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        return {"r": data["i"]}


class Threaded(zmqpipeline.MultiThreadedWorker, abc.ABC):
    """Returns the number that it got, from one of its threads."""

    n_threads = 3

    def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        return data

    def handle_thread_execution(self, data: dict[str, Any], index: int) -> dict[str, Any] | None:
        return {"r": data["i"]}


class Awaiting(zmqpipeline.AsyncWorker, abc.ABC):
    """Returns the number that it got, from a coroutine."""

    n_concurrent = 3

    async def init_async(self) -> None:
        self.lock = asyncio.Lock()
        self.beside = asyncio.create_task(asyncio.sleep(3600))

    async def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        async with self.lock:
            await asyncio.sleep(0)
        return {"r": data["i"]}


class Keeper(zmqpipeline.Collector):
    """Keeps what it gets, in order."""

    endpoint = RESULTS
    ack_endpoint = ACKS

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.kept: list[tuple[str, dict[str, Any]]] = []
        self.failures: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.finished: list[int] = []

    def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> dict[str, Any] | None:
        self.ids.append(self.result_id)
        self.kept.append((task_type, data))
        return None

    def handle_failure(self, data: dict[str, Any], task_type: str, error: dict[str, Any]) -> None:
        self.ids.append(self.result_id)
        self.failures.append((task_type, data, error))

    def handle_finished(self, data: Any, task_type: str) -> None:
        assert (data, task_type) == ("", "")
        self.finished.append(len(self.ids))


def endpoint(name: str) -> EndpointAddress:
    return EndpointAddress(f"ipc://{name.lower()}.ipc")


def task(name: str, base: type = Counting, depends: tuple[str, ...] = (), **extra: Any) -> Any:
    """Declare a task."""
    body: dict[str, Any] = {
        "task_type": TaskType.register_type(name),
        "endpoint": endpoint(name),
        "dependencies": [TaskType(other) for other in depends],
        **extra,
    }
    return type(f"Task{name}", (base,), body)


def worker(name: str, base: type = Echo, **extra: Any) -> Any:
    """Declare a worker."""
    body: dict[str, Any] = {
        "task_type": TaskType(name),
        "endpoint": endpoint(name),
        "collector_endpoint": RESULTS,
        **extra,
    }
    return type(f"Worker{name}", (base,), body)


def keeper(**extra: Any) -> Any:
    """Declare a collector."""
    return type("Keeping", (Keeper,), extra)


def pipeline(task_base: type = Counting, worker_base: type = Echo, **options: Any) -> Pipeline[Keeper]:
    """Make a pipeline of one task type, A, with two workers."""
    return Pipeline([task("A", task_base)], [worker("A", worker_base)], Keeper, n_workers=2, **options)


def numbers(result: Result[Any], name: str = "A") -> list[int]:
    """List the results of a task type, in order of their value."""
    return sorted(data["r"] for data in result.of(name))


def check_guarantees(result: Result[Any]) -> None:
    """Nothing is lost, nothing is doubled in a life of the collector, and the end comes last and once."""
    expected = {
        f"simulated-{name}-{number}" for name, made in result.tasks.items() for number in range(made.n_sent)
    }
    lives: list[Any] = result.collectors
    assert {found for life in lives for found in life.ids} == expected
    for life in lives:
        assert [found for found, times in Counter(life.ids).items() if times > 1] == []
    assert [life.finished for life in lives] == [[]] * (len(lives) - 1) + [[len(lives[-1].ids)]]
    finished = max(place for place, event in enumerate(result.history) if event.what == "finished")
    # a worker that was killed may be back, or be missed, when all is done
    assert {event.what for event in result.history[finished + 1 :]} <= {"started", "lost"}
    for name, made in result.tasks.items():
        for data in result.of(name):
            assert data["r"] in range(made.n_sent)
        assert made.n_acks == made.n_sent
    assert result.finished
    assert result.handed_out == result.acknowledged == len(expected)
    assert result.failed == len({(f.task_type, f.data["i"]) for f in result.failures})
