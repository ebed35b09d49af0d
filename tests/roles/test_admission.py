"""Many who come, and come fast: those who are there go on, and everybody gets a turn."""

from __future__ import annotations

import contextlib

import pytest
import zmq

from tests.roles.pipelines import GUARD, Pipeline, eventually, running
from zmqpipeline import worker as worker_module
from zmqpipeline.wire import envelope
from zmqpipeline.wire.binding import bind
from zmqpipeline.wire.envelope import Message

pytestmark = pytest.mark.usefixtures("folder", "_quick_looks")


def test_more_workers_than_may_be_met_at_once_all_work_in_the_end() -> None:
    pipeline = Pipeline()
    pipeline.task("CROWD", 300)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    distributor.max_hellos = 1
    kind = pipeline.worker("CROWD")
    with running(distributor, *[kind() for _ in range(4)]) as roles:
        eventually(lambda: distributor._is_open)
        book = distributor._dispatch.books["CROWD"]
        # those that wait when the run ends are told so, as those that take part
        eventually(lambda: len(book.peers) + len(book.roster.admission) == 4)
        roles.start(keeper)
        roles.join()
    assert keeper.numbers("CROWD") == list(range(300))


def test_connections_that_say_nothing_are_not_known_and_harm_nobody() -> None:
    pipeline = Pipeline()
    pipeline.task("IDLE", 50)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    distributor.max_peers = 1
    with contextlib.ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        roles = stack.enter_context(running(keeper, distributor))
        for _ in range(100):
            idle = stack.enter_context(context.socket(zmq.DEALER))
            idle.linger = 0
            idle.connect(pipeline.endpoint("IDLE"))
        eventually(lambda: distributor._is_open and distributor._watches[0].connections == 100)
        book = distributor._dispatch.books["IDLE"]
        assert not book.peers
        assert not len(book.roster.admission)
        roles.start(pipeline.worker("IDLE")())
        roles.join()
    assert keeper.numbers("IDLE") == list(range(50))


@pytest.mark.usefixtures("_quick_heartbeats")
def test_a_thousand_hellos_of_strangers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "HELLO_PAUSE", 0.1)
    pipeline = Pipeline()
    pipeline.task("FLOOD", 50)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    distributor.max_hellos = distributor.max_peers = 5
    hello = envelope.encode(Message("HELLO", "FLOOD", {"pid": 1}))
    with contextlib.ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        roles = stack.enter_context(running(distributor))
        eventually(lambda: distributor._is_open)
        with contextlib.ExitStack() as strangers:
            for _ in range(30):
                stranger = strangers.enter_context(context.socket(zmq.DEALER))
                stranger.linger = 0
                stranger.connect(pipeline.endpoint("FLOOD"))
                for _ in range(30):
                    stranger.send_multipart([b"", hello])
            book = distributor._dispatch.books["FLOOD"]
            eventually(
                lambda: book.roster.strays >= 20 and len(book.peers) == len(book.roster.admission) == 5
            )
        roles.start(keeper, pipeline.worker("FLOOD")())
        roles.join()
    assert keeper.numbers("FLOOD") == list(range(50))


def test_a_worker_says_hello_again_until_it_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "HELLO_PAUSE", 0.01)
    pipeline = Pipeline()
    pipeline.task("AGAIN", 1)
    worker = pipeline.worker("AGAIN")()
    with (
        zmq.Context() as context,
        context.socket(zmq.ROUTER) as router,
        bind(router, pipeline.endpoint("AGAIN")),
        running(worker) as roles,
    ):
        router.linger, router.rcvtimeo = 0, int(GUARD * 1000)

        def hears() -> tuple[bytes, str]:
            address, _, frame = router.recv_multipart()
            message = envelope.decode(frame)
            assert message is not None
            return address, message.type

        said = [hears() for _ in range(3)]
        assert said == [(said[0][0], "HELLO")] * 3
        for kind in ("WELCOME", "END"):
            message = Message(kind, "AGAIN", run="the run")
            router.send_multipart([said[0][0], b"", envelope.encode(message)])
        while hears()[1] == "HELLO":
            pass
        roles.join()
