"""``zmqpipeline doctor``: what it finds, with which exit code, and that nobody notices."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.roles.snapshots import FakeDistributor, make_snapshot
from zmqpipeline import __version__
from zmqpipeline.keys import Keys
from zmqpipeline.monitor.snapshot import SNAPSHOT_VERSION

from .apps import BUSY, SERVICE, SLEEPS, two_tasks
from .test_cli_terminal import on_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Command, Running

WORKERS = "from app import Does, DoesMore\n"
REST = "from app import First, Second, Keeps\n"


def examined(
    command: Command, *arguments: str, env: dict[str, str] | None = None
) -> tuple[int, list[tuple[str, str]]]:
    """Run doctor; return its exit code, and the level and the sentence of each finding about the program."""
    code, run = command.run("doctor", "--json", *arguments, env=env)
    assert "error of zmqpipeline itself" not in run.output
    written: dict[str, Any] = json.loads("\n".join(run.out))
    found = [(finding["level"], finding["sentence"]) for finding in written["findings"]]
    assert written["problems"] == sum(level == "problem" for level, _ in found)
    assert (code == 0) == (written["problems"] == 0), run.output
    about = {finding["sentence"]: finding["about"] for finding in written["findings"]}
    return code, [(level, sentence) for level, sentence in found if about[sentence] != "installation"]


def wrong(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [finding for finding in found if finding[0] != "ok"]


def test_a_program_without_fault(command: Command) -> None:
    command.write("app.py", two_tasks())
    code, run = command.run("doctor", "app.py")
    assert (code, run.err) == (0, ["zmqpipeline: app.py: nothing is wrong"]), run.output
    for line in (
        "app.py declares 2 Tasks (First, Second), 2 Workers (Does, DoesMore), the Collector Keeps",
        "the task type 'first' has the Task First and the Worker Does",
        "ipc://first.ipc can be bound (the task type 'first')",
        "ipc://ack.ipc can be bound (Keeps.ack_endpoint)",
    ):
        assert f"ok       {line}" in run.out
    for name in ("zmqpipeline", "Python", "pyzmq", "msgpack", "libzmq"):
        assert sum(line.startswith(f"ok       {name} ") for line in run.out) == 1, run.output
    assert [path.name for path in command.folder.iterdir() if path.name != "__pycache__"] == ["app.py"]
    command.assert_clean()


def test_services_have_their_findings_too(command: Command) -> None:
    command.write("app.py", SERVICE)
    code, found = examined(command, "app.py")
    assert code == 0
    assert ("ok", "app.py declares the Service broker, the ServiceWorker Adds") in found
    assert ("ok", "ipc://back.ipc can be bound (broker.backend_endpoint)") in found


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        ("x = (\n", 3, "{path}, line 1: '(' was never closed"),
        ("import os\nos._exit(7)\n", 3, "app.py ends the process that loads it (exit code 7)"),
        ("x = 1\n", 3, "app.py declares no role: no Task, Worker, Collector or Service was found in it"),
        ("int('x')\n", 3, "{path}, line 1: the file cannot be loaded: ValueError: invalid literal for int"),
        (
            two_tasks().replace("dependencies = []", "dependencies = None"),
            4,
            "{path}, line 15: class First: dependencies is None",
        ),
    ],
)
def test_a_file_that_cannot_be_loaded(command: Command, text: str, code: int, sentence: str) -> None:
    command.write("app.py", text)
    ended, found = examined(command, "app.py")
    assert ended == code
    ((level, told),) = found
    assert (level, told.startswith(sentence.format(path=command.folder / "app.py"))) == ("problem", True), (
        told
    )


PROGRAMS = {
    "two of a type": (
        two_tasks() + "\nclass Again(Does):\n    pass\n\nclass Also(First):\n    pass\n",
        3,
        [
            ("problem", "app.py declares 2 Tasks for the task type 'first', expected one: First, Also"),
            ("problem", "app.py declares 2 Workers for the task type 'first', expected one: Does, Again"),
        ],
    ),
    "nobody for a type": (
        two_tasks()
        .replace(
            "class DoesMore(Does):\n    task_type = SECOND",
            "class DoesMore(Does, abc.ABC):\n    task_type = SECOND",
        )
        .replace("import os", "import abc, os", 1),
        0,
        [
            (
                "warning",
                (
                    "no Worker for the task type 'second' in the file: it waits for one from elsewhere; "
                    "declare one if none is started there"
                ),
            )
        ],
    ),
    "other addresses": (
        two_tasks()
        .replace(
            '    collector_endpoint = EndpointAddress("ipc://collector.ipc")',
            '    collector_endpoint = EndpointAddress("ipc://collectors.ipc")',
        )
        .replace(
            'class DoesMore(Does):\n    task_type = SECOND\n    endpoint = EndpointAddress("ipc://second.ipc")',
            'class DoesMore(Does):\n    task_type = SECOND\n    endpoint = EndpointAddress("tcp://localhost:1")',
        ),
        4,
        [
            ("problem", f"{name} connects to {connects}, and {peer} binds {binds}: give both one address")
            for name, connects, peer, binds in (
                ("Does", "ipc://collectors.ipc", "the collector", "ipc://collector.ipc"),
                ("DoesMore", "tcp://localhost:1", "the distributor of 'second'", "ipc://second.ipc"),
                ("DoesMore", "ipc://collectors.ipc", "the collector", "ipc://collector.ipc"),
            )
        ],
    ),
    "one address for two": (
        two_tasks().replace("ipc://ack.ipc", "ipc://collector.ipc"),
        4,
        [
            (
                "problem",
                (
                    "Keeps.endpoint and Keeps.ack_endpoint have one address, 'ipc://collector.ipc': "
                    "give each its own"
                ),
            )
        ],
    ),
    "a circle": (
        two_tasks().replace("dependencies = []", "dependencies = [SECOND]"),
        4,
        [
            (
                "problem",
                (
                    "dependencies go round in a circle: first -> second -> first; "
                    "take one of these dependencies out"
                ),
            )
        ],
    ),
    "what nobody has": (
        two_tasks().replace("dependencies = []", 'dependencies = [TaskType.register_type("third")]'),
        0,
        [
            (
                "warning",
                (
                    "First depends on 'third', for which the file has no Task: it counts as complete; "
                    "declare one, or take it out of the dependencies"
                ),
            )
        ],
    ),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_roles_that_do_not_fit_together(command: Command, case: str) -> None:
    text, code, expected = PROGRAMS[case]
    command.write("app.py", text)
    ended, found = examined(command, "app.py")
    told = [finding for finding in wrong(found) if "nobody listens at" not in finding[1]]
    assert told == expected
    assert ended == code


def busy(command: Command, *options: str, env: dict[str, str] | None = None, more: str = "") -> Running:
    """Start a run whose workers are in the middle of a task until there is a file named go."""
    command.write("app.py", two_tasks(execution=BUSY) + more)
    run = command.start("run", "app.py", "-w", "1", *options, env=env)
    run.wait_for("busy 1$")
    return run


def finish_undisturbed(command: Command, run: Running) -> None:
    command.write("go", "")
    assert run.finish() == 0, run.output
    found = Counter(command.folder.joinpath("results").read_text().splitlines())
    assert found == Counter(
        [f"{task} {i}" for task in ("first", "second") for i in range(1, 41)] + ["finished"]
    )
    assert "80 handed out, 80 acknowledged, 0 failed, " in run.err[-1]
    assert run.err[-1].endswith("0 restarts")
    assert "dropped messages" not in run.output
    assert " has refused " not in run.output, run.output
    command.assert_clean()


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_beside_a_run_it_says_who_has_the_addresses_and_nobody_is_disturbed(
    command: Command, free_port: Callable[[], int], transport: str
) -> None:
    environ = over_tcp(free_port) if transport == "tcp" else {}
    run = busy(command, env=environ)
    code, found = examined(command, "app.py", env=environ)
    assert code == 5
    told = [sentence for _, sentence in wrong(found)]
    assert len(told) == 4, told
    for sentence, role in zip(told, ("distributor", "distributor", "collector", "collector"), strict=True):
        assert sentence.startswith("cannot bind ")
        assert "or choose another address (process " in sentence
        assert re.search(
            rf"-m zmqpipeline {role} .*what answers there is a ZeroMQ socket without keys\)$", sentence
        )
    finish_undisturbed(command, run)


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_from_a_host_of_workers_everything_is_reached_and_nobody_is_disturbed(
    command: Command, free_port: Callable[[], int], transport: str
) -> None:
    environ = over_tcp(free_port) if transport == "tcp" else {}
    run = busy(command, env=environ)
    command.write("workers.py", WORKERS)
    code, found = examined(command, "workers.py", env=environ)
    assert code == 0
    assert sum("is reached, and a ZeroMQ socket without keys answers" in told for _, told in found) == 3
    assert [told.partition(" in the file")[0] for _, told in wrong(found)] == [
        "no Task for the task type 'first'",
        "no Task for the task type 'second'",
    ]
    finish_undisturbed(command, run)


#: a collector and workers of another version than the distributor's
OTHER_VERSION = """
import zmqpipeline.role

