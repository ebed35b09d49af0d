"""Service, ServiceWorker and ServiceClient over real sockets; what is killed is a real process."""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
import zmq

from zmqpipeline import serviceconnection
from zmqpipeline.descriptors import EndpointAddress, TaskType
from zmqpipeline.errors import (
    BindError,
    DeclarationError,
    EndpointError,
    NoWorkerError,
    PeerTimeoutError,
    RemoteError,
    RequestTimeoutError,
    SerializationError,
    ServiceError,
    UnknownTaskTypeError,
    WorkerLostError,
)
from zmqpipeline.service import MAX_FRAME, PROBE, Service, failure, open_header
from zmqpipeline.serviceclient import ServiceClient
from zmqpipeline.serviceworker import ServiceWorker
from zmqpipeline.wire import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zmqpipeline.role import Role

Data = dict[str, Any]

#: a guard against hanging, in seconds; no test waits so long
GUARD = 30
FRONT, BACK = EndpointAddress("ipc://front.ipc"), EndpointAddress("ipc://back.ipc")
T = TaskType.register_type("service test")
OTHER = TaskType.register_type("service test, other")

#: a worker in a process of its own, which says what it does
WORKER = """
import os, signal, sys, time
from zmqpipeline.descriptors import EndpointAddress, TaskType
from zmqpipeline.serviceworker import ServiceWorker

class Slow(ServiceWorker):
    task_type = TaskType.register_type('service test')
    endpoint = EndpointAddress('ipc://back.ipc')
    def handle_message(self, data, task_type, msgtype):
        print('busy', flush=True)
        if data.get('die'):
            os.kill(os.getpid(), signal.SIGKILL)
        while not os.path.exists('go'):
            time.sleep(0.01)
        return {'pid': os.getpid()}
Slow().run()
"""
SERVICE = """
from zmqpipeline.service import Service
service = Service('ipc://front.ipc', 'ipc://back.ipc')
service.on_event = lambda event: print(event, flush=True)
service.run()
"""


class Answering(ServiceWorker):
    """Answers with what the function that it was made with returns."""

    task_type = T
    endpoint = BACK

    def __init__(self, function: Callable[[Data], Any] = lambda data: data) -> None:
        super().__init__()
        self.function = function

    def handle_message(self, data: Data, task_type: TaskType, msgtype: str) -> Any:
        assert task_type == self.task_type
        assert msgtype == messages.MESSAGE_TYPE_DATA
        return self.function(data)


@pytest.fixture(autouse=True)
def _no_leaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in a folder of its own, because an ipc path is short; leave no thread, descriptor or file."""
    monkeypatch.chdir(tmp_path)
    zmq.Context.instance()  # whatever else uses it
    gc.collect()
    threads, descriptors = threading.active_count(), count_descriptors()
    yield
    gc.collect()
    assert threading.active_count() == threads
    until(lambda: count_descriptors() <= descriptors)
    assert list(Path().glob("*ipc*")) == []


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def until(condition: Callable[[], Any]) -> None:
    """Wait for what nothing tells of."""
    deadline = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def _set_when_ready(ready: threading.Event, event: str) -> None:
    assert event == "ready"
    ready.set()


@contextlib.contextmanager
def running(*roles: Role) -> Iterator[list[threading.Thread]]:
    """Run roles, each in a thread; stop them at the end, the first one last."""
    threads = []
    try:
        for role in roles:
            ready = threading.Event()
            role.on_event = functools.partial(_set_when_ready, ready)
            thread = threading.Thread(target=role.run)
            threads.append(thread)
            thread.start()
            assert ready.wait(GUARD)
        yield threads
    finally:
        for role, thread in reversed(list(zip(roles, threads, strict=False))):
            role.stop()
            thread.join(GUARD)
            assert not thread.is_alive()


@contextlib.contextmanager
def process(script: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script in a process; kill it at the end."""
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def line(started: subprocess.Popen[str]) -> str:
    """Wait for a line that a process prints."""
    assert started.stdout is not None
    return started.stdout.readline()


