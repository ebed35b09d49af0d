"""``zmqpipeline keys``, and pipelines whose processes have keys."""

from __future__ import annotations

import contextlib
import re
import shlex
import socket
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import zmq

from zmqpipeline.keys import Keys
from zmqpipeline.wire import curve, sockets
from zmqpipeline.wire.watch import Watch

from .apps import SERVICE, two_tasks
from .conftest import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from .conftest import Command, Running


def endpoints(free_port: Callable[[], int], host: str = "127.0.0.1") -> dict[str, str]:
    names = ("ENDPOINT_FIRST", "ENDPOINT_SECOND", "COLLECTOR_ENDPOINT", "ACK_ENDPOINT")
    return {f"ZMQPIPELINE_{name}": f"tcp://{host}:{free_port()}" for name in names}


def results(command: Command) -> Counter[str]:
    return Counter(command.folder.joinpath("results").read_text().splitlines())


def expected(n: int = 40) -> Counter[str]:
    names = [f"{task} {i}" for task in ("first", "second") for i in range(1, n + 1)]
    return Counter([*names, "finished"])


def typed(run: Running, beginning: str, **names: str) -> list[str]:
    """Take a command out of what was printed, as a shell would read it, with names in place of its own."""
    (line,) = [line.strip() for line in run.out if line.strip().startswith(beginning)]
    return [names.get(word, word) for word in shlex.split(line)[1:]]


def test_two_folders_are_made_by_what_each_command_says(command: Command) -> None:
    code, made = command.run("keys", "new", "keys")
    assert code == 0, made.output
    follow = typed(made, "zmqpipeline keys new", FOLDER="host")
    code, other = command.run(*follow)
    assert code == 0, other.output
    follow = typed(other, "zmqpipeline keys authorize", NAME="host", FOLDER="keys")
    code, authorized = command.run(*follow)
    assert (code, authorized.out, authorized.err) == (0, ["host may connect."], [])
    pipeline, host = Keys(command.folder / "keys"), Keys(command.folder / "host")
    assert pipeline.authorized() == {"local": pipeline.peer.public, "host": host.peer.public}
    assert host.pipeline_public == pipeline.pipeline_public
    assert f"    export ZMQPIPELINE_KEYS={command.folder / 'keys'}" in made.out
    assert f"    export ZMQPIPELINE_KEYS={command.folder / 'host'}" in other.out

    code, shown = command.run("keys", "show", env={"ZMQPIPELINE_KEYS": "keys"})
    assert code == 0, shown.output
    assert shown.out == [
        f"pipeline          {pipeline.pipeline_public}",
        f"this folder       {pipeline.peer.public}",
        f"authorized host   {host.peer.public}",
        f"authorized local  {pipeline.peer.public}",
    ]
    code, shown = command.run("keys", "show", "--keys", "host")
    assert shown.out == [
        f"pipeline     {pipeline.pipeline_public}",
        f"this folder  {host.peer.public}",
    ]

    code, revoked = command.run("keys", "revoke", "host", "--keys", "keys")
    assert code == 0, revoked.output
    assert pipeline.authorized() == {"local": pipeline.peer.public}

    everything = "\n".join(run.output for run in command.running)
    for secret in (pipeline.pipeline.secret, pipeline.peer.secret, host.peer.secret):
        assert secret not in everything


PUBLIC = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"

