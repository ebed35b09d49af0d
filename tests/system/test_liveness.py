"""Processes that are stopped, stalled or stuck, and are not dead: real ones, with short patience."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from zmqpipeline.wire import sockets

from .apps import two_tasks
from .conftest import GUARD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Command, Running

pytestmark = pytest.mark.chaos

#: every role gives up a silent connection soon, and says often who it waits for
QUICK = """
import ctypes
import zmqpipeline.role
zmqpipeline.role.Role.heartbeat_interval = {interval}
zmqpipeline.role.Role.heartbeat_timeout = {timeout}
zmqpipeline.role.Role.announce_interval = 0.05
"""
#: where nobody may be lost, also not on a busy machine
PATIENT = (0.5, 2.0)
LOST = r"lost a worker of first \(pid (\d+)"


def program(execution: str = "pass", interval: float = 0.2, timeout: float = 0.8, *, making: str = "") -> str:
    """Make a program with one task and one worker class."""
    made = "        self.n += 1\n"
    text = two_tasks(execution=execution).replace(made, made + making)
    text = text.replace('SECOND = TaskType.register_type("second")\n', "")
    text = re.sub(r"class Second\(.*?\n\n\n", "", text, flags=re.DOTALL)
    text = re.sub(r"class DoesMore\(.*?\n\n\n", "", text, flags=re.DOTALL)
    return text + QUICK.format(interval=interval, timeout=timeout)


def start(command: Command, *roles: str) -> list[Running]:
    return [command.start(role, "app.py") for role in roles]


def assert_done(command: Command, count: int = 40) -> None:
    """Everything was collected once, and the end was told."""
    found = command.folder.joinpath("results").read_text().splitlines()
    assert sorted(found[:-1]) == sorted(f"first {n + 1}" for n in range(count))
    assert found[-1] == "finished"
    command.assert_clean()


class Observer:
    """Has a connection with the same patience as the roles, and waits for its end."""

    def __init__(self, path: Path, interval: float, timeout: float) -> None:
        self.context = zmq.Context()
        liveness = sockets.Liveness(interval, timeout)
        self.socket = sockets.make_socket(self.context, zmq.DEALER, liveness=liveness)
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self.socket.connect(f"ipc://{path}")
        self.wait()

    def wait(self) -> None:
        """Wait for the next event: first the beginning, then the end."""
        assert self.monitor.poll(int(GUARD * 1000))
        recv_monitor_message(self.monitor)


@contextlib.contextmanager
def an_observer(path: Path, interval: float = 0.2, timeout: float = 0.8) -> Iterator[Observer]:
    made = Observer(path, interval, timeout)
    try:
        yield made
    finally:
        made.socket.disable_monitor()
        made.monitor.close(linger=0)
        made.socket.close(linger=0)
        made.context.term()


WORKS_ON = """
def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.01)
me = str(os.getpid())
if data["n"] == 1:
    if not os.path.exists("stuck"):
        Path("stuck").write_text(me)
        print("begins")
        wait_for("go")
    print("has done it")
elif data["n"] == 21:
    wait_for("lost")
elif data["n"] > 1000:
    if Path("stuck").read_text() == me:
        Path("works-on").touch()
    wait_for("works-on")