class Asking(threading.Thread):
    """Makes a request in a thread of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.args, self.kwargs = args, kwargs
        self.start()

    def run(self) -> None:
        with ServiceClient(FRONT, T) as client:
            try:
                self.result = client.request(*self.args, **self.kwargs)
            except ServiceError as error:
                self.result = error

    def answer(self) -> Any:
        self.join(GUARD)
        assert not self.is_alive()
        return self.result


@contextlib.contextmanager
def raw(kind: int, address: str, identity: bytes | None = None) -> Iterator[zmq.Socket[bytes]]:
    """Make a socket that knows nothing of this library."""
    with zmq.Context() as context, context.socket(kind) as made:
        made.linger = 0
        made.rcvtimeo = GUARD * 1000
        if identity:
            made.routing_id = identity
        made.connect(address)
        yield made


def service(**bounds: Any) -> Service:
    made = Service(FRONT, BACK)
    made.probe_interval = 0.05
    for name, value in bounds.items():
        setattr(made, name, value)
    return made


def pack(kind: str, task: Any = T, data: Any = None, **more: Any) -> bytes:
    """Pack as the original does, with msgpack alone."""
    return bytes(msgpack.packb({"data": {} if data is None else data, "task": task, "type": kind, **more}))


# ---- asking and answering


@pytest.mark.parametrize("scheme", ["ipc", "tcp", "inproc"])
def test_a_request_is_answered(scheme: str) -> None:
    context = zmq.Context()
    front, back = (FRONT, BACK) if scheme == "ipc" else (f"inproc://{name}" for name in "fb")
    if scheme == "tcp":
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            front, back = (f"tcp://127.0.0.1:{free.getsockname()[1]}" for free in (one, two))

    class Doubling(ServiceWorker):
        task_type = T
        endpoint = EndpointAddress(back)

        def handle_message(self, data: Data, task_type: TaskType, msgtype: str) -> Any:
            return {"twice": data["n"] * 2}

    broker, worker, client = Service(front, back), Doubling(), ServiceClient(front)
    if scheme == "inproc":
        broker.context = worker.context = client.context = context
    with running(broker, worker), client:
        assert client.request({"n": 21}, T) == {"twice": 42}
    context.term()


def test_none_is_answered_as_an_empty_dictionary() -> None:
    with running(service(), Answering(lambda data: None)), ServiceClient(FRONT, T) as client:
        assert client.request({}) == {}


def test_each_type_has_its_workers() -> None:
    class Others(Answering):
        task_type = OTHER

    workers = Answering(lambda data: {"t": 1}), Others(lambda data: {"other": 1})
    with running(service(), *workers), ServiceClient(FRONT, T) as client:
        assert client.request({}, OTHER) == {"other": 1}
        assert client.request({}) == {"t": 1}


def test_a_list_is_answered_in_order_by_several_workers_at_once() -> None:
    together = threading.Barrier(3, timeout=GUARD)

    def answer(data: Data) -> Any:
        together.wait()
        return {"n": data["n"], "by": threading.get_ident()}

    workers = [Answering(answer) for _ in range(3)]
    with running(service(), *workers), ServiceClient(FRONT, T) as client:
        answers = client.request([{"n": n} for n in range(30)])
    assert [answer["n"] for answer in answers] == list(range(30))
    assert len({answer["by"] for answer in answers}) == 3


def test_a_list_may_be_longer_than_what_the_broker_takes_at_once() -> None:
    with running(service(max_requests=300), Answering()), ServiceClient(FRONT, T) as client:
        assert client.request([{"n": n} for n in range(2000)]) == [{"n": n} for n in range(2000)]


def test_an_empty_list_is_answered_without_anybody() -> None:
    with ServiceClient(FRONT, T) as client:
        assert client.request([]) == []


def test_when_one_of_a_list_fails_its_index_is_named_after_all_are_settled() -> None:
    done: list[int] = []

    def answer(data: Data) -> Any:
        done.append(data["n"])
        if data["n"] in {1, 2}:
            raise ValueError(f"no {data['n']}")
        return data

    with running(service(), Answering(answer)), ServiceClient(FRONT, T) as client:
        with pytest.raises(RemoteError, match=r"request 1 of 4 \(and 1 more failed\): .*ValueError: no 1"):
            client.request([{"n": n} for n in range(4)])
        assert sorted(done) == [0, 1, 2, 3]
        assert client.request({"n": 5}) == {"n": 5}


# ---- errors


def test_unknown_type() -> None:
    with running(service(worker_timeout=0.05)), ServiceClient(FRONT, T) as client:
        for _ in range(2):
            with pytest.raises(UnknownTaskTypeError, match=r"'service test' has ever been seen.*start a"):
                client.request({})
        with running(Answering()):
            assert client.request({"n": 1}) == {"n": 1}


def test_no_worker_in_time() -> None:
    busy, go = threading.Event(), threading.Event()

    def answer(data: Data) -> Any:
        busy.set()
        assert go.wait(GUARD)
        return data

    with running(service(worker_timeout=0.05), Answering(answer)), ServiceClient(FRONT, T) as client:
        first = Asking({"n": 1})
        assert busy.wait(GUARD)
        with pytest.raises(NoWorkerError, match="'service test' was free within"):
            client.request({})
        go.set()
        assert first.answer() == {"n": 1}
        assert client.request({"n": 2}) == {"n": 2}


def test_a_worker_that_raises_goes_on() -> None:
    def answer(data: Data) -> Any:
        if data:
            raise KeyError("missing \udcff")
        return {"fine": True}

    with running(service(), Answering(answer)), ServiceClient(FRONT, T) as client:
        with pytest.raises(RemoteError, match=r"'service test' failed: KeyError: ") as caught:
            client.request({"n": 1})
        assert "Traceback" in caught.value.remote_traceback
        assert 'raise KeyError("missing' in caught.value.remote_traceback
        assert client.request({}) == {"fine": True}


def test_a_result_that_cannot_be_packed_is_the_clients_to_know() -> None:
    worker = Answering(lambda data: {"a": [object()]} if data else None)
    with running(service(), worker), ServiceClient(FRONT, T) as client:
        with pytest.raises(RemoteError, match=r"data\['a'\]\[0\]: cannot serialize object"):
            client.request({"n": 1})
        assert client.request({}) == {}


def test_what_is_too_large_is_refused_before_it_is_sent() -> None:
    worker = Answering(lambda data: {"b": bytes(MAX_FRAME)} if data else None)
    with running(service(), worker), ServiceClient(FRONT, T) as client:
        with pytest.raises(SerializationError, match=r"data takes .* bytes and .* are allowed"):
            client.request({"b": bytes(MAX_FRAME)})
        with pytest.raises(RemoteError, match=r"the answer takes .* bytes and .* are allowed"):
            client.request({"n": 1})
        assert client.request({}) == {}


def test_a_timeout_and_then_the_same_client_again() -> None:
    go, seen = threading.Event(), list[int]()

    def answer(data: Data) -> Any:
        seen.append(data["n"])
        assert go.wait(GUARD)
        return data

    broker = service()
    with running(broker, Answering(answer)), ServiceClient(FRONT, T) as client:
        with pytest.raises(
            RequestTimeoutError, match=r"no answer for task type 'service test' within 0.05 s"
        ):
            client.request({"n": 1}, timeout=0.05)
        with pytest.raises(RequestTimeoutError, match="request 0 of 2"):
            client.request([{"n": 2}, {"n": 3}], timeout=0.05)
        until(lambda: broker._brokerage._numbers == 3 and broker._brokerage.settled)
        go.set()
        assert client.request({"n": 4}, timeout=GUARD) == {"n": 4}
        assert seen[-1] == 4
        assert seen == [1, 4]  # what was no longer wanted was never handed out


def test_a_timeout_without_a_broker() -> None:
    with ServiceClient(FRONT, T) as client, pytest.raises(RequestTimeoutError):
        client.request({}, timeout=0.02)


def test_ctrl_c_while_waiting_and_then_the_same_client_again() -> None:
    def answer(data: Data) -> Any:
        if data["n"] == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return data

    # run in threads, so that SIGINT is this test's alone
    with running(service(), Answering(answer)), ServiceClient(FRONT, T) as client:
        with pytest.raises(KeyboardInterrupt):
            client.request({"n": 1}, timeout=GUARD)
        assert client.request({"n": 2}) == {"n": 2}


# ---- peers that die


def test_the_request_of_a_killed_worker_moves_to_another() -> None:
    with running(service()), process(WORKER) as worker:
        asking = Asking({})
        assert line(worker) == "busy\n"
        with running(Answering(lambda data: {"moved": True})):
            worker.kill()
            assert asking.answer() == {"moved": True}


def test_a_request_that_kills_its_workers_is_given_up() -> None:
    with running(service(max_tries=2)), contextlib.ExitStack() as stack:
        workers = [stack.enter_context(process(WORKER)) for _ in range(3)]
        assert isinstance(Asking({"die": True}).answer(), WorkerLostError)
        Path("go").touch()
        answer = Asking({}).answer()
        assert [worker.pid for worker in workers if worker.poll() is None] == [answer["pid"]]


def test_a_worker_in_long_user_code_is_not_dead() -> None:
    turns, busy = list[int](), threading.Event()

    class Probing(Service):
        def _poll(self, poller: zmq.Poller, until: float | None) -> dict[Any, int]:
            turns.append(1)
            return super()._poll(poller, until)

    def answer(data: Data) -> Any:
        busy.set()
        start = len(turns)
        until(lambda: len(turns) > start + 1200)  # more probes than a socket holds by default
        return {"tried": data}

    probing = Probing(FRONT, BACK)
    probing.probe_interval = 0.001
    with running(probing) as (thread,), running(Answering(answer)):
        asking = Asking({"n": 1})
        assert busy.wait(GUARD)
        assert asking.answer() == {"tried": {"n": 1}}
        # END finds its way behind all these probes
        probing.shutdown()
        thread.join(GUARD)


def test_the_request_of_a_client_that_is_gone_is_forgotten() -> None:
    busy, go, seen = threading.Event(), threading.Event(), list[int]()

    def answer(data: Data) -> Any:
        seen.append(data["n"])
        busy.set()
        assert go.wait(GUARD)
        return data

    broker = service()
    with running(broker, Answering(answer)):
        with raw(zmq.DEALER, FRONT) as leaving:
            for n in (1, 2):
                leaving.send_multipart([b"", pack("DATA", data={"n": n}, id=n)])
            assert busy.wait(GUARD)
        until(lambda: broker._brokerage.settled)
        go.set()
        assert Asking({"n": 3}).answer() == {"n": 3}
        assert seen == [1, 3]


def test_broker_killed_and_started_again() -> None:
    with running(Answering()), ServiceClient(FRONT, T) as client:
        with process(SERVICE) as broker:
            assert client.request({"n": 1}) == {"n": 1}
            broker.kill()
            broker.wait(GUARD)
        # the client asks anew as soon as there is a broker; the worker joins it
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(client.request({"n": 2})))
        asking.start()
        with running(service()):
            asking.join(GUARD)
            assert answers == [{"n": 2}]


def test_a_request_under_way_survives_its_broker() -> None:
    busy, go = threading.Event(), threading.Event()

    def answer(data: Data) -> Any:
        busy.set()
        assert go.wait(GUARD)
        return data

    with running(Answering(answer)):
        with process(SERVICE) as broker:
            asking = Asking({"n": 1})
            assert busy.wait(GUARD)
            broker.kill()
            broker.wait(GUARD)
        with running(service()):
            go.set()
            assert asking.answer() == {"n": 1}


@pytest.mark.usefixtures("_quick_looks")
def test_a_worker_does_not_wait_for_a_lost_broker_for_ever() -> None:
    worker = Answering()
    worker.peer_timeout = 0.05
    raised: list[str] = []

    def run() -> None:
        try:
            worker.run()
        except PeerTimeoutError as error:
            raised.append(str(error))

    thread = threading.Thread(target=run)
    with process(SERVICE) as broker:
        thread.start()
        assert Asking({}).answer() == {}
        broker.kill()
        broker.wait(GUARD)
    thread.join(GUARD)
    assert "the broker at ipc://back.ipc has been gone for" in raised[0]
    for name in ("front.ipc", "back.ipc", "front.ipc.lock", "back.ipc.lock"):
        Path(name).unlink()  # what a killed broker leaves, the next one would take over


# ---- the end


def test_shutdown_answers_what_runs_refuses_what_waits_and_ends_all_workers() -> None:
    busy, go = threading.Event(), threading.Event()

    def answer(data: Data) -> Any:
        busy.set()
        assert go.wait(GUARD)
        return data

    broker = service()
    with running(broker, Answering(answer)) as (serving, working):
        runs = Asking({"n": 1})
        assert busy.wait(GUARD)

        class Idle(Answering):
            task_type = OTHER

        with running(Idle()) as (idle,):
            waits = Asking({"n": 2})
            until(lambda: broker._brokerage.open_count == 2)
            broker.shutdown()
            error = waits.answer()
            assert isinstance(error, NoWorkerError)
            assert "the broker is ending" in str(error)
            idle.join(GUARD)
            assert not idle.is_alive()
        go.set()
        assert runs.answer() == {"n": 1}
        serving.join(GUARD)
        working.join(GUARD)


def test_shutdown_does_not_wait_for_ever_for_user_code() -> None:
    busy, go = threading.Event(), threading.Event()

    def answer(data: Data) -> Any:
        busy.set()
        assert go.wait(GUARD)
        return data

    broker = service(stop_timeout=0.05)
    with running(broker, Answering(answer)) as (serving, working):
        runs = Asking({})
        assert busy.wait(GUARD)
        broker.shutdown()
        assert isinstance(runs.answer(), NoWorkerError)
        serving.join(GUARD)
        assert not serving.is_alive()
        go.set()
        working.join(GUARD)  # END was there all the time
        assert not working.is_alive()


def test_sigterm_ends_broker_and_workers() -> None:
    with process(SERVICE) as broker, process(WORKER) as worker:
        assert line(broker) == "ready\n"
        asking = Asking({})
        assert line(worker) == "busy\n"
        broker.send_signal(signal.SIGTERM)
        Path("go").touch()
        assert asking.answer() == {"pid": worker.pid}
        assert broker.wait(GUARD) == 128 + signal.SIGTERM
        assert worker.wait(GUARD) == 0


def test_a_signal_lets_a_worker_finish_its_request() -> None:
    with running(service()), process(WORKER) as worker:
        asking = Asking({})
        assert line(worker) == "busy\n"
        worker.send_signal(signal.SIGINT)
        Path("go").touch()
        assert asking.answer() == {"pid": worker.pid}
        assert worker.wait(GUARD) == 128 + signal.SIGINT


def test_a_second_signal_gives_the_request_back() -> None:
    tells = "import logging, sys\nlogging.basicConfig(stream=sys.stdout)\n"
    with running(service(max_tries=1)), process(tells + WORKER) as worker:
        asking = Asking({})
        assert line(worker) == "busy\n"
        worker.send_signal(signal.SIGTERM)
        assert "finishing" in line(worker), "signals that come too close together are one"
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(GUARD) == 128 + signal.SIGTERM
        with running(Answering(lambda data: {"by another": True})):
            assert asking.answer() == {"by another": True}


def test_what_a_dead_peer_has_sent_and_nobody_read_does_not_abort_the_broker() -> None:
    """libzmq asserts when a heartbeat is due on such a connection; it would take this process along."""
    frozen = SERVICE.replace(
        "service.run()",
        """
