"""A distributor that shows its run: asked over real sockets."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import pytest
import zmq

import zmqpipeline
from tests.roles.pipelines import GUARD, Event, Pipeline, Threaded, eventually, running
from zmqpipeline import EndpointAddress
from zmqpipeline.errors import EndpointError, SecurityError
from zmqpipeline.monitor import desk
from zmqpipeline.wire import envelope, limits, messages
from zmqpipeline.wire.envelope import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("folder")

MONITOR = EndpointAddress("ipc://monitor.ipc")


class Viewer:
    """Somebody who asks."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], kind: int = zmq.DEALER) -> None:
        self.socket = context.socket(kind)
        self.socket.linger = 0
        self.socket.rcvtimeo = int(GUARD * 1000)
        self.socket.connect(MONITOR)
        self._delimiter = [b""] if kind == zmq.DEALER else []

    def says(self, *frames: bytes) -> None:
        self.socket.send_multipart([*self._delimiter, *frames])

    def asks(self, data: Any = None) -> None:
        self.says(envelope.encode(Message("MONITOR", data={} if data is None else data)))

    def hears(self) -> dict[str, Any]:
        message = envelope.decode(self.socket.recv_multipart()[-1])
        assert message is not None
        assert message.type == "SNAPSHOT"
        told: dict[str, Any] = message.data
        return told


class Viewers:
    """Those who ask, closed at the end."""

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._made: list[Viewer] = []

    def __call__(self, kind: int = zmq.DEALER) -> Viewer:
        self._made.append(Viewer(self._context, kind))
        return self._made[-1]

    def close(self) -> None:
        for viewer in self._made:
            viewer.socket.close()
        self._context.term()


@pytest.fixture
def viewers() -> Iterator[Viewers]:
    made = Viewers()
    yield made
    made.close()


class Held:
    """A pipeline whose worker waits in its first task until it may go on."""

    def __init__(self, base: type[zmqpipeline.Worker] | None = None) -> None:
        self.inside, self.go = Event(), Event()
        self.pipeline = Pipeline()
        self.pipeline.task("SHOWN", 5)
        method = "handle_execution" if base is None else "handle_thread_execution"

        def hold(_worker: Any, data: dict[str, Any], *_args: Any) -> dict[str, Any]:
            self.inside.set()
            self.go.wait()
            return {"r": data["i"]}

        self.worker = self.pipeline.worker("SHOWN", base, **{method: hold})()
        self.collector = self.pipeline.keeper()
        self.distributor = self.pipeline.distributor(monitor_endpoint=MONITOR)


@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ])
@pytest.mark.parametrize("base", [None, Threaded])
def test_who_asks_gets_a_snapshot(kind: int, base: type[zmqpipeline.Worker] | None, viewers: Viewers) -> None:
    held, viewer = Held(base), viewers(kind)
    with running(held.worker, held.collector, held.distributor) as roles:
        held.inside.wait()
        viewer.asks()
        told = viewer.hears()
        held.go.set()
        roles.join()
    (worker,), (task,) = told["workers"], told["tasks"]
    assert (told["phase"], task["type"], task["phase"]) == ("running", "SHOWN", "running")
    assert (worker["name"], worker["hands"]) == ("WorkerSHOWN", 1 if base is None else 3)
    assert worker["state"] == "working"
    assert worker["pid"] == told["distributor"]["pid"] == told["collector"]["pid"]
    assert told["in_flight"] == told["handed_out"] > 0


def test_who_watches_is_told_again_and_again_until_the_end(viewers: Viewers) -> None:
    held, viewer = Held(), viewers()
    with running(held.worker, held.collector, held.distributor) as roles:
        held.inside.wait()
        viewer.asks({"every": 0.1})
        first = [viewer.hears() for _ in range(3)]
        held.go.set()
        while (told := viewer.hears())["phase"] != "ended":
            assert told["run"] == first[0]["run"]
        roles.join()
    times = [found["time"] for found in (*first, told)]
    assert times == sorted(set(times))
    assert (told["acknowledged"], told["in_flight"], told["tasks"][0]["phase"]) == (5, 0, "complete")


@pytest.mark.usefixtures("_quick_heartbeats")
def test_workers_and_the_collector_say_how_they_are(viewers: Viewers) -> None:
    held, viewer = Held(), viewers()
    for role in (held.worker, held.collector, held.distributor):
        role.heartbeat_interval = 0.1
    with running(held.worker, held.collector, held.distributor) as roles:
        held.inside.wait()
        viewer.asks({"every": 0.1})
        while (told := viewer.hears())["workers"][0]["lag"] is None or told["collector"]["lag"] is None:
            pass
        for process in (told["distributor"], told["collector"], *told["workers"]):
            assert process["lag"] >= 0
            assert process["cpu"] >= 0
            assert process["memory"] is None or process["memory"] > 1 << 20
        held.go.set()
        while viewer.hears()["phase"] != "ended":
            pass
        roles.join()


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"\xc1"],
        [envelope.encode(Message("HELLO"))],
        [envelope.encode(Message("MONITOR", data=[1]))],
        [envelope.encode(Message("MONITOR")), b"more"],
    ],
)
def test_what_is_no_question_is_not_answered(frames: list[bytes], viewers: Viewers) -> None:
    held, viewer = Held(), viewers()
    with running(held.worker, held.collector, held.distributor) as roles:
        held.inside.wait()
        viewer.says(*frames)
        viewer.asks()
        viewer.hears()
        with pytest.raises(zmq.Again):
            viewer.socket.recv_multipart(zmq.NOBLOCK)
        found = held.distributor._desk
        assert found is not None
        assert found.strays == 1
        held.go.set()
        roles.join()


