"""A distributor that is killed, and goes on where it was: real processes."""

from __future__ import annotations

import re
import shlex
import signal
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.pages import DOCS, blocks

from . import test_tutorial
from .apps import QUICK, two_tasks
from .test_cli_run import SUMMARY, expected, results

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Command, Running

JOURNAL = "run.journal"
#: what the distributor says when it goes on
RESUMED = r"resuming the run of the journal \S+: (\d+) tasks are acknowledged, (\d+) are handed out again$"
#: workers that wait for somebody at the tenth, twentieth and thirtieth task
WAITING = """
if data["n"] in (10, 20, 30):
    print("busy", data["n"])
    while not os.path.exists(f"go.{data['n']}"):
        time.sleep(0.01)
"""


def dying(when: str) -> str:
    """Make a program whose distributor does something to itself when it makes a task."""
    made = "        self.n += 1\n"
    return two_tasks().replace(made, made + "".join(f"        {line}\n" for line in when.strip().split("\n")))


def summary(run: Running) -> tuple[str | int, ...]:
    """Read what the last line says: how it ended, and what was counted."""
    found = SUMMARY.match(run.err[-1])
    assert found is not None, run.output
    return found[1], *(int(number) for number in found.groups()[1:])


def is_finished(folder: Path) -> bool:
    """Look into the journal."""
    with closing(sqlite3.connect(folder / JOURNAL)) as file:
        return bool(file.execute("SELECT finished FROM run").fetchone()[0])


# -- killed ---------------------------------------------------------------------


def test_a_distributor_that_is_killed_again_and_again_goes_on_where_it_was(command: Command) -> None:
    dies = """
if self.n in (1, 7, 8, 40) and not os.path.exists(f"died.{self.task_type}.{self.n}"):
    open(f"died.{self.task_type}.{self.n}", "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    command.write("app.py", dying(dies))
    code, run = command.run("run", "app.py", "-w", "1", "--journal", JOURNAL)
    assert code == 0, run.output
    assert results(command.folder) == expected()
    assert len(list(command.folder.glob("died.*"))) == 8
    word, handed_out, acknowledged, failed, _, restarts = summary(run)
    assert (word, handed_out, acknowledged, failed, restarts) == ("done", 80, 80, 0, 8)
    told = "Distributor[] has ended (killed by SIGKILL): another one takes its place"
    assert sum(re.sub(r"\d", "", line).endswith(told) for line in run.err) == 8
    assert len(run.wait_for(RESUMED)) == 8
    assert is_finished(command.folder)
    command.assert_clean()


def test_it_does_not_matter_at_which_instant(command: Command) -> None:
    dies = """
