"""What is wrong is said in one sentence, with an exit code of its own and without a traceback."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .apps import SERVICE, TWO_TASKS, line_of, two_tasks

if TYPE_CHECKING:
    from .conftest import Command, Running


def sentence(run: Running) -> str:
    """Return the only line that was written."""
    assert run.out == [], run.output
    assert len(run.err) == 1, run.output
    assert run.err[0].startswith("zmqpipeline: "), run.output
    return run.err[0].removeprefix("zmqpipeline: ")


RUN = ".run() is called while the file is loaded; put it under if __name__ == '__main__':"

WRONG_FILES = {
    "nothing there": (None, "there is no file app.py"),
    "no role": ("x = 1\n", "app.py declares no role: no Task, Worker, Collector or Service was found in it"),
    "syntax": ("x = (\n", "{path}, line 1: '(' was never closed"),
    "two collectors": (
        TWO_TASKS + "\n\nclass Again(Keeps):\n    pass\n",
        "app.py declares 2 Collectors, expected one: Keeps, Again",
    ),
    "two workers": (
        TWO_TASKS + "\n\nclass Again(Does):\n    pass\n",
        "app.py declares 2 Workers for the task type 'first', expected one: Does, Again",
    ),
    "two tasks": (
        TWO_TASKS + "\n\nclass Again(First):\n    pass\n",
        "app.py declares 2 Tasks for the task type 'first', expected one: First, Again",
    ),
    "run": (
        TWO_TASKS + "\n\nKeeps().run()\n",
        "{path}, line {line}: Keeps" + RUN,
    ),
    "run, hidden": (
        TWO_TASKS + "\n\ntry:\n    Keeps().run()\nexcept BaseException:\n    pass\n",
        "{path}, line {line}: Keeps" + RUN,
    ),
    "service.run": (
        SERVICE + "\n\nbroker.run()\n",
        "{path}, line {line}: Service" + RUN,
    ),
    "sys.exit": (
        "import sys\nsys.exit()\n",
        "{path}, line 2: sys.exit() while the file is loaded; put it under if __name__ == '__main__':",
    ),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_wrong_file_ends_a_run_with_3(command: Command, case: str) -> None:
    text, expected = WRONG_FILES[case]
    if text is not None:
        command.write("app.py", text)
    code, run = command.run("run", "app.py")
    assert code == 3, run.output
    line = line_of(text or "", ".run()") if "{line}" in expected else 0
    assert sentence(run) == expected.format(path=command.folder / "app.py", line=line)
    command.assert_clean()


SEVERAL = "there are several, so write --endpoint TYPE=ADDRESS for each"
RESULTS = " the collector takes results: give --collector-endpoint"

ROLE_ERRORS = {
    "nothing there": (["worker", "nowhere.py"], 3, "there is no file nowhere.py"),
    "a folder": (["worker", "."], 3, ". is a folder, expected a Python file, or the dotted path of a module"),
    "not Python": (["worker", "text.txt"], 3, "text.txt is not a Python file: its name does not end in .py"),
    "no module": (
        ["worker", "no.such.module"],
        3,
        "there is no file no.such.module and no module of that name",
    ),
    "a module's name": (
        ["worker", "named/socket.py"],
        3,
        "named/socket.py has the name of the module 'socket', which is loaded already: rename the file",
    ),
    "looks like an option": (
        ["run", "--", "-w"],
        3,
        "there is no file -w, and it is not the path of a module",
    ),
    "empty": (["run", ""], 3, "FILE is empty, expected a Python file, or the dotted path of a module"),
    "none": (["metadata", "app.py"], 3, "app.py declares no MetaDataWorker"),
    "no service": (
        ["service", "app.py"],
        3,
        "app.py declares no Service, an instance that is made when the file is loaded",
    ),
    "several": (
        ["worker", "app.py"],
        3,
        "app.py declares several: Does, DoesMore; say which Worker is to run",
    ),
    "no such name": (
        ["worker", "app.py", "Nobody"],
        3,
        "app.py declares no Worker of the name 'Nobody', only Does, DoesMore",
    ),
    "no address": (
        ["collector", "app.py", "--ack-endpoint", "tcp://x:"],
        2,
        "--ack-endpoint: 'tcp://x:' is not a valid endpoint address: it has no port; write tcp://host:port",
    ),
    "no such type": (
        ["distributor", "app.py", "--endpoint", "third=ipc://x.ipc"],
        2,
        "--endpoint third=...: the file knows no such TYPE",
    ),
    "whose address": (
        ["distributor", "app.py", "--endpoint", "ipc://x.ipc"],
        2,
        "--endpoint does not say whose address ipc://x.ipc is: " + SEVERAL,
    ),
    "no collector": (
        ["distributor", "tasks.py"],
        2,
        "tasks.py declares no Collector, so it does not say where" + RESULTS,
    ),
}


@pytest.mark.parametrize("case", ROLE_ERRORS)
def test_what_is_wrong_with_a_single_role_is_one_sentence(command: Command, case: str) -> None:
    command.write("app.py", two_tasks())
    command.write("tasks.py", "from app import First, Second\n")
    command.write("text.txt", "")
    command.folder.joinpath("named").mkdir()
    command.write("named/socket.py", "")
    arguments, expected_code, expected = ROLE_ERRORS[case]
    code, run = command.run(*arguments)
    assert code == expected_code, run.output
    assert sentence(run) == expected


@pytest.mark.parametrize("arguments", [["run", "app.py"], ["collector", "app.py"]])
def test_an_import_that_fails_shows_the_program_s_own_frames(command: Command, arguments: list[str]) -> None:
    command.write("app.py", "import helper\n")
    command.write("helper.py", "import no_such_module\n")
    code, run = command.run(*arguments)
    assert code == 3, run.output
    where = command.folder / "helper.py"
    assert run.err[0] == "Traceback (most recent call last):"
    assert run.err[-1] == (
        f"zmqpipeline: {where}, line 1: the file cannot be loaded: "
        "ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert "importlib" not in run.output
    assert "zmqpipeline/cli" not in run.output


@pytest.mark.parametrize("arguments", [["run", "app.py"], ["collector", "app.py"]])
def test_a_wrong_declaration_ends_with_4(command: Command, arguments: list[str]) -> None:
    text = TWO_TASKS.replace('endpoint = EndpointAddress("ipc://ack.ipc")', "endpoint = 5")
    command.write("app.py", text)
    code, run = command.run(*arguments)
    assert code == 4, run.output
    assert sentence(run) == (
        f"{command.folder / 'app.py'}, line {line_of(text, 'class Keeps')}: "
        "class Keeps: ack_endpoint is 5 (int), expected an address: zmqpipeline.EndpointAddress('...')"
    )


def test_one_address_for_two_purposes_ends_with_4(command: Command) -> None:
    command.write("app.py", TWO_TASKS.replace("ipc://second.ipc", "ipc://first.ipc"))
    code, run = command.run("run", "app.py")
    assert code == 4, run.output
    assert sentence(run).startswith("the task type 'first' and the task type 'second' have one address")


def test_inproc_between_processes_ends_with_4(command: Command) -> None:
    command.write("app.py", TWO_TASKS.replace("ipc://first.ipc", "inproc://first"))
    code, run = command.run("run", "app.py")
    assert code == 4, run.output
    assert sentence(run).startswith(
        "the task type 'first' is 'inproc://first', which only one process can use"
    )


def test_an_address_in_use_ends_a_run_with_5(command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        command.write("app.py", TWO_TASKS.replace("ipc://collector.ipc", address))
        code, run = command.run("run", "app.py", "-w", "1")
    assert code == 5, run.output
    assert sentence(run) == (
        f"Keeps: cannot bind {address!r}: the address is in use; "
        "end the process that holds it or choose another address"
    )
    command.assert_clean()


def test_a_second_run_in_the_same_folder_ends_with_5_and_harms_nothing(command: Command) -> None:
    command.write("app.py", two_tasks(execution="while not os.path.exists('go'): time.sleep(0.01)"))
    first = command.start("run", "app.py", "-w", "1")
    while len(command.sockets()) < 8:
        assert first.popen.poll() is None, first.output
    code, second = command.run("run", "app.py", "-w", "1")
    assert code == 5, second.output
    assert "has bound it; end that one or choose another address" in second.output
    command.write("go", "")
    assert first.finish() == 0, first.output
    command.assert_clean()


def test_a_missing_folder_for_ipc_ends_with_5(command: Command) -> None:
    command.write("app.py", TWO_TASKS.replace("ipc://", "ipc://missing/"))
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 5, run.output
    assert "its folder does not exist; create it or choose another path" in sentence(run)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every folder")
def test_an_unwritable_folder_for_ipc_ends_with_5(command: Command) -> None:
    folder = command.folder / "locked"
    folder.mkdir(mode=0o500)
    command.write("app.py", TWO_TASKS.replace("ipc://", "ipc://locked/"))
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 5, run.output
    assert "permission is denied; choose a folder that this user may write to" in sentence(run)


def test_a_file_system_that_takes_no_socket_ends_with_5(command: Command) -> None:
    if not Path("/proc/self").exists():
        pytest.skip("there is no folder that nobody may write to")
    command.write("app.py", TWO_TASKS.replace("ipc://", "ipc:///proc/self/"))
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 5, run.output
    assert "cannot bind 'ipc:///proc/self/" in sentence(run)


@pytest.mark.parametrize(
    "arguments",
    [[], ["run"], ["run", "app.py", "-w", "0"], ["nonsense"], ["worker"], ["worker", "app.py", "--no"]],
)
def test_a_wrong_command_line_ends_with_2(command: Command, arguments: list[str]) -> None:
    command.write("app.py", TWO_TASKS)
    code, run = command.run(*arguments)
    assert code == 2, run.output
    assert "sage: zmqpipeline" in run.output
    assert "Traceback" not in run.output


def test_a_peer_that_stays_away_ends_a_role_with_7(command: Command) -> None:
    command.write(
        "app.py",
        two_tasks(execution="print('busy', flush=True)\nos.kill(os.getppid(), 0)")
        + """
import zmqpipeline.role

Does.peer_timeout = 0.2
zmqpipeline.role._LONGEST_POLL = 0.1
""",
    )
    distributor = command.start("distributor", "app.py")
    collector = command.start("collector", "app.py")
    first = command.start("worker", "app.py", "Does")
    first.wait_for("busy")
    distributor.popen.kill()
    assert first.finish() == 7, first.output
    assert "zmqpipeline: Does: the distributor at ipc://first.ipc has been gone for 0.2 s" in first.output
    assert "Traceback" not in first.output
    collector.popen.terminate()
    assert collector.finish() == 143


@pytest.mark.parametrize("subcommand", ["run", "distributor", "doctor"])
def test_an_empty_option_does_not_switch_the_journal_off(command: Command, subcommand: str) -> None:
    """It is what a shell makes of a variable that is not set, and nothing would be written down."""
    command.write("app.py", two_tasks())
    code, run = command.run(subcommand, "app.py", "--journal", "", env={"ZMQPIPELINE_JOURNAL": "j"})
    assert code == 2, run.output
    assert run.out == []
    assert run.err[-1].endswith(": --journal is empty, expected the path of a file")
    command.assert_clean()
