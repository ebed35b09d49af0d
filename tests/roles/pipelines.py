"""Small pipelines for the tests: their roles run in threads, with real sockets."""

from __future__ import annotations

import abc
import contextlib
import threading
from typing import TYPE_CHECKING, Any

import zmqpipeline
from tests.ports import free_port
from zmqpipeline import EndpointAddress, TaskType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zmqpipeline.role import Role

GUARD = 30.0


def address(transport: str, name: str) -> EndpointAddress:
    """Make an address that nobody has."""
    if transport == "tcp":
        return EndpointAddress(f"tcp://127.0.0.1:{free_port()}")
    return EndpointAddress(f"{transport}://{name}{'.ipc' if transport == 'ipc' else ''}")


class Pipeline:
    """The addresses of one pipeline, and classes that have them.

    Parameters
    ----------
    transport
        ``ipc`` (in the working directory), ``tcp`` or ``inproc``

    """

    def __init__(self, transport: str = "ipc") -> None:
        self.transport = transport
        self.collector = address(transport, "collector")
        self.acks = address(transport, "acks")
        self.metadata = address(transport, "metadata")
        self.tasks: list[type[zmqpipeline.Task]] = []
        self._endpoints: dict[str, EndpointAddress] = {}

    def endpoint(self, name: str) -> EndpointAddress:
        """Give the address of a task type."""
        return self._endpoints.setdefault(name, address(self.transport, name.lower()))

    def task(self, name: str, count: int, depends: tuple[str, ...] = (), **extra: Any) -> type[Counting]:
        """Declare a task that hands out ``{"i": 0}`` up to ``count``."""
        body: dict[str, Any] = {
            "task_type": TaskType.register_type(name) or TaskType(name),
            "endpoint": self.endpoint(name),
            "dependencies": [TaskType(other) for other in depends],
            "count": count,
            **extra,
        }
        made = type(f"Task{name}", (Counting,), body)
        self.tasks.append(made)
        return made

    def worker(self, name: str, base: type[zmqpipeline.Worker] | None = None, **extra: Any) -> Any:
        """Make a worker whose results are ``{"r": i}``."""
        body: dict[str, Any] = {
            "task_type": TaskType(name),
            "endpoint": self.endpoint(name),
            "collector_endpoint": self.collector,
            **extra,
        }
        return type(f"Worker{name}", (base or Echo,), body)

    def keeper(self, **extra: Any) -> Keeper:
        """Make a collector that keeps what it gets."""
        cls = type("Collecting", (Keeper,), {"endpoint": self.collector, "ack_endpoint": self.acks, **extra})
        made: Keeper = cls()
        return made

    def distributor(self, **extra: Any) -> zmqpipeline.Distributor:
        """Make a distributor with the tasks declared here."""
        return zmqpipeline.Distributor(self.collector, self.acks, tasks=self.tasks, **extra)


class Counting(zmqpipeline.Task, abc.ABC):
    """Hands out ``{"i": 0}``, ``{"i": 1}`` and so on."""

    count = 10
    made = 0

    def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any] | None:
        number = self.made
        self.made += 1
        self.is_complete = self.made >= self.count
        return {"i": number}


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


class Keeper(zmqpipeline.Collector, abc.ABC):
    """Keeps what it gets, in order."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, dict[str, Any]]] = []
        self.failures: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.finished: list[int] = []

    def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> dict[str, Any] | None:
        self.kept.append((task_type, data))
        return None

    def handle_failure(self, data: dict[str, Any], task_type: str, error: dict[str, Any]) -> None:
        self.failures.append((task_type, data, error))

    def handle_finished(self, data: Any, task_type: str) -> None:
        self.finished.append(len(self.kept))

    def numbers(self, name: str) -> list[int]:
        """List the results of one task type, in order of their value."""
        return sorted(data["r"] for task_type, data in self.kept if task_type == name)


class Running:
    """Roles that run, each in a thread."""

    def __init__(self) -> None:
        self.errors: dict[Role, BaseException] = {}
        self._threads: dict[Role, threading.Thread] = {}

    def start(self, *roles: Role) -> None:
        """Start roles."""
        for role in roles:
            thread = threading.Thread(target=self._run, args=(role,), name=type(role).__name__)
            self._threads[role] = thread
            thread.start()

    def join(self, *roles: Role) -> None:
        """Wait until roles have ended, and raise what they raised."""
        for role in roles or tuple(self._threads):
            self._threads[role].join(GUARD)
            assert not self._threads[role].is_alive(), f"{type(role).__name__} does not end; {self.errors}"
            if role in self.errors:
                raise self.errors[role]

    def is_running(self, role: Role) -> bool:
        """Tell whether a role has not ended."""
        return self._threads[role].is_alive()

    def _run(self, role: Role) -> None:
        try:
            role.run()
        except BaseException as error:  # noqa: BLE001 - raised again by join()
            self.errors[role] = error


@contextlib.contextmanager
def running(*roles: Role) -> Iterator[Running]:
    """Run roles in threads; whatever still runs at the end is stopped."""
    started = Running()
    started.start(*roles)
    try:
        yield started
    finally:
        for role, thread in started._threads.items():
            role.stop_timeout = 0.1
            if thread.is_alive():
                role.stop()
        for thread in started._threads.values():
            thread.join(GUARD)


def run_all(*roles: Role) -> None:
    """Run roles until all have ended by themselves."""
    with running(*roles) as started:
        started.join()


class Event:
    """An event that fails when it does not come."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Let it happen."""
        self._event.set()

    def wait(self) -> None:
        """Wait for it."""
        assert self._event.wait(GUARD)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something outside of the program's control is so, such as libzmq's own threads."""
    waiter = threading.Event()
    for _ in range(int(GUARD / 0.01)):
        if condition():
            return
        waiter.wait(0.01)
    raise AssertionError("it did not happen")
