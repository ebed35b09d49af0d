"""More connections than there may be: what comes beyond is closed, and a run goes on."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
import zmq

import zmqpipeline
from tests.badness import raw
from tests.roles.pipelines import GUARD, Pipeline, address, eventually, running
from zmqpipeline.errors import DeclarationError
from zmqpipeline.role import Role
from zmqpipeline.wire import hangup, openfiles
from zmqpipeline.wire.binding import bind
from zmqpipeline.wire.refusal import Refusal
from zmqpipeline.wire.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zmqpipeline import EndpointAddress

MOST, CROWD = 8, 40


@pytest.fixture
def _only_the_limit_ends_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for no sign of life: the crowd has made its handshakes, and says nothing more."""
    monkeypatch.setattr(Role, "heartbeat_interval", 600.0)


def crowds(stack: contextlib.ExitStack, places: dict[str, bytes]) -> dict[str, list[socket.socket]]:
    """Connect a crowd to each address, as sockets of the kind that belongs there."""
    made: dict[str, list[socket.socket]] = {where: [] for where in places}
    for where, kind in places.items():
        for _ in range(CROWD):
            peer = stack.enter_context(raw.opened(where))
            made[where].append(peer)
            with contextlib.suppress(ConnectionError):  # it may be closed already
                peer.sendall(raw.GREETING + raw.ready(kind))
            peer.setblocking(False)
    return made


def is_closed(peer: socket.socket) -> bool:
    """Tell whether the other side has closed a connection; read what it says."""
    with contextlib.suppress(BlockingIOError):
        try:
            while peer.recv(65536):
                pass
        except ConnectionError:
            return True
        return True
    return False


def wait_until_thinned(crowd: list[socket.socket]) -> None:
    """Wait until no more than may be are left, of which the first may be somebody else's.

    Which one goes is decided at each look among those that libzmq had accepted by then, so only the end
    counts: as many may be closed, and the last of the crowd not be accepted yet.
    """

    def is_thinned() -> bool:
        closed = [is_closed(peer) for peer in crowd]
        return sum(closed) >= CROWD - MOST and sorted(closed) == closed

    eventually(is_thinned)  # who came first stays
    assert sum(map(is_closed, crowd)) <= CROWD - MOST + 3, "those that may be there stay"


def refused(role: Role, where: EndpointAddress) -> int:
    """Tell how many were refused for want of room."""
    return role._access._places[where].refusals[Refusal.CROWDED]


