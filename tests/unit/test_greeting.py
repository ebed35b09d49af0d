"""Finding out who is bound somewhere, and whether an address can be bound, without anybody noticing."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from tests.ports import free_port
from zmqpipeline import EndpointAddress
from zmqpipeline.errors import BindError
from zmqpipeline.wire import bindable, binding, curve, greeting, sockets
from zmqpipeline.wire.refusal import Refusal
from zmqpipeline.wire.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("folder", "descriptors")

KINDS = {"ROUTER": zmq.ROUTER, "PULL": zmq.PULL, "PUSH": zmq.PUSH, "REP": zmq.REP}


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    with zmq.Context() as made:
        yield made


@pytest.fixture
def tcp() -> EndpointAddress:
    return EndpointAddress(f"tcp://127.0.0.1:{free_port()}")


def make_address(transport: str) -> EndpointAddress:
    name = {"tcp": f"127.0.0.1:{free_port()}", "ipc": "s.ipc", "abstract": f"@zmqpipeline-{os.getpid()}"}
    scheme = "tcp" if transport == "tcp" else "ipc"
    return EndpointAddress(f"{scheme}://{name[transport]}")


# -- who is there ---------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transport", ["tcp", "ipc", "abstract"])
def test_a_socket_of_any_kind_says_its_version_and_that_it_has_no_keys(
    context: zmq.Context[Any], transport: str, kind: str
) -> None:
    address = make_address(transport)
    with sockets.make_socket(context, KINDS[kind]) as bound, binding.bind(bound, address):
        assert greeting.ask(address) == ((3, 1), "NULL")


def test_a_socket_with_keys_says_so(context: zmq.Context[Any], tcp: EndpointAddress) -> None:
    with sockets.make_socket(context, zmq.ROUTER) as bound:
        curve.lock(bound, curve.make_pair(), "nobody")
        with binding.bind(bound, tcp):
            found = greeting.ask(tcp)
    assert found is not None
    assert found.has_keys


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_is_bound_takes_nobody_for_a_peer(
    context: zmq.Context[Any], tcp: EndpointAddress, kind: str
) -> None:
    """Neither does it see a handshake, nor one that failed for a reason that it would tell."""
    with sockets.make_socket(context, KINDS[kind]) as bound:
        watch = Watch(bound, tcp)
        with binding.bind(bound, tcp):
            greeting.ask(tcp)
            came, closed = 0, 0
            while not closed:
                assert watch.monitor.poll(40_000)
                changes = watch.drain()
                came, closed = came + changes.came, closed + len(changes.closed)
            assert not came
            assert not watch.connections
            assert set(watch.refusals) <= {Refusal.BROKEN}
        watch.close()


def test_nobody_there(tcp: EndpointAddress) -> None:
    with pytest.raises(ConnectionRefusedError):
        greeting.ask(tcp)
    with pytest.raises(FileNotFoundError):
        greeting.ask(EndpointAddress("ipc://nothing.ipc"))


def test_a_name_is_connected_to_as_roles_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """libzmq resolves names for IPv4 unless it is told otherwise."""
    found = [(socket.AF_INET6, ("::1", 0, 0, 0)), (socket.AF_INET, ("127.0.0.1", 0))]

    def resolve(host: Any, port: int, family: int = 0, *_args: Any) -> list[Any]:
        if host == "127.0.0.1":
            return [(socket.AF_INET, 1, 6, "", (host, port))]
        return [(f, 1, 6, "", (to[0], port, *to[2:])) for f, to in found if family in {0, f}]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this system has no IPv6")
    with server, pytest.raises(ConnectionRefusedError):
        greeting.ask(EndpointAddress(f"tcp://localhost:{server.getsockname()[1]}"))


def answering(server: socket.socket, answer: bytes | None) -> threading.Thread:
    """Answer one connection, or end it without an answer."""

    def serve() -> None:
        with server.accept()[0] as stream:
            stream.recv(100)
            if answer:
                stream.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", None),
        (b"HTTP/1.1 400 Bad Request\r\n" + b"x" * 100, None),
        (b"", None),
        (b"\xff", None),
        (b"\xff" + bytes(8) + b"\x7f\x03\x01CURVE", None),
        (b"\xff" + bytes(8) + b"\x7f\x01\x05", ((2, 0), "NULL")),
        (b"\xff" + bytes(8) + b"\x7f\x03\x00PLAIN" + bytes(47), ((3, 0), "PLAIN")),
    ],
)
def test_what_others_answer(tcp: EndpointAddress, answer: bytes, expected: Any) -> None:
    with socket.create_server(("127.0.0.1", int(tcp.rpartition(":")[2]))) as server:
        thread = answering(server, answer)
        assert greeting.ask(tcp) == expected
        thread.join()


def test_who_accepts_and_says_nothing_is_not_waited_for(tcp: EndpointAddress) -> None:
    with (
        socket.create_server(("127.0.0.1", int(tcp.rpartition(":")[2]))),
        pytest.raises(greeting.SilentError),
    ):
        greeting.ask(tcp, timeout=0.05)


# -- can it be bound --------------------------------------------------------------


@pytest.mark.parametrize("transport", ["tcp", "ipc", "abstract"])
def test_what_is_free_can_be_bound_and_is_not(transport: str, folder: Path) -> None:
    address = make_address(transport)
    bindable.check(address)
    bindable.check(address)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("transport", ["tcp", "ipc", "abstract"])
def test_who_waits_at_an_address_finds_nobody_there(monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    """Who is let in has something to say, once, and it would be lost."""

    def let_in(*_args: Any) -> None:
        pytest.fail("it listens")

    address = make_address(transport)
    monkeypatch.setattr(socket.socket, "listen", let_in)
    if transport == "abstract":  # a name that is taken without listening is one that nobody else can take
        monkeypatch.setattr(socket.socket, "bind", let_in)
    monkeypatch.setattr(zmq.Socket, "bind", let_in)
    bindable.check(address)


@pytest.mark.parametrize("transport", ["tcp", "ipc", "abstract"])
def test_what_is_in_use_is_told_as_bind_tells_it(context: zmq.Context[Any], transport: str) -> None:
    address = make_address(transport)
    with sockets.make_socket(context, zmq.ROUTER) as bound, binding.bind(bound, address):
        with pytest.raises(BindError) as looked:
            bindable.check(address)
        with sockets.make_socket(context, zmq.ROUTER) as other, pytest.raises(BindError) as tried:
            binding.bind(other, address)
        assert str(looked.value) == str(tried.value)
        assert looked.value.errno == tried.value.errno


@pytest.mark.parametrize("host", ["*", "localhost", "[::1]", "[::]"])
def test_hosts_are_those_that_bind_takes(host: str) -> None:
    if "[" in host:
        try:
            with socket.create_server(("::1", 0), family=socket.AF_INET6):
                pass
        except OSError:
            pytest.skip("this system has no IPv6")
    bindable.check(EndpointAddress(f"tcp://{host}:{free_port()}"))


def test_files_and_folders(folder: Path) -> None:
    folder.joinpath("file").write_text("mine")
    for path, sentence in {
        "file": "a file that is no socket stands there",
        "none/s.ipc": "its folder does not exist",
        "file/s.ipc": "its folder is a file",
    }.items():
        with pytest.raises(BindError, match=sentence):
            bindable.check(f"ipc://{path}")
    assert folder.joinpath("file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(folder: Path) -> None:
    folder.joinpath("closed").mkdir(mode=0o500)
    with pytest.raises(BindError, match="permission is denied; choose a folder that this user may write to"):
        bindable.check("ipc://closed/s.ipc")


def test_what_a_dead_process_has_left_is_no_obstacle(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind("s.ipc")
    folder.joinpath("s.ipc.lock").write_text("1\n")
    bindable.check("ipc://s.ipc")
    assert sorted(path.name for path in folder.iterdir()) == ["s.ipc", "s.ipc.lock"]


def test_a_role_that_binds_while_its_lock_is_looked_at_does_so(
    context: zmq.Context[Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks, tried = fcntl.flock, list[int]()
    folder.joinpath("s.ipc.lock").touch()
    with folder.joinpath("s.ipc.lock").open() as looking:
        locks(looking, fcntl.LOCK_SH)  # as bindable.holder_of does

        def lock(file: Any, how: int) -> None:
            tried.append(how)
            if len(tried) == 3:
                locks(looking, fcntl.LOCK_UN)
            locks(file, how)

        monkeypatch.setattr(fcntl, "flock", lock)
        with sockets.make_socket(context, zmq.ROUTER) as bound, binding.bind(bound, "ipc://s.ipc"):
            assert bindable.holder_of(EndpointAddress("ipc://s.ipc")) == os.getpid()
    exclusive, shared = fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_SH | fcntl.LOCK_NB
    assert tried[:3] == [exclusive, shared, exclusive]


def test_a_listener_that_knows_no_lock_is_alive(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind("s.ipc")
        other.listen()
        with pytest.raises(BindError, match="another process has bound it"):
            bindable.check("ipc://s.ipc")
