"""The commands that run one role, with other endpoints than the file's."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

from zmqpipeline import EndpointAddress, ServiceClient, TaskType

from .apps import BUSY, SERVICE, two_tasks
from .test_cli_run import expected, results

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from .conftest import Command

METADATA = """
from zmqpipeline import MetaDataWorker


class Knows(MetaDataWorker):
    endpoint = EndpointAddress("ipc://metadata.ipc")

    def get_metadata(self):
        return {"what": "is known"}
"""


def test_roles_that_are_started_one_by_one_do_the_work(command: Command) -> None:
    command.write("app.py", two_tasks(init_worker="print(self.metadata, flush=True)") + METADATA)
    roles = [["worker", "app.py", "DoesMore"], ["worker", "app.py", "Does"], ["metadata", "app.py"]]
    roles += [["collector", "app.py"], ["distributor", "app.py"]]
    started = [command.start(*role) for role in roles]
    assert [run.finish() for run in started] == [0] * 5, [run.output for run in started]
    assert results(command.folder) == expected()
    assert started[0].out == started[1].out == ["{'what': 'is known'}"]
    assert started[4].err[-1].startswith("zmqpipeline: done: 80 handed out, 80 acknowledged, 0 failed")
    command.assert_clean()


def test_a_distributor_that_is_started_alone_says_how_far_it_is(command: Command) -> None:
    command.write("app.py", two_tasks(execution=BUSY).replace("    n = 0\n", "    n = 0\n    total = N\n"))
    for role in (["worker", "app.py", "Does"], ["worker", "app.py", "DoesMore"], ["collector", "app.py"]):
        command.start(*role)
    run = command.start("distributor", "app.py")
    run.wait_for(r"^zmqpipeline: 0 of 80 \(0%\), 0 failed, 0/s, \d workers?$")
    command.write("go", "")
    assert [started.finish() for started in command.running] == [0] * 4, run.output
    assert run.err[-1].startswith("zmqpipeline: done: 80 handed out, 80 acknowledged, 0 failed")


def test_options_move_a_file_to_other_addresses(command: Command, free_port: Callable[[], int]) -> None:
    command.write("app.py", two_tasks())
    first, second, collector, ack = (f"tcp://127.0.0.1:{free_port()}" for _ in range(4))
    types = ["--endpoint", f"first={first}", f"--endpoint=second={second}"]
    started = [
        command.start(
            "distributor", "app.py", *types, "--collector-endpoint", collector, "--ack-endpoint", ack
        ),
        command.start("collector", "app.py", "--collector-endpoint", collector, "--ack-endpoint", ack),
        command.start("worker", "app.py", "Does", "--endpoint", first, "--collector-endpoint", collector),
        command.start("worker", "app.py", "DoesMore", *types, "--collector-endpoint", collector),
    ]
    assert [run.finish() for run in started] == [0] * 4, [run.output for run in started]
    assert results(command.folder) == expected()
    assert command.sockets() == []


def test_variables_move_a_file_and_options_go_before_them(
    command: Command, free_port: Callable[[], int]
) -> None:
    command.write("app.py", two_tasks())
    first, second, collector, ack = (f"tcp://localhost:{free_port()}" for _ in range(4))
    environ = {
        "ZMQPIPELINE_ENDPOINT_FIRST": first,
        "ZMQPIPELINE_ENDPOINT_SECOND": second,
        "ZMQPIPELINE_COLLECTOR_ENDPOINT": collector,
        "ZMQPIPELINE_ACK_ENDPOINT": ack,
    }
    wrong = {**environ, "ZMQPIPELINE_ENDPOINT_FIRST": "tcp://localhost:1", "ZMQPIPELINE_ENDPOINT": "nonsense"}
    started = [
        command.start("distributor", "app.py", env=environ),
        command.start("collector", "app.py", env=environ),
        command.start("worker", "app.py", "Does", "--endpoint", first, env=wrong),
        command.start("worker", "app.py", "DoesMore", env=environ),
    ]
    assert [run.finish() for run in started] == [0] * 4, [run.output for run in started]
    assert results(command.folder) == expected()


def test_a_run_takes_the_options_as_well(command: Command, free_port: Callable[[], int]) -> None:
    listens = (
        "if not os.path.exists('seen'): print('sockets', [f for f in os.listdir() if f.endswith('.ipc')])"
    )
    command.write("app.py", two_tasks(execution=listens))
    code, run = command.run(
        "run",
        "app.py",
        "-w1",
        "--endpoint",
        f"first=tcp://*:{free_port()}",
        "--collector-endpoint",
        f"tcp://localhost:{free_port()}",
        env={
            "ZMQPIPELINE_ENDPOINT_FIRST": "tcp://localhost:1",
            "ZMQPIPELINE_ACK_ENDPOINT": "ipc://other.ipc",
        },
    )
    assert code == 0, run.output
    assert results(command.folder) == expected()
    found = Counter(line.partition(" ")[2] for line in run.out)
    assert not [line for line in found if "first.ipc" in line or "collector.ipc" in line]
    command.assert_clean()


def test_a_service_and_its_worker(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command.write("app.py", SERVICE)
    service = command.start(
        "service",
        "app.py",
        "--frontend-endpoint=broker=ipc://f.ipc",
        env={"ZMQPIPELINE_BACKEND_ENDPOINT": "ipc://b.ipc"},
    )
    worker = command.start("service-worker", "app.py", "--endpoint", "adds=ipc://b.ipc")
    monkeypatch.chdir(command.folder)
    client = ServiceClient(EndpointAddress("ipc://f.ipc"), TaskType.register_type("adds"))
    try:
        assert client.request({"numbers": [4, 5]}, timeout=30) == {"sum": 9}
    finally:
        client.close()
    service.popen.terminate()
    assert service.finish() == 143, service.output
    assert worker.finish() == 0, worker.output
    command.assert_clean()


def test_a_distributor_that_the_file_has_made_is_used(command: Command) -> None:
    made = """
