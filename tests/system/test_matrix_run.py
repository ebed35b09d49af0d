"""The same for ``zmqpipeline run``: by signal and phase, with whatever its processes are busy with."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from .matrix import META, PROGRAM, RUN, RUN_THREADS, SIGNALS

if TYPE_CHECKING:
    from .conftest import Command, Running

pytestmark = pytest.mark.matrix

by_signal = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)

#: every method in which one of the processes can be busy
PLACES = [
    "initialize",
    "handle",
    "init_worker",
    "handle_execution",
    "init_thread",
    "handle_thread_execution",
    "handle_collection",
    "handle_finished",
    "get_metadata",
]
#: one of each process; how each method ends is looked at in test_matrix.py
FEW = ["handle", "handle_execution", "handle_thread_execution", "handle_collection", "get_metadata"]
#: where it is found out that a role keeps the time itself
KEEP_TIME = {"handle", "handle_execution", "init_worker"}


def start(command: Command, where: str = "", how: str = "", **environ: str) -> Running:
    """Start a run, and wait until it is busy there."""
    command.write("app.py", PROGRAM)
    command.write("run.py", META if where == "get_metadata" else RUN_THREADS if "thread" in where else RUN)
    if where == "handle_finished":
        environ["COMPLETE"] = "1"
    run = command.start("run", "run.py", "-w1", env={"WHERE": where, "HOW": how, **environ})
    if where:
        run.wait_for(rf"\] inside {where}$")
    return run


def first(run: Running, number: signal.Signals) -> None:
    run.signal(number)
    run.wait_for(f"zmqpipeline: {number.name}: finishing what is under way; once more stops at once")


def ended(command: Command, run: Running, code: int) -> None:
    """Wait for the end: with this exit code, a summary, and nothing left."""
    assert run.finish() == code, run.output
    assert run.err[-1].startswith("zmqpipeline: stopped: "), run.output
    assert "Traceback" not in run.output
    command.assert_clean()


@by_signal
def test_waiting_for_peers(command: Command, number: signal.Signals) -> None:
    command.write("app.py", PROGRAM)
    command.write("alone.py", "from app import First, Does\n")
    run = command.start(
        "run", "alone.py", "-w1", "--collector-endpoint=ipc://c.ipc", "--ack-endpoint=ipc://a.ipc"
    )
    run.wait_for("INFO waits for the collector")
    first(run, number)
    ended(command, run, 128 + number)


@by_signal
def test_idle(command: Command, number: signal.Signals) -> None:
    run = start(command, N="0")
    run.wait_for("prepared$")
    first(run, number)
    ended(command, run, 128 + number)


@pytest.mark.parametrize("where", FEW)
def test_busy_and_done_in_time(command: Command, where: str) -> None:
    run = start(command, where)
    first(run, signal.SIGTERM)
    command.write("go", "")
    ended(command, run, 143)


@pytest.mark.parametrize("where", PLACES)
def test_busy_for_too_long(command: Command, where: str) -> None:
    run = start(command, where, STOP="0.3")
    first(run, signal.SIGINT)
    ended(command, run, 130)
    if where in KEEP_TIME:
        # the supervisor's patience is longer; if that were needed, each run would take it in addition
        run.wait_for(
            r"^(Distributor|(Does|Threads)/\w+)\[\d+\] [\d:]+ WARNING 0.3 s have passed, stopping now"
        )
        assert "SIGTERM" not in run.output
    for line in run.err:
        if re.match(r"[\w/]+\[\d+\] [\d:]+ (WARNING|INFO) ", line):
            assert line.count(re.split(r"[/[]", line)[0]) == 1, "a role is named once in a line"


@pytest.mark.parametrize("where", ["handle", "handle_execution", "handle_collection", "get_metadata"])
def test_busy_and_deaf_for_too_long(command: Command, where: str) -> None:
    run = start(command, where, "deaf", STOP="0.3")
    first(run, signal.SIGINT)
    ended(command, run, 130)


@pytest.mark.parametrize(("where", "how"), [*((where, "") for where in FEW), ("handle_execution", "deaf")])
def test_busy_and_stopped_at_once(command: Command, where: str, how: str) -> None:
    run = start(command, where, how)
    first(run, signal.SIGTERM)
    run.signal(signal.SIGINT)
    run.wait_for("zmqpipeline: SIGINT: stopping at once; once more kills")
    ended(command, run, 143)


@pytest.mark.parametrize("where", ["handle", "handle_execution", "handle_collection"])
def test_busy_and_killed(command: Command, where: str) -> None:
    run = start(command, where, "deaf", DEAF="300")
    first(run, signal.SIGTERM)
    for what in ("stopping at once", "killing"):
        run.signal(signal.SIGTERM)
        run.wait_for(f"zmqpipeline: SIGTERM: {what}")
    ended(command, run, 143)


@by_signal
def test_processes_dead(command: Command, number: signal.Signals) -> None:
    """All but the distributor are killed, and the signal comes before others have taken their places."""
    run = start(command, "handle_execution", STOP="0.5")
    distributor = int(command.folder.joinpath("first.ipc.lock").read_text())
    for pid in set(command.survivors()) - {run.popen.pid, distributor}:
        os.kill(pid, signal.SIGKILL)
    first(run, number)
    ended(command, run, 128 + number)
