"""The life of a role: made, run, stopped, closed; nothing is left behind, and nobody waits for ever."""

from __future__ import annotations

import abc
import contextlib
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import zmq

import zmqpipeline
from zmqpipeline.errors import BindError, PeerTimeoutError, Stopped
from zmqpipeline.heartbeat import Heartbeat
from zmqpipeline.link import SocketLink
from zmqpipeline.wire import envelope, sockets
from zmqpipeline.wire.watch import Watch

from .pipelines import GUARD, Event, Pipeline, Threaded, eventually, run_all, running

pytestmark = pytest.mark.usefixtures("folder", "_quick_looks")


@pytest.mark.usefixtures("descriptors")
def test_roles_that_never_run_open_nothing() -> None:
    pipeline = Pipeline()
    pipeline.task("IDLE", 1)
    worker = pipeline.worker("IDLE")
    for _ in range(20):
        roles = [pipeline.keeper(), pipeline.distributor(), worker()]
        for role in roles:
            role.close()
            role.close()
    del roles, role
    gc.collect()
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("descriptors")
def test_roles_are_context_managers() -> None:
    pipeline = Pipeline()
    pipeline.task("MANAGED", 5)
    made = pipeline.keeper(), pipeline.distributor(), pipeline.worker("MANAGED")()
    with made[0] as keeper, made[1] as distributor, made[2] as worker, running(*made) as roles:
        roles.join()
    assert worker.metadata == {}
    assert keeper.numbers("MANAGED") == list(range(5))
    assert distributor.statistics().acknowledged == 5


@pytest.mark.usefixtures("descriptors")
def test_a_role_can_run_again() -> None:
    pipeline = Pipeline()
    cls = pipeline.task("TWICE", 5)
    keeper, worker = pipeline.keeper(), pipeline.worker("TWICE", Threaded)()
    for _ in range(2):
        with running(
            keeper, zmqpipeline.Distributor(pipeline.collector, pipeline.acks, tasks=[cls]), worker
        ) as roles:
            roles.join()
    assert keeper.numbers("TWICE") == sorted([*range(5), *range(5)])
    assert keeper.finished == [5, 10]


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
@pytest.mark.usefixtures("descriptors")
def test_an_address_in_use_is_one_clear_error(transport: str) -> None:
    pipeline = Pipeline(transport)
    keeper, other = pipeline.keeper(), pipeline.keeper()
    with running(keeper):
        eventually(lambda: keeper.receiver is not None and keeper.ack_sender is not None)
        with pytest.raises(BindError, match=r"in use|has bound it") as raised:
            other.run()
        assert str(pipeline.collector).rsplit(":", 1)[-1].lstrip("/") in str(raised.value)
        assert isinstance(raised.value, OSError)


def test_a_missing_folder_is_one_clear_error() -> None:
    pipeline = Pipeline()
    pipeline.collector = zmqpipeline.EndpointAddress("ipc://missing/collector.ipc")
    with pytest.raises(BindError, match="missing"):
        pipeline.keeper().run()


@pytest.mark.parametrize("name", ["worker", "threads", "collector"])
def test_who_has_lost_the_distributor_waits_for_its_time_and_ends(name: str) -> None:
    pipeline = Pipeline()
    pipeline.task("LOST", 10**9)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    worker = pipeline.worker("LOST", Threaded if name == "threads" else None)()
    role: Any = keeper if name == "collector" else worker
    role.peer_timeout = 0.2
    with running(keeper, distributor, worker) as roles:
        eventually(lambda: len(keeper.kept) > 100)
        # not a stop, but an end: nobody is told
        task: Any = distributor.tasks["LOST"]

        def handle(*_: Any) -> None:
            raise LookupError("gone")

        task.handle = handle
        with pytest.raises(LookupError, match="gone"):
            roles.join(distributor)
        with pytest.raises(PeerTimeoutError, match=r"the distributor .* has been gone for 0.2 s"):
            roles.join(role)
    assert keeper.finished == []