def told(event: str) -> tuple[Callable[[str], None], threading.Event]:
    """Make what a role tells of its events, and what is set at one of them."""
    happened = threading.Event()
    return lambda name: happened.set() if name == event else None, happened


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
@pytest.mark.usefixtures("folder", "_quick_looks", "_only_the_limit_ends_connections")
def test_each_socket_of_a_run_has_a_limit_and_the_run_goes_on(
    transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = Pipeline(transport)
    pipeline.task("CROWDED", 1000)
    monitor = address(transport, "monitor")
    keeper = pipeline.keeper(max_connections=MOST)
    distributor = pipeline.distributor(receive_metadata=True, metadata_endpoint=pipeline.metadata)
    distributor.monitor_endpoint, distributor.max_connections = monitor, MOST
    distributor.on_event, bound = told("ready")
    places: dict[EndpointAddress, tuple[Role, bytes]] = {
        pipeline.collector: (keeper, b"PUSH"),
        pipeline.acks: (keeper, b"PULL"),
        pipeline.metadata: (distributor, b"REQ"),
        pipeline.endpoint("CROWDED"): (distributor, b"DEALER"),
        monitor: (distributor, b"DEALER"),
    }

    class Gives(zmqpipeline.MetaDataWorker):
        endpoint = pipeline.metadata

        def get_metadata(self) -> dict[str, Any]:
            return {"x": 1}

    with running(keeper, distributor) as roles:
        assert bound.wait(GUARD)
        with contextlib.ExitStack() as stack:
            came = crowds(stack, {where: kind for where, (_, kind) in places.items()})
            for where, (role, _) in places.items():
                wait_until_thinned(came[where])
                assert refused(role, where) >= CROWD - MOST
            late = [Gives(), pipeline.worker("CROWDED")()]
            roles.start(*late)
        roles.join()
    assert keeper.numbers("CROWDED") == list(range(1000))
    for where in places:
        assert f"at {where}: as many as there may be are open there" in caplog.text


@pytest.mark.usefixtures("folder", "_quick_looks", "_only_the_limit_ends_connections")
def test_both_sockets_of_a_service_have_a_limit() -> None:
    front, back = address("ipc", "front"), address("ipc", "back")
    service = zmqpipeline.Service(front, back)
    service.max_connections = MOST
    service.on_event, bound = told("ready")
    with running(service) as roles:
        assert bound.wait(GUARD)
        with contextlib.ExitStack() as stack:
            for crowd in crowds(stack, {front: b"DEALER", back: b"DEALER"}).values():
                wait_until_thinned(crowd)
        assert all(refused(service, where) >= CROWD - MOST for where in (front, back))
        service.stop()
        roles.join()


@pytest.fixture
def pull(folder: object) -> Iterator[tuple[zmq.Socket[bytes], EndpointAddress]]:
    where = address("ipc", "pull")
    with zmq.Context() as context, context.socket(zmq.PULL) as made:
        yield made, where


def test_what_connections_leave_of_the_descriptors_is_the_programs(
    pull: tuple[zmq.Socket[bytes], EndpointAddress], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ends are in this process, so half of the next ones are enough to reach the limit."""
    socket_, where = pull
    free = os.dup(0)
    os.close(free)
    monkeypatch.setattr(openfiles, "highest", lambda: free + CROWD)
    watch = Watch(socket_, where, most=1000)
    with bind(socket_, where), contextlib.ExitStack() as stack:
        first = stack.enter_context(raw.greeted(where, b"PUSH"))
        first.setblocking(False)
        eventually(lambda: watch.drain().came > 0)
        crowd = crowds(stack, {where: b"PUSH"})[where]

        def is_over() -> bool:
            watch.drain()
            return watch.refusals[Refusal.OUT_OF_FILES] > 0 and any(map(is_closed, crowd))

        eventually(is_over)
        assert not is_closed(first)
        assert not watch.refusals[Refusal.CROWDED]
        watch.close()


def test_the_descriptors_that_are_left_are_counted_from_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 4096))
    assert openfiles.highest() == 1024 - openfiles.RESERVED
    monkeypatch.setattr("resource.getrlimit", lambda _: (-1, -1))
    assert openfiles.highest() > 10**6
    monkeypatch.setattr("resource.getrlimit", lambda _: (10, 10))
    assert openfiles.highest() == 0


@pytest.mark.parametrize(
    "endpoint", ["tcp://127.0.0.1:*", "tcp://[::1]:*", "ipc://here.ipc", "ipc://@zp-hang"]
)
@pytest.mark.usefixtures("folder")
def test_only_a_connection_of_the_endpoint_is_ended(endpoint: str) -> None:
    """Its number may be that of something else by then."""
    if endpoint.startswith("tcp"):
        family = socket.AF_INET6 if "[" in endpoint else socket.AF_INET
        listener = socket.create_server(("::1" if "[" in endpoint else "127.0.0.1", 0), family=family)
        endpoint = endpoint.replace("*", str(listener.getsockname()[1]))
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(endpoint[6:].replace("@", "\0"))
        listener.listen()
    with listener, socket.socket(listener.family) as peer:
        peer.settimeout(GUARD)
        peer.connect(listener.getsockname())
        accepted, _ = listener.accept()
        with accepted, open(os.devnull) as file:  # noqa: PTH123 - a descriptor
            for other in ("tcp://127.0.0.1:1", "ipc://other.ipc", "inproc://x", ""):
                hangup.hang_up(accepted.fileno(), other)
            for number in (file.fileno(), 10**6):
                hangup.hang_up(number, endpoint)
            accepted.sendall(b"here")
            assert peer.recv(4) == b"here"
            hangup.hang_up(accepted.fileno(), endpoint)
            assert peer.recv(4) == b""
            assert os.fstat(accepted.fileno()), "to close it is libzmq's"


@pytest.mark.parametrize("value", [0, -1, True, 2.0, "many", None])
def test_a_limit_that_makes_no_sense_is_an_error(value: object) -> None:
    with pytest.raises(DeclarationError, match=r"max_connections is .*, expected connections, a whole"):
        type("Keeps", (zmqpipeline.Collector,), {"max_connections": value})