from zmqpipeline import Distributor

distributor = Distributor(Keeps.endpoint, Keeps.ack_endpoint, tasks=[First])
distributor.progress_interval = 0.01
"""
    command.write("app.py", two_tasks() + made)
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    assert set(results(command.folder)) == {f"first {n}" for n in range(1, 41)} | {"finished"}


def test_a_subclass_of_the_distributor_is_used(command: Command) -> None:
    made = """
from zmqpipeline import Distributor


class Mine(Distributor):
    def run(self):
        print("mine runs")
        super().run()
"""
    command.write("app.py", two_tasks() + made)
    code, run = command.run("run", "app.py", "-w", "1")
    assert code == 0, run.output
    assert any(line.endswith("mine runs") for line in run.out)
    assert results(command.folder) == expected()


def test_log_lines_say_role_and_process(command: Command) -> None:
    command.write(
        "app.py",
        two_tasks(execution="raise ValueError('no')").replace("n = 0", "n = 0\n    max_attempts = 1"),
    )
    command.write("three.py", "import os\nos.environ['N'] = '1'\nfrom app import *\n")
    worker = command.start("worker", "three.py", "Does")
    rest = [command.start(*role) for role in (["collector", "three.py"], ["distributor", "three.py"])]
    more = command.start("worker", "three.py", "DoesMore", "--log-level", "error")
    assert [run.finish() for run in (worker, more, *rest)] == [0, 0, 0, 1]
    pattern = rf"^\d\d:\d\d:\d\d Does/first\[{worker.popen.pid}\] WARNING "
    worker.wait_for(pattern + "task 0 of first failed")  # the name stands in front of the line, and not again
    assert more.err == []


def test_the_extra_is_needed_for_everything_else_and_said_in_one_line(command: Command) -> None:
    blocked = """
import sys

class Blocks:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("click", "rich"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocks())
from zmqpipeline.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
    command.write("app.py", two_tasks())

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", blocked, *arguments],
            cwd=command.folder,
            env=command.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=40,
        )

    missing = run("run", "app.py")
    assert missing.returncode == 9
    assert missing.stderr == 'zmqpipeline: the command needs click and rich: pip install "zmqpipeline[cli]"\n'
    assert run("worker", "app.py").returncode == 3  # a role's command does not need it
    assert run("worker", "--help").stdout.startswith("usage: zmqpipeline worker")


def test_the_help_lists_every_command(command: Command) -> None:
    code, run = command.run("--help")
    assert code == 0
    listed = {line.split()[0] for line in run.out if line.startswith("  ") and line.strip()}
    assert {"run", "distributor", "worker", "collector", "metadata", "service", "service-worker"} <= listed
    assert command.run("--version")[1].out == [
        f"zmqpipeline, version {__import__('zmqpipeline').__version__}"
    ]