"""


def test_a_worker_that_was_stopped_comes_back_and_works_on(command: Command) -> None:
    """The other one does what it had, and waits with the rest until it has done something new."""
    command.write("app.py", program(WORKS_ON).replace('"40"', '"2000"'))
    distributor, collector, stopped = start(command, "distributor", "collector", "worker")
    stopped.wait_for("begins")
    stopped.signal(signal.SIGSTOP)
    try:
        assert distributor.wait_for(LOST)[0][1] == str(stopped.popen.pid)
        command.write("go", "")
        command.write("lost", "")
        (other,) = start(command, "worker")
        other.wait_for("has done it")
    finally:
        stopped.signal(signal.SIGCONT)
    assert [role.finish() for role in (distributor, collector, stopped, other)] == [0] * 4
    assert "has done it" in stopped.out, "its late result was dropped"
    assert (command.folder / "works-on").exists()
    assert_done(command, 2000)


def test_a_call_that_keeps_the_interpreters_lock_is_not_a_death(command: Command) -> None:
    keeps = "if data['n'] == 5:\n    ctypes.PyDLL(None).poll(None, 0, 4500)\n"
    command.write("app.py", program(keeps, *PATIENT))
    code, run = command.run("run", "app.py", "-w", "2", env={"ZMQPIPELINE_LOG_LEVEL": "info"})
    assert code == 0, run.output
    run.wait_for(r"a worker of first \(pid \d+ on \S+\) is silent, with \d+ unfinished tasks")
    assert "lost a worker" not in run.output
    assert " 40 acknowledged, 0 failed" in run.err[-1]
    assert_done(command)


def test_a_call_that_keeps_the_interpreters_lock_beyond_the_time_limit_has_failed(command: Command) -> None:
    keeps = """
if data["n"] == 5 and not os.path.exists("tried"):
    Path("tried").touch()
    ctypes.PyDLL(None).poll(None, 0, 3500)
"""
    limit = '    task_type = FIRST\n    endpoint = EndpointAddress("ipc://first.ipc")\n    dependencies'
    text = program(keeps).replace(limit, limit.replace("    task", "    time_limit = 0.5\n    task", 1), 1)
    assert "time_limit" in text
    command.write("app.py", text)
    code, run = command.run("run", "app.py", "-w", "2")
    assert code == 0, run.output
    run.wait_for("has passed the time limit in silence")
    assert " 40 acknowledged, 0 failed" in run.err[-1]
    assert_done(command)


def test_a_distributor_that_was_stopped_declares_nobody_dead(command: Command) -> None:
    waits = """
print("begins", data["n"])
while data["n"] > 20 and not os.path.exists("go"):
    time.sleep(0.01)
"""
    command.write("app.py", program(waits, *PATIENT))
    distributor, collector, *workers = start(command, "distributor", "collector", "worker", "worker")
    for worker in workers:
        worker.wait_for(r"^begins (2[1-9]|3\d|40)$")
    with an_observer(command.folder / "first.ipc", *PATIENT) as observer:
        distributor.signal(signal.SIGSTOP)
        try:
            observer.wait()  # as the workers, it has found the connection dead
            command.write("go", "")
        finally:
            distributor.signal(signal.SIGCONT)
    roles = (distributor, collector, *workers)
    assert [role.finish() for role in roles] == [0] * 4, distributor.output
    assert "lost a worker" not in distributor.output
    assert " 40 acknowledged, 0 failed" in distributor.err[-1]
    assert_done(command)


def test_a_suspended_machine_goes_on_where_it_was(command: Command) -> None:
    """All processes of a run stop, longer than any patience, and go on."""
    command.write("app.py", program("print('begins', data['n'])\ntime.sleep(0.02)\n"))
    run = command.start("run", "app.py", "-w", "2", env={"N": "60"})
    run.wait_for(r"begins \d+", times=6)
    with an_observer(command.folder / "first.ipc") as observer:
        processes = command.survivors()
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            observer.wait()
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)
    assert run.finish() == 0, run.output
    assert " 60 acknowledged, 0 failed" in run.err[-1]
    assert_done(command, 60)


def test_a_slow_handle_is_nobodys_fault(command: Command) -> None:
    """While it runs, nobody is answered; the workers' signs of life are read before anybody is judged."""
    making = "        if self.n == 20:\n            time.sleep(4)\n"
    command.write("app.py", program("pass", *PATIENT, making=making))
    code, run = command.run("run", "app.py", "-w", "2")
    assert code == 0, run.output
    assert "lost a worker" not in run.output
    assert "is silent" not in run.output
    assert_done(command)
