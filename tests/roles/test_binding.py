"""Binding: nobody takes a live address, nothing stays behind, no file is lost."""

from __future__ import annotations

import errno
import os
import signal
import socket as plain
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from zmqpipeline.errors import BindError, EndpointError
from zmqpipeline.wire import binding
from zmqpipeline.wire.binding import Binding, bind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    NewSocket = Callable[..., zmq.Socket[bytes]]
    Child = Callable[[str], subprocess.Popen[bytes]]

CHILD = """
import sys, time, zmq
from zmqpipeline.wire.binding import bind
socket = zmq.Context().socket(zmq.PULL)
bound = bind(socket, sys.argv[1])
print("bound", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # Relative paths are short, whatever the length of the temporary folder's.
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def new_socket() -> Iterator[NewSocket]:
    context = zmq.Context()
    made: list[zmq.Socket[bytes]] = []

    def make(kind: int = zmq.PULL) -> zmq.Socket[bytes]:
        made.append(context.socket(kind))
        return made[-1]

    yield make
    for socket in made:
        socket.close(linger=0)
    context.term()


@pytest.fixture
def free_port() -> int:
    with plain.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def child() -> Iterator[Child]:
    """Start a process that binds an address and holds it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(address: str) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(Path(binding.__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"bound\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def delivers(new_socket: NewSocket, receiver: zmq.Socket[bytes], address: str) -> bool:
    sender = new_socket(zmq.PUSH)
    sender.ipv6 = "[" in address
    sender.connect(address)
    sender.send(b"hello")
    assert receiver.poll(10_000)
    return receiver.recv() == b"hello"


def test_ipc_is_for_this_user_only_and_leaves_nothing(new_socket: NewSocket) -> None:
    before = os.umask(0o022)
    os.umask(before)
    receiver = new_socket()
    bound = bind(receiver, "ipc://a.ipc")
    assert os.umask(before) == before
    assert stat.S_IMODE(os.lstat("a.ipc").st_mode) == 0o700
    assert stat.S_IMODE(os.lstat("a.ipc.lock").st_mode) == 0o600
    assert bound.endpoint == bound.address == "ipc://a.ipc"
    assert delivers(new_socket, receiver, "ipc://a.ipc")
    bound.close()
    bound.close()
    assert names() == []


@pytest.mark.parametrize("socket_first", [True, False])
def test_closing_in_either_order(new_socket: NewSocket, socket_first: bool) -> None:
    for _ in range(20):
        receiver = new_socket()
        bound = bind(receiver, "ipc://a.ipc")
        for closed in (receiver, bound) if socket_first else (bound, receiver):
            closed.close()
        assert names() == []


def test_working_directory_may_change(
    new_socket: NewSocket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bind(new_socket(), "ipc://a.ipc"):
        (folder / "elsewhere").mkdir()
        monkeypatch.chdir(folder / "elsewhere")
    assert [path.name for path in folder.iterdir()] == ["elsewhere"]


def test_absolute_path(new_socket: NewSocket, folder: Path) -> None:
    address = f"ipc://{folder}/a.ipc"
    receiver = new_socket()
    try:
        bound = bind(receiver, address)
    except EndpointError:
        pytest.skip("the temporary folder's path is too long")
    with bound:
        assert delivers(new_socket, receiver, address)
    assert names() == []


def test_two_roles_in_one_process_conflict(new_socket: NewSocket) -> None:
    first = new_socket()
    bound = bind(first, "ipc://a.ipc")
    with pytest.raises(BindError, match=f"'ipc://a.ipc'.*process {os.getpid()}") as caught:
        bind(new_socket(), "ipc://a.ipc")
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.EADDRINUSE
    assert names() == ["a.ipc", "a.ipc.lock"]
    assert delivers(new_socket, first, "ipc://a.ipc")
    bound.close()
    bind(new_socket(), "ipc://a.ipc").close()


def test_two_processes_conflict(new_socket: NewSocket, child: Child) -> None:
    process = child("ipc://a.ipc")
    with pytest.raises(BindError, match=f"process {process.pid} has bound it"):
        bind(new_socket(), "ipc://a.ipc")


def test_stale_file_of_a_killed_process_is_replaced(new_socket: NewSocket, child: Child) -> None:
    process = child("ipc://a.ipc")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert names() == ["a.ipc", "a.ipc.lock"]
    receiver = new_socket()
    with bind(receiver, "ipc://a.ipc"):
        assert delivers(new_socket, receiver, "ipc://a.ipc")
    assert names() == []


def test_live_listener_without_a_lock_is_not_replaced(new_socket: NewSocket) -> None:
    receiver = new_socket()
    receiver.bind("ipc://a.ipc")
    with pytest.raises(BindError, match="another process has bound it"):
        bind(new_socket(), "ipc://a.ipc")
    assert names() == ["a.ipc"]
    assert delivers(new_socket, receiver, "ipc://a.ipc")


def test_listener_that_is_too_busy_or_of_another_kind_is_alive(
    new_socket: NewSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binding, "PROBE_TIMEOUT", 0.05)
    with plain.socket(plain.AF_UNIX) as busy, plain.socket(plain.AF_UNIX) as waiting:
        busy.bind("busy.ipc")
        busy.listen(0)
        waiting.connect("busy.ipc")
        with pytest.raises(BindError, match="has bound it"):
            bind(new_socket(), "ipc://busy.ipc")
    with plain.socket(plain.AF_UNIX, plain.SOCK_DGRAM) as other:
        other.bind("other.ipc")
        with pytest.raises(BindError, match="has bound it"):
            bind(new_socket(), "ipc://other.ipc")
    assert names() == ["busy.ipc", "other.ipc"]


@pytest.mark.parametrize("make", [lambda path: path.write_text("precious"), Path.mkdir])
def test_what_is_no_socket_is_never_deleted(new_socket: NewSocket, make: Callable[[Path], Any]) -> None:
    path = Path("a.ipc")
    make(path)
    with pytest.raises(BindError, match="a file that is no socket stands there"):
        bind(new_socket(), "ipc://a.ipc")
    assert names() == ["a.ipc"]
    assert path.is_dir() or path.read_text() == "precious"


def test_link_is_not_followed(new_socket: NewSocket) -> None:
    Path("precious").write_text("precious")
    Path("a.ipc").symlink_to("precious")
    Path("b.ipc.lock").symlink_to("precious")
    for address in ("ipc://a.ipc", "ipc://b.ipc"):
        with pytest.raises(BindError):
            bind(new_socket(), address)
    assert names() == ["a.ipc", "b.ipc.lock", "precious"]
    assert Path("precious").read_text() == "precious"


def test_file_of_somebody_else_is_not_removed(new_socket: NewSocket) -> None:
    bound = bind(new_socket(), "ipc://a.ipc")
    Path("a.ipc").unlink()
    Path("a.ipc").write_text("precious")
    bound.close()
    assert names() == ["a.ipc"]


def test_forked_process_removes_nothing(new_socket: NewSocket) -> None:
    bound = bind(new_socket(), "ipc://a.ipc")
    pid = os.fork()
    if pid == 0:
        bound.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert names() == ["a.ipc", "a.ipc.lock"]
    with pytest.raises(BindError):
        bind(new_socket(), "ipc://a.ipc")
    bound.close()


def test_missing_folder(new_socket: NewSocket) -> None:
    with pytest.raises(BindError, match="its folder does not exist; create it") as caught:
        bind(new_socket(), "ipc://missing/a.ipc")
    assert caught.value.errno == errno.ENOENT


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_unwritable_folder(new_socket: NewSocket) -> None:
    Path("closed").mkdir(mode=0o500)
    with pytest.raises(BindError, match="a folder that this user may write to"):
        bind(new_socket(), "ipc://closed/a.ipc")


@pytest.mark.skipif(
    not Path("/sys/kernel").exists(), reason="/sys is Linux', where not even root makes a file"
)
def test_unwritable_folder_for_root(new_socket: NewSocket) -> None:
    with pytest.raises(BindError, match="a folder that this user may write to"):
        bind(new_socket(), "ipc:///sys/a.ipc")


def test_failed_bind_gives_the_lock_back(new_socket: NewSocket) -> None:
    receiver = new_socket()
    receiver.close()
    with pytest.raises(BindError):
        bind(receiver, "ipc://a.ipc")
    assert names() == []


def test_umask_survives_threads(new_socket: NewSocket) -> None:
    before = os.umask(0o022)
    sockets = [new_socket() for _ in range(8)]
    ready = threading.Barrier(len(sockets))
    bound = []

    def work(number: int) -> None:
        ready.wait()
        bound.append(bind(sockets[number], f"ipc://{number}.ipc"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(sockets))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.umask(before) == 0o022
    for one in bound:
        one.close()
    assert names() == []


def test_only_one_of_many_gets_the_address(new_socket: NewSocket) -> None:
    sockets = [new_socket() for _ in range(8)]
    for _ in range(20):
        ready = threading.Barrier(len(sockets))
        outcomes: list[Binding | None] = []

        def work(
            socket: zmq.Socket[bytes],
            ready: threading.Barrier = ready,
            outcomes: list[Binding | None] = outcomes,
        ) -> None:
            ready.wait()
            try:
                outcomes.append(bind(socket, "ipc://a.ipc"))
            except BindError:
                outcomes.append(None)

        threads = [threading.Thread(target=work, args=(socket,)) for socket in sockets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = [outcome for outcome in outcomes if outcome]
        assert len(won) == 1
        won[0].close()
        for socket in sockets:
            socket.close()
        sockets = [new_socket() for _ in sockets]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="abstract sockets exist on Linux only")
def test_abstract_name(new_socket: NewSocket) -> None:
    address = f"ipc://@zmqpipeline-{os.getpid()}"
    receiver = new_socket()
    with bind(receiver, address):
        assert delivers(new_socket, receiver, address)
        assert names() == []
        with pytest.raises(BindError, match="in use"):
            bind(new_socket(), address)
    Path("@file").write_text("precious")
    with pytest.raises(BindError, match="no socket stands there"):
        bind(new_socket(), "ipc://@file")
    assert names() == ["@file"]


def test_tcp_localhost_binds_loopback_only(new_socket: NewSocket, free_port: int) -> None:
    address = f"tcp://localhost:{free_port}"
    receiver = new_socket()
    with bind(receiver, address) as bound:
        assert bound.endpoint == f"tcp://127.0.0.1:{free_port}"
        assert delivers(new_socket, receiver, address)
        with pytest.raises(BindError, match="the address is in use") as caught:
            bind(new_socket(), address)
        assert caught.value.errno == errno.EADDRINUSE


def test_tcp_host_binds_every_interface(new_socket: NewSocket, free_port: int) -> None:
    receiver = new_socket()
    with bind(receiver, f"tcp://some.host.example:{free_port}") as bound:
        assert bound.endpoint == f"tcp://0.0.0.0:{free_port}"


def test_ipv6(new_socket: NewSocket, free_port: int) -> None:
    address = f"tcp://[::1]:{free_port}"
    receiver = new_socket()
    try:
        bound = bind(receiver, address)
    except BindError as error:
        pytest.skip(f"no IPv6 here: {error}")
    assert bound.endpoint == address
    assert delivers(new_socket, receiver, address)
    bound.close()


def test_inproc(new_socket: NewSocket) -> None:
    receiver = new_socket()
    with bind(receiver, "inproc://threads"):
        assert delivers(new_socket, receiver, "inproc://threads")
        with pytest.raises(BindError, match="in use"):
            bind(new_socket(), "inproc://threads")


def test_invalid_address(new_socket: NewSocket) -> None:
    with pytest.raises(EndpointError):
        bind(new_socket(), "tpc://localhost:5555")
