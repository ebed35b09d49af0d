"""Roles that are measured, as processes of their own; run as a program, it is one of them."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmqpipeline
import zmqpipeline.distributor as hub
import zmqpipeline.role
from zmqpipeline import EndpointAddress, TaskType
from zmqpipeline.delivery import ports
from zmqpipeline.wire import sockets

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from zmqpipeline.delivery.statistics import Statistics
    from zmqpipeline.role import Role

TASKS, RESULTS, ACKS = (EndpointAddress(f"ipc://{name}.ipc") for name in ("tasks", "results", "acks"))
MIB = 1024 * 1024
#: a peer that is stopped counts as gone after so long, in milliseconds: not within a test
PATIENT = 600_000
#: something that does not change in so many reports, for a second in all, stands still
STILL = 5


def peak(pid: int | str = "self") -> float:
    """Tell the largest resident memory that a living process ever had, in MiB."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


class Process:
    """A role in a process of its own, and what it says.

    Parameters
    ----------
    folder
        where it runs
    role
        one of :data:`ROLES`
    **chosen
        what that takes, beside ``patience``: after how many milliseconds a peer that is stopped is gone, and
        ``interval``: how often it is asked for a sign of life

    """

    def __init__(self, folder: Path, role: str, **chosen: Any) -> None:
        self.role = role
        self.popen = subprocess.Popen(
            [sys.executable, __file__, role, json.dumps(chosen)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(zmqpipeline.__file__).parents[1])},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.until("ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.communicate()

    def until(self, pattern: str) -> re.Match[str]:
        """Read what it says until a line matches."""
        assert self.popen.stdout is not None
        said: deque[str] = deque(maxlen=20)
        for line in self.popen.stdout:
            found = re.fullmatch(pattern, line.rstrip("\n"))
            if found:
                return found
            said.append(line)
        raise AssertionError(f"{self.role} ended without {pattern!r}; its last words: {list(said)}")

    def numbers(self, count: int) -> list[int]:
        """Read the numbers of the next results that a collector says."""
        return [int(self.until(r"result (\d+)")[1]) for _ in range(count)]

    def results(self) -> list[int]:
        """Read the numbers of all results that a collector says until it has finished."""
        found = []
        while number := self.until(r"result (\d+)|finished .*")[1]:
            found.append(int(number))
        return found

    def killed(self) -> list[int]:
        """Kill a collector; return the numbers of the results that it has said in the meantime."""
        assert self.popen.stdout is not None
        self.popen.kill()
        return [
            int(number) for number in re.findall(r"^result (\d+)$", self.popen.stdout.read(), re.MULTILINE)
        ]

    def until_still(self) -> tuple[int, int]:
        """Wait until a distributor makes no progress; return how much it handed out, once and again."""
        last, same = (-1, -1), 0
        while same < STILL:
            found = self.until(r"progress (\d+) \d+ (\d+)")
            now = int(found[1]), int(found[2])
            last, same = now, same + 1 if now == last else 0
        return last

    def until_stopped(self) -> None:
        """Wait until it is stopped by a signal."""
        os.waitid(os.P_PID, self.popen.pid, os.WSTOPPED | os.WNOWAIT)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.popen.send_signal(number)

    @property
    def peak(self) -> float:
        """The largest memory that it has had so far, in MiB."""
        return peak(self.popen.pid)

    def finish(self) -> float:
        """Wait until it ends by itself; return the largest memory that it ever had, in MiB."""
        found = float(self.until(r"peak ([\d.]+)")[1])
        assert self.popen.wait() == 0
        return found


# -- in the process -------------------------------------------------------------


def say(*words: object) -> None:
    """Tell whoever has started this process how far it is."""
    print(*words, flush=True)  # noqa: T201


def hold_the_gil(milliseconds: int) -> None:
    """Let no other thread of this process run Python, as some extension modules do."""
    ctypes.PyDLL(None).poll(None, 0, milliseconds)


def distributor(count: int, size: int = 0, ack_timeout: float = 10.0, holds: int = 0) -> Role:
    """Make a distributor of tasks that weigh ``size`` bytes; it says all the time how far it is.

    Its handle() makes the tenth one in so many milliseconds, in which no other thread runs.
    """
    padding = bytes(size)
    zmqpipeline.role._LONGEST_POLL = 0.1  # so that it tells how far it is when nothing happens, too
    hub.Options = functools.partial(ports.Options, ack_timeout=ack_timeout)  # type: ignore[attr-defined,assignment]

    class Padded(zmqpipeline.Task):
        task_type = TaskType("FLOW")
        endpoint = TASKS
        dependencies: list[TaskType] = []  # noqa: RUF012 - as the tutorial declares it
        made = 0

        def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:
            self.made += 1
            self.is_complete = self.made == count
            if holds and self.made == 10:
                hold_the_gil(holds)
            return {"n": self.made, "padding": padding} if size else {"n": self.made}

    def progress(found: Statistics) -> None:
        say("progress", found.handed_out, found.acknowledged, found.redelivered)

    return zmqpipeline.Distributor(RESULTS, ACKS, tasks=[Padded], on_progress=progress)


class Answer(zmqpipeline.SingleThreadedWorker):
    """Answers with results that weigh ``size`` bytes.

    Stops itself in the middle of the task that it does as number ``stops_at``; from the result of task
    ``grow`` on they weigh ``grown`` bytes. Its third task ``holds`` the process for so many milliseconds.
    """

    task_type = TaskType.register_type("FLOW") or TaskType("FLOW")
    endpoint = TASKS
    collector_endpoint = RESULTS
    size = stops_at = grow = grown = done = holds = 0

    def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
        self.done += 1
        if self.done == self.stops_at:
            os.kill(os.getpid(), signal.SIGSTOP)
        if self.done == 3 and self.holds:
            hold_the_gil(self.holds)
        size = self.grown if 0 < self.grow <= data["n"] else self.size
        return {"n": data["n"], "padding": bytes(size)} if size else {"n": data["n"]}


class Threads(zmqpipeline.MultiThreadedWorker):
    """The same with four threads."""

    task_type = Answer.task_type
    endpoint = TASKS
    collector_endpoint = RESULTS
    n_threads = 4
    size = grow = grown = 0

    def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
        return {"n": data["n"]}

    def handle_thread_execution(self, data: dict[str, Any], index: int) -> dict[str, Any]:
        size = self.grown if 0 < self.grow <= data["n"] else self.size
        return {"padding": bytes(size)} if size else {}


def worker(threads: bool = False, **chosen: int) -> Role:
    """Make a worker."""
    role: Role = Threads() if threads else Answer()
    for name, value in chosen.items():
        setattr(role, name, value)
    return role


class Listing(zmqpipeline.Collector):
    """Says the number of each result, after some time for each; or only every so many."""

    endpoint = RESULTS
    ack_endpoint = ACKS
    seconds = 0.0
    every = 1
    hangs_at = 0
    collected = 0
    total = 0

    def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> None:
        if self.seconds:
            time.sleep(self.seconds)
        self.collected += 1
        self.total += data["n"]
        if self.collected == self.hangs_at:
            say("hangs")
            while not Path("go").exists():
                time.sleep(0.01)
        if self.every == 1:
            say("result", data["n"])
        elif self.collected % self.every == 0:
            say("collected", self.collected)

    def handle_finished(self, data: Any, task_type: str) -> None:
        say("finished", self.collected, self.total)


def collector(**chosen: float) -> Role:
    """Make a collector."""
    role: Role = Listing()
    for name, value in chosen.items():
        setattr(role, name, value)
    return role


ROLES: dict[str, Callable[..., Role]] = {"distributor": distributor, "worker": worker, "collector": collector}


def main() -> None:
    """Run one role, and say how much memory it needed."""
    chosen = json.loads(sys.argv[2])
    patience = chosen.pop("patience", sockets.LIVENESS.timeout * 1000)
    interval = chosen.pop("interval", sockets.LIVENESS.interval * 1000)
    role = ROLES[sys.argv[1]](**chosen)
    role.heartbeat_interval, role.heartbeat_timeout = interval / 1000, patience / 1000
    role.on_event = say
    role.run()
    say("peak", peak())


if __name__ == "__main__":
    main()