zmqpipeline.role.__version__ = "0.0.1"
"""


@pytest.mark.parametrize("transport", ["ipc", "tcp with keys"])
def test_versions_are_compared_with_those_of_a_run_and_nobody_is_disturbed(
    command: Command, free_port: Callable[[], int], transport: str
) -> None:
    environ = {"ZMQPIPELINE_MONITOR_ENDPOINT": "ipc://monitor.ipc"}
    keys: tuple[str, ...] = ()
    if transport != "ipc":
        environ = {**over_tcp(free_port), "ZMQPIPELINE_MONITOR_ENDPOINT": f"tcp://127.0.0.1:{free_port()}"}
        keys = ("--keys", str(Keys.new(command.folder / "keys").folder))
    monitor = environ["ZMQPIPELINE_MONITOR_ENDPOINT"]
    command.write("app.py", two_tasks())
    before = examined(command, "app.py", *keys, env=environ)
    assert before[0] == 0
    assert ("ok", f"no run is shown at {monitor} now, so there are no versions to compare") in before[1]
    run = busy(command, *keys, env=environ, more=OTHER_VERSION)
    command.write("workers.py", WORKERS)
    for file, expected in {"workers.py": 0, "app.py": 5}.items():
        code, found = examined(command, file, *keys, env=environ)
        assert code == expected, found
        told = [sentence for level, sentence in found if level == "warning" and "has zmqpipeline" in sentence]
        assert [sentence.partition(" on ")[0] for sentence in told] == [
            "the collector Keeps",
            "Does",
            "DoesMore",
        ]
        assert all(f" has zmqpipeline 0.0.1, and this host {__version__}: install" in each for each in told)
        same = f"one process of the run has zmqpipeline {__version__}, as this host has ({monitor})"
        assert ("ok", same) in found
    finish_undisturbed(command, run)


def test_a_distributor_that_tells_of_its_run_in_another_form(command: Command) -> None:
    command.write("app.py", two_tasks())
    command.write("workers.py", WORKERS)
    address = f"ipc://{command.folder}/monitor.ipc"
    with FakeDistributor(address, make_snapshot(version=SNAPSHOT_VERSION + 1)):
        _, found = examined(command, "workers.py", "--monitor-endpoint", address)
    told = (
        f"which versions the processes of the run have is not known: the distributor at {address} tells of "
    )
    assert any(level == "warning" and sentence.startswith(told) for level, sentence in found), found


def test_a_run_that_nobody_shows(command: Command) -> None:
    command.write("app.py", two_tasks())
    command.write("workers.py", WORKERS)
    code, found = examined(command, "workers.py", "--monitor-endpoint", "ipc://monitor.ipc")
    assert code == 7
    told = "nobody listens at ipc://monitor.ipc: start the distributor in the folder "
    assert any(sentence.startswith(told) for level, sentence in found if level == "problem"), found


def over_tcp(free_port: Callable[[], int], host: str = "127.0.0.1") -> dict[str, str]:
    names = ("ENDPOINT_FIRST", "ENDPOINT_SECOND", "COLLECTOR_ENDPOINT", "ACK_ENDPOINT")
    return {f"ZMQPIPELINE_{name}": f"tcp://{host}:{free_port()}" for name in names}


def test_where_nobody_is(command: Command, free_port: Callable[[], int]) -> None:
    command.write("app.py", two_tasks())
    command.write("workers.py", WORKERS)
    port = free_port()
    code, found = examined(command, "workers.py", "--collector-endpoint", f"tcp://127.0.0.1:{port}")
    assert code == 7
    told = [sentence for level, sentence in found if level == "problem"]
    folder = command.folder.resolve()
    assert told == [
        (
            f"nobody listens at ipc://first.ipc: start the distributor of 'first' in the folder {folder}, "
            f"or correct the address"
        ),
        f"nobody listens at tcp://127.0.0.1:{port}: start the collector, or correct the address",
        (
            f"nobody listens at ipc://second.ipc: start the distributor of 'second' in the folder {folder}, "
            f"or correct the address"
        ),
    ]


def test_what_only_one_process_can_use(command: Command) -> None:
    command.write("app.py", two_tasks().replace("ipc://collector.ipc", "inproc://collector"))
    command.write("workers.py", WORKERS)
    code, found = examined(command, "workers.py")
    assert code == 4
    told = (
        "Does connects to 'inproc://collector', which only one process can use, and each role is a process: "
        "write ipc:// or tcp://"
    )
    assert ("problem", told) in found
    assert not any("nobody listens at inproc" in sentence for _, sentence in found)


def test_where_others_are(command: Command) -> None:
    # how long is waited for who does not answer; the process that loads the file is the one that asks
    soon = "\nfrom zmqpipeline.wire import greeting\ngreeting.ask.__defaults__ = (0.3,)\n"
    command.write("app.py", two_tasks() + soon)
    command.write("workers.py", WORKERS)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        code, found = examined(command, "workers.py", "--collector-endpoint", address)
        assert code == 7
        assert (
            "problem",
            (
                f"whoever listens at {address} says nothing: see whether that process was stopped, "
                f"or is another program than the collector"
            ),
        ) in found
        code, found = examined(command, "app.py", "--collector-endpoint", address)
    assert code == 5
    ((_, told),) = wrong(found)
    assert told.startswith(f"cannot bind '{address}': the address is in use; end the process that holds it")
    assert told.endswith("nobody answers there)")


def test_what_a_dead_process_has_left_is_told_and_left(command: Command) -> None:
    command.write("app.py", two_tasks())
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(command.folder / "first.ipc"))
    code, found = examined(command, "app.py")
    assert code == 0
    assert (
        "ok",
        (
            "ipc://first.ipc can be bound (the task type 'first'); the socket file there was left behind by "
            "a process that has ended, and is replaced"
        ),
    ) in found
    assert command.sockets() == ["first.ipc"]


# -- keys ---------------------------------------------------------------------------


def test_keys_are_tried_at_a_run_that_has_some(command: Command, free_port: Callable[[], int]) -> None:
    keys = Keys.new(command.folder / "keys")
    host = Keys.new(command.folder / "host", keys.pipeline_public)
    Keys.new(command.folder / "other")
    environ = over_tcp(free_port)
    run = busy(command, "--keys", "keys", env=environ)
    command.write("workers.py", WORKERS)

    code, found = examined(command, "workers.py", "--keys", "keys", env=environ)
    assert code == 0
    assert sum(" is let in at tcp://127.0.0.1:" in told for _, told in found) == 3
    assert ("ok", f"Does, DoesMore is let in at {environ['ZMQPIPELINE_COLLECTOR_ENDPOINT']}") in found

    code, found = examined(command, "workers.py", env=environ)
    assert code == 13
    told = f"Does finds keys at {environ['ZMQPIPELINE_ENDPOINT_FIRST']} and has none"
    assert ("problem", f"{told}: start it again with ZMQPIPELINE_KEYS=FOLDER") in found

    assert " has refused " not in run.output  # a wrong key is refused as anybody's is

    code, found = examined(command, "workers.py", "--keys", "other", env=environ)
    assert code == 13
    told = f"Does gets no answer to its key at {environ['ZMQPIPELINE_ENDPOINT_FIRST']}"
    assert any(sentence.startswith(told) for _, sentence in wrong(found)), found

    code, found = examined(command, "workers.py", "--keys", "host", env=environ)
    assert code == 13
    told = (
        f"Does is refused at {environ['ZMQPIPELINE_ENDPOINT_FIRST']}: let it in there with: zmqpipeline keys "
    )
    assert any(sentence.startswith(told) and host.peer.public in sentence for _, sentence in wrong(found)), (
        found
    )

    command.write("go", "")
    assert run.finish() == 0, run.output
    command.assert_clean()


def test_keys_where_the_peer_has_none(command: Command, free_port: Callable[[], int]) -> None:
    Keys.new(command.folder / "keys")
    environ = over_tcp(free_port)
    run = busy(command, env=environ)
    command.write("workers.py", WORKERS)
    code, found = examined(command, "workers.py", "--keys", "keys", env=environ)
    assert code == 13
    told = f"Does finds no keys at {environ['ZMQPIPELINE_ENDPOINT_FIRST']}: start the role there again with "
    assert ("problem", f"{told}ZMQPIPELINE_KEYS=FOLDER") in found
    finish_undisturbed(command, run)


def test_folders_with_keys(command: Command, free_port: Callable[[], int]) -> None:
    command.write("app.py", two_tasks())
    environ = over_tcp(free_port)
    keys = Keys.new(command.folder / "keys")
    code, found = examined(command, "app.py", "--keys", "keys", env=environ)
    assert code == 0
    assert ("ok", f"{keys.folder} can be used to connect, with the public key {keys.peer.public}") in found
    assert ("ok", f"{keys.folder} can be used to bind, and lets in local") in found
    secrets = (keys.peer.secret, keys.pipeline.secret)
    assert not [run for run in command.running if any(secret in run.output for secret in secrets)]

    keys.revoke("local")
    code, found = examined(command, "app.py", "--keys", "keys", env=environ)
    assert code == 0
    ((level, told),) = wrong(found)
    assert level == "warning"
    assert told.startswith(f"{keys.folder} does not let in its own key")
    keys.authorize("again", keys.peer.public)

    Keys.new(command.folder / "host", keys.pipeline_public)
    keys.folder.chmod(0o750)
    for folder, sentence in {
        "keys": f"{keys.folder} has the mode 0750, so that others than its owner can get at keys: chmod 700 ",
        "host": f"{command.folder / 'host'} has no pipeline.key: whoever binds needs it",
        "none": f"there is no folder {command.folder / 'none'} with keys",
    }.items():
        code, found = examined(command, "app.py", "--keys", folder, env=environ)
        assert code == 13
        ((_, told),) = wrong(found)
        assert told.startswith(sentence)


def test_open_addresses_without_keys(command: Command, free_port: Callable[[], int]) -> None:
    command.write("app.py", SERVICE)
    address = f"tcp://*:{free_port()}"
    arguments = ("app.py", "--frontend-endpoint", address)
    code, found = examined(command, *arguments)
    assert code == 0
    ((level, told),) = wrong(found)
    assert (level, told.startswith(f"whoever can connect to {address} takes part: make keys")) == (
        "warning",
        True,
    )
    code, found = examined(command, *arguments, env={"ZMQPIPELINE_SECURITY": "required"})
    assert code == 13
    ((level, told),) = wrong(found)
    assert told.startswith(f"{address} is open to the network, and keys are required: make keys with")
    code, found = examined(command, *arguments, env={"ZMQPIPELINE_SECURITY": "reqiured"})
    assert code == 13
    assert any("expected 'required'" in told for _, told in wrong(found))


# -- journal, output, signals ---------------------------------------------------------


def test_journals(command: Command) -> None:
    command.write("app.py", two_tasks())
    new = ("ok", "the journal 'j' can be written, for a new run")
    code, found = examined(command, "app.py", "--journal", "j")
    assert (code, new in found) == (0, True)
    assert not command.folder.joinpath("j").exists()

    run = busy(command, "--journal", "j")
    code, found = examined(command, "app.py", "--journal", "j")
    assert any("is in use by a distributor that runs" in told for _, told in wrong(found)), found
    run.signal(signal.SIGINT)
    run.wait_for("finishing")
    command.write("go", "")
    assert run.finish() == 130, run.output
    before = command.folder.joinpath("j").read_bytes()
    code, found = examined(command, "app.py", env={"ZMQPIPELINE_JOURNAL": "j"})
    assert (code, wrong(found)) == (0, [])
    assert ("ok", "the journal 'j' has a run that is not finished, which goes on") in found
    assert command.folder.joinpath("j").read_bytes() == before

    command.write("app.py", two_tasks().replace("class Second(First)", "class Third(First)"))
    for path, sentence in {
        "j": "belongs to another program, with First (first), Second (second) instead of First (first), ",
        "app.py": "is damaged, or is no journal",
        "none/j": "cannot be made, because its folder does not exist",
        ".": "is a folder: choose another path",
    }.items():
        code, found = examined(command, "app.py", "--journal", path)
        assert code == 11
        ((_, told),) = wrong(found)
        assert sentence in told
    names = {path.name for path in command.folder.iterdir()}
    assert names - {"__pycache__"} == {"app.py", "j", "go", "results"}


def test_a_terminal_shows_marks_and_folds_sentences(command: Command) -> None:
    command.write("app.py", two_tasks().replace("ipc://ack.ipc", "ipc://collector.ipc"))
    code, written = on_terminal(
        command, "doctor", "app.py", env={"TERM": "xterm", "COLUMNS": "60", "NO_COLOR": ""}
    )
    assert code == 4, written
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).replace("\r", "")
    assert "\x1b[1;31m✗" in written
    assert re.search(
        r"^✗ Keeps.endpoint and Keeps.ack_endpoint have one address,\s*$\n^  'ipc", plain, re.MULTILINE
    )
    assert max(map(len, plain.splitlines()[:-1])) <= 60
    assert plain.splitlines()[-1] == "zmqpipeline: app.py: 1 problem"


def test_a_signal_ends_it(command: Command) -> None:
    command.write("app.py", "import sys, time\nprint('loading', file=sys.stderr, flush=True)\n" + SLEEPS)
    run = command.start("doctor", "app.py")
    run.wait_for("loading")
    run.signal(signal.SIGINT)
    assert run.finish() == 130, run.output
    assert run.out == []
    command.assert_clean()


def test_what_the_file_prints_is_no_finding(command: Command) -> None:
    command.write("app.py", two_tasks() + "\nprint('hello')\n")
    assert examined(command, "app.py")[0] == 0
