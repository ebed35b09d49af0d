"""Keys: who has one that is on the list takes part, all others are refused, and the run goes on."""

from __future__ import annotations

import abc
import contextlib
import os
import re
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zmq

import zmqpipeline
from tests.badness import raw
from zmqpipeline import Service, ServiceClient, ServiceWorker, TaskType, access
from zmqpipeline.errors import RequestTimeoutError, SecurityError
from zmqpipeline.keys import Keys
from zmqpipeline.wire import binding, curve, sockets, zap
from zmqpipeline.wire.curve import Credentials
from zmqpipeline.wire.refusal import Refusal
from zmqpipeline.wire.watch import Watch

from . import pipelines
from .pipelines import GUARD, Event, Pipeline, Threaded, address, eventually, run_all, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zmqpipeline.role import Role

pytestmark = pytest.mark.usefixtures("folder", "_quick_looks")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Try again and look sooner than usual; no handler may stay behind."""
    monkeypatch.delenv(access.VARIABLE, raising=False)
    monkeypatch.setattr("zmqpipeline.wire.watch.REDIAL_INTERVAL", 0.05)
    monkeypatch.setattr(access, "_LOOK_INTERVAL", 0.01)
    yield
    assert zap._handlers == {}


@pytest.fixture
def keys() -> Keys:
    return Keys.new("keys")


def outsiders(keys: Keys) -> dict[str, Credentials | None]:
    """List who must not get in."""
    other = Keys.new("other")
    return {
        "no key": None,
        "not on the list": Credentials(keys.pipeline_public, curve.make_pair()),
        "another pipeline": other.credentials,
    }


#: what an outsider sees; without a key, both sides see what is wrong, and whoever is first hangs up
EXPECTED = {
    "no key": {Refusal.ONE_SIDED, Refusal.BROKEN},
    "not on the list": {Refusal.NOT_LISTED},
    "another pipeline": {Refusal.BROKEN},
}


def knock(kind: int, where: str, credentials: Credentials | None) -> Refusal | None:
    """Try to connect; return why that has failed, or None."""
    with zmq.Context() as context, sockets.make_socket(context, kind) as knocking:
        knocking.linger = 0
        watch = Watch(knocking, where)
        sockets.connect(knocking, where, credentials)
        try:
            while True:
                assert watch.monitor.poll(int(GUARD * 1000)), "neither let in nor refused"
                if watch.drain().came:
                    return None
                if watch.refusals:
                    return next(iter(watch.refusals))
        finally:
            watch.close()


# -- a pipeline -------------------------------------------------------------------


@pytest.mark.usefixtures("descriptors")
def test_a_pipeline_with_keys_ends_with_all_results(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(access.VARIABLE, str(keys.folder))
    pipeline = Pipeline("tcp")
    pipeline.task("LOCKED", 500)
    pipeline.task("BEHIND", 50, ("LOCKED",))

    class Meta(zmqpipeline.MetaDataWorker):
        endpoint = pipeline.metadata

        def get_metadata(self) -> dict[str, Any]:
            return {"a": 1}

    keeper, worker = pipeline.keeper(), pipeline.worker("LOCKED")()
    distributor = pipeline.distributor(receive_metadata=True, metadata_endpoint=pipeline.metadata)
    run_all(keeper, distributor, worker, pipeline.worker("BEHIND", Threaded)(), Meta())
    assert keeper.numbers("LOCKED") == list(range(500))
    assert keeper.numbers("BEHIND") == list(range(50))
    assert keeper.metadata == worker.metadata == {"a": 1}


def test_the_heartbeat_has_the_keys_as_well(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a worker is in one task, nobody else sends the results of those before it."""
    monkeypatch.setenv(access.VARIABLE, str(keys.folder))
    pipeline = Pipeline("tcp")
    pipeline.task("BEATS", 20)
    go = Event()

    class Stuck(zmqpipeline.SingleThreadedWorker, abc.ABC):
        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            if data["i"] == 15:
                go.wait()
            return {"r": data["i"]}

    keeper = pipeline.keeper()
    with running(keeper, pipeline.distributor(), pipeline.worker("BEATS", Stuck)()) as roles:
        eventually(lambda: len(keeper.kept) == 15)
        go.set()
        roles.join()
    assert keeper.numbers("BEATS") == list(range(20))


