"""Roles among strangers: who connects where others do, and says or takes what was not meant for him."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
import zmq

import zmqpipeline
from tests.badness import raw
from tests.roles.pipelines import GUARD, Pipeline, eventually, running
from zmqpipeline import EndpointAddress, TaskType, messages
from zmqpipeline.delivery import news
from zmqpipeline.delivery.dispatch import Dispatch
from zmqpipeline.delivery.roster import Roster
from zmqpipeline.wire import envelope, serializer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline.role import Role

pytestmark = pytest.mark.usefixtures("folder", "_quick_looks")


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as made:
        yield made


@pytest.fixture
def stranger(context: zmq.Context[zmq.Socket[bytes]]) -> Iterator[Stranger]:
    made = Stranger(context)
    yield made
    made.close()


class Stranger:
    """Whoever connects, or binds, with sockets of any kind."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._context = context
        self._sockets: list[zmq.Socket[bytes]] = []

    def socket(self, kind: int) -> zmq.Socket[bytes]:
        made = self._context.socket(kind)
        made.linger = 0
        made.rcvtimeo = made.sndtimeo = int(GUARD * 1000)
        self._sockets.append(made)
        return made

    def close(self) -> None:
        for opened in self._sockets:
            opened.close()


class Metadata(zmqpipeline.MetaDataWorker):
    endpoint = EndpointAddress("ipc://metadata.ipc")

    def get_metadata(self) -> dict[str, str]:
        return {"what": "is known"}


def test_acknowledgements_that_a_stranger_takes_reach_the_distributor_as_well(stranger: Stranger) -> None:
    """A PUSH gives to each in turn. Each of these tasks waits for the one before it to be acknowledged."""
    pipeline = Pipeline()
    pipeline.task("ONE", 100, is_available_for_handling=lambda task, ack: ack.get("_id", 0) == task.made)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with running(keeper) as roles:
        for _ in range(2):
            thief = stranger.socket(zmq.PULL)
            thief.connect(str(pipeline.acks))
            thief.recv()  # HELLO, so it is one of those who get something
        roles.start(distributor, pipeline.worker("ONE")())
        roles.join()
    assert keeper.numbers("ONE") == list(range(100))


class Disturbed:
    """A pipeline whose strangers come before its worker: they change nothing of what is collected."""

    def __init__(self, transport: str = "ipc", **extra: Any) -> None:
        self.pipeline = Pipeline(transport)
        self.pipeline.task("ONE", 10)
        self.keeper, self.distributor = self.pipeline.keeper(), self.pipeline.distributor(**extra)

    @contextlib.contextmanager
    def until_strangers_are_done(self, *others: Role) -> Iterator[None]:
        with running(self.keeper, self.distributor) as roles:
            yield
            roles.start(*others, self.pipeline.worker("ONE")())
            roles.join()
        assert self.keeper.numbers("ONE") == list(range(10))
        assert self.distributor.statistics().redelivered == 0


def test_a_worker_whose_end_nobody_would_notice_gets_nothing() -> None:
    """Of a peer that speaks ZMTP 1.0, libzmq tells neither that it is there nor that it is gone."""
    run = Disturbed("tcp")
    ready = messages.create_ready("ONE")
    with run.until_strangers_are_done():
        eventually(lambda: run.distributor._is_open and run.distributor._dispatch.collector_ready)
        with raw.opened(str(run.pipeline.endpoint("ONE"))) as old:
            old.sendall(b"\x01\x00" + b"\x01\x01" + bytes([len(ready) + 1]) + b"\x00" + ready)
            eventually(lambda: run.distributor._dispatch.dropped == 1)