import os, time
service.heartbeat_interval = 0.2
def serve():
    while not os.path.exists('go'):
        time.sleep(0.01)
    Service._serve(service)
service._serve = serve
service.run()
""",
    )
    with process(frozen) as broker:
        assert line(broker) == "ready\n"
        for address in (FRONT, BACK):
            with raw(zmq.DEALER, address) as peer:
                peer.sndtimeo = 200
                with contextlib.suppress(zmq.Again):  # then the broker has no room for more
                    for _ in range(2000):
                        peer.send_multipart([b"", pack("END", data=bytes(10_000))])
        time.sleep(0.5)  # so that a heartbeat would be due
        Path("go").touch()
        with running(Answering()):
            assert Asking({"n": 1}).answer() == {"n": 1}
        broker.terminate()
        assert broker.wait(GUARD) == 128 + signal.SIGTERM


def test_a_stopped_role_can_be_stopped_before_it_runs() -> None:
    broker = service()
    broker.stop()
    broker.run()


# ---- the wire of the original, and what is no wire at all


def test_a_req_client_and_a_req_worker_of_the_original() -> None:
    broker = service(probe_interval=0.001)
    with running(broker), raw(zmq.REQ, BACK, b"w") as worker:
        worker.send(pack("RDY"))
        with raw(zmq.REQ, FRONT, b"c") as client:
            for n in range(20):
                client.send(pack("DATA", data={"n": n}))
                route, empty, request = worker.recv_multipart()
                told = msgpack.unpackb(route)
                assert (told["type"], told["task"], told["data"]["address"]) == ("RTE", T, b"c")
                assert empty == b""
                assert msgpack.unpackb(request) == {"data": {"n": n}, "task": T, "type": "DATA"}
                worker.send_multipart([route, b"", pack("DATA", data={"twice": 2 * n})])
                assert msgpack.unpackb(client.recv()) == {"data": {"twice": 2 * n}, "task": T, "type": "DATA"}
        # our client has a req worker's answer told apart by its id, which the worker does not echo
        asking = Asking({"n": 3})
        route, _, request = worker.recv_multipart()
        assert msgpack.unpackb(request)["id"] == 1
        worker.send_multipart([route, b"", pack("DATA", data={"n": 4})])
        assert asking.answer() == {"n": 4}
        broker.shutdown()
        empty, empty_too, end = worker.recv_multipart()
        assert (empty, empty_too, msgpack.unpackb(end)["type"]) == (b"", b"", "END")


def test_a_req_worker_that_dies_while_it_is_busy_is_found() -> None:
    with running(service()):
        asking = None
        with raw(zmq.REQ, BACK) as worker:
            worker.send(pack("RDY"))
            asking = Asking({"n": 1})
            worker.recv_multipart()
        with running(Answering()):
            assert asking.answer() == {"n": 1}


def test_a_worker_whose_broker_was_another_is_free_after_its_answer() -> None:
    with running(service()), raw(zmq.REQ, BACK) as worker:
        worker.send_multipart([pack("RTE", data={"address": b"?", "request": 1}), b"", pack("DATA")])
        asking = Asking({"n": 1})
        route, _, _ = worker.recv_multipart()
        worker.send_multipart([route, b"", pack("DATA", data={"n": 2})])
        assert asking.answer() == {"n": 2}


def test_an_answer_that_is_none() -> None:
    with running(service()), raw(zmq.REQ, BACK) as worker:
        worker.send(pack("RDY"))
        asking = Asking({"n": 1})
        route, _, _ = worker.recv_multipart()
        worker.send_multipart([route, b"", b"\xc1"])
        error = asking.answer()
        assert isinstance(error, RemoteError)
        assert "is no message" in str(error)


def test_an_answer_with_types_that_the_client_does_not_know() -> None:
    with running(service()), raw(zmq.REQ, BACK) as worker:
        worker.send(pack("RDY"))
        asking = Asking({"n": 1})
        route, _, _ = worker.recv_multipart()
        worker.send_multipart([route, b"", pack("DATA", data=msgpack.ExtType(99, b"?"))])
        assert "cannot be read" in str(asking.answer())


def test_a_request_with_types_that_the_worker_does_not_know() -> None:
    with running(service(), Answering()), raw(zmq.REQ, FRONT) as client:
        client.send(pack("DATA", data=msgpack.ExtType(99, b"?")))
        told = msgpack.unpackb(client.recv())
        assert (told["type"], told["data"]["error"]) == ("FAIL", "remote")


def test_a_client_that_asks_too_much_is_told() -> None:
    with running(service(max_client_requests=2)), raw(zmq.DEALER, FRONT) as client:
        for n in range(3):
            client.send_multipart([b"", pack("DATA", id=n)])
        while (frames := client.recv_multipart()) == list(PROBE):
            pass
        told = msgpack.unpackb(frames[1])
        assert (told["id"], told["data"]["error"]) == (2, "client full")


def test_a_client_that_is_refused_all_the_time_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        caplog.at_level(logging.INFO, "zmqpipeline.service"),
        running(service()),
        raw(zmq.DEALER, FRONT) as one,
    ):
        for number in range(1500):
            one.send_multipart([b"", pack("DATA", "nobody's", id=number)])
        refused = 0
        while refused < 500:
            *_, answer = one.recv_multipart()
            if answer:  # else the broker asks whether this client is still there
                assert messages.get(answer)[0]["error"] == "client full"
                refused += 1
    assert 1 <= sum("is told" in message for message in caplog.messages) < 100


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\x80", pack("DATA", ""), pack("DATA", "x" * 2000), pack("END")]
)
def test_what_is_no_request_is_answered(body: bytes) -> None:
    with running(service()), raw(zmq.REQ, FRONT) as client:
        client.send(body)
        told = msgpack.unpackb(client.recv())
        assert (told["type"], told["data"]["error"]) == ("FAIL", "invalid")


def junk(chance: random.Random) -> list[bytes]:
    """Make a message that makes no sense, or nearly some."""
    kinds = ("RTE", "DATA", "RDY", "BYE", "END", "nothing")
    valid = [pack(kind, chance.choice(["junk type", 7]), id=1) for kind in kinds]
    frames = [
        chance.choice([b"", b"", b"", chance.randbytes(chance.randrange(1, 60)), *valid])
        for _ in range(chance.choice([1, 1, 2, 2, 3, 4, 5, 50]))
    ]
    if chance.random() < 0.5:
        position = chance.randrange(len(frames))
        cut = bytearray(frames[position])
        for _ in range(chance.randrange(3)):
            if cut:
                cut[chance.randrange(len(cut))] = chance.randrange(256)
        frames[position] = bytes(cut)
    return frames


def _has_read(broker: Service, address: str, junk_count: int, last: str) -> bool:
    if address == FRONT:
        return broker.junk_count > junk_count
    return any(worker.task == last for worker in broker._brokerage.workers)


@pytest.mark.parametrize("address", [FRONT, BACK])
@pytest.mark.parametrize("seed", range(3))
def test_junk_does_nothing(address: str, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated
    broker = service(worker_timeout=GUARD)
    with running(broker, Answering()), ServiceClient(FRONT, T) as client:
        for n in range(5):
            with raw(zmq.DEALER, address, b"junk%d" % n) as peer:
                for _ in range(200):
                    peer.send_multipart(junk(chance))
                junk_count = broker.junk_count
                peer.send_multipart([b"", pack("RDY", f"last {n}")])  # makes sense to one side only
                until(functools.partial(_has_read, broker, address, junk_count, f"last {n}"))
                assert client.request({"n": n}, timeout=GUARD) == {"n": n}
        assert broker.junk_count >= 100


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x80\x80",
        b"\x93\x01\x02\x03",
        b"\x81\xa4type\xa4DATA\x00",
        b"\x82\xa4type\xa4DATA\xa4task\x07",
        b"\x82\xa4type\xa4DATA\xa4task\xa3\xed\xb3\xbf",  # half a surrogate pair
        b"\xdf\xff\xff\xff\xff",
        b"\x81" + b"\x91" * 100_000,
        b"\x81\x81\x80\x01\x01",  # a map as a key of a map
        msgpack.packb({"type": "DATA", "id": -1}),
        msgpack.packb({"type": "DATA", "id": True}),
        msgpack.packb({"type": "DATA", "id": 2**53}),
    ],
)
def test_no_header(frame: bytes) -> None:
    assert open_header(frame) is None


def test_a_header_leaves_its_data_packed() -> None:
    data = msgpack.packb({"x": msgpack.ExtType(99, b"?")})
    frame = b"\x84\xa4data" + data + b"\xa4type\xa4DATA\xa2id\x05\xa4more\xc0"
    header = open_header(frame)
    assert header is not None
    assert (header.type, header.task, header.id, header.data) == ("DATA", "", 5, data)
    assert open_header(failure("t", None, "remote", "x")) is not None


# ---- waiting costs nothing


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often clients poll."""
    counted: list[int] = []
    wait = serviceconnection.Connection.wait

    def counting(*args: Any, **kwargs: Any) -> None:
        counted.append(1)
        wait(*args, **kwargs)

    monkeypatch.setattr(serviceconnection.Connection, "wait", counting)
    return counted


