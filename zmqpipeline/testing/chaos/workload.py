"""The program that is put under faults: three task types, whose every step is written down.

Each round works on a copy of this file, in a folder of its own, so it uses
nothing but the library. All processes append to one file there, a line with
one write each, so the lines are in the order in which things happened, and
survive the death of whoever wrote them.

A file ``armed.POINT`` that appears in the folder holds the name of an action.
The first process that comes by this point takes the file, and does that to itself.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from zmqpipeline import (
    Collector,
    EndpointAddress,
    MultiThreadedWorker,
    SingleThreadedWorker,
    Task,
    TaskType,
)

#: where the steps are written down
RECORD = "record"
#: a task type is complete when there is a file of this name, with the type behind it
ENOUGH = "enough."
#: no type makes more tasks than this
MOST = 4000
#: what ``run`` and the collector must not take for a fault of the tasks
_PATIENCE = 1000

MANY = TaskType.register_type("MANY")
GATED = TaskType.register_type("GATED")
LAST = TaskType.register_type("LAST")

#: actions that end a process, and the signals that do it
_SIGNALS = {
    "kill": signal.SIGKILL,
    "segv": signal.SIGSEGV,
    "abort": signal.SIGABRT,
    "stop": signal.SIGSTOP,
}
_LIMITS = resource.getrlimit(resource.RLIMIT_AS)
_MEBIBYTE = 1024 * 1024
_hoard: list[bytes] = []


def note(what: str, *words: object) -> None:
    """Write down that something has happened."""
    line = " ".join(map(str, (f"{time.monotonic():.6f}", os.getpid(), what, *words, ".")))
    # a line that was cut off by a kill can be told from a whole one, and does not spoil the one behind it
    os.write(_record, f"\n{line}\n".encode())


def take(point: str) -> str:
    """Take the action that waits at a point, if there is one and nobody was faster."""
    taken = f"taken.{point}.{time.monotonic_ns()}"
    try:
        os.rename(f"armed.{point}", taken)  # noqa: PTH104 - a hundred thousand times, so without a Path
    except FileNotFoundError:
        return ""
    return Path(taken).read_text(encoding="ascii")


def act(action: str, point: str) -> None:
    """Do something to this process."""
    note("fault", action, point)
    if action == "memory" and point == "task":
        _run_short_of_memory()
    elif action == "memory":
        _starve()
    else:
        os.kill(os.getpid(), _SIGNALS[action])
        time.sleep(0.0 if action == "stop" else 10.0)  # the signal may hit another thread, a moment later


def at(point: str) -> None:
    """Come by a point at which something may happen."""
    action = take(point)
    if action:
        act(action, point)


def _run_short_of_memory() -> None:
    """Ask for too much, once."""
    _limit_memory(16 * _MEBIBYTE)
    try:
        bytearray(256 * _MEBIBYTE)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, _LIMITS)


def _starve() -> None:
    """Take all memory that there is, and keep it: whatever comes next gets none."""
    _limit_memory(0)
    for size in (_MEBIBYTE, 65536, 4096, 600, 256, 64):
        with contextlib.suppress(MemoryError):
            while True:
                _hoard.append(bytes(size))


def _limit_memory(rest: int) -> None:
    size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + rest, _LIMITS[1]))


def always_fails(number: int) -> bool:
    """Tell whether every attempt of a task raises."""
    return number % 97 == 13


def fails_first(number: int) -> bool:
    """Tell whether the first attempt of a task raises."""
    return number % 53 == 7


def seconds(number: int) -> float:
    """Tell how long a task takes: most nothing, some a little, a few some tens of milliseconds."""
    if number % 8 < 5 or 600 <= number < 1000:
        return 0.0
    return 0.04 if number % 64 == 37 else 0.002 * (number % 7)


def answer(number: int) -> int:
    """Compute what the collector has to get for a task."""
    return number * number + 7


def _do(name: str, data: dict[str, Any]) -> dict[str, Any]:
    """Do a task, or what is wrong with it."""
    number = data["n"]
    note("begin", name, number)
    at("begin")
    if data["deadly"] and _first(f"deadly.{name}.{number}"):
        act(data["deadly"], "task")
    if always_fails(number):
        raise ValueError(f"{number} always fails")
    if fails_first(number) and _first(f"failed.{name}.{number}"):
        raise ValueError(f"{number} fails at first")
    time.sleep(seconds(number))
    at("done")
    return {"n": number, "answer": answer(number)}


def _first(name: str) -> bool:
    """Tell whether this is the first time, in all processes, that this is asked for a name."""
    try:
        Path(name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Many(Task):
    """Tasks that nothing holds up."""

    task_type = MANY
    endpoint = EndpointAddress("ipc://many.ipc")
    dependencies: list[TaskType] = []  # noqa: RUF012 - as the tutorial declares it
    retry_delay = 0.05
    max_worker_deaths = _PATIENCE
    number = 0

    def initialize(self, metadata: dict[str, Any] = {}) -> None:  # noqa: ARG002, B006 - as the base has it
        """Write down that the dependencies are complete."""
        note("open", self.task_type)
        at("open")

    def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:  # noqa: ARG002
        """Make the next task."""
        number = self.number
        self.number += 1
        self.is_complete = self.number >= MOST or Path(f"{ENOUGH}{self.task_type}").exists()
        note("made", self.task_type, number)
        at("make")
        return {"n": number, "deadly": take("task")}

    def checkpoint(self) -> dict[str, Any]:
        """Come by on the way into the journal."""
        at("checkpoint")
        return super().checkpoint()


class Gated(Many):
    """Tasks of which only a few may be under way."""

    task_type = GATED
    endpoint = EndpointAddress("ipc://gated.ipc")
    told = -1

    def is_available_for_handling(self, last_ack_data: dict[str, Any]) -> bool:
        """Take note of what was acknowledged."""
        number = last_ack_data.get("n", self.told)
        if number != self.told:
            self.told = number
            note("told", self.task_type, number)
            at("ack")
        return self.n_sent - self.n_acks < 3


class Last(Many):
    """Tasks that begin when all the others are complete."""

    task_type = LAST
    endpoint = EndpointAddress("ipc://last.ipc")
    dependencies = [MANY, GATED]  # noqa: RUF012


class _Prepared:
    """What the workers' beginning has in common."""

    def init_worker(self) -> None:
        """Come by before the first task."""
        at("init")