def test_an_end_counts_though_the_connection_broke_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is in its last task for longer than the distributor waits for its goodbye."""
    monkeypatch.setattr(sockets, "LINGER", 0)  # there is no collector for its result
    pipeline = Pipeline()
    begun = Event()

    class Slow(zmqpipeline.SingleThreadedWorker, abc.ABC):
        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            begun.set()
            assert self._watch.monitor.poll(int(GUARD * 1000)), "the end of the connection"
            return data

    pipeline.task("LAST", 1)
    worker = pipeline.worker("LAST", Slow)()
    worker.peer_timeout = 0.001
    with zmq.Context() as context, sockets.make_socket(context, zmq.ROUTER) as router:
        router.bind(str(worker.endpoint))

        def say(address: bytes, kind: str, **fields: Any) -> None:
            message = envelope.Message(kind, "LAST", run="run", **fields)
            router.send_multipart([address, b"", envelope.encode(message)])

        with running(worker) as roles:
            address = router.recv_multipart()[0]
            for kind in ("WELCOME", "METADATA"):
                say(address, kind)
            say(address, "DATA", data=[{}], ids=[(0, 1)], attempt=1, number=1, order=1)
            begun.wait()
            say(address, "END")
            router.close(linger=int(GUARD * 1000))
            context.term()
            roles.join()


@pytest.mark.parametrize("is_there", [True, False])
def test_a_distributor_that_ends_waits_for_no_collector_that_is_gone(is_there: bool) -> None:
    pipeline = Pipeline()
    link = SocketLink(lambda: False)
    with zmq.Context() as context, sockets.make_socket(context, zmq.PULL) as acks:
        link.sink = sockets.make_socket(context, zmq.PUSH)
        link.sink.connect(pipeline.collector)
        watch = Watch(acks)
        acks.connect(pipeline.acks)
        with running(pipeline.keeper()) if is_there else contextlib.nullcontext():
            eventually(lambda: bool(watch.drain().came or not is_there))
            assert link.to_collector(envelope.Message("OK"))
            link.part(watch, leaves=False)
            assert link.sink.linger == (sockets.LINGER if is_there else 0)
        link.sink.close(linger=0)
        watch.close()


def test_a_distributor_that_ends_lets_a_collector_close_that_has_said_goodbye(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else what it still has for it would keep it, because libzmq looks for who may come back."""
    monkeypatch.setattr(sockets, "LINGER", int(GUARD * 1000))
    pipeline = Pipeline()
    keeper, link = pipeline.keeper(), SocketLink(lambda: False)
    with zmq.Context() as context, sockets.make_socket(context, zmq.PULL) as acks:
        link.sink = sockets.make_socket(context, zmq.PUSH)
        link.sink.connect(pipeline.collector)
        watch = Watch(acks)
        acks.connect(pipeline.acks)
        with running(keeper) as roles:
            eventually(lambda: bool(watch.drain().came))
            keeper.stop()
            link.part(watch, leaves=True)
            assert not link.sink.linger
            roles.join()
        link.sink.close(linger=0)
        watch.close()


def test_the_heartbeat_speaks_before_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind data a stopped worker does not take no ping reaches it: this connection tells of its end."""
    monkeypatch.setattr("zmqpipeline.heartbeat.GLANCE", GUARD)
    pipeline = Pipeline()
    pipeline.task("BEATS", 1)
    worker = pipeline.worker("BEATS")()
    with zmq.Context() as context, sockets.make_socket(context, zmq.ROUTER) as router:
        router.bind(str(worker.endpoint))
        router.rcvtimeo = int(GUARD * 1000)

        def say(address: bytes, kind: str) -> None:
            message = envelope.Message(kind, "BEATS", run="run")
            router.send_multipart([address, b"", envelope.encode(message)])

        with running(worker) as roles:
            address = router.recv_multipart()[0]
            for kind in ("WELCOME", "METADATA"):
                say(address, kind)
            heard: envelope.Message | None = None
            while heard is None or heard.type != "HEARTBEAT":
                heard = envelope.decode(router.recv_multipart()[2])
            assert heard.worker == address.decode()
            say(address, "END")
            roles.join()


def test_a_worker_does_not_wait_until_its_heartbeat_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The distributor may have ended before that one had a connection."""
    beat, outbox, told = Heartbeat._beat, Heartbeat._outbox, Event()

    def out_of_reach(heartbeat: Heartbeat, kind: int, _address: str, opened: list[Any]) -> sockets.Outbox:
        made = outbox(heartbeat, kind, "ipc://nobody.ipc", opened)
        made.socket.linger = 2000 * int(GUARD)
        return made

    def tell(heartbeat: Heartbeat) -> None:
        beat(heartbeat)
        told.set()

    monkeypatch.setattr(Heartbeat, "_outbox", out_of_reach)
    monkeypatch.setattr(Heartbeat, "_beat", tell)
    pipeline = Pipeline()
    pipeline.task("UNHEARD", 1)
    keeper = pipeline.keeper(handle_collection=lambda *_: told.wait())
    run_all(keeper, pipeline.distributor(), pipeline.worker("UNHEARD")())
    assert keeper.finished == [0]


