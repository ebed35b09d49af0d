"""Roles among strangers: who connects where others do, and says or takes what was not meant for him."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
import zmq

import zmqpipeline
from tests.badness import raw
from tests.roles.pipelines import GUARD, Pipeline, eventually, running
from zmqpipeline import EndpointAddress, TaskType, messages
from zmqpipeline.wire import serializer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("folder")


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


def test_a_worker_whose_end_nobody_would_notice_gets_nothing() -> None:
    """Of a peer that speaks ZMTP 1.0, libzmq tells neither that it is there nor that it is gone."""
    pipeline = Pipeline("tcp")
    pipeline.task("ONE", 10)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    ready = messages.create_ready("ONE")
    with running(keeper, distributor) as roles:
        eventually(lambda: distributor._is_open and distributor._dispatch.collector_ready)
        with raw.opened(str(pipeline.endpoint("ONE"))) as old:
            old.sendall(b"\x01\x00" + b"\x01\x01" + bytes([len(ready) + 1]) + b"\x00" + ready)
            eventually(lambda: distributor._dispatch.dropped == 1)
        roles.start(pipeline.worker("ONE")())
        roles.join()
    assert keeper.numbers("ONE") == list(range(10))
    assert distributor.statistics().redelivered == 0


@pytest.mark.parametrize("name", ["x" * 1000, "x\n12:00:00 ERROR all is lost", "\x1b[2J"])
def test_results_that_do_not_echo_are_told_of_once_in_a_while(
    name: str, stranger: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = Pipeline()
    pipeline.task("ONE", 10)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with caplog.at_level(logging.ERROR, "zmqpipeline.collector"), running(keeper, distributor) as roles:
        push = stranger.socket(zmq.PUSH)
        push.connect(str(pipeline.collector))
        for _ in range(100):
            push.send(messages.create_data(name, {"r": 99}))
        eventually(lambda: hasattr(keeper, "_settlement") and keeper._settlement.strays == 100)
        roles.start(pipeline.worker("ONE")())
        roles.join()
    (said,) = [message for message in caplog.messages if "without run, id and attempt" in message]
    assert len(said) < 300
    assert said.isprintable()


def test_metadata_that_cannot_be_passed_on_are_refused(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They can be unpacked, but not packed again: nobody could be told of them."""
    searched: list[Any] = []
    monkeypatch.setattr(serializer, "explain", lambda *what: searched.append(what))
    pipeline = Pipeline()
    pipeline.task("ONE", 10)
    keeper = pipeline.keeper()
    distributor = pipeline.distributor(receive_metadata=True, metadata_endpoint=Metadata.endpoint)
    with running(keeper, distributor) as roles:
        req = stranger.socket(zmq.REQ)
        req.connect(str(Metadata.endpoint))
        deep = b"\x83\xa4type\xa8METADATA\xa4task\xa0\xa4data\x81\xa1a" + b"\x91" * 1021 + b"\x01"
        for nonsense in (deep, b"\xc1", messages.create_metadata([1]), messages.create_ready("ONE")):
            req.send(nonsense)
            assert messages.get(req.recv())[2] == messages.MESSAGE_TYPE_FAILURE
        roles.start(Metadata(), pipeline.worker("ONE")())
        roles.join()
    assert keeper.numbers("ONE") == list(range(10))
    assert keeper.metadata == {"what": "is known"}
    assert not searched, "to find out what cannot be packed takes minutes if there is much of it"


def test_metadata_that_are_refused_are_not_sent_again_at_once(
    stranger: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    rep = stranger.socket(zmq.REP)
    rep.bind(str(Metadata.endpoint))
    with running(Metadata()) as roles:
        assert messages.get(rep.recv()) == ({"what": "is known"}, "", "METADATA")
        rep.send(messages.create_failure("", "x" * 10_000))
        assert not rep.poll(500)
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
