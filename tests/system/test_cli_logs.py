"""The lines of many processes: whole, each with its role, and as objects of JSON if that is wanted."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from .apps import BUSY, line_of, two_tasks

if TYPE_CHECKING:
    from .conftest import Command, Running

#: waits until both processes of the class are here, and then writes long lines to both of its streams
WRITES = """
Path(f"here.{os.getpid()}").touch()
while len(list(Path().glob("here.*"))) < 2:
    time.sleep(0.001)
for _ in range(20):
    print("o" * 100_000)
    print("e" * 100_000, file=sys.stderr)
"""


def only_first(text: str) -> str:
    """Leave the second task out of the program."""
    begin, end = text.index("class Second("), text.index("class Does(")
    text = text[:begin] + text[end:]
    begin, end = text.index("class DoesMore("), text.index("class Keeps(")
    return text[:begin] + text[end:]


def entries(run: Running) -> list[dict[str, Any]]:
    """Read stderr, where every line has to be an object."""
    assert [line for line in run.err if not line.startswith('{"time": ')] == [], run.output
    found: list[dict[str, Any]] = [json.loads(line) for line in run.err]
    for entry in found:
        assert {"time", "level", "logger", "role", "pid", "host", "message"} <= entry.keys(), entry
        assert entry.keys() <= {
            "time",
            "level",
            "logger",
            "role",
            "pid",
            "host",
            "message",
            "task",
            "exception",
        }
    return found


@pytest.mark.parametrize("form", ["plain", "json"])
def test_long_lines_of_processes_that_write_at_the_same_time_are_whole(command: Command, form: str) -> None:
    command.write("app.py", only_first(two_tasks(init_worker=WRITES)))
    code, run = command.run("run", "app.py", "-w", "2", *(["--log-json"] if form == "json" else []))
    assert code == 0, run.output[-2000:]
    long = [line for line in run.out if len(line) > 1000]
    whose = Counter(
        found[1] for line in long if (found := re.fullmatch(r"(Does/first\[\d+\]) o{100000}", line))
    )
    assert sorted(whose.values()) == [20, 20]
    assert len(long) == 40
    said = [line for line in run.err if len(line) > 1000]
    if form == "json":
        listed = [entry for entry in entries(run) if len(entry["message"]) > 1000]
        whose = Counter(f"{e['role']}/{e['task']}[{e['pid']}]" for e in listed)
        assert {entry["message"] for entry in listed} == {"e" * 100_000}
    else:
        whose = Counter(m[1] for line in said if (m := re.fullmatch(r"(Does/first\[\d+\]) e{100000}", line)))
    assert sorted(whose.values()) == [20, 20]
    assert len(said) == 40
    command.assert_clean()


def test_every_line_names_the_task_type_where_the_name_of_the_class_does_not(command: Command) -> None:
    prints = "print('did', data['n'])"
    text = two_tasks(execution=prints).replace("DoesMore", "SecondWorker")
    command.write("app.py", text)
    code, run = command.run("run", "app.py", "-w", "1", env={"N": "3"})
    assert code == 0, run.output
    did = Counter(line.partition("[")[0] for line in run.out if "did" in line)
    assert did == {"Does/first": 3, "SecondWorker": 3}


def test_a_run_writes_nothing_but_objects(command: Command) -> None:
    """Not even what is written past Python, what a process leaves when it is killed, and half a line."""
    says = """
if data["n"] == 1:
    print("printed", file=sys.stderr)
    print("to stdout")
    os.write(2, b"past Python\\n")
    logging.getLogger("mine").info("logged")
    try:
        int("x")
    except ValueError:
        logging.getLogger("mine").exception("no number")
    raise ValueError("not this one")
