"""What an inbox makes of the frames that arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import zmq

from zmqpipeline.wire import sockets
from zmqpipeline.wire.inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline.wire.sockets import Frame

SMALL, LARGE = b"an envelope", b"x" * sockets.COPIED
#: an envelope that says nil where its data would be
NIL = b"\x81\xa4data\xc0"


class Line:
    """Two sockets, and the inbox of one."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.near, self.far = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        self.near.bind("inproc://inbox")
        self.far.connect("inproc://inbox")

    def arrives(self, *frames: bytes) -> None:
        self.far.send_multipart(frames)


@pytest.fixture
def line() -> Iterator[Line]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made = Line(context)
    yield made
    made.near.close()
    made.far.close()
    context.term()


def taken(inbox: Inbox) -> list[list[bytes]]:
    """Take everything that is there."""
    found: list[list[Frame]] = []
    while (frames := inbox.take()) is not None:
        found.append(frames)
    return [[bytes(frame) for frame in frames] for frames in found]


def test_messages_come_in_their_order_whatever_their_size(line: Line) -> None:
    sent = [[SMALL], [LARGE], [LARGE], [SMALL], [b""], [LARGE, SMALL]]
    for frames in sent[:-1]:
        line.arrives(*frames)
    assert taken(Inbox(line.near)) == sent[:-1]


def test_a_large_frame_behind_another_is_not_copied(line: Line) -> None:
    inbox = Inbox(line.near)
    line.arrives(LARGE)
    line.arrives(LARGE)
    assert [type(frame) for frame in (inbox.take() or [])] == [bytes]  # nobody could know
    assert [type(frame) for frame in (inbox.take() or [])] == [memoryview]


def test_a_dictionary_of_its_own_belongs_to_the_envelope_before_it(line: Line) -> None:
    line.arrives(NIL, LARGE)
    line.arrives(NIL)
    line.arrives(SMALL)
    inbox = Inbox(line.near)
    first = inbox.take() or []
    assert [type(frame) for frame in first] == [bytes, memoryview]
    assert first == [NIL, LARGE]
    assert taken(inbox) == [[NIL], [SMALL]]


def test_what_is_behind_a_whole_message_counts_as_the_next_one(line: Line) -> None:
    line.arrives(SMALL, b"more")
    assert taken(Inbox(line.near)) == [[SMALL], [b"more"]]


def test_a_delimiter_is_in_front_of_each(line: Line) -> None:
    for frames in ([b"", SMALL], [b"", LARGE], [b"", NIL, LARGE], [b"", SMALL]):
        line.arrives(*frames)
    assert taken(Inbox(line.near, delimited=True)) == [[SMALL], [LARGE], [NIL, LARGE], [SMALL]]


@pytest.mark.parametrize(
    ("junk", "made"),
    [
        ([b""], []),
        ([b"", b""], []),
        ([b"", b"", b""], []),
        ([SMALL], [[]]),
        ([SMALL, SMALL, SMALL], [[]]),
        ([LARGE, b""], [[]]),
        ([b"", SMALL, SMALL], [[SMALL], []]),
    ],
)
def test_behind_what_is_no_message_it_finds_the_next_one(
    junk: list[bytes], made: list[list[bytes]], line: Line
) -> None:
    line.arrives(*junk)
    line.arrives(b"", SMALL)
    line.arrives(b"", LARGE)
    assert taken(Inbox(line.near, delimited=True)) == [*made, [SMALL], [LARGE]]
