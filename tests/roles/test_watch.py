"""What libzmq's monitors tell of connections that never come up."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest
import zmq

from tests.ports import free_port
from zmqpipeline.wire import sockets
from zmqpipeline.wire.refusal import Refusal
from zmqpipeline.wire.watch import Changes, Watch

from .pipelines import GUARD

if TYPE_CHECKING:
    from collections.abc import Iterator


class Told:
    """A watch that is told of events by a test."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.watched = context.socket(zmq.ROUTER)
        self.watch = Watch(self.watched)
        self.watch.close()
        self.teller, self.watch.monitor = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        self.teller.bind("inproc://told")
        self.watch.monitor.connect("inproc://told")

    def tell(self, *events: tuple[int, int]) -> Changes:
        for event, value in events:
            self.teller.send_multipart([struct.pack("=hi", event, value), b"tcp://127.0.0.1:1"])
        return self.watch.drain()


@pytest.fixture
def told() -> Iterator[Told]:
    with zmq.Context() as context:
        made = Told(context)
        yield made
        made.teller.close()
        made.watch.monitor.close()
        made.watched.close()


OPENED, UP, DOWN = zmq.EVENT_ACCEPTED, zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_DISCONNECTED
REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH, 400


def test_a_refused_connection_takes_nobody_along(told: Told) -> None:
    # the good one was opened first, and its handshake is taken for that of the other
    assert told.tell((OPENED, 5), (OPENED, 6), (UP, 0)) == (1, [], [])
    assert told.tell(REFUSED, (DOWN, 6)) == (0, [], [6])
    assert told.watch.connections == 1
    assert told.watch.refusals == {Refusal.NOT_LISTED: 1}
    assert told.tell((DOWN, 5)) == (0, [5], [5])
    assert told.watch.connections == 0


def test_a_refused_connection_beside_a_good_one_is_only_counted(told: Told) -> None:
    assert told.tell((OPENED, 5), (UP, 0), (OPENED, 6), REFUSED, (DOWN, 6)) == (1, [], [6])
    assert told.tell((OPENED, 6), REFUSED, (DOWN, 6)) == (0, [], [6])
    assert told.watch.refusals == {Refusal.NOT_LISTED: 2}
    assert told.tell((DOWN, 5)) == (0, [5], [5])


def test_the_end_of_a_good_one_is_found_though_it_was_mistaken(told: Told) -> None:
    assert told.tell((OPENED, 5), (OPENED, 6), (UP, 0), (DOWN, 5)) == (1, [], [5])
    assert told.watch.connections == 1
    assert told.tell(REFUSED, (DOWN, 6)) == (0, [6], [6])
    assert told.watch.connections == 0


def test_who_knocks_while_nobody_looks_does_not_stop_the_others() -> None:
    """A full queue of events would hold up libzmq's thread, and with it all connections of the process."""
    port = free_port()
    with (
        zmq.Context() as context,
        sockets.make_socket(context, zmq.ROUTER) as router,
        sockets.make_socket(context, zmq.DEALER) as dealer,
    ):
        watch = Watch(router)
        router.backlog = 900  # who finds no room tries again a second later
        router.bind(f"tcp://127.0.0.1:{port}")
        for _ in range(900):
            socket.create_connection(("127.0.0.1", port), GUARD).close()
        dealer.connect(f"tcp://127.0.0.1:{port}")
        dealer.send(b"still there?")
        answered = bool(router.poll(int(GUARD * 1000)))
        watch.drain()
        watch.close()
        assert answered
        assert watch.refusals[Refusal.BROKEN] > 700