if not os.path.exists("died.3") and not hasattr(type(self), "timer"):
    import random, threading, glob
    def die():
        open(f"died.{len(glob.glob('died.*'))}", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    type(self).timer = threading.Timer(random.uniform(0.0, 0.15), die)
    type(self).timer.daemon = True
    type(self).timer.start()
"""
    # so many that it does not die behind the end: that is another test
    command.write("app.py", dying(dies))
    code, run = command.run("run", "app.py", "-w", "2", "--journal", JOURNAL, env={"N": "60000"})
    assert code == 0, run.output
    found, wanted = results(command.folder), expected(60000)
    assert found == wanted, (found - wanted, wanted - found)
    word, handed_out, acknowledged, failed, _, restarts = summary(run)
    assert (word, handed_out, acknowledged, failed) == ("done", 120_000, 120_000, 0)
    assert restarts == len(list(command.folder.glob("died.*"))) > 0
    command.assert_clean()


def test_roles_that_were_started_one_by_one_wait_for_the_next_distributor(command: Command) -> None:
    command.write("app.py", two_tasks(execution=WAITING))
    others = [command.start(*words.split()) for words in ("collector app.py", "worker app.py Does")]
    second = command.start("worker", "app.py", "DoesMore")
    for number in (10, 20, 30):
        distributor = command.start("distributor", "app.py", "--journal", JOURNAL)
        others[1].wait_for(f"^busy {number}$")
        distributor.signal(signal.SIGKILL)
        assert distributor.finish() == -signal.SIGKILL
        command.write(f"go.{number}", "")
    code, distributor = command.run("distributor", "app.py", env={"ZMQPIPELINE_JOURNAL": JOURNAL})
    assert code == 0, distributor.output
    assert [other.finish() for other in (*others, second)] == [0, 0, 0]
    assert results(command.folder) == expected()
    distributor.wait_for(RESUMED)
    command.assert_clean()


def test_a_distributor_that_gets_nowhere_ends_the_run(command: Command) -> None:
    command.write("app.py", dying("os.kill(os.getpid(), signal.SIGKILL)"))
    code, run = command.run("run", "app.py", "-w", "1", "--journal", JOURNAL)
    assert code == 8, run.output
    assert "Distributor was lost 5 times without anything collected in between" in run.output
    command.assert_clean()


def test_a_distributor_that_dies_after_the_collector_has_heard_of_the_end_is_not_waited_for(
    command: Command,
) -> None:
    notes = "\n    def initialize(self, metadata):\n        Path('pid').write_text(str(os.getpid()))\n"
    text = two_tasks().replace("    n = 0\n", f"    n = 0\n{notes}")
    kills = "        os.kill(int(Path('pid').read_text()), signal.SIGKILL)\n"
    finishes = "    def handle_finished(self, data, task_type):\n"
    command.write("app.py", text.replace(finishes, finishes + kills))
    code, run = command.run("run", "app.py", "-w", "1", "--journal", JOURNAL)
    assert code == 0, run.output
    assert results(command.folder) == expected()
    assert summary(run)[:3] == ("done", 80, 80)
    assert summary(run)[5] == 1
    command.assert_clean()


def test_failures_are_still_counted(command: Command) -> None:
    dies = """
if self.n == 30 and not os.path.exists("died"):
    open("died", "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    raises = "if data['n'] == 3: raise ValueError('three')"
    text = dying(dies).replace("        pass  # execution\n", f"        {raises}\n")
    command.write("app.py", text.replace("    n = 0", "    n = 0\n    max_attempts = 1"))
    code, run = command.run("run", "app.py", "-w", "1", "--journal", JOURNAL)
    assert code == 1, run.output
    assert summary(run)[3] == 2
    command.assert_clean()


def test_the_page_about_it_does_what_it_says(command: Command) -> None:
    page = blocks(DOCS / "journal.rst")
    (program,) = [found.text for found in page if found.caption == "square.py"]
    (lines,) = [found.text.splitlines() for found in page if found.language == "console"]
    subprocess.run(["sh", "-c", lines[0].removeprefix("$ ")], cwd=command.folder, check=True)
    made = "        self.position += 1\n"
    dies = "if self.position == 500 and not Path('died').exists():\n"
    kills = "    Path('died').touch(); import os; os.kill(os.getpid(), 9)\n"
    for text, restarts in ((program, 0), (program.replace(made, f"{made}        {dies}        {kills}"), 1)):
        command.write("square.py", text)
        code, run = command.run(*shlex.split(lines[1])[2:])
        assert code == 0, run.output
        assert [line.partition("] ")[2] for line in run.out] == [lines[2].partition("] ")[2]]
        assert summary(run)[:4] == ("done", 1000, 1000, 0)
        assert summary(run)[5] == restarts
    namespace = test_tutorial.execute(program, {"__name__": "square"})
    for found in page:
        if found.language == "python" and not found.caption:
            test_tutorial.execute(found.text, namespace)
    assert namespace["Seen"]().checkpoint() == {"position": 0, "seen": []}
    assert str(namespace["distributor"].journal) == "square.journal"
    command.assert_clean()


# -- stopped, and finished --------------------------------------------------------------


def test_a_run_that_was_stopped_is_gone_on_with(command: Command) -> None:
    command.write("app.py", two_tasks(execution=WAITING))
    command.write("go.10", "")
    command.write("go.30", "")
    run = command.start("run", "app.py", "-w", "1", "--journal", JOURNAL)
    run.wait_for(r"busy 20$")
    run.signal(signal.SIGINT)
    run.wait_for("SIGINT: finishing")
    command.write("go.20", "")
    assert run.finish() == 130, run.output
    assert not is_finished(command.folder)
    first = results(command.folder)
    code, run = command.run("run", "app.py", "-w", "1", "--journal", JOURNAL)
    assert code == 0, run.output
    assert results(command.folder) == expected()
    assert int(run.wait_for(RESUMED)[0][1]) == sum(first.values())
    command.assert_clean()


def test_a_finished_run_is_not_gone_on_with(command: Command) -> None:
    text = (
        "from zmqpipeline import Distributor\n"
        "own = Distributor(Keeps.endpoint, Keeps.ack_endpoint, journal='run.journal')\n"
    )
    command.write("app.py", two_tasks() + text)
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    assert results(command.folder) == expected()
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    run.wait_for(r"the journal \S+ is of a run that is finished: it is cleared for a new one$")
    assert results(command.folder) == expected() + expected()
    command.assert_clean()


# -- refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["option", "variable", "one role"])
def test_a_journal_that_cannot_be_used_is_told_before_anything_is_handed_out(
    command: Command, way: str
) -> None:
    command.write("app.py", two_tasks())
    command.write(JOURNAL, "this is no journal")
    if way == "option":
        code, run = command.run("run", "app.py", "--journal", JOURNAL)
    elif way == "variable":
        code, run = command.run("run", "app.py", env={"ZMQPIPELINE_JOURNAL": JOURNAL})
    else:
        code, run = command.run("distributor", "app.py", "--journal", JOURNAL)
    assert code == 11, run.output
    assert "Traceback" not in run.output
    assert run.err[-1].startswith("zmqpipeline: ") or way != "one role"
    assert f"{JOURNAL}' is damaged, or is no journal (file is not a database)" in run.output
    assert not command.folder.joinpath("results").exists()
    command.assert_clean()


def test_the_journal_of_a_running_distributor_is_refused(command: Command) -> None:
    hasty = "\nfrom zmqpipeline import Distributor\nDistributor.announce_interval = 0.1\n"
    command.write("app.py", two_tasks() + hasty + QUICK)
    command.write("other.py", two_tasks().replace("ipc://", "ipc://other-"))
    first = command.start("distributor", "app.py", "--journal", JOURNAL)
    first.wait_for("waits for the collector")
    code, second = command.run("distributor", "other.py", "--journal", JOURNAL)
    assert code == 11, second.output
    assert "in use by a distributor that runs" in second.err[-1]
    first.signal(signal.SIGTERM)
    assert first.finish() == 143
    command.assert_clean()


def test_a_checkpoint_that_cannot_be_written_is_an_error_of_the_program(command: Command) -> None:
    command.write("app.py", dying("self.out = sys.stdout"))
    code, run = command.run("run", "app.py", "-w", "1", "--journal", JOURNAL)
    assert code == 6, run.output
    assert "First.checkpoint: state['out']: cannot serialize TextIOWrapper" in run.output
    assert "override checkpoint() and restore()" in run.output
    assert not command.folder.joinpath("results").exists()
    command.assert_clean()