def test_who_sends_more_than_a_question_is_cut_off(viewers: Viewers) -> None:
    held, viewer, other = Held(), viewers(), viewers()
    with running(held.worker, held.collector, held.distributor) as roles:
        held.inside.wait()
        events = viewer.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        events.rcvtimeo = int(GUARD * 1000)
        viewer.asks({"every": 1.0, "more": "x" * limits.MAX_QUESTION})
        assert events.recv_multipart()
        viewer.socket.disable_monitor()
        events.close()
        other.asks({"more": "x" * (limits.MAX_QUESTION // 2)})
        assert other.hears()["phase"] == "running"
        held.go.set()
        roles.join()


@pytest.mark.parametrize("every", [0, -1, "1", None, True, [1]])
def test_whoever_does_not_say_how_often_is_told_once(every: Any, viewers: Viewers) -> None:
    held, viewer = Held(), viewers()
    with running(held.worker, held.collector, held.distributor) as roles:
        held.inside.wait()
        viewer.asks({"every": every})
        viewer.hears()
        assert held.distributor._desk is not None
        assert held.distributor._desk.due_at == float("inf")
        held.go.set()
        roles.join()


def test_no_more_may_watch_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch, viewers: Viewers) -> None:
    monkeypatch.setattr(desk, "MOST_WATCHERS", 1)
    held, first, second = Held(), viewers(), viewers()
    with running(held.worker, held.collector, held.distributor) as roles:
        held.inside.wait()
        first.asks({"every": 0.1})
        first.hears()
        second.asks({"every": 0.1})
        second.asks()  # a single one is always told
        second.hears()
        held.go.set()
        roles.join()
        with pytest.raises(zmq.Again):
            second.socket.recv_multipart(zmq.NOBLOCK)


def test_who_is_not_there_any_more_is_forgotten(monkeypatch: pytest.MonkeyPatch, viewers: Viewers) -> None:
    held, gone, quiet, told = Held(), viewers(), viewers(), viewers()
    with running(held.worker, held.collector, held.distributor) as roles:
        held.inside.wait()
        gone.asks({"every": 0.1})
        gone.hears()
        gone.socket.close()
        found = held.distributor._desk
        assert found is not None
        eventually(lambda: not found._watchers)
        quiet.asks({"every": 0.1})
        quiet.hears()
        monkeypatch.setattr(desk, "PATIENCE", 0.2)
        told.asks({"every": 0.1})  # it says no more, and the other one has waited for ten seconds
        told.hears()
        eventually(lambda: len(found._watchers) == 1)
        held.go.set()
        roles.join()


class Gives(zmqpipeline.MetaDataWorker):
    """Says who it is."""

    endpoint = EndpointAddress("ipc://metadata.ipc")

    def get_metadata(self) -> dict[str, Any]:
        return {"a": 1}


@pytest.mark.parametrize("is_original", [False, True])
def test_who_gave_the_metadata_is_shown(is_original: bool, viewers: Viewers) -> None:
    pipeline, viewer = Pipeline(), viewers()
    pipeline.task("SHOWN", 5)
    distributor = pipeline.distributor(
        receive_metadata=True, metadata_endpoint=Gives.endpoint, monitor_endpoint=MONITOR
    )
    with running(distributor) as roles:
        viewer.asks({"every": 0.1})
        told = viewer.hears()
        assert (told["metadata_worker"], told["waits_for"]) == (None, ["metadata"])
        if is_original:
            with zmq.Context() as context, context.socket(zmq.REQ) as client:
                client.connect(Gives.endpoint)
                client.send(messages.create_metadata({"a": 1}))
                assert messages.get(client.recv()) == ("", "", "OK")
        else:
            roles.start(Gives())
        while (found := viewer.hears()["metadata_worker"]) is None:
            pass
        keeper = pipeline.keeper()
        roles.start(pipeline.worker("SHOWN")(), keeper)
        roles.join()
    assert keeper.metadata == {"a": 1}
    expected = ("", "?", None) if is_original else ("Gives", told["distributor"]["host"], os.getpid())
    assert (found["name"], found["host"], found["pid"]) == expected
    assert (found["cpu"] is None) == is_original


def test_nobody_may_ask_a_distributor_that_shows_nothing() -> None:
    assert Pipeline().distributor().monitor_endpoint is None


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(EndpointError, match="monitor_endpoint is 'ipc://x'"):
        Pipeline().distributor(monitor_endpoint="ipc://x")


def test_its_address_needs_keys_where_keys_are_required(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = Pipeline().distributor(monitor_endpoint=EndpointAddress("tcp://*:5999"))
    monkeypatch.setattr(zmqpipeline.Security, "required", True)
    with caplog.at_level(logging.WARNING), pytest.raises(SecurityError, match="5999"):
        made.run()
