"""What the doctor decides without a program: versions, who meets whom, whose address it is."""

from __future__ import annotations

import importlib.metadata
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.roles.snapshots import make_collector, make_process, make_snapshot, make_worker
from zmqpipeline import EndpointAddress, __version__
from zmqpipeline.doctor import installation, network, reach, versions, wiring
from zmqpipeline.doctor.finding import OK, PROBLEM, WARNING
from zmqpipeline.wire import greeting


@pytest.mark.parametrize(
    ("version", "least", "older"),
    [
        ("25.9.1", "26.0", True),
        ("26.0", "26.0", False),
        ("26", "26.0", False),
        ("26.0.0rc1", "26.0", False),
        ("26.10", "26.9", False),
        ("1.0.4", "1.0.5", True),
        ("unknown", "1.0", True),
    ],
)
def test_which_version_is_older(version: str, least: str, older: bool) -> None:
    assert installation.is_older(version, least) is older


def test_this_installation_has_all_that_is_needed() -> None:
    assert [found.sentence for found in installation.findings() if found.level == PROBLEM] == []


def test_what_is_too_old_is_a_problem_with_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        installation, "_least", lambda: {"pyzmq": "999.1", "msgpack": "0.1", "python": "99.0"}
    )
    told = [(found.sentence, found.code) for found in installation.findings() if found.level == PROBLEM]
    assert [sentence.partition(" is too old, ")[2] for sentence, _ in told] == [
        "99.0 or newer is needed: make a virtual environment with a newer one",
        '999.1 or newer is needed: pip install "pyzmq>=999.1"',
    ]
    assert {code for _, code in told} == {9}


def test_another_copy_than_the_installed_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.0.1")
    told = [found.sentence for found in installation.findings() if found.level == WARNING]
    assert any("and 0.0.1 is installed: install it again" in sentence for sentence in told)


def test_what_is_not_installed_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    monkeypatch.setattr(importlib.metadata, "metadata", missing)
    told = list(installation.findings())
    assert "not installed" in told[0].sentence
    assert not [found for found in told if found.level == PROBLEM]


def test_an_old_libzmq_without_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq, "zmq_version", lambda: "4.2.5")
    monkeypatch.setattr(zmq, "has", lambda _: False)
    told = {found.level: found.sentence for found in installation.findings()}
    assert told[PROBLEM] == "libzmq 4.2.5 is too old, 4.3 or newer is needed: install pyzmq from its wheel"
    assert told[WARNING].startswith("there can be no keys: this build of libzmq has no CURVE: install pyzmq")


def test_few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    told = [found.sentence for found in installation.findings() if found.level == WARNING]
    assert any(sentence.startswith("a process may open 256 files at most") for sentence in told)


@pytest.mark.parametrize(
    ("bound", "connected", "meets"),
    [
        ("tcp://*:1", "tcp://10.0.0.1:1", True),
        ("tcp://10.0.0.1:1", "tcp://name:1", True),
        ("tcp://*:1", "tcp://*:1", True),
        ("tcp://*:1", "tcp://10.0.0.1:2", False),
        ("tcp://*:1", "tcp://[::1]:1", False),
        ("tcp://[::]:1", "tcp://[::1]:1", True),
        ("tcp://[::]:1", "tcp://10.0.0.1:1", True),
        ("tcp://localhost:1", "tcp://127.0.0.1:1", True),
        ("tcp://localhost:1", "tcp://*:1", True),
        ("tcp://localhost:1", "tcp://10.0.0.1:1", False),
        ("tcp://[::1]:1", "tcp://localhost:1", False),
        ("tcp://localhost:1", "ipc://s.ipc", False),
        ("ipc://s.ipc", "ipc://./s.ipc", True),
        ("ipc://s.ipc", "ipc://t.ipc", False),
        ("ipc://@s", "ipc://@s", True),
        ("ipc://@s", "ipc://s", False),
        ("inproc://s", "inproc://s", True),
    ],
)
def test_who_meets_whom(bound: str, connected: str, meets: bool) -> None:
    assert wiring.meets(EndpointAddress(bound), EndpointAddress(connected)) is meets


