"""``zmqpipeline dashboard``: where its page is, what is wrong in one sentence, and how it ends."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.roles.snapshots import FakeDistributor, make_snapshot

from .conftest import GUARD

if TYPE_CHECKING:
    from .conftest import Command, Running

URL = r"^http://127\.0\.0\.1:(\d+)/ shows the run at (\S+), until Ctrl-C$"


def port_of(running: Running) -> int:
    return int(running.wait_for(URL)[0][1])


def first_event(port: int, name: str) -> tuple[http.client.HTTPConnection, object]:
    """Open a page's stream, and read until an event comes; the connection stays open."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GUARD)
    connection.request("GET", "/events")
    answer = connection.getresponse()
    while answer.readline() != f"event: {name}\n".encode():
        pass
    return connection, json.loads(answer.readline().partition(b": ")[2])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_page_is_there_until_a_signal(command: Command, number: signal.Signals, code: int) -> None:
    with FakeDistributor(f"ipc://{command.folder}/monitor.ipc") as distributor:
        running = command.start("dashboard", distributor.endpoint, "--port", "0")
        port = port_of(running)
        pages = [first_event(port, "snapshot") for _ in range(2)]
        assert [snapshot for _, snapshot in pages] == [make_snapshot()] * 2
        running.signal(number)
        assert running.finish() == code, running.output
        assert running.err == []
        for connection, _ in pages:
            connection.close()


def test_the_address_can_be_in_the_environment(command: Command) -> None:
    with FakeDistributor(f"ipc://{command.folder}/monitor.ipc") as distributor:
        env = {"ZMQPIPELINE_MONITOR_ENDPOINT": distributor.endpoint}
        running = command.start("dashboard", "--port", "0", env=env)
        connection, _ = first_event(port_of(running), "snapshot")
        connection.close()
        running.signal(signal.SIGINT)
        assert running.finish() == 130


def test_the_page_is_there_before_the_distributor(command: Command) -> None:
    running = command.start("dashboard", f"ipc://{command.folder}/monitor.ipc", "--port", "0")
    connection, _ = first_event(port_of(running), "gone")
    with FakeDistributor(f"ipc://{command.folder}/monitor.ipc"):
        later, snapshot = first_event(port_of(running), "snapshot")
        assert snapshot == make_snapshot()
    for each in (connection, later):
        each.close()
    running.signal(signal.SIGINT)
    assert running.finish() == 130
    assert running.err == []


def test_a_port_in_use_is_one_sentence(command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, run = command.run("dashboard", "ipc://monitor.ipc", "--port", str(port))
    assert code == 5, run.output
    assert run.out == []
    (said,) = run.err
    assert said == (
        f"zmqpipeline: the page cannot be at 127.0.0.1:{port} (address already in use): "
        f"give another port with --port, or --port 0 for any that is free"
    )


def test_another_version_ends_it_with_a_sentence(command: Command) -> None:
    with FakeDistributor(f"ipc://{command.folder}/monitor.ipc", make_snapshot(version=999)) as distributor:
        code, run = command.run("dashboard", distributor.endpoint, "--port", "0")
    assert code == 7, run.output
    assert len(run.err) == 1
    assert "in version 999" in run.err[0]


def test_without_the_extra_it_says_what_to_install(command: Command) -> None:
    command.write("uvicorn.py", "raise ModuleNotFoundError('No module named uvicorn', name='uvicorn')\n")
    path = f"{command.folder}:{command.environ['PYTHONPATH']}"
    code, run = command.run("dashboard", "ipc://monitor.ipc", env={"PYTHONPATH": path})
    assert (code, run.out) == (9, [])
    assert run.err == [
        'zmqpipeline: the dashboard needs starlette and uvicorn: pip install "zmqpipeline[dashboard]"'
    ]
