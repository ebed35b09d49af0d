"""`zmqpipeline run`: whole runs, with whatever may happen to their processes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from zmqpipeline import EndpointAddress, ServiceClient, TaskType

from .apps import QUICK, SERVICE, line_of, two_tasks
from .conftest import GUARD

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Command

SUMMARY = re.compile(
    r"^zmqpipeline: (\w+): (\d+) handed out, (\d+) acknowledged, (\d+) failed, (\d+) redelivered "
    r"in [\d.]+ s \(\d+/s\), (\d+) restarts?$"
)


def results(folder: Path) -> Counter[str]:
    return Counter(folder.joinpath("results").read_text().splitlines())


def expected(n: int = 40) -> Counter[str]:
    names = [f"{task} {i}" for task in ("first", "second") for i in range(1, n + 1)]
    return Counter([*names, "finished"])


def test_a_run_collects_every_result_once_and_leaves_nothing_behind(command: Command) -> None:
    command.write("app.py", two_tasks())
    code, run = command.run("run", "app.py", "-w", "2")
    assert code == 0, run.output
    assert results(command.folder) == expected()
    assert command.folder.joinpath("results").read_text().endswith("finished\n")
    summary = SUMMARY.match(run.err[-1])
    assert summary is not None, run.output
    assert summary.groups()[:4] == ("done", "80", "80", "0")
    assert summary[6] == "0"
    command.assert_clean()


def test_a_module_is_found_by_its_path(command: Command) -> None:
    command.folder.joinpath("package").mkdir()
    command.write("package/__init__.py", "")
    command.write("package/jobs.py", two_tasks())
    code, run = command.run("run", "package.jobs", "--workers", "1")
    assert code == 0, run.output
    assert results(command.folder) == expected()


def test_roles_are_found_where_they_are_imported_from(command: Command) -> None:
    command.folder.joinpath("sub").mkdir()
    command.write("sub/roles_elsewhere.py", two_tasks())
    command.write("sub/app.py", "from roles_elsewhere import *\nimport app\n")
    code, run = command.run("run", "sub/app.py", "-w", "1")
    assert code == 0, run.output
    assert results(command.folder) == expected()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 always looks into the working directory")
def test_the_installed_script_finds_nothing_in_the_working_directory(command: Command) -> None:
    command.folder.joinpath("bin").mkdir()
    command.folder.joinpath("program").mkdir()
    command.write("bin/zmqpipeline", "import sys\nfrom zmqpipeline.__main__ import main\nsys.exit(main())\n")
    command.write("random.py", "raise RuntimeError('this is not the module that you look for')\n")
    command.write("program/app.py", two_tasks())
    done = subprocess.run(
        [sys.executable, "bin/zmqpipeline", "run", "program/app.py", "-w", "1"],
        cwd=command.folder,
        env=command.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=GUARD,
    )
    assert done.returncode == 0, done.stderr
    assert results(command.folder) == expected()


def test_processes_of_roles_import_neither_click_nor_rich(command: Command) -> None:
    reports = "print('extra', sorted({'click', 'rich'} & set(sys.modules)))"
    command.write("app.py", two_tasks(init_worker=reports, collection=reports) + f"\n{reports}\n")
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    said = {line.partition(" ")[2] for line in run.out if "extra" in line}
    assert said == {"extra []"}


def test_lines_of_many_processes_are_whole_and_say_whose_they_are(command: Command) -> None:
    prints = "print('o' * 9000, data['n'])\nprint('e' * 9000, data['n'], file=sys.stderr)"
    command.write("app.py", two_tasks(execution=prints))
    code, run = command.run("run", "app.py", "-w", "2", env={"N": "100"})
    assert code == 0, run.output
    pattern = r"^(Does/first|DoesMore/second)\[\d+\] (o{9000}|e{9000}) \d+$"
    assert sum(bool(re.match(pattern, line)) for line in run.out) == 200
    assert sum(bool(re.match(pattern, line)) for line in run.err) == 200
    assert not [line for line in run.out if not re.match(r"^[\w/]+\[\d+\] ", line)]


def test_what_a_program_does_with_progress_it_does_under_the_command_as_well(command: Command) -> None:
    distributor = """