@pytest.mark.parametrize("resolved", ["127.0.0.1", "192.0.2.1"])
def test_a_host_is_this_one_if_it_has_the_address(monkeypatch: pytest.MonkeyPatch, resolved: str) -> None:
    def resolve(host: str, _port: int, family: int, *_args: Any) -> list[Any]:
        assert (host, family) == ("this-or-another", socket.AF_INET)  # roles connect to names over IPv4
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (resolved, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert network.is_here(EndpointAddress("tcp://this-or-another:1")) is (resolved == "127.0.0.1")


def test_an_address_of_a_kind_that_this_host_does_not_have_is_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_args: Any) -> Any:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", fail)
    assert not network.is_here(EndpointAddress("tcp://[2001:db8::1]:1"))


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the system does not show who listens")
def test_who_has_an_address_is_not_who_has_its_port_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_address: EndpointAddress) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(greeting, "ask", fail)  # they would be silent
    listen = (
        "import socket, sys\n"
        "with socket.create_server(('127.0.0.2', int(sys.argv[1]))):\n"
        "    print(flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, "-c", listen, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            other.stdout.readline()
            told = {
                host: network.who_has(EndpointAddress(f"tcp://{host}:{port}"))
                for host in ("127.0.0.1", "127.0.0.2", "localhost")
            }
            other.communicate()
    pids = {host: text.split()[1] for host, text in told.items()}
    assert pids == {
        "127.0.0.1": str(os.getpid()),
        "127.0.0.2": str(other.pid),
        "localhost": str(os.getpid()),
    }


@pytest.mark.parametrize(
    ("place", "host", "has"),
    [
        ("00000000:1F90", "127.0.0.1", True),
        ("0100007F:1F90", "127.0.0.1", True),
        ("0100007F:1F90", "", True),
        ("0200007F:1F90", "127.0.0.1", False),
        ("0100007F:1F91", "127.0.0.1", False),
        ("00000000000000000000000000000000:1F90", "127.0.0.1", True),
        ("00000000000000000000000001000000:1F90", "::1", True),
        ("0000000000000000FFFF00000100007F:1F90", "127.0.0.1", True),
    ],
)
@pytest.mark.skipif(sys.byteorder != "little", reason="a system of the other kind writes them otherwise")
def test_places_as_the_system_writes_them(place: str, host: str, has: bool) -> None:
    assert network._has(place, host, 8080) is has


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".com"])
def test_what_can_be_the_name_of_no_host_is_told(host: str) -> None:
    address = EndpointAddress(f"tcp://{host}:1")
    with pytest.raises(OSError, match="no host can have this name"):
        network.is_here(address)
    (found,) = reach.findings(address, "the collector", [])
    assert found.sentence.startswith(f"{address}: the name of the host cannot be resolved (no host can have")


@pytest.mark.parametrize("address", ["tcp://*:1", "tcp://[::]:1", "tcp://localhost:1", "ipc://s", "ipc://@s"])
def test_what_is_always_here(address: str) -> None:
    assert network.is_here(EndpointAddress(address))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            socket.gaierror(-2, "Name or service not known"),
            "{}: the name of the host cannot be resolved (Name",
        ),
        (TimeoutError("timed out"), "{} does not answer within 3 s: see that the host is up"),
        (OSError(101, "Network is unreachable"), "{} cannot be reached (Network is unreachable): correct"),
        (ConnectionRefusedError(111, "refused"), "nobody listens at {}: start the collector, or correct"),
    ],
)
def test_why_somebody_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, error: OSError, sentence: str
) -> None:
    def fail(*_args: Any) -> Any:
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(0, 0, 0, "", ("192.0.2.1", 1))])
    address = EndpointAddress("tcp://elsewhere:1")
    (found,) = reach.findings(address, "the collector", [])
    assert (found.level, found.code) == (PROBLEM, 7)
    assert found.sentence.startswith(sentence.format(address))


# -- versions -------------------------------------------------------------------

HERE = {"version": __version__, "protocol": 1}
MENDING = "install the same zmqpipeline on all hosts, and start the roles again"


def test_versions_that_are_those_of_this_host() -> None:
    workers = [make_worker(**HERE), make_worker(), make_worker(state="left", version="0.0.1")]
    snapshot = make_snapshot(distributor=make_process(**HERE), collector=None, workers=workers)
    told = [(found.level, found.sentence) for found in versions.compared(snapshot, "ipc://m")]
    assert told == [
        (OK, f"2 processes of the run have zmqpipeline {__version__}, as this host has (ipc://m)")
    ]


def test_each_other_version_is_told_once_for_each_host_and_role() -> None:
    snapshot = make_snapshot(
        distributor=make_process(version="9.0.0", protocol=1),
        collector=make_collector(version="0.0.1", protocol=7),
        workers=[make_worker(version="0.0.1", protocol=1, pid=pid) for pid in range(1, 6)],
    )
    told = {found.sentence: (found.level, found.code) for found in versions.compared(snapshot, "ipc://m")}
    here = f"and this host {__version__}: {MENDING}"
    assert told == {
        f"the distributor on alpha (process 4000) has zmqpipeline 9.0.0, {here}": (WARNING, 0),
        (
            f"the collector CountCollector on alpha (process 4009) speaks version 7 of the protocol, and "
            f"this host 1: {MENDING}"
        ): (PROBLEM, 7),
        (
            f"CountWorker on alpha (process 1, process 2, process 3 and 2 more) has zmqpipeline 0.0.1, {here}"
        ): (WARNING, 0),
    }


def test_a_distributor_that_does_not_tell_its_version() -> None:
    (found,) = versions.compared(make_snapshot(workers=[make_worker(**HERE)]), "ipc://m")
    assert found.level == WARNING
    assert found.sentence.startswith("the distributor at ipc://m does not tell its version, so it is older")
