"""How a run is stopped, in stages, and what stays behind: nothing."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from .apps import BUSY, SLEEPS, two_tasks

if TYPE_CHECKING:
    from .conftest import Command, Running

#: user code that does not let itself be interrupted
DEAF = """
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
print("deaf")
while True:
    time.sleep(0.01)
"""


def busy(command: Command, more: str = "") -> Running:
    """Start a run whose workers are all inside handle_execution()."""
    command.write("app.py", two_tasks(execution=BUSY) + more)
    run = command.start("run", "app.py", "-w", "2")
    run.wait_for(r"busy \d+$", times=2)
    return run


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_finishes_what_is_under_way(
    command: Command, number: signal.Signals, code: int
) -> None:
    run = busy(command)
    run.signal(number)
    run.wait_for(f"{number.name}: finishing what is under way; once more stops at once")
    command.write("go", "")
    assert run.finish() == code, run.output
    found = command.folder.joinpath("results").read_text().splitlines()
    assert len(found) >= 2  # the tasks that the workers were busy with
    assert "finished" not in found
    assert "zmqpipeline: stopped:" in run.err[-1]
    command.assert_clean()


def test_the_second_signal_stops_at_once(command: Command) -> None:
    run = busy(command)
    run.signal(signal.SIGINT)
    run.wait_for("SIGINT: finishing")
    run.signal(signal.SIGINT)
    run.wait_for("SIGINT: stopping at once; once more kills")
    assert run.finish() == 130, run.output
    assert not command.folder.joinpath("results").exists()
    command.assert_clean()


def test_the_third_signal_kills_even_what_hears_no_signal(command: Command) -> None:
    command.write("app.py", two_tasks(execution=DEAF))
    run = command.start("run", "app.py", "-w", "1")
    run.wait_for("deaf")
    for stage in ("finishing", "stopping at once", "killing"):
        run.signal(signal.SIGTERM)
        run.wait_for(f"SIGTERM: {stage}")
    assert run.finish() == 143, run.output
    command.assert_clean()


def test_a_signal_while_the_file_is_loaded_ends_the_command(command: Command) -> None:
    command.write("app.py", "import sys, time\nprint('loading', file=sys.stderr, flush=True)\n" + SLEEPS)
    run = command.start("run", "app.py")
    run.wait_for("loading")
    run.signal(signal.SIGINT)
    assert run.finish() == 130, run.output
    assert run.err == ["loading", "zmqpipeline: stopped by SIGINT before it had begun"]
    command.assert_clean()


@pytest.mark.parametrize("arguments", [("run",), ("worker",)], ids=["run", "worker"])
@pytest.mark.parametrize("module", ["logging", "msgpack", "zmq"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_modules_are_imported_ends_the_command_without_a_traceback(
    command: Command, arguments: tuple[str], module: str, number: signal.Signals, code: int
) -> None:
    waits = "import sys, time\nprint('importing', file=sys.stderr, flush=True)\n" + SLEEPS
    command.write(f"{module}.py", waits)
    environ = {"PYTHONPATH": os.pathsep.join([str(command.folder), command.environ["PYTHONPATH"]])}
    run = command.start(*arguments, "app.py", env=environ)
    run.wait_for("^importing")
    run.signal(number)
    assert run.finish() == code, run.output
    # the package imports hardly anything before the command is there, which can say something
    said = [] if module == "logging" else [f"zmqpipeline: stopped by {number.name} before it had begun"]
    assert run.err == ["importing", *said]


@pytest.mark.parametrize("module", ["msgpack", "zmq"])
def test_a_process_of_a_run_that_is_stopped_while_it_imports_says_nothing(
    command: Command, module: str
) -> None:
    """The supervisor does, which may have to stop the others at any moment."""
    waits = "import sys, time\nprint('importing', file=sys.stderr, flush=True)\n" + SLEEPS
    command.write(f"{module}.py", waits)
    environ = {"PYTHONPATH": os.pathsep.join([str(command.folder), command.environ["PYTHONPATH"]])}
    run = command.start("distributor", "--stop-fd=0", "--status-fd=1", "--", "app.py", env=environ)
    run.wait_for("^importing")
    run.signal(signal.SIGTERM)
    assert run.finish() == 143, run.output
    assert run.err == ["importing"]


def test_a_signal_while_the_extra_is_imported_is_told(command: Command) -> None:
    waits = "import sys, time\nprint('importing', file=sys.stderr, flush=True)\n" + SLEEPS
    command.write("click.py", waits)
    environ = {"PYTHONPATH": os.pathsep.join([str(command.folder), command.environ["PYTHONPATH"]])}
    run = command.start("run", "app.py", env=environ)
    run.wait_for("^importing")
    run.signal(signal.SIGINT)
    assert run.finish() == 130, run.output
    assert run.err == ["importing", "zmqpipeline: stopped by SIGINT before it had begun"]


def test_a_signal_while_the_roles_load_the_file_ends_the_run(command: Command) -> None:
    waits = "if sys.argv[1] == 'worker':\n    print('loading')\n    sys.stdout.flush()\n    " + SLEEPS
    command.write("app.py", two_tasks() + waits)
    run = command.start("run", "app.py", "-w", "1")
    run.wait_for("loading", times=2)
    run.signal(signal.SIGTERM)
    assert run.finish() == 143, run.output
    assert run.err[-1].startswith("zmqpipeline: stopped: 0 handed out, ")
    command.assert_clean()


def test_no_process_outlives_a_supervisor_that_is_killed(command: Command) -> None:
    run = busy(command)
    command.write("go", "")  # let them finish what is under way
    run.popen.kill()
    run.popen.wait()
    command.wait_until_gone()
    assert command.sockets() == []


def test_no_process_that_hears_no_signal_outlives_a_supervisor_that_is_killed(command: Command) -> None:
    impatient = (
        two_tasks(execution=DEAF)
        .replace("class Does(", "class Does(")
        .replace("    def init_worker", "    stop_timeout = 0.1\n\n    def init_worker")
    )
    command.write("app.py", impatient)
    run = command.start("run", "app.py", "-w", "1")
    run.wait_for("deaf")
    run.popen.kill()
    run.popen.wait()
    command.wait_until_gone()


def test_socket_files_of_killed_processes_are_removed(command: Command) -> None:
    """The collector and the distributor are killed with -9 in one moment, so that neither can tidy up."""
    run = busy(command, "Does.stop_timeout = DoesMore.stop_timeout = 0.1\n")
    assert "collector.ipc" in command.sockets()
    holders = {
        int(command.folder.joinpath(f"{name}.ipc.lock").read_text()) for name in ("collector", "first")
    }
    assert len(holders) == 2
    for pid in holders:
        os.kill(pid, signal.SIGKILL)
    assert run.finish() == 8, run.output
    command.assert_clean()


def test_what_was_there_before_a_run_is_left_alone(command: Command) -> None:
    command.write("first.ipc.txt", "mine")
    command.write("app.py", two_tasks())
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    assert command.sockets() == ["first.ipc.txt"]


@pytest.mark.parametrize("made", ["stopping.Stopper", "guard.Guard"])
def test_a_signal_while_a_role_is_being_made_leaves_nothing_half_made(command: Command, made: str) -> None:
    module = made.partition(".")[0]
    before = f"""
import os, signal
from zmqpipeline import {module}
make = {made}.__init__
def make_and_signal(self, *arguments):
    make(self, *arguments)
    os.kill(os.getpid(), signal.SIGTERM)
{made}.__init__ = make_and_signal
"""
    command.write("app.py", two_tasks())
    code, run = command.run("collector", "app.py", before=before)
    assert code == 143, run.output
    assert "Traceback" not in run.output
    assert "ResourceWarning" not in run.output
    command.assert_clean()