@pytest.mark.parametrize("name", ["x" * 1000, "x\n12:00:00 ERROR all is lost", "\x1b[2J"])
def test_results_that_do_not_echo_are_told_of_once_in_a_while(
    name: str, stranger: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    run = Disturbed()
    with caplog.at_level(logging.ERROR, "zmqpipeline.collector"), run.until_strangers_are_done():
        push = stranger.socket(zmq.PUSH)
        push.connect(str(run.pipeline.collector))
        for _ in range(100):
            push.send(messages.create_data(name, {"r": 99}))
        eventually(lambda: hasattr(run.keeper, "_settlement") and run.keeper._settlement.strays == 100)
    (said,) = [message for message in caplog.messages if "without run, id and attempt" in message]
    assert said.startswith("a worker of '")
    assert said.endswith(" sends results without run, id and attempt of their DATA: they are dropped")
    assert len(said) < 300
    assert said.isprintable()


@pytest.mark.usefixtures("_quick_heartbeats")
def test_workers_that_come_and_go_do_not_flood_the_log(
    stranger: Stranger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "MOST_NEWS", 2)
    pipeline = Pipeline()
    pipeline.task("ONE", 10)
    distributor = pipeline.distributor()
    with running(distributor):
        for count in range(1, 6):
            dealer = stranger.socket(zmq.DEALER)
            dealer.connect(str(pipeline.endpoint("ONE")))
            dealer.send_multipart([b"", envelope.encode(envelope.Message("HELLO", "ONE"))])
            assert dealer.recv_multipart()
            dealer.close()
            eventually(lambda: distributor.statistics().workers == 0)
            lost = [line for line in caplog.messages if line.startswith("lost a worker")]
            assert len(lost) <= min(count, 2)
        eventually(lambda: caplog.text.count("lost a worker") == 2)


def test_who_can_be_sent_something_when_its_connection_ends_is_missed_a_moment_later(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libzmq may tell of the end before it takes the connection away."""
    monkeypatch.setattr(Dispatch, "connection_gone", lambda *_: None)
    monkeypatch.setattr(Roster, "tick", lambda *_: None)
    pipeline = Pipeline()
    pipeline.task("ONE", 10)
    distributor = pipeline.distributor()
    with running(distributor):
        dealer = stranger.socket(zmq.DEALER)
        dealer.connect(str(pipeline.endpoint("ONE")))
        dealer.send_multipart([b"", envelope.encode(envelope.Message("HELLO", "ONE"))])
        assert dealer.recv_multipart()
        assert distributor.statistics().workers == 1
        dealer.close()
        eventually(lambda: distributor.statistics().workers == 0)


def test_metadata_that_cannot_be_passed_on_are_refused(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They can be unpacked, but not packed again: nobody could be told of them."""
    searched: list[Any] = []
    monkeypatch.setattr(serializer, "explain", lambda *what: searched.append(what))
    run = Disturbed(receive_metadata=True, metadata_endpoint=Metadata.endpoint)
    with run.until_strangers_are_done(Metadata()):
        req = stranger.socket(zmq.REQ)
        req.connect(str(Metadata.endpoint))
        deep = b"\x83\xa4type\xa8METADATA\xa4task\xa0\xa4data\x81\xa1a" + b"\x91" * 1021 + b"\x01"
        for nonsense in (deep, b"\xc1", messages.create_metadata([1]), messages.create_ready("ONE")):
            req.send(nonsense)
            assert messages.get(req.recv())[2] == messages.MESSAGE_TYPE_FAILURE
    assert run.keeper.metadata == {"what": "is known"}
    assert not searched, "to find out what cannot be packed takes minutes if there is much of it"


def test_metadata_that_are_refused_are_not_sent_again_at_once(
    stranger: Stranger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zmqpipeline.metadata.RETRY", 1.0)
    rep = stranger.socket(zmq.REP)
    rep.bind(str(Metadata.endpoint))
    with running(Metadata()) as roles:
        assert messages.get(rep.recv()) == ({"what": "is known"}, "", "METADATA")
        rep.send(messages.create_failure("", "x" * 10_000))
        assert not rep.poll(200)
        assert messages.get(rep.recv())[2] == "METADATA"
        rep.send(messages.create_success())
        roles.join()
    (said,) = [message for message in caplog.messages if "refused the metadata" in message]
    assert len(said) < 1000


class Doubles(zmqpipeline.ServiceWorker):
    task_type = TaskType.register_type("DOUBLES") or TaskType("DOUBLES")
    endpoint = EndpointAddress("ipc://back.ipc")

    def handle_message(self, data: dict[str, int], task_type: str, msgtype: str) -> dict[str, int]:
        return {"n": 2 * data["n"]}


def test_a_service_worker_tells_of_nonsense_once_in_a_while(
    stranger: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    broker = stranger.socket(zmq.ROUTER)
    broker.bind(str(Doubles.endpoint))
    with running(Doubles()) as roles:
        worker, *_ = broker.recv_multipart()
        for nonsense in ([b""], [b"", b"", b"", b"\xc1"], [b"", b"route", b"x", b""]) * 20:
            broker.send_multipart([worker, *nonsense])
        request = msgpack.packb({"type": "DATA", "task": "DOUBLES", "data": {"n": 4}, "id": 1})
        broker.send_multipart([worker, b"", b"route", b"", request])
        assert messages.get(broker.recv_multipart()[-1])[0] == {"n": 8}
        broker.send_multipart([worker, b"", b"", b"", messages.create_end()])
        roles.join()
    assert sum("makes no sense" in message for message in caplog.messages) == 1