if data["n"] == 2 and not os.path.exists("died"):
    Path("died").touch()
    print("half a", end="", file=sys.stderr, flush=True)
    os.write(2, b"last words")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    text = only_first(two_tasks(execution=says)).replace("import os\n", "import logging\nimport os\n", 1)
    command.write("app.py", text.replace("    n = 0\n", "    n = 0\n    max_attempts = 1\n"))
    code, run = command.run("run", "app.py", "-w", "1", "--log-json", env={"N": "5"})
    assert code == 1, run.output
    written = entries(run)
    by_message = {entry["message"]: entry for entry in written}
    for message, logger, level in (
        ("printed", "stderr", "info"),
        ("past Python", "stderr", "info"),
        ("last words", "stderr", "info"),
        ("logged", "mine", "info"),
        ("no number", "mine", "error"),
        ("task 0 of first failed (attempt 1): ValueError: not this one", "zmqpipeline.worker", "warning"),
    ):
        entry = by_message[message]
        assert (entry["role"], entry["task"], entry["logger"], entry["level"]) == (
            "Does",
            "first",
            logger,
            level,
        )
    trace = by_message["no number"]["exception"]
    assert trace.startswith("Traceback (most recent call last):\n")
    assert "ValueError: invalid literal for int()" in trace
    ended = next(entry for entry in written if "another one takes its place" in entry["message"])
    assert ended["message"].startswith(
        f"Does[{by_message['last words']['pid']}] has ended (killed by SIGKILL)"
    )
    assert (ended["level"], ended["role"], ended["pid"]) == ("warning", "run", run.popen.pid)
    # who has no task type of its own says which one it is about
    (lost,) = [entry for entry in written if "lost a worker of first" in entry["message"]]
    (failed,) = [entry for entry in written if "a task of first failed for good" in entry["message"]]
    assert [(entry["role"], entry["task"]) for entry in (lost, failed)] == [
        ("Distributor", "first"),
        ("Keeps", "first"),
    ]
    assert written[-1]["message"].startswith("done: 5 handed out, 5 acknowledged, 1 failed")
    assert (written[-1]["level"], written[-1]["logger"]) == ("info", "zmqpipeline.cli")
    # what is printed stays what it is
    assert [line for line in run.out if re.fullmatch(r"Does/first\[\d+\] to stdout", line)]
    command.assert_clean()


def test_how_far_a_run_is_and_that_it_stops_are_objects(command: Command) -> None:
    command.write("app.py", two_tasks(execution=BUSY))
    run = command.start("run", "app.py", "-w", "1", env={"ZMQPIPELINE_LOG_JSON": "1"})
    run.wait_for("busy")
    run.wait_for(r'"message": "\d+ handed out, ')
    run.signal(signal.SIGTERM)
    run.wait_for('"message": "SIGTERM: finishing what is under way;')
    command.write("go", "")
    assert run.finish() == 143, run.output
    assert entries(run)[-1]["message"].startswith("stopped: ")
    command.assert_clean()


@pytest.mark.parametrize("how", ["run", "alone"])
def test_an_exception_of_the_program_is_one_object_with_its_traceback(command: Command, how: str) -> None:
    raises = "raise ValueError('no such luck')"
    text = two_tasks(collection=raises)
    command.write("app.py", text)
    if how == "run":
        code, run = command.run("run", "app.py", "-w", "1", "--log-json")
    else:
        others = [command.start(*words.split()) for words in ("worker app.py Does", "distributor app.py")]
        code, run = command.run("collector", "app.py", "--log-json")
        for other in others:  # a drain would wait for the collector
            other.signal(signal.SIGKILL)
            other.finish()
    assert code == 6, run.output
    (told,) = [entry for entry in entries(run) if "exception" in entry]
    assert (told["role"], told["level"], told["logger"]) == ("Keeps", "error", "zmqpipeline.cli")
    assert told["message"] == "Keeps.handle_collection() raised ValueError: no such luck"
    assert f", line {line_of(text, raises)}, in handle_collection\n" in told["exception"]
    if how == "run":
        (reason,) = [
            e
            for e in entries(run)
            if e["message"] == told["message"] and e is not told and e["role"] == "run"
        ]
        assert reason["level"] == "error"


