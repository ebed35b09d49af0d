"""``zmqpipeline run --reload``: with each change the run is finished and begins again, with the new code."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from zmqpipeline.cli.exits import CommandError
from zmqpipeline.cli.reload import Watcher, folder_of

from .apps import BUSY, SERVICE, two_tasks

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Command, Running

needs_watchfiles = pytest.mark.skipif(
    importlib.util.find_spec("watchfiles") is None, reason="--reload needs watchfiles"
)
WAITS = "zmqpipeline: waiting for a change in "
BEGINS = "finishing what is under way, to begin again$"


def program(version: int, **replaced: str) -> str:
    """Make a program that says its version at the end of its run."""
    return two_tasks(**replaced).replace('print("finished")', f'print("finished {version}")')


def change(command: Command, text: str, name: str = "app.py") -> None:
    """Write a file as an editor does: it is there as a whole, or not yet.

    All have one time of modification, as if the machine were quick: bytecode cannot tell them apart by that.
    """
    command.write(f"{name}.new", text)
    os.utime(command.folder / f"{name}.new", (1e9, 1e9))
    command.folder.joinpath(f"{name}.new").replace(command.folder / name)


def several_files(version: int, **replaced: str) -> dict[str, str]:
    """Divide the program into files: one for the tasks, one for the workers, one for the collector."""
    before, does, rest = program(version, **replaced).partition("class Does(")
    workers, keeps, collector = rest.partition("class Keeps(")
    head, first, tasks = before.partition("class First(")
    return {
        "tasks.py": head + first + tasks,
        "workers.py": head + does + workers,
        "keeps.py": head + keeps + collector,
        "app.py": "from keeps import Keeps\nfrom tasks import *\nfrom workers import Does, DoesMore\n",
    }


def start_busy(command: Command, *options: str, **replaced: str) -> Running:
    """Start a program in several files, and wait until its worker is busy until there is a file named go."""
    for name, text in several_files(1, execution=BUSY, **replaced).items():
        command.write(name, text + "print('has loaded')\n" * (name == "app.py"))
    run = command.start("run", "app.py", "-w", "1", "--reload", *options)
    run.wait_for("has loaded$", times=4)  # else one of them may find what is changed next
    run.wait_for("busy 1$")
    return run


def finish_once(command: Command, run: Running) -> None:
    """See the run that is under way through to its end: it is the only one, and nothing is missing."""
    run.wait_for(WAITS)
    end(command, run)
    (summary,) = (line for line in run.err if " redelivered in " in line)
    assert summary.startswith(
        "zmqpipeline: done: 80 handed out, 80 acknowledged, 0 failed, 0 redelivered in "
    )
    assert summary.endswith(", 0 restarts")
    expected = [f"{task} {i}" for task in ("first", "second") for i in range(1, 41)]
    assert results(command) == Counter([*expected, "finished"])


def end(command: Command, run: Running, number: signal.Signals = signal.SIGINT) -> None:
    run.signal(number)
    assert run.finish() == 128 + number, run.output
    assert "Traceback" not in run.output
    command.assert_clean()


def results(command: Command) -> Counter[str]:
    return Counter(command.folder.joinpath("results").read_text().splitlines())


@needs_watchfiles
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_has_ended_begins_again_with_the_new_code(
    command: Command, number: signal.Signals
) -> None:
    change(command, program(1))
    run = command.start("run", "app.py", "-w", "1", "--reload", env={"PYTHONDONTWRITEBYTECODE": ""})
    run.wait_for(WAITS)
    assert run.wait_for("finished 1$")
    change(command, program(2))
    run.wait_for("finished 2$")
    run.wait_for(WAITS, times=2)
    end(command, run, number)
    assert run.err[-1] == f"zmqpipeline: stopped by {number.name} while it waited for a change"
    assert results(command)["finished"] == 2


@needs_watchfiles
def test_a_run_is_drained_before_it_begins_again(command: Command) -> None:
    command.write("app.py", program(1, execution=BUSY))
    run = command.start("run", "app.py", "-w", "2", "--reload")
    run.wait_for(r"busy \d+$", times=2)
    change(command, program(2))
    run.wait_for(f"^zmqpipeline: app.py has changed: all roles are {BEGINS}")
    command.write("go", "")
    run.wait_for(r"zmqpipeline: stopped: \d+ handed out, ")
    drained = results(command)
    assert drained.total() >= 2  # what the workers were busy with was collected
    assert "finished" not in drained
    run.wait_for("finished 2$")
    run.wait_for(WAITS)
    end(command, run)
    assert results(command)["finished"] == 1


@needs_watchfiles
def test_a_change_while_it_drains_is_not_lost(command: Command) -> None:
    command.write("app.py", program(1, execution=BUSY))
    run = command.start("run", "app.py", "-w", "1", "--reload")
    run.wait_for("busy 1$")
    change(command, program(2, execution=BUSY))
    run.wait_for(BEGINS)
    change(command, program(3))
    command.write("go", "")
    run.wait_for("finished 3$")
    run.wait_for(WAITS)
    end(command, run)


@needs_watchfiles
def test_a_file_with_an_error_is_told_and_waited_for(command: Command) -> None:
    command.write("app.py", "x = (\n")
    run = command.start("run", "app.py", "-w", "1", "--reload")
    run.wait_for(WAITS)
    assert run.err[0] == f"zmqpipeline: {command.folder / 'app.py'}, line 1: '(' was never closed"
    change(command, "int('x')\n")
    run.wait_for("line 1: the file cannot be loaded: ValueError: invalid literal for int")
    run.wait_for(WAITS, times=2)
    command.folder.joinpath("app.py").unlink()
    run.wait_for("zmqpipeline: there is no file app.py$")
    run.wait_for(WAITS, times=3)
    change(command, program(1, collection="raise ValueError('no')"))
    run.wait_for(r"Keeps.handle_collection\(\) raised ValueError: no$")
    run.wait_for(WAITS, times=4)
    change(command, program(2))
    run.wait_for("finished 2$")
    run.wait_for(WAITS, times=5)
    run.signal(signal.SIGINT)
    assert run.finish() == 130, run.output
    command.assert_clean()


@needs_watchfiles
def test_a_file_that_never_loads_is_given_up_when_it_changes(command: Command) -> None:
    command.write("app.py", "import time\nprint('loads', file=__import__('sys').stderr)\ntime.sleep(1000)\n")
    run = command.start("run", "app.py", "-w", "1", "--reload")
    run.wait_for("loads")
    change(command, program(2))
    run.wait_for("finished 2$")
    run.wait_for(WAITS)
    end(command, run)


@needs_watchfiles
def test_only_the_workers_begin_again_if_only_their_file_has_changed(command: Command) -> None:
    run = start_busy(command)
    change(command, several_files(2, execution="print('new', data['n'])")["workers.py"], "workers.py")
    run.wait_for(f"^zmqpipeline: workers.py has changed: Does, DoesMore are {BEGINS}")
    command.write("go", "")
    run.wait_for(r"^DoesMore/second\[\d+\] new 40$")  # those that had nothing to do yet are others as well
    finish_once(command, run)
    # what the worker was busy with was done by its old code, what it had not begun by the new one
    assert len([line for line in run.out if " busy " in line]) == 1
    assert len([line for line in run.out if " new " in line]) == 79


@needs_watchfiles
def test_a_task_that_a_worker_does_not_finish_in_time_is_done_by_the_new_code(command: Command) -> None:
    for name, text in several_files(1, execution=BUSY).items():
        impatient = "    stop_timeout = 0.2\n\n    def init_worker"
        command.write(name, text.replace("    def init_worker", impatient))
    run = command.start("run", "app.py", "-w", "1", "--reload")
    run.wait_for("busy 1$")
    change(command, several_files(2)["workers.py"], "workers.py")
    run.wait_for(f"workers.py has changed: Does, DoesMore are {BEGINS}")
    run.wait_for("finished 1$")
    run.wait_for(WAITS)
    end(command, run)
    assert [line for line in run.err if "done: 80 handed out, 80 acknowledged, 0 failed, 1 redeliv" in line]
    expected = [f"{task} {i}" for task in ("first", "second") for i in range(1, 41)]
    assert results(command) == Counter([*expected, "finished"])


@needs_watchfiles
def test_a_collector_and_tasks_do_not_begin_again_alone(command: Command) -> None:
    run = start_busy(command)
    change(command, several_files(2)["keeps.py"], "keeps.py")
    run.wait_for(f"^zmqpipeline: keeps.py has changed: all roles are {BEGINS}")
    command.write("go", "")
    run.wait_for("finished 2$")
    run.wait_for(WAITS)
    end(command, run)


@needs_watchfiles
def test_a_run_goes_on_while_its_changed_file_cannot_be_loaded(command: Command) -> None:
    run = start_busy(command, collection="print('kept', data['n'])")
    change(command, "x = (\n", "workers.py")
    run.wait_for("^zmqpipeline: .*workers.py, line 1: '\\(' was never closed$")
    run.wait_for("^zmqpipeline: what runs goes on as it was, until the program can be loaded again$")
    change(command, several_files(2, execution="print('new', data['n'])")["workers.py"], "workers.py")
    run.wait_for(f"workers.py has changed: Does, DoesMore are {BEGINS}")
    change(command, "x = [\n", "tasks.py")
    run.wait_for("tasks.py, line 1: '\\[' was never closed$")
    run.wait_for("^zmqpipeline: .*goes on as it was, until", times=2)
    command.write("go", "")
    run.wait_for("kept 1$")
    assert "new" not in "\n".join(run.out)  # nothing is started as long as it could not begin
    change(command, several_files(1)["tasks.py"], "tasks.py")
    run.wait_for(f"tasks.py has changed: all roles are {BEGINS}")
    run.wait_for("finished 1$")
    run.wait_for(WAITS)
    end(command, run)


@needs_watchfiles
def test_a_run_ends_though_its_changed_file_is_still_being_loaded(command: Command) -> None:
    run = start_busy(command)
    text = "import sys, time\nprint('loads', file=sys.stderr)\ntime.sleep(1000)\n"
    change(command, text, "workers.py")
    run.wait_for("loads$")
    command.write("go", "")
    run.wait_for("zmqpipeline: done: 80 handed out, ")
    run.wait_for("loads$", times=2)  # it has changed, so it begins again at once
    change(command, several_files(1)["workers.py"], "workers.py")
    run.wait_for("finished 1$", times=2)
    run.wait_for(WAITS)
    end(command, run)


@needs_watchfiles
def test_service_workers_begin_again_alone(command: Command) -> None:
    before, adds, worker = SERVICE.partition("class Adds(")
    command.write("app.py", before + "from workers import Adds\n")
    head = before.replace("broker = ", "# ")
    command.write("workers.py", head + "print('one')\n" + adds + worker)
    run = command.start("run", "app.py", "-w", "1", "--reload")
    run.wait_for(r"^broker\[\d+\] one$")
    run.wait_for(r"^Adds\[\d+\] one$")
    change(command, head + "print('two')\n" + adds + worker, "workers.py")
    run.wait_for(f"^zmqpipeline: workers.py has changed: Adds is {BEGINS}")
    run.wait_for(r"^Adds\[\d+\] two$")
    run.signal(signal.SIGTERM)
    assert run.finish() == 143, run.output
    assert not [line for line in run.out if line.startswith("broker") and line.endswith("two")]
    command.assert_clean()


@needs_watchfiles
def test_a_worker_that_goes_by_another_name_lets_all_begin_again(command: Command) -> None:
    run = start_busy(command)
    text = several_files(2)["workers.py"].replace("DoesMore", "DoesLess")
    command.write("app.py", "from keeps import *\nfrom tasks import *\nfrom workers import *\n")
    change(command, text, "workers.py")
    run.wait_for(f"all roles are {BEGINS}")
    command.write("go", "")
    run.wait_for("finished 1$")
    run.wait_for(WAITS)
    end(command, run)


@needs_watchfiles
def test_imported_modules_count_and_other_files_do_not(command: Command) -> None:
    command.folder.joinpath("parts").mkdir()
    command.folder.joinpath(".hidden").mkdir()
    command.write("parts/__init__.py", "")
    command.write("parts/words.py", "WORD = 'one'\n")
    command.write("app.py", "from parts.words import WORD\n" + two_tasks(collection="print('word', WORD)"))
    run = command.start("run", "app.py", "-w", "1", "--reload", env={"N": "1"})
    run.wait_for("word one$", times=2)
    run.wait_for(WAITS)
    for name in ("notes.txt", ".hidden/x.py", "parts/words.pyc"):
        command.write(name, "x")
    change(command, "WORD = 'two'\n", "parts/words.py")
    run.wait_for("word two$", times=2)
    run.wait_for(WAITS, times=2)
    assert not [line for line in run.err if "begin again" in line]
    end(command, run)


@needs_watchfiles
def test_with_a_journal_the_run_goes_on_where_it_was(command: Command) -> None:
    command.write("app.py", program(1, execution=BUSY))
    run = command.start("run", "app.py", "-w", "1", "--reload", "--journal", "j")
    run.wait_for("busy 1$")
    change(command, program(2))
    run.wait_for(BEGINS)
    command.write("go", "")
    run.wait_for("finished 2$")
    run.wait_for(WAITS)
    end(command, run)
    expected = [f"{task} {i}" for task in ("first", "second") for i in range(1, 41)]
    assert results(command) == Counter([*expected, "finished"])


@needs_watchfiles
def test_ctrl_c_stops_a_run_in_stages_and_the_command_with_it(command: Command) -> None:
    command.write("app.py", program(1, execution=BUSY))
    run = command.start("run", "app.py", "-w", "1", "--reload")
    run.wait_for("busy 1$")
    run.signal(signal.SIGINT)
    run.wait_for("SIGINT: finishing what is under way; once more stops at once")
    command.write("go", "")
    assert run.finish() == 130, run.output
    assert WAITS not in run.output
    command.assert_clean()


@needs_watchfiles
def test_ctrl_c_while_it_drains_for_a_change_ends_the_command(command: Command) -> None:
    command.write("app.py", program(1, execution=BUSY))
    run = command.start("run", "app.py", "-w", "1", "--reload")
    run.wait_for("busy 1$")
    change(command, program(2))
    run.wait_for(BEGINS)
    run.signal(signal.SIGINT)
    run.wait_for("SIGINT: finishing what is under way")
    run.signal(signal.SIGINT)
    run.wait_for("SIGINT: stopping at once")
    assert run.finish() == 130, run.output
    assert "finished" not in run.output.replace("finishing", "")
    command.assert_clean()


@needs_watchfiles
def test_a_module_is_watched_from_the_working_directory(command: Command) -> None:
    command.folder.joinpath("package").mkdir()
    command.write("package/__init__.py", "")
    command.write("package/jobs.py", program(1))
    run = command.start("run", "package.jobs", "-w", "1", "--reload")
    run.wait_for("finished 1$")
    change(command, program(2), "package/jobs.py")
    run.wait_for("finished 2$")
    run.wait_for(WAITS)
    run.signal(signal.SIGINT)
    assert run.finish() == 130, run.output


def test_without_watchfiles_one_sentence_says_what_to_install(command: Command) -> None:
    command.write("app.py", two_tasks())
    command.write("watchfiles.py", "raise ModuleNotFoundError(name='watchfiles')\n")
    environ = {"PYTHONPATH": os.pathsep.join([str(command.folder), command.environ["PYTHONPATH"]])}
    code, run = command.run("run", "app.py", "--reload", env=environ)
    assert (code, run.out) == (9, []), run.output
    assert run.err == ['zmqpipeline: --reload needs watchfiles: pip install "zmqpipeline[reload]"']


def test_a_folder_that_is_not_there(command: Command) -> None:
    code, run = command.run("run", "nowhere/app.py", "--reload")
    assert (code, run.err) == (3, ["zmqpipeline: there is no file nowhere/app.py"])


@needs_watchfiles
def test_a_folder_that_cannot_be_watched(folder: Path) -> None:
    with pytest.raises(CommandError, match=r"cannot be watched .*: run it without --reload, or move"):
        Watcher(folder / "nowhere").__enter__()


@needs_watchfiles
def test_what_a_watcher_sees(folder: Path) -> None:
    for name in ("sub", ".git", "venv"):
        folder.joinpath(name).mkdir()
    with Watcher(folder) as watcher:
        assert watcher.has_changed() is False
        folder.joinpath("sub/new.py").touch()
        watcher.wait()
        assert watcher.has_changed() is True
        assert watcher.take() == ["sub/new.py"]
        assert watcher.has_changed() is False
    seen = {
        name: watcher.is_of_program(None, str(folder / name))
        for name in ("a.py", "sub/a.py", "a.txt", ".a.py", ".git/a.py", "venv/a.py", "sub/__pycache__/a.py")
    }
    assert [name for name, counts in seen.items() if counts] == ["a.py", "sub/a.py"]


def test_which_folder_is_watched(folder: Path) -> None:
    folder.joinpath("sub").mkdir()
    assert folder_of("sub/app.py") == folder.resolve() / "sub"
    assert folder_of("app.py") == folder_of("package.jobs") == folder.resolve()