def test_a_collector_says_goodbye_until_it_is_answered() -> None:
    pipeline = Pipeline()
    keeper = pipeline.keeper()
    with (
        zmq.Context() as context,
        sockets.make_socket(context, zmq.PUSH) as push,
        sockets.make_socket(context, zmq.PULL) as pull,
        running(keeper) as roles,
    ):
        push.connect(str(keeper.endpoint))
        pull.connect(str(keeper.ack_endpoint))

        def hear(kind: str) -> envelope.Message:
            while True:
                assert pull.poll(int(GUARD * 1000))
                message = envelope.decode(pull.recv())
                assert message is not None
                if message.type == kind:
                    return message

        hello = hear("HELLO")
        named: dict[str, Any] = {"run": "run", "life": hello.life}
        push.send(envelope.encode(envelope.Message("METADATA", number=hello.number, settled={}, **named)))
        hear("RDY")
        push.send(envelope.encode(envelope.Message("END", **named)))
        for _ in range(3):
            assert hear("BYE").data["ended"] is True
        assert roles.is_running(keeper)
        push.send(envelope.encode(envelope.Message("BYE", **named)))
        roles.join(keeper)


def test_a_distributor_whose_workers_stay_away_ends() -> None:
    pipeline = Pipeline()
    pipeline.task("AWAY", 10**9)
    keeper, distributor, worker = pipeline.keeper(), pipeline.distributor(), pipeline.worker("AWAY")()
    distributor.peer_timeout = 0.2
    with running(keeper, distributor, worker) as roles:
        eventually(lambda: len(keeper.kept) > 100)
        worker.stop()
        roles.join(worker)
        with pytest.raises(PeerTimeoutError, match=r"each worker of AWAY has been gone for 0.2 s"):
            roles.join(distributor)


def test_a_distributor_whose_collector_stays_away_ends() -> None:
    pipeline = Pipeline()
    pipeline.task("AWAY", 10**9)
    keeper, distributor, worker = pipeline.keeper(), pipeline.distributor(), pipeline.worker("AWAY")()
    distributor.peer_timeout = 0.2
    keeper.stop_timeout = 0.2  # results never cease to come
    with running(keeper, distributor, worker) as roles:
        eventually(lambda: len(keeper.kept) > 100)
        keeper.stop()
        roles.join(keeper)
        with pytest.raises(PeerTimeoutError, match=r"the collector at .* has been gone for 0.2 s"):
            roles.join(distributor)


def test_who_waits_says_for_whom(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "zmqpipeline")
    pipeline = Pipeline()
    pipeline.task("WAIT", 1)
    keeper, distributor, worker = pipeline.keeper(), pipeline.distributor(), pipeline.worker("WAIT")()
    for role in (keeper, distributor, worker):
        role.announce_interval = 0.001
    with running(distributor):
        eventually(lambda: "Distributor waits for the collector" in caplog.text)
    with running(worker):
        eventually(lambda: "WorkerWAIT waits for the distributor at ipc://wait.ipc" in caplog.text)
    with running(keeper):
        eventually(lambda: "Collecting waits for the distributor, at ipc://acks.ipc" in caplog.text)
    with running(pipeline.distributor(), pipeline.keeper()) as roles:
        again = next(role for role in roles._threads if isinstance(role, zmqpipeline.Distributor))
        again.announce_interval = 0.001
        eventually(lambda: "Distributor waits for a worker for WAIT" in caplog.text)


