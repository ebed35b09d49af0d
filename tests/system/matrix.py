"""What the matrix of shutdown tests runs: a program with all roles, whose methods are busy if asked to be."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Command, Running

SIGNALS = [signal.SIGINT, signal.SIGTERM]

PROGRAM = """
import ctypes
import os
import sys
import time

import zmqpipeline.role
from zmqpipeline import (
    Collector, EndpointAddress, MetaDataWorker, MultiThreadedWorker, Service, ServiceWorker,
    SingleThreadedWorker, Task, TaskType, stopping,
)

#: which method is busy, and whether it can be interrupted
WHERE, HOW = os.environ.get("WHERE"), os.environ.get("HOW")
N = int(os.environ.get("N", "1"))

Role = zmqpipeline.role.Role
Role.stop_timeout = float(os.environ.get("STOP", "300"))
Role.announce_interval = zmqpipeline.role._LONGEST_POLL = 0.05
stopping.DEAF = float(os.environ.get("DEAF", "0.2"))


def busy(where):
    if where != WHERE:
        return
    if HOW == "deaf":
        print("inside", where)
        # C code that no signal brings back, and that lets other threads run
        mutex, libc = ctypes.create_string_buffer(64), ctypes.CDLL(None)
        libc.pthread_mutex_lock(mutex)
        libc.pthread_mutex_lock(mutex)
    wait("inside", where)


def wait(*said):
    try:
        print(*said)  # the signal may come before the next line
        while not os.path.exists("go"):
            time.sleep(0.01)
    except BaseException:
        if HOW != "stubborn":
            raise
        wait("stubborn")


class First(Task):
    task_type = TaskType.register_type("first")
    endpoint = EndpointAddress("ipc://first.ipc")
    dependencies = []
    n = 0

    def initialize(self, metadata):
        busy("initialize")
        print("initialized")

    def is_available_for_handling(self, last_ack_data):
        return self.n < N

    def handle(self, data, address, msgtype):
        self.n += 1
        busy("handle")
        self.is_complete = "COMPLETE" in os.environ
        return {"n": self.n}


class Second(First):
    task_type = TaskType.register_type("second")
    endpoint = EndpointAddress("ipc://second.ipc")


class Does(SingleThreadedWorker):
    task_type = First.task_type
    endpoint = First.endpoint
    collector_endpoint = EndpointAddress("ipc://collector.ipc")

    def init_worker(self):
        busy("init_worker")
        print("prepared")

    def handle_execution(self, data, *args, **kwargs):
        busy("handle_execution")
        return data


class Threads(MultiThreadedWorker):
    task_type = Second.task_type
    endpoint = Second.endpoint
    collector_endpoint = Does.collector_endpoint
    n_threads = 2
    init_worker = Does.init_worker
    handle_execution = Does.handle_execution

    def init_thread(self, worker_index):
        busy("init_thread")

    def handle_thread_execution(self, data, index):
        busy("handle_thread_execution")
        return data


class Keeps(Collector):
    endpoint = Does.collector_endpoint
    ack_endpoint = EndpointAddress("ipc://ack.ipc")

    def handle_collection(self, data, task_type, msgtype):
        busy("handle_collection")
        print("collected", task_type, data["n"])

    def handle_finished(self, data, task_type):
        busy("handle_finished")
        print("finished")


class Gives(ServiceWorker):
    task_type = TaskType.register_type("gives")
    endpoint = EndpointAddress("ipc://back.ipc")

    def handle_message(self, data, task_type, msgtype):
        busy("handle_message")
        return data


broker = Service(EndpointAddress("ipc://front.ipc"), Gives.endpoint)

busy("loading")
"""

#: with a metadata worker, without which the distributor of such a program begins nothing
META = """
from app import *


class Tells(MetaDataWorker):
    endpoint = EndpointAddress("ipc://meta.ipc")

    def get_metadata(self):
        busy("get_metadata")
        return {}
"""

#: no more than a run needs, so that it takes no longer than it must
RUN = "from app import First, Does, Keeps\n"
RUN_THREADS = "from app import Second, Threads, Keeps\n"

#: a client with one request
CLIENT = """
import sys

from app import Gives
from zmqpipeline import EndpointAddress, ServiceClient

with ServiceClient(EndpointAddress("ipc://front.ipc"), Gives.task_type) as client:
    print("answer", client.request({"n": 1}))