def test_a_role_alone_writes_objects_from_its_first_word_on(command: Command) -> None:
    loads = (
        "import atexit\nprint('loading', file=sys.stderr)\natexit.register(print, 'bye', file=sys.stderr)\n"
    )
    command.write("app.py", two_tasks().replace("import time\n", f"import time\n{loads}"))
    environ = {"ZMQPIPELINE_LOG_JSON": "1", "N": "5"}
    worker = command.start("worker", "app.py", "Does", "--log-level", "debug", env=environ)
    rest = [command.start(*words.split()) for words in ("worker app.py DoesMore", "collector app.py")]
    distributor = command.start("distributor", "app.py", env=environ)
    assert [run.finish() for run in (worker, *rest, distributor)] == [0] * 4
    first, *_, last = entries(worker)
    assert (first["message"], first["role"], first["pid"]) == ("loading", "Does", worker.popen.pid)
    assert (last["message"], last["role"], last["task"]) == ("bye", "Does", "first")
    summary = entries(distributor)[-2]
    assert summary["message"].startswith("done: 10 handed out, 10 acknowledged, 0 failed")
    assert (summary["role"], summary["level"]) == ("Distributor", "info")
    # how far it is, too, is said by the command and not printed
    printed = [entry["message"] for entry in entries(distributor) if entry["logger"] == "stderr"]
    assert printed == ["loading", "bye"]


def test_a_program_that_sets_up_logging_itself_keeps_its_form_inside_the_objects(command: Command) -> None:
    sets_up = "import logging\nlogging.basicConfig(format='mine: %(message)s', level='INFO')\n"
    logs = "logging.info('%d is done', data['n'])"
    command.write("app.py", sets_up + only_first(two_tasks(execution=logs)))
    code, run = command.run("run", "app.py", "-w", "1", "--log-json", env={"N": "3"})
    assert code == 0, run.output
    done = [entry for entry in entries(run) if entry["message"].startswith("mine: ")]
    assert [e["message"] for e in done if e["role"] == "Does"] == [f"mine: {n} is done" for n in (1, 2, 3)]
    assert {entry["logger"] for entry in done} == {"stderr"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "missing.py", "--log-json"], 3, "there is no file missing.py"),
        (["run", "broken.py", "--log-json"], 3, "the file cannot be loaded: ValueError: no"),
        (["run", "--log-json", "--nonsense"], 2, "No such option"),
        (["worker", "missing.py", "--log-json"], 3, "there is no file missing.py"),
        (["worker", "--log-json", "--nonsense"], 2, "error: "),
    ],
)
def test_what_is_wrong_is_said_in_objects(
    command: Command, arguments: list[str], code: int, said: str
) -> None:
    command.write("broken.py", "import warnings\nwarnings.simplefilter('ignore')\nraise ValueError('no')\n")
    returned, run = command.run(*arguments)
    assert returned == code, run.output
    assert run.out == []
    written = entries(run)
    assert [entry for entry in written if said in entry["message"]], run.output
    if "broken.py" in arguments:
        assert [entry for entry in written if "in <module>" in entry.get("exception", "")]


@pytest.mark.parametrize("form", [[], ["--log-json"]], ids=["lines", "objects"])
@pytest.mark.parametrize("closed", [(0, 1), (0, 2), (0, 1, 2)], ids=str)
def test_a_run_without_stdout_or_stderr_does_its_work(
    command: Command, closed: tuple[int, ...], form: list[str]
) -> None:
    speaks = 'print("out"); print("err", file=sys.stderr); Path("worked").touch()'
    command.write("app.py", only_first(two_tasks(init_worker=speaks)))
    line = [sys.executable, "-m", "zmqpipeline", "run", "app.py", *form]
    begin = f"import os; [os.close(number) for number in {closed}]; os.execv({line[0]!r}, {line})"
    run = command.start_python("-c", begin)
    assert run.finish() == 0, run.output
    assert command.folder.joinpath("worked").exists()
    assert "Traceback" not in run.output
    command.assert_clean()