def test_logging_is_silent_until_it_is_configured() -> None:
    code = "import zmqpipeline, logging as l; print(*(l.getLogger(n).handlers for n in ('', 'zmqpipeline')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] [<NullHandler (NOTSET)>]\n"
    assert done.stderr == ""


SCRIPT = """
import sys, zmqpipeline as z
z.TaskType.register_type("EXIT")
class T(z.Task):
    task_type = z.TaskType("EXIT"); endpoint = z.EndpointAddress("ipc://exit.ipc"); dependencies = []
    def handle(self, data, address, msgtype):
        return {}
class W(z.MultiThreadedWorker):
    task_type = T.task_type; endpoint = T.endpoint; collector_endpoint = z.EndpointAddress("ipc://c.ipc")
    n_threads = 2
    def handle_execution(self, data, *args, **kwargs):
        return data
    def handle_thread_execution(self, data, index):
        return data
class C(z.Collector):
    endpoint = W.collector_endpoint; ack_endpoint = z.EndpointAddress("ipc://k.ipc")
    def handle_collection(self, data, task_type, msgtype):
        pass
d, w, c = z.Distributor(C.endpoint, C.ack_endpoint, tasks=[T]), W(), C()
role = {"distributor": d, "worker": w, "collector": c}.get(sys.argv[1])
if role:
    role.on_event = lambda event: print(event, flush=True)
    role.run()
"""


def test_interpreter_exit_does_not_hang_on_roles_that_were_made() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, "none"], timeout=30, check=True, capture_output=True
    )
    assert done.stderr == b""


@pytest.mark.parametrize("daemon", [False, True])
def test_interpreter_exit_does_not_hang_on_roles_that_run_in_threads(daemon: bool) -> None:
    threads = f"""
import threading
ready = threading.Barrier(4)
for role in (d, w, c):
    role.on_event = lambda event: event == "ready" and ready.wait()
    threading.Thread(target=role.run, daemon={daemon}).start()
ready.wait()
"""
    command = [sys.executable, "-W", "error", "-c", SCRIPT + threads, "none"]
    done = subprocess.run(command, timeout=30, check=True, capture_output=True)
    assert done.stderr == b""
    if not daemon:
        assert list(Path().iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["distributor", "worker", "collector"])
def test_a_signal_ends_a_role_that_waits(name: str, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT, name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, error = process.communicate(timeout=30)
    assert (process.returncode, out, error) == (128 + number, "", "")
    assert list(Path().iterdir()) == []


def test_signal_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    pipeline = Pipeline()
    pipeline.task("SIGNAL", 1)
    distributor = pipeline.distributor()
    distributor.on_event = lambda _event: os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Stopped) as raised:
        distributor.run()
    assert raised.value.code == 128 + signal.SIGTERM
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_role_in_a_thread_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    pipeline = Pipeline()
    seen: list[Any] = []
    keeper = pipeline.keeper()
    keeper.on_event = lambda _event: seen.append(signal.getsignal(signal.SIGINT))
    with running(keeper):
        eventually(lambda: bool(seen))
    assert seen == [before]


def test_close_in_another_thread_asks_to_stop() -> None:
    pipeline = Pipeline()
    keeper = pipeline.keeper()
    ready = threading.Event()
    keeper.on_event = lambda _event: ready.set()
    with running(keeper) as roles:
        assert ready.wait(20)
        keeper.close()
        roles.join()


def test_a_shared_context_stays_open() -> None:
    pipeline = Pipeline("inproc")
    with zmq.Context() as context:
        keeper = pipeline.keeper()
        keeper.context = context
        with running(keeper):
            pass
        assert not context.closed