def test_a_waiting_client_spins_neither_broker_nor_client(waits: list[int]) -> None:
    turns: list[float | None] = []

    class Counting(Service):
        worker_timeout = 1.0

        def _poll(self, poller: zmq.Poller, until: float | None) -> dict[Any, int]:
            turns.append(until)
            return super()._poll(poller, until)

    client = ServiceClient(FRONT, T)
    with running(Counting(FRONT, BACK)), client, pytest.raises(UnknownTaskTypeError):
        client.request({})
    assert len(turns) < 20
    assert len(waits) < 20


def test_a_client_without_broker_does_not_spin(waits: list[int]) -> None:
    with ServiceClient(FRONT, T) as client, pytest.raises(RequestTimeoutError):
        client.request([{}] * 3000, timeout=0.3)
    assert len(waits) < 20


# ---- declarations, misuse, and what is left behind


@pytest.mark.parametrize("wrong", ["", None, "tpc://x:1", 5, "front"])
def test_an_endpoint_that_is_none(wrong: Any) -> None:
    for make in (lambda: Service(wrong, BACK), lambda: Service(FRONT, wrong), lambda: ServiceClient(wrong)):
        with pytest.raises(EndpointError) as caught:
            make()
        assert isinstance(caught.value, TypeError)


def test_plain_strings_become_endpoints() -> None:
    made = Service(str(FRONT), str(BACK))
    assert isinstance(made.frontend_endpoint, EndpointAddress)
    assert isinstance(made.backend_endpoint, EndpointAddress)
    assert isinstance(ServiceClient(str(FRONT)).endpoint, EndpointAddress)