"""


@dataclass(frozen=True)
class Role:
    """A role of the program.

    Parameters
    ----------
    arguments
        the command that runs it
    binds
        the socket files that it makes
    waits
        what it says while it waits for peers that it has never met
    needs
        the roles that it works with

    """

    arguments: tuple[str, ...]
    binds: tuple[str, ...] = ()
    waits: str = ""
    needs: tuple[str, ...] = field(default=())


_TASKS = ("first.ipc", "second.ipc")
ROLES = {
    "distributor": Role(
        ("distributor", "app.py"), _TASKS, "waits for the collector", ("collector", "worker")
    ),
    "journal": Role(
        ("distributor", "app.py", "--journal", "run.journal"),
        _TASKS,
        "waits for the collector",
        ("collector", "worker"),
    ),
    "worker": Role(
        ("worker", "app.py", "Does"), (), "waits for the distributor", ("collector", "distributor")
    ),
    "threads": Role(
        ("worker", "app.py", "Threads"), (), "waits for the distributor", ("collector", "distributor")
    ),
    "collector": Role(
        ("collector", "app.py"),
        ("collector.ipc", "ack.ipc"),
        "waits for the distributor",
        ("distributor", "worker"),
    ),
    "metadata": Role(("metadata", "meta.py"), (), "waits for the distributor"),
    "service": Role(
        ("service", "app.py"), ("front.ipc", "back.ipc"), "listens at .*back", ("service-worker",)
    ),
    "service-worker": Role(("service-worker", "app.py"), (), "waits for the broker", ("service",)),
}

#: the method in which a role is busy
BUSY = {
    "distributor": ("initialize", "handle"),
    "journal": ("handle",),
    "worker": ("init_worker", "handle_execution"),
    "threads": ("init_worker", "init_thread", "handle_execution", "handle_thread_execution"),
    "collector": ("handle_collection", "handle_finished"),
    "metadata": ("get_metadata",),
    "service-worker": ("handle_message",),
}
PLACES = [(role, where) for role, places in BUSY.items() for where in places]


class Stage:
    """One role that a test signals, and those that it works with.

    Parameters
    ----------
    command
        the command
    role
        which role
    environ
        what the program of all of them is told

    """

    def __init__(self, command: Command, role: str, **environ: str) -> None:
        command.write("app.py", PROGRAM)
        command.write("meta.py", META)
        command.write("client.py", CLIENT)
        self.command = command
        self.role = ROLES[role]
        self.environ = environ
        self.peers: list[Running] = []

    def peer(self, name: str, **environ: str) -> Running:
        """Start one of the others."""
        self.peers.append(self.command.start(*ROLES[name].arguments, env={**self.environ, **environ}))
        return self.peers[-1]

    def start(self, *, alone: bool = False) -> Running:
        """Start the role, and all others that it needs."""
        run = self.command.start(*self.role.arguments, env=self.environ)
        for name in () if alone else self.role.needs:
            # only the role that is looked at lets itself be told to be busy
            self.peer("threads" if name == "worker" and self._threaded else name)
        return run

    @property
    def _threaded(self) -> bool:
        return "second" in self.environ.get("WHERE", "")

    def met(self, run: Running) -> None:
        """Wait until the role has met those that it works with, and they each other."""
        if self.role.arguments[0] in {"service", "service-worker"}:
            (run if self.role.arguments[0] == "service-worker" else self.peers[0]).wait_for("is connected to")
            return
        for one in (run, *self.peers):
            if one.popen.args[3] == "worker":  # type: ignore[index] # a list of ours
                one.wait_for("^prepared")

    def first(self, run: Running, number: signal.Signals) -> None:
        """Send the first signal, and wait until the role has said what it does, and what with the next."""
        run.signal(number)
        run.wait_for(rf"{number.name}, finishing .*; once more .*stops at once")

    def second(self, run: Running, number: signal.Signals) -> None:
        """Send the second, likewise."""
        run.signal(number)
        run.wait_for("stopping now; once more kills")

    def ended(self, run: Running, code: int) -> None:
        """Wait for the end: with this exit code, and with nothing left of the role."""
        assert run.finish() == code, run.output
        assert "Traceback" not in run.output
        kept = set(self.command.sockets())
        assert not [name for name in self.role.binds if {name, f"{name}.lock"} & kept], kept
        peers = {peer.popen.pid for peer in self.peers}
        assert set(self.command.survivors()) <= peers

    def go(self) -> None:
        """Let what is busy come to its end."""
        self.command.write("go", "")

    def kill_peers(self) -> None:
        """Kill the others, so that they can say nothing to anybody."""
        for peer in self.peers:
            peer.popen.kill()
        for peer in self.peers:
            peer.popen.wait()
