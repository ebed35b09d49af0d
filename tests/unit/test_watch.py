"""Which connections a socket has, by what libzmq tells of them: silent strangers count for nothing."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import zmq
from hypothesis import given
from hypothesis import strategies as st

from tests.badness import raw
from tests.fuzz.events import watching
from tests.ports import free_port
from zmqpipeline.connections import AGAIN, Connections
from zmqpipeline.wire.watch import Watch

if TYPE_CHECKING:
    from random import Random

OPENED, UP, DOWN = int(zmq.EVENT_ACCEPTED), int(zmq.EVENT_HANDSHAKE_SUCCEEDED), int(zmq.EVENT_DISCONNECTED)
FAILED = int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
GUARD = 30_000


def test_a_stranger_between_a_connection_and_its_handshake_is_not_taken_for_it() -> None:
    events = [(OPENED, 1), (OPENED, 2), (UP, 0)]
    watch = watching(events)
    assert watch.drain() == (1, [], [])
    events += [(FAILED, 0), (DOWN, 2)]
    assert watch.drain() == (0, [], [2])
    assert watch.connections == 1, "who is there is still there"
    events += [(DOWN, 1)]
    assert watch.drain() == (0, [1], [1])
    assert watch.connections == 0


def test_a_connection_that_went_in_the_name_of_a_stranger_is_missed_when_that_one_goes() -> None:
    events = [(OPENED, 1), (OPENED, 2), (UP, 0), (DOWN, 1)]
    watch = watching(events)
    assert watch.drain() == (1, [], [1])
    events += [(FAILED, 0), (DOWN, 2)]
    assert watch.drain() == (0, [2], [2])
    assert watch.connections == 0


@given(st.lists(st.integers(0, 3), max_size=40), st.randoms(use_true_random=False))
def test_once_no_handshake_is_open_the_count_is_right(lives: list[int], chance: Random) -> None:
    """0: a stranger that goes; 1: one that stays for now; 2: a peer that goes; 3: one that stays."""
    descriptors = itertools.count(10)
    scripts = []
    for life in lives:
        number = next(descriptors)
        ends = (
            [(FAILED, 0), (DOWN, number)] if life < 2 else [(UP, 0), *([(DOWN, number)] if life == 2 else [])]
        )
        scripts.append([[(OPENED, number)], ends if life < 2 else ends[:1], ends[1:] if life == 2 else []])
    events: list[tuple[int, int]] = []
    while any(scripts):
        script = chance.choice([script for script in scripts if script])
        events += script.pop(0)
    watch = watching(events)
    watch.drain()
    assert watch.connections == lives.count(3)


def test_the_end_of_a_known_connection_is_told_whoever_had_its_handshake() -> None:
    events = [(OPENED, 1), (OPENED, 2), (UP, 0)]
    watch = watching(events)
    connections = Connections({"t": watch})
    connections.came_by("t", 1, b"a worker")
    assert list(connections.ended()) == []
    events += [(DOWN, 1)]
    assert list(connections.ended()) == [("t", b"a worker")]
    events += [(FAILED, 0), (DOWN, 2), (OPENED, 3), (OPENED, 4), (UP, 0), (UP, 0), (DOWN, 3), (DOWN, 4)]
    assert list(connections.ended()) == [("t", None)], "of those that are not known, it is told once"


def test_the_words_of_one_that_is_gone_may_come_behind_those_of_another() -> None:
    """The second has the descriptor of the first, who has said much that was not read."""
    events = [(OPENED, 1), (UP, 0), (DOWN, 1), (OPENED, 1), (UP, 0)]
    connections = Connections({"t": watching(events)})
    for _ in range(3):
        connections.came_by("t", 1, b"second")
        connections.came_by("t", 1, b"first")
    told = [address for _, address in connections.ended()]
    for _ in range(3):
        connections.came_by("t", 1, b"first")
        connections.came_by("t", 1, b"second")
    events += [(DOWN, 1)]
    told += [address for _, address in connections.ended()]
    assert set(told) == {b"first", b"second"}
    assert told[-1] == b"second" or told.count(b"second") == 2
    assert list(connections.ended()) == []


def test_who_has_taken_over_a_descriptor_is_not_taken_for_the_one_that_went() -> None:
    events = [(OPENED, 1), (UP, 0)]
    connections = Connections({"t": watching(events)})
    connections.came_by("t", 1, b"first")
    assert list(connections.ended()) == []
    events += [(DOWN, 1), (OPENED, 1), (UP, 0)]
    connections.came_by("t", 1, b"second")
    assert list(connections.ended()) == [("t", b"first")]
    events += [(DOWN, 1)]
    assert list(connections.ended()) == [("t", b"second")]


def test_who_was_asked_when_a_connection_ended_is_asked_once_more() -> None:
    connections = Connections({})
    assert (connections.to_ask_again([], 1.0), connections.due_at) == ([], math.inf)
    assert connections.to_ask_again(["t"], 1.0) == []
    assert connections.due_at == 1.0 + AGAIN
    assert connections.to_ask_again(["u"], 1.0 + AGAIN / 2) == []
    assert connections.to_ask_again(["t"], 1.0 + AGAIN) == ["t", "u"]
    assert connections.to_ask_again([], 1.0 + 3 * AGAIN) == ["t"]
    assert (connections.to_ask_again([], 2.0), connections.due_at) == ([], math.inf)


def test_strangers_that_come_and_go_while_nobody_looks_hold_up_nobody() -> None:
    """libzmq's thread would wait for room for the events, and with it all sockets of the context."""
    address = f"tcp://127.0.0.1:{free_port()}"
    with zmq.Context() as context, context.socket(zmq.PULL) as pull, context.socket(zmq.PUSH) as push:
        watch = Watch(pull, address)
        pull.rcvtimeo = push.sndtimeo = push.linger = GUARD
        pull.backlog = 1200  # who finds no room tries again a second later
        pull.bind(address)
        for _ in range(1200):
            raw.throw(address, b"")
        push.connect(address)
        push.send(b"it comes through")
        assert pull.recv() == b"it comes through"
        assert watch.drain().came == 1
        watch.close()