def test_an_address_in_use() -> None:
    with running(service()), pytest.raises(BindError, match=r"ipc://front\.ipc"):
        service().run()


def test_a_worker_is_checked_when_its_class_statement_runs() -> None:
    def handle(self: Any, data: Data, task_type: TaskType, msgtype: str) -> Any:
        return data

    for declared, named in (
        ({"endpoint": BACK}, "task_type is missing"),
        ({"task_type": T}, "endpoint is missing"),
        ({"task_type": "service test", "endpoint": BACK}, "task_type is 'service test'"),
        ({"task_type": TaskType(""), "endpoint": BACK}, "task_type is ''"),
        ({"task_type": T, "endpoint": "ipc://back.ipc"}, "endpoint is 'ipc://back.ipc'"),
    ):
        with pytest.raises(TypeError, match=f"class Wrong: {named}"):
            type("Wrong", (ServiceWorker,), {"handle_message": handle, **declared})
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (ServiceWorker,), {"task_type": T, "endpoint": BACK})()


def test_what_a_client_cannot_ask() -> None:
    with pytest.raises(TypeError, match="task_type is 'service test'"):
        ServiceClient(FRONT, "service test")
    with pytest.raises(DeclarationError, match="id_prefix"):
        ServiceClient(FRONT, T, id_prefix="x" * 300)
    with ServiceClient(FRONT) as client:
        with pytest.raises(TypeError, match="needs a task type"):
            client.request({})
        wrong: Any
        for wrong in (None, 5, "text", ({},), [{}, 5], [[]]):
            with pytest.raises(TypeError, match="a dict or a list of dicts"):
                client.request(wrong, T)
        with pytest.raises(TypeError, match=r"data\[1\]\['x'\]: cannot serialize"):
            client.request([{}, {"x": object()}], T)
        with pytest.raises(ValueError, match="timeout"):
            client.request({}, T, timeout=-1)
        assert client.client_id == ""  # nothing of this needed a connection


def test_two_threads_cannot_share_a_client() -> None:
    busy, go = threading.Event(), threading.Event()

    def answer(data: Data) -> Any:
        busy.set()
        assert go.wait(GUARD)
        return data

    with running(service(), Answering(answer)), ServiceClient(FRONT, T) as client:
        other = threading.Thread(target=client.request, args=({},))
        other.start()
        assert busy.wait(GUARD)
        with pytest.raises(RuntimeError, match="one for each thread"):
            client.request({})
        go.set()
        other.join(GUARD)


def test_a_forgotten_client_is_closed_with_a_warning() -> None:
    with running(service(), Answering()):
        client = ServiceClient(FRONT, T)
        client.request({})
        assert client.client_id.startswith("client")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del client
            gc.collect()
    assert [warning.category for warning in caught] == [ResourceWarning]


def test_a_closed_client_opens_again() -> None:
    with running(service(), Answering()):
        client = ServiceClient(FRONT, T, id_prefix="mine")
        for n in range(2):
            assert client.request({"n": n}) == {"n": n}
            assert client.client_id.startswith("mine")
            client.close()
        client.close()