def test_what_a_role_declares_goes_before_the_environment(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(access.VARIABLE, "nowhere")
    pipeline = Pipeline("tcp")
    pipeline.task("DECLARED", 5)
    folder = keys.folder.relative_to(Path.cwd())
    keeper, distributor = pipeline.keeper(keys=folder), pipeline.distributor()
    distributor.keys = str(folder)
    run_all(keeper, distributor, pipeline.worker("DECLARED", keys=str(folder))())
    assert keeper.numbers("DECLARED") == list(range(5))


@pytest.mark.parametrize("transport", ["ipc", "inproc"])
def test_keys_are_for_the_network_alone(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(access.VARIABLE, "nowhere")
    pipeline = Pipeline(transport)
    pipeline.task("FILES", 5)
    with zmq.Context() as context:
        keeper, distributor = pipeline.keeper(), pipeline.distributor()
        worker = pipeline.worker("FILES")()
        for role in (keeper, distributor, worker):
            role.context = context
        run_all(keeper, distributor, worker)
    assert keeper.numbers("FILES") == list(range(5))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="abstract sockets exist on Linux only")
def test_keys_count_at_an_abstract_name_as_at_a_port(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no file whose mode could keep others out."""
    mark = uuid.uuid4().hex
    monkeypatch.setattr(
        pipelines, "address", lambda _, name: zmqpipeline.EndpointAddress(f"ipc://@{mark}-{name}")
    )
    pipeline = Pipeline()
    pipeline.task("NAMED", 20)
    keeper, distributor = pipeline.keeper(keys=keys.folder), pipeline.distributor()
    distributor.keys = keys.folder
    places = {
        zmq.DEALER: pipeline.endpoint("NAMED"),
        zmq.PUSH: pipeline.collector,
        zmq.PULL: pipeline.acks,
    }
    with running(keeper, distributor) as roles:
        for who, outsider in outsiders(keys).items():
            for kind, where in places.items():
                assert knock(kind, where, outsider) in EXPECTED[who]
        roles.start(pipeline.worker("NAMED", keys=keys.folder)())
        roles.join()
    assert keeper.numbers("NAMED") == list(range(20))


def test_roles_that_share_a_context_share_one_handler(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(access.VARIABLE, str(keys.folder))
    pipeline = Pipeline("tcp")
    pipeline.task("SHARED", 10**9)
    with zmq.Context() as context:
        keeper, distributor = pipeline.keeper(), pipeline.distributor()
        worker = pipeline.worker("SHARED")()
        roles = keeper, distributor, worker
        for role in roles:
            role.context = context
        with running(*roles):
            eventually(lambda: len(keeper.kept) > 10)
            (handler,) = zap._handlers.values()
            assert len(handler._domains) == 2
            distributor.stop()
            eventually(lambda: len(handler._domains) < 2)
        assert handler.has_ended


# -- outsiders ----------------------------------------------------------------------


@pytest.mark.parametrize("who", EXPECTED)
def test_outsiders_are_refused_everywhere_and_the_run_goes_on(
    keys: Keys, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = Pipeline("tcp")
    pipeline.task("GUARDED", 200)
    keeper, distributor = (
        pipeline.keeper(keys=keys.folder),
        pipeline.distributor(receive_metadata=True, metadata_endpoint=pipeline.metadata),
    )
    distributor.keys = keys.folder
    outsider = outsiders(keys)[who]
    places = {
        zmq.DEALER: pipeline.endpoint("GUARDED"),
        zmq.PUSH: pipeline.collector,
        zmq.PULL: pipeline.acks,
        zmq.REQ: pipeline.metadata,
    }
    with running(keeper, distributor) as roles:
        for kind, where in places.items():
            said = re.compile(rf"has refused \d+ connections? at {re.escape(where)} with")

            def told(kind: int = kind, where: str = where, said: re.Pattern[str] = said) -> bool:
                assert knock(kind, where, outsider) in EXPECTED[who]
                return bool(said.search(caplog.text))

            eventually(told)
            assert knock(kind, where, keys.credentials) is None
        meta = type("Meta", (Meta,), {"endpoint": pipeline.metadata, "keys": keys.folder})()
        roles.start(pipeline.worker("GUARDED", keys=keys.folder)(), meta)
        roles.join()
    assert keeper.numbers("GUARDED") == list(range(200))
    lines = [line for line in caplog.messages if "has refused" in line]
    assert len(lines) == 4
    assert all(keys.pipeline.secret not in line and keys.peer.secret not in line for line in lines)
    if who == "not on the list":
        assert outsider is not None
        public = re.escape(outsider.own.public)
        assert re.search(rf"zmqpipeline keys authorize NAME '?{public}'? --keys {keys.folder}", lines[0])


class Meta(zmqpipeline.MetaDataWorker):
    """Has no metadata."""

    endpoint = zmqpipeline.EndpointAddress("ipc://replaced.ipc")

    def get_metadata(self) -> dict[str, Any]:
        return {}


def test_who_is_refused_again_and_again_is_logged_once(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    pipeline = Pipeline("tcp")
    keeper = pipeline.keeper(keys=keys.folder)
    with running(keeper):
        eventually(lambda: keeper.ack_sender is not None)
        for _ in range(30):
            assert knock(zmq.PUSH, pipeline.collector, None) in EXPECTED["no key"]
        place = keeper._access._places[pipeline.collector]
        eventually(lambda: place.refusals.total() >= 30 and place.told[Refusal.ONE_SIDED] > 0)
    told = [line for line in caplog.messages if "has refused" in line]
    assert len(told) == 1
    assert "without a key: if they are yours, start them again with ZMQPIPELINE_KEYS=FOLDER" in told[0]


def test_a_worker_without_keys_is_told_what_it_lacks(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    pipeline = Pipeline("tcp")
    pipeline.task("BARE", 5)
    distributor, keeper = pipeline.distributor(), pipeline.keeper(keys=keys.folder)
    distributor.keys = keys.folder
    bare, good = pipeline.worker("BARE"), pipeline.worker("BARE", keys=keys.folder)
    with running(keeper, distributor) as roles:
        eventually(lambda: keeper.ack_sender is not None)
        roles.start(bare())
        said = (
            f"finds keys at {pipeline.endpoint('BARE')} and has none: start it again with ZMQPIPELINE_KEYS="
        )
        eventually(lambda: said in caplog.text)
        zmqpipeline.Worker.clear_workers()
        roles.start(last := good())
        roles.join(last, distributor, keeper)
    assert keeper.numbers("BARE") == list(range(5))


def test_a_worker_with_keys_is_told_that_nobody_else_has_them(
    keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = Pipeline("tcp")
    pipeline.task("KEYED", 5)
    with running(pipeline.keeper(), pipeline.distributor(), pipeline.worker("KEYED", keys=keys.folder)()):
        eventually(lambda: f"finds no keys at {pipeline.endpoint('KEYED')}: start the role" in caplog.text)
        eventually(lambda: f"at {pipeline.endpoint('KEYED')} with a key: it has none itself" in caplog.text)


def test_a_worker_of_another_pipeline_is_told(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    other = Keys.new("other")
    pipeline = Pipeline("tcp")
    pipeline.task("OTHER", 5)
    distributor = pipeline.distributor()
    distributor.keys = keys.folder
    with running(distributor, pipeline.worker("OTHER", keys=other.folder)()):
        said = f"gets no answer to its key at {pipeline.endpoint('OTHER')}: if the public key of the pipeline"
        eventually(lambda: said in caplog.text)
        eventually(lambda: f"at {pipeline.endpoint('OTHER')} with the key of another pipeline" in caplog.text)


# -- authorize and revoke, while roles run -------------------------------------------


@pytest.mark.parametrize("base", [None, Threaded])
def test_who_is_authorized_later_gets_in_by_itself(
    keys: Keys, base: Any, caplog: pytest.LogCaptureFixture
) -> None:
    host = Keys.new("host", keys.pipeline_public)
    pipeline = Pipeline("tcp")
    pipeline.task("LATER", 300)
    keeper, distributor = pipeline.keeper(keys=keys.folder), pipeline.distributor()
    distributor.keys = keys.folder
    worker = pipeline.worker("LATER", base, keys=host.folder)()
    with running(keeper, distributor, worker) as roles:
        for where in (pipeline.endpoint("LATER"), pipeline.collector):
            eventually(lambda where=where: f"is refused at {where}: let it in there with" in caplog.text)  # type: ignore[misc]
        assert keeper.kept == []
        keys.authorize("host", host.peer.public)
        roles.join()
    assert keeper.numbers("LATER") == list(range(300))


def test_distributor_and_collector_on_two_hosts(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    """The distributor connects to the collector with its own peer key, which has to be on the list there."""
    elsewhere = Keys.new("elsewhere")
    for path in ("pipeline.key", "pipeline.pub"):
        (elsewhere.folder / path).write_bytes((keys.folder / path).read_bytes())
    pipeline = Pipeline("tcp")
    pipeline.task("HOSTS", 50)
    keeper, distributor = pipeline.keeper(keys=elsewhere.folder), pipeline.distributor()
    distributor.keys = keys.folder
    worker = pipeline.worker("HOSTS", keys=keys.folder)()
    with running(keeper, distributor, worker) as roles:
        eventually(lambda: f"Distributor is refused at {pipeline.acks}" in caplog.text)
        eventually(lambda: f"Distributor is refused at {pipeline.collector}" in caplog.text)
        elsewhere.authorize("distributor", keys.peer.public)
        roles.join()
    assert keeper.numbers("HOSTS") == list(range(50))


def test_who_is_revoked_does_not_come_back(keys: Keys) -> None:
    host = Keys.new("host", keys.pipeline_public)
    keys.authorize("host", host.peer.public)
    pipeline = Pipeline("tcp")
    pipeline.task("REVOKED", 10**9)
    keeper, distributor = pipeline.keeper(keys=keys.folder), pipeline.distributor()
    distributor.keys = keys.folder
    worker = pipeline.worker("REVOKED", keys=host.folder)()
    with running(keeper, distributor, worker):
        eventually(lambda: len(keeper.kept) > 100)
        keys.revoke("host")
        assert knock(zmq.DEALER, pipeline.endpoint("REVOKED"), host.credentials) is Refusal.NOT_LISTED
        assert knock(zmq.PUSH, pipeline.collector, host.credentials) is Refusal.NOT_LISTED
        assert knock(zmq.PUSH, pipeline.collector, keys.credentials) is None
        # a connection that is up stays
        seen = len(keeper.kept)
        eventually(lambda: len(keeper.kept) > seen + 100)


# -- it fails closed ------------------------------------------------------------------


def test_nobody_gets_in_when_the_handler_is_gone(keys: Keys) -> None:
    where = address("tcp", "closed")
    with zmq.Context() as context, sockets.make_socket(context, zmq.ROUTER) as router:
        router.linger = 0
        domain = zap.enter(context, keys.allowed)
        curve.lock(router, keys.pipeline, domain.name)
        with binding.bind(router, where):
            assert knock(zmq.DEALER, where, keys.credentials) is None
            domain.close()
            domain.close()
            assert knock(zmq.DEALER, where, keys.credentials) is Refusal.BROKEN


#: what another mechanism, an older ZMTP, or a handshake that is left out looks like, with a message behind it
DOWNGRADES = {
    "NULL": raw.GREETING + raw.ready(b"DEALER") + b"\0\4junk",
    "CURVE without a handshake": raw.CURVE + raw.ready(b"DEALER") + b"\0\4junk",
    "CURVE with nothing": raw.CURVE + b"\0\4junk",
    "PLAIN": raw.GREETING[:12] + b"PLAIN".ljust(20, b"\0") + raw.GREETING[32:] + b"\4\x08\5HELLO\0\0",
    "ZMTP 2.0": b"\xff" + bytes(7) + b"\1\x7f" + b"\1\5" + b"\0\0" + b"\0\4junk",
    "ZMTP 1.0": b"\1\0" + b"\5\0junk",
}


def test_no_bytes_get_past_a_lock(keys: Keys) -> None:
    where = address("tcp", "locked")
    with (
        zmq.Context() as context,
        sockets.make_socket(context, zmq.ROUTER) as router,
        sockets.make_socket(context, zmq.DEALER) as dealer,
    ):
        router.linger = dealer.linger = 0
        router.rcvtimeo = int(GUARD * 1000)
        domain = zap.enter(context, keys.allowed)
        curve.lock(router, keys.pipeline, domain.name)
        with binding.bind(router, where):
            for said in DOWNGRADES.values():
                with raw.opened(where) as made, contextlib.suppress(ConnectionError):
                    made.sendall(said)
                    while made.recv(1000):  # until it is cut
                        pass
            sockets.connect(dealer, where, keys.credentials)
            dealer.send(b"good")
            assert router.recv_multipart()[1:] == [b"good"]
        domain.close()


def test_nobody_gets_in_when_the_list_is_open_to_others(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    pipeline = Pipeline("tcp")
    keeper = pipeline.keeper(keys=keys.folder)
    with running(keeper):
        eventually(lambda: keeper.ack_sender is not None)
        (keys.folder / "authorized").chmod(0o755)
        assert knock(zmq.PUSH, pipeline.collector, keys.credentials) is Refusal.NOT_LISTED
        eventually(lambda: "because it cannot tell whose keys are authorized" in caplog.text)
        assert f"chmod 700 {keys.folder / 'authorized'}" in caplog.text
        (keys.folder / "authorized").chmod(0o700)
        assert knock(zmq.PUSH, pipeline.collector, keys.credentials) is None


def test_a_handler_answers_whatever_it_is_asked(keys: Keys) -> None:
    with zmq.Context() as context:
        domain = zap.enter(context, keys.allowed)
        with context.socket(zmq.REQ) as asking:
            asking.connect(zap.ENDPOINT)
            asking.rcvtimeo = int(GUARD * 1000)
            for frames in (
                [b""],
                [b"1.0"],
                [b"1.0", b"1"],
                [b"x"] * 50,
                [b"1.0", b"1", b"", b"", b"", b"NULL"],
            ):
                asking.send_multipart(frames)
                assert asking.recv_multipart()[2] in (b"400", b"500")
        domain.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that is the point
def test_a_forked_process_does_not_end_the_handler_of_its_parent(keys: Keys) -> None:
    where = address("tcp", "forked")
    with zmq.Context() as context, sockets.make_socket(context, zmq.ROUTER) as router:
        router.linger = 0
        domain = zap.enter(context, keys.allowed)
        (handler,) = zap._handlers.values()
        curve.lock(router, keys.pipeline, domain.name)
        with binding.bind(router, where):
            pid = os.fork()
            if pid == 0:
                domain.close()
                os._exit(0)
            os.waitpid(pid, 0)
            assert knock(zmq.DEALER, where, keys.credentials) is None
        assert not handler.has_ended
        domain.close()
        assert handler.has_ended


def test_one_handler_can_follow_another_at_once(keys: Keys) -> None:
    with zmq.Context() as context:
        for _ in range(500):
            zap.enter(context, keys.allowed).close()


def test_a_handler_ends_with_its_context(keys: Keys) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    domain = zap.enter(context, keys.allowed)
    context.term()
    domain.close()


def test_a_handler_without_a_thread_leaves_nothing_open(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context waits for its sockets: a role that got no thread would never end."""

    def refused(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        with monkeypatch.context() as patched:
            patched.setattr("threading.Thread.start", refused)
            with pytest.raises(RuntimeError):
                zap.enter(context, keys.allowed)
        zap.enter(context, keys.allowed).close()
    finally:
        context.destroy()


def test_a_context_with_a_handler_of_the_program_is_refused(keys: Keys) -> None:
    pipeline = Pipeline("tcp")
    keeper = pipeline.keeper(keys=keys.folder)
    with zmq.Context() as context, context.socket(zmq.REP) as theirs:
        theirs.bind(zap.ENDPOINT)
        keeper.context = context
        with pytest.raises(SecurityError, match="another ZAP handler is in this context"):
            keeper.run()


@pytest.mark.parametrize("role", ["keeper", "worker"])
def test_keys_that_others_can_read_end_a_role_before_anything_is_bound(
    keys: Keys, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.folder.chmod(0o755)
    monkeypatch.setattr(binding, "bind", None)
    pipeline = Pipeline("tcp")
    pipeline.task("OPEN", 1)
    made = pipeline.keeper() if role == "keeper" else pipeline.worker("OPEN")()
    made.keys = keys.folder
    with pytest.raises(SecurityError, match=f"chmod 700 {keys.folder}"):
        made.run()


@pytest.mark.parametrize("role", ["keeper", "distributor", "service"])
def test_what_is_open_to_the_network_needs_keys_if_they_are_required(
    role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zmqpipeline.Security, "required", True)
    monkeypatch.setattr(binding, "bind", None)
    pipeline = Pipeline("tcp")
    pipeline.acks = zmqpipeline.EndpointAddress("tcp://*:1")
    pipeline.task("NEEDED", 1)
    roles: dict[str, Callable[[], Role]] = {
        "keeper": pipeline.keeper,
        "distributor": lambda: pipeline.distributor(receive_metadata=True, metadata_endpoint=pipeline.acks),
        "service": lambda: Service(pipeline.collector, pipeline.acks),
    }
    made = roles[role]()
    with pytest.raises(SecurityError, match=r"tcp://\*:1 is open to the network, and keys are required"):
        made.run()


# -- a service ------------------------------------------------------------------------


class Doubles(ServiceWorker):
    """Doubles a number."""

    task_type = TaskType.register_type("DOUBLE")
    endpoint = zmqpipeline.EndpointAddress("ipc://replaced.ipc")

    def handle_message(self, data: Any, task_type: TaskType, msgtype: str) -> Any:
        return {"n": 2 * data["n"]}


@pytest.mark.usefixtures("descriptors")
def test_a_service_with_keys_answers_those_that_have_one(
    keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    TaskType.register_type("DOUBLE")
    host = Keys.new("host", keys.pipeline_public)
    service = Service(address("tcp", "front"), address("tcp", "back"))
    service.keys = keys.folder
    worker = type("Doubling", (Doubles,), {"endpoint": service.backend_endpoint, "keys": host.folder})()
    ready = Event()
    service.on_event = lambda _event: ready.set()
    with running(service, worker) as roles:
        ready.wait()
        eventually(lambda: f"Doubling is refused at {service.backend_endpoint}" in caplog.text)
        with ServiceClient(service.frontend_endpoint, TaskType("DOUBLE")) as client:
            client.keys = host.folder
            with pytest.raises(RequestTimeoutError):
                client.request({"n": 1}, timeout=0.5)
            keys.authorize("host", host.peer.public)
            assert client.request({"n": 21}, timeout=GUARD) == {"n": 42}
        assert knock(zmq.DEALER, service.frontend_endpoint, None) in EXPECTED["no key"]
        said = rf"Service has refused \d+ connections? at {service.frontend_endpoint} with a key that is not"
        eventually(lambda: bool(re.search(said, caplog.text)))
        service.shutdown()
        roles.join()