class DoesMany(_Prepared, SingleThreadedWorker):
    """Does :class:`Many`."""

    task_type = MANY
    endpoint = Many.endpoint
    collector_endpoint = EndpointAddress("ipc://results.ipc")

    def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
        """Do one task."""
        return _do(self.task_type, data)


class DoesGated(DoesMany):
    """Does :class:`Gated`."""

    task_type = GATED
    endpoint = Gated.endpoint


class DoesLast(_Prepared, MultiThreadedWorker):
    """Does :class:`Last`, in threads."""

    task_type = LAST
    endpoint = Last.endpoint
    collector_endpoint = DoesMany.collector_endpoint
    n_threads = 3

    def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
        """Pass it on."""
        return data

    def handle_thread_execution(self, data: dict[str, Any], index: int) -> dict[str, Any]:  # noqa: ARG002
        """Do one task."""
        return _do(self.task_type, data)


class Keeps(Collector):
    """Writes down what comes."""

    endpoint = DoesMany.collector_endpoint
    ack_endpoint = EndpointAddress("ipc://acks.ipc")

    def handle_collection(
        self,
        data: dict[str, Any],
        task_type: str,
        msgtype: str,  # noqa: ARG002
    ) -> dict[str, Any] | None:
        """Take a result."""
        at("collect")
        right = data["answer"] == answer(data["n"])
        note("collected", task_type, data["n"], self.result_id, "right" if right else "wrong")
        at("collected")
        return {"n": data["n"]} if task_type == GATED else None

    def handle_failure(self, data: dict[str, Any], task_type: str, error: dict[str, Any]) -> None:
        """Take a failure."""
        at("collect")
        note("failed", task_type, data["n"], self.result_id, error["type"])
        at("collected")

    def handle_finished(self, data: Any, task_type: str) -> None:  # noqa: ARG002
        """Take the end."""
        at("finish")
        note("finished")
        at("finished")


def _be_born() -> None:
    """Write down which role this process has, when the command loads this file."""
    note("born", sys.argv[1], os.getppid())


if "." not in __name__:
    _record = os.open(RECORD, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    with contextlib.suppress(IndexError):
        _be_born()