ERRORS = {
    "there already": (
        ["new", "keys"],
        13,
        r"{folder}/keys is there already, and keys are never overwritten: ",
    ),
    "no public key": (
        ["new", "x", "--pipeline", "abc"],
        13,
        r"'abc' is no public key, which is 40 characters",
    ),
    "no folder named": (["show"], 2, r"which folder\? Give --keys FOLDER, or set ZMQPIPELINE_KEYS=FOLDER$"),
    "no folder": (["show", "--keys", "x"], 13, r"there is no folder {folder}/x with keys: make one with: "),
    "a name twice": (
        ["authorize", "local", PUBLIC, "--keys", "keys"],
        13,
        r"local is authorized already, with another key: revoke it first, or choose another name$",
    ),
    "no name": (["authorize", "../x", PUBLIC, "--keys", "keys"], 13, r"'../x' is no name for a key: "),
    "nobody": (["revoke", "x", "--keys", "keys"], 13, r"x is not authorized in {folder}/keys, only local$"),
    "not to bind with": (
        ["authorize", "x", PUBLIC, "--keys", "host"],
        13,
        r"{folder}/host is no folder to bind",
    ),
    "open": (
        ["show", "--keys", "open"],
        13,
        r"{folder}/open has the mode 0755, .*: chmod 700 {folder}/open$",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_is_wrong_is_one_sentence(command: Command, case: str) -> None:
    pipeline = Keys.new(command.folder / "keys")
    Keys.new(command.folder / "host", pipeline.pipeline_public)
    Keys.new(command.folder / "open").folder.chmod(0o755)
    arguments, expected_code, sentence = ERRORS[case]
    code, run = command.run("keys", *arguments)
    assert (code, run.out, len(run.err)) == (expected_code, [], 1), run.output
    assert re.match("zmqpipeline: " + sentence.format(folder=re.escape(str(command.folder))), run.err[0])


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_run_over_tcp_has_keys_in_each_process(
    command: Command, free_port: Callable[[], int], by: str
) -> None:
    Keys.new(command.folder / "keys")
    command.write("app.py", two_tasks())
    environ = {**endpoints(free_port, "*"), "ZMQPIPELINE_SECURITY": "required"}
    arguments = ["run", "app.py", "-w", "2"]
    if by == "option":
        arguments += ["--keys", "keys"]
    else:
        environ["ZMQPIPELINE_KEYS"] = "keys"
    code, run = command.run(*arguments, env=environ)
    assert code == 0, run.output
    assert results(command) == expected()
    command.assert_clean()


class Intruder:
    """Connects again and again, without a key, with one that is not on the list, and with plain bytes."""

    def __init__(self, ports: list[int], keys: Keys) -> None:
        self._ports = ports
        self._credentials = [None, curve.Credentials(keys.pipeline_public, curve.make_pair())]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._intrude)
        self.rounds = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _intrude(self) -> None:
        with zmq.Context() as context:
            while not self._stopped.wait(0.02):
                for port in self._ports:
                    self._knock(context, port)
                self.rounds += 1

    def _knock(self, context: zmq.Context[zmq.Socket[bytes]], port: int) -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), GUARD) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        for credentials in self._credentials:
            with sockets.make_socket(context, zmq.DEALER) as dealer:
                dealer.linger = 0
                watch = Watch(dealer)
                sockets.connect(dealer, f"tcp://127.0.0.1:{port}", credentials)
                watch.monitor.poll(200)
                came = watch.drain().came
                watch.close()
            assert not came


def test_intruders_are_refused_and_every_result_is_collected(
    command: Command, free_port: Callable[[], int]
) -> None:
    keys = Keys.new(command.folder / "keys")
    waits = 'import os, time\nwhile data["n"] == 1 and not os.path.exists("go"): time.sleep(0.01)'
    command.write("app.py", two_tasks(execution=waits))
    environ = {**endpoints(free_port), "ZMQPIPELINE_KEYS": "keys", "N": "400"}
    ports = [int(value.rpartition(":")[2]) for name, value in environ.items() if "ENDPOINT" in name]
    run = command.start("run", "app.py", "-w", "2", env=environ)
    with Intruder(ports, keys) as intruder:
        run.wait_for(r"Distributor\[.* has refused \d+ connections? at .* without a key")
        run.wait_for(r"Keeps\[.* has refused \d+ connections? at .* without a key", times=2)
        command.write("go", "")
        code = run.finish()
    assert code == 0, run.output
    assert intruder.rounds
    assert results(command) == expected(400)
    assert "0 restarts" in run.err[-1]
    command.assert_clean()


@pytest.mark.parametrize("arguments", [["run", "app.py"], ["collector", "app.py"]])
def test_keys_that_cannot_be_used_end_a_run_with_13(
    command: Command, free_port: Callable[[], int], arguments: list[str]
) -> None:
    command.write("app.py", two_tasks())
    code, run = command.run(*arguments, "--keys", "nowhere", env=endpoints(free_port))
    assert code == 13, run.output
    folder = command.folder / "nowhere"
    where = f"there is no folder {folder} with keys: make one with: zmqpipeline keys new FOLDER"
    assert any(line.startswith("zmqpipeline: ") and line.endswith(where) for line in run.err), run.output
    command.assert_clean()


@pytest.mark.parametrize("arguments", [["run", "app.py"], ["collector", "app.py"], ["keys", "show"]])
def test_an_empty_option_does_not_switch_keys_off(command: Command, arguments: list[str]) -> None:
    """It is what a shell makes of a variable that is not set."""
    Keys.new(command.folder / "keys")
    command.write("app.py", two_tasks())
    code, run = command.run(*arguments, "--keys", "", env={"ZMQPIPELINE_KEYS": "keys"})
    assert code == 2, run.output
    assert run.out == []
    assert re.fullmatch(r"zmqpipeline: (.*: )?--keys is empty, expected the path of a folder", run.err[-1])
    command.assert_clean()


def test_an_open_address_without_keys_is_warned_of_or_refused(
    command: Command, free_port: Callable[[], int]
) -> None:
    command.write("app.py", SERVICE)
    front, back = (f"tcp://*:{free_port()}" for _ in range(2))
    environ = {"ZMQPIPELINE_FRONTEND_ENDPOINT": front, "ZMQPIPELINE_BACKEND_ENDPOINT": back}
    run = command.start("service", "app.py", env=environ)
    for address in (front, back):
        run.wait_for(rf"WARNING whoever can connect to {re.escape(address)} takes part: make keys with: ")
    run.popen.terminate()
    run.finish()
    code, run = command.run("service", "app.py", env={**environ, "ZMQPIPELINE_SECURITY": "required"})
    assert code == 13, run.output
    assert f"{front} is open to the network, and keys are required" in run.err[-1]
