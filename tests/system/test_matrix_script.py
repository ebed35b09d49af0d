"""The same for a program without the command: when ``run()`` has returned, nothing of it is left."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from .conftest import GUARD
from .matrix import CLIENT, META, PROGRAM, SIGNALS

if TYPE_CHECKING:
    from .conftest import Command, Running

pytestmark = pytest.mark.matrix

by_signal = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)

#: runs a role, and tells what is different after it
SCRIPT = """
import gc, json, logging, os, signal, sys, threading
from pathlib import Path

from meta import *
from app import *
from zmqpipeline import Distributor

logging.basicConfig(format="%(message)s", level=logging.INFO)
sys.stdout.reconfigure(line_buffering=True)


def found():
    gc.collect()
    descriptors = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            descriptors[link.name] = str(link.readlink())
        except FileNotFoundError:
            pass
    return {
        "threads": [thread.name for thread in threading.enumerate()],
        "descriptors": descriptors,
        "handlers": [str(signal.getsignal(number)) for number in signal.valid_signals()],
        "files": sorted(path.name for path in Path().iterdir() if ".ipc" in path.name),
    }


def make():
    kind = sys.argv[1]
    if kind in ("distributor", "journal"):
        journal = "run.journal" if kind == "journal" else None
        return Distributor(Keeps.endpoint, Keeps.ack_endpoint, tasks=[First, Second], journal=journal)
    if kind == "service":
        return broker
    classes = {"worker": Does, "threads": Threads, "collector": Keeps, "metadata": Tells}
    return classes.get(kind, Gives)()


before = found()
try:
    make().run()
    code = 0
except SystemExit as stopped:
    code = stopped.code
Path("go").touch()  # a thread of a worker that nothing can interrupt ends when its method returns
for thread in threading.enumerate():
    if thread is not threading.main_thread() and thread.name not in before["threads"]:
        thread.join(30)
print("left", json.dumps({"code": code, "before": before, "after": found()}), flush=True)
"""

WAITS = {
    "distributor": "waits for the collector",
    "journal": "waits for the collector",
    "worker": "waits for the distributor",
    "threads": "waits for the distributor",
    "collector": "waits for the distributor",
    "metadata": "waits for the distributor",
    "service": "listens at .*back",
    "service-worker": "waits for the broker",
}
BUSY = {
    "distributor": "handle",
    "journal": "handle",
    "worker": "handle_execution",
    "threads": "handle_thread_execution",
    "collector": "handle_collection",
}


def start(command: Command, role: str, **environ: str) -> Running:
    """Run a role in a script, without its peers."""
    for name, text in (("app.py", PROGRAM), ("meta.py", META), ("script.py", SCRIPT)):
        command.write(name, text)
    return command.start_python("script.py", role, env=environ)


def check(run: Running, code: int) -> None:
    """Wait until the role has ended, and check that nothing is left of it."""
    (found,) = run.wait_for("^left (.*)")
    left: dict[str, Any] = json.loads(found[1])
    assert left["code"] == code
    assert left["after"] == {**left["before"], "files": []}
    assert run.finish() == 0, run.output
    assert "Traceback" not in run.output


@by_signal
@pytest.mark.parametrize("role", list(WAITS))
def test_waiting_for_peers(command: Command, role: str, number: signal.Signals) -> None:
    run = start(command, role)
    run.wait_for(WAITS[role])
    run.signal(number)
    check(run, 128 + number)


@pytest.mark.parametrize("stage", ["done_in_time", "too_long", "at_once"])
@pytest.mark.parametrize("role", list(BUSY))
def test_busy(command: Command, role: str, stage: str) -> None:
    environ = {"WHERE": BUSY[role], "STOP": "0.2" if stage == "too_long" else "300"}
    run = start(command, role, **environ)
    others = {"distributor", "collector", "threads" if role == "threads" else "worker"} - {role}
    if role == "journal":
        others -= {"distributor"}
    if role in {"worker", "threads"}:
        others -= {"worker", "threads"}
    arguments = {"worker": ("worker", "app.py", "Does"), "threads": ("worker", "app.py", "Threads")}
    peers = [command.start(*arguments.get(name, (name, "app.py")), env=environ) for name in others]
    run.wait_for(f"^inside {BUSY[role]}")
    run.signal(signal.SIGINT)
    run.wait_for("SIGINT, finishing .*; once more .*stops at once")
    if stage == "at_once":
        run.signal(signal.SIGINT)
    if stage == "done_in_time":
        command.write("go", "")
    (found,) = run.wait_for("^left (.*)")
    left: dict[str, Any] = json.loads(found[1])
    assert left["code"] == 130
    for what in ("threads", "descriptors", "handlers"):
        assert left["after"][what] == left["before"][what]
    assert run.finish() == 0, run.output
    for peer in peers:
        peer.signal(signal.SIGTERM)


def test_a_signal_to_a_child_is_none_to_the_role(command: Command) -> None:
    """What the program forks shares handlers and pipes with its parent, until it lets go of them."""
    forks = """
    def init_worker(self):
        import multiprocessing

        fork = multiprocessing.get_context("fork")
        for _ in range(20):
            child = fork.Process(target=time.sleep, args=(20,))
            child.start()
            child.terminate()
            child.join()
            print("child", child.exitcode)
"""
    command.write(
        "app.py", PROGRAM.replace("\n    def init_worker(self):\n", f"{forks}\n    def unused(self):\n", 1)
    )
    run = command.start("worker", "app.py", "Does")
    peers = [command.start(name, "app.py") for name in ("distributor", "collector")]
    run.wait_for("^child -15", times=20)
    peers[1].wait_for("^collected")
    assert "SIGTERM" not in run.output


@by_signal
def test_a_client_in_a_request(command: Command, number: signal.Signals) -> None:
    """It handles no signals: Ctrl-C is the interpreter's KeyboardInterrupt."""
    command.write("app.py", PROGRAM)
    command.write("client.py", CLIENT)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as broker:
        broker.bind(f"ipc://{command.folder}/front.ipc")
        run = command.start_python("client.py")
        assert broker.poll(int(GUARD * 1000)), run.output  # the request is there, and nobody answers
        run.signal(number)
        assert run.finish() == -number, run.output
    (command.folder / "front.ipc").unlink(missing_ok=True)  # the test's own
    assert "ResourceWarning" not in run.output
    command.assert_clean()