from zmqpipeline import Distributor
made = Distributor(
    Keeps.endpoint, Keeps.ack_endpoint, on_progress=lambda done: print("progress", done.acknowledged)
)
"""
    command.write("app.py", two_tasks() + distributor)
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    assert re.fullmatch(r"made\[\d+\] progress 80", [line for line in run.out if "progress" in line][-1])
    assert SUMMARY.match(run.err[-1])


def test_failed_tasks_end_a_run_with_1(command: Command) -> None:
    raises = "if data['n'] == 3: raise ValueError('three')"
    command.write(
        "app.py", two_tasks(execution=raises).replace("    n = 0", "    n = 0\n    retry_delay = 0.01")
    )
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 1, run.output
    summary = SUMMARY.match(run.err[-1])
    assert summary is not None, run.output
    assert summary[1] == "done"
    assert summary[4] == "2"
    assert results(command.folder) == expected() - Counter(["first 3", "second 3"])


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(command: Command) -> None:
    dies = """
if data["n"] == 5 and not os.path.exists("died"):
    open("died", "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    command.write("app.py", two_tasks(execution=dies))
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    assert results(command.folder) == expected()
    told = re.compile(
        r"zmqpipeline: Does\[\d+\] has ended \(killed by SIGKILL\): another one takes its place"
    )
    assert sum(bool(told.fullmatch(line)) for line in run.err) == 1
    summary = SUMMARY.match(run.err[-1])
    assert summary is not None
    assert summary[6] == "1"
    command.assert_clean()


def test_a_worker_whose_only_thread_passes_the_time_limit_is_replaced(command: Command) -> None:
    """Nothing can interrupt it, so the process ends itself; the task is tried again by the next one."""
    hangs = """
if data["n"] == 5 and not os.path.exists("hung"):
    open("hung", "w").close()
    time.sleep(1000)
"""
    limited = "class First(Task):\n    time_limit = 0.3\n"
    command.write("app.py", two_tasks(execution=hangs).replace("class First(Task):\n", limited))
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    assert results(command.folder) == expected()
    run.wait_for(r"Does\[\d+\] has ended \(exit code 75\): another one takes its place")
    run.wait_for("task 4 of first failed .attempt 1.: TimeoutError: took longer than its time limit of 0.3 s")
    command.assert_clean()


def test_a_collector_that_is_killed_is_replaced_and_nothing_is_lost(command: Command) -> None:
    dies = """
if data["n"] == 5 and not os.path.exists("died"):
    open("died", "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    command.write("app.py", two_tasks(collection=dies) + QUICK)
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    found = results(command.folder)
    assert set(found) == set(expected())
    assert found["finished"] == 1
    command.assert_clean()


def test_a_collector_that_is_killed_before_it_has_finished_is_replaced(command: Command) -> None:
    kills = (
        'if not os.path.exists("died"):\n    Path("died").touch()\n    os.kill(os.getpid(), signal.SIGKILL)'
    )
    finishes = '        with open("results", "a") as results:\n            print("finished"'
    text = two_tasks()
    assert text.count(finishes) == 1
    command.write("app.py", text.replace(finishes, textwrap.indent(kills, " " * 8) + "\n" + finishes))
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    assert results(command.folder) == expected()
    run.wait_for(r"Keeps\[\d+\] has ended \(killed by SIGKILL\): another one takes its place$")
    command.assert_clean()


@pytest.mark.parametrize("last", ["Keeps", "First"])
def test_a_collector_that_crashes_behind_its_goodbye_is_not_missed(command: Command, last: str) -> None:
    # what is registered runs when the process ends; the one that is to be last sleeps before
    crashes = 'atexit.register(os.kill, os.getpid(), signal.SIGKILL); print("finished")'
    lingers = "\n    def initialize(self, metadata):\n        atexit.register(time.sleep, 0.5)\n"
    text = two_tasks().replace("import os\n", "import atexit\nimport os\n")
    if last == "Keeps":
        crashes = f"{crashes}; atexit.register(time.sleep, 1.0)"
    else:
        text = text.replace("    n = 0\n", f"    n = 0\n{lingers}")
    command.write("app.py", text.replace('        print("finished")\n', f"        {crashes}\n"))
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    assert results(command.folder) == expected()
    command.assert_clean()


def test_a_collector_that_every_result_kills_ends_the_run(command: Command) -> None:
    command.write("app.py", two_tasks(collection="os.kill(os.getpid(), signal.SIGKILL)") + QUICK)
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 8, run.output
    assert "Keeps was lost 5 times without collecting anything" in run.output
    command.assert_clean()


@pytest.mark.parametrize("where", ["init_worker", "collection"])
def test_a_process_without_memory_is_replaced(command: Command, where: str) -> None:
    raises = """
if not os.path.exists("raised"):
    Path("raised").touch()
    raise MemoryError
"""
    command.write("app.py", two_tasks(**{where: raises}) + QUICK)
    code, run = command.run("run", "app.py", "-w", "2")
    assert code == 0, run.output
    # the result at which the collector ends is written down, and not acknowledged
    assert set(results(command.folder)) == set(expected())
    run.wait_for(r"has ended \(exit code 12\): another one takes its place$")
    command.assert_clean()


def test_a_role_that_runs_out_of_memory_says_so(command: Command) -> None:
    raises = "raise MemoryError"
    text = two_tasks(collection=raises)
    command.write("app.py", f"{text}\nimport zmqpipeline.role\nzmqpipeline.role.Role.stop_timeout = 0.2\n")
    collector = command.start("collector", "app.py")
    others = [command.start(*words.split()) for words in ("worker app.py Does", "distributor app.py")]
    assert collector.finish() == 12
    assert collector.err[-1] == "zmqpipeline: Keeps ran out of memory"
    assert f", line {line_of(text, raises)}, in handle_collection" in collector.output
    for other in others:
        other.signal(signal.SIGTERM)
    assert [other.finish() for other in others] == [143, 143]


@pytest.mark.parametrize("where", ["at the top", "in init_worker"])
def test_a_worker_that_always_crashes_at_its_start_ends_the_run(command: Command, where: str) -> None:
    crash = "print('no such luck', file=sys.stderr)\nos._exit(7)"
    if where == "in init_worker":
        text = two_tasks(init_worker=crash)
    else:
        text = (
            two_tasks()
            + "\nif sys.argv[1] == 'worker' and 'Does' in sys.argv:\n    "
            + crash.replace("\n", "; ")
        )
    command.write("app.py", text)
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 8, run.output
    assert "zmqpipeline: Does ended 3 times before it was ready (exit code 7)" in run.err
    assert "    no such luck" in run.err  # its last lines
    assert not command.folder.joinpath("results").exists()
    command.assert_clean()


def test_a_distributor_that_is_killed_ends_the_run(command: Command) -> None:
    kills = "if self.n == 5: os.kill(os.getpid(), signal.SIGKILL)"
    command.write(
        "app.py", two_tasks().replace("        self.n += 1\n", f"        self.n += 1\n        {kills}\n")
    )
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 8, run.output
    assert "zmqpipeline: Distributor was lost (killed by SIGKILL)" in run.output
    command.assert_clean()


def test_an_exception_of_the_program_ends_the_run_with_its_own_frames_only(command: Command) -> None:
    command.write("app.py", two_tasks(collection="int('x')"))
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 6, run.output
    assert any(
        re.search(r"^zmqpipeline: Keeps.handle_collection\(\) raised ValueError", line) for line in run.err
    )
    assert "Traceback" in run.output
    assert "zmqpipeline/" not in run.output.replace(str(command.folder), "")
    assert "finished" not in results(command.folder)
    command.assert_clean()


def test_what_handle_returns_must_be_a_dictionary(command: Command) -> None:
    command.write("app.py", two_tasks().replace('return {"n": self.n}', "return [self.n]"))
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 6, run.output
    assert "First.handle returned list, expected a dictionary or None" in run.output
    assert "Traceback" not in run.output
    command.assert_clean()


def test_what_a_killed_worker_has_started_does_not_stay_behind(command: Command) -> None:
    starts = """
if not os.path.exists("died"):
    open("died", "w").close()
    __import__("subprocess").Popen(["sleep", "1000"])
    os.kill(os.getpid(), signal.SIGKILL)
"""
    command.write("app.py", two_tasks(execution=starts))
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    command.assert_clean()


def test_a_file_with_workers_alone_takes_part_in_a_run_elsewhere(command: Command) -> None:
    text = two_tasks()
    command.write("app.py", text)
    command.write("workers.py", "from app import Does, DoesMore\n")
    command.write("rest.py", "from app import First, Second, Keeps\n")
    rest = command.start("run", "rest.py")
    rest.wait_for("no Worker for the task type 'first' in the file")
    code, workers = command.run("run", "workers.py", "-w", "1")
    assert code == 0, workers.output
    assert rest.finish() == 0, rest.output
    assert results(command.folder) == expected()
    command.assert_clean()


def test_a_file_of_services_runs_until_it_is_stopped(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.write("app.py", SERVICE)
    run = command.start("run", "app.py", "-w", "2")
    monkeypatch.chdir(command.folder)
    client = ServiceClient(EndpointAddress("ipc://front.ipc"), TaskType.register_type("adds"))
    try:
        assert client.request({"numbers": [1, 2, 3]}, timeout=30) == {"sum": 6}
    finally:
        client.close()
    assert run.popen.poll() is None
    run.signal(signal.SIGINT)
    assert run.finish() == 130, run.output
    command.assert_clean()


def test_services_along_with_tasks_end_when_the_work_is_done(command: Command) -> None:
    command.write("app.py", two_tasks() + SERVICE)
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    assert results(command.folder) == expected()
    command.assert_clean()
