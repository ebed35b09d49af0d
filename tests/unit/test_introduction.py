"""What anybody may say of himself in HELLO, and what a distributor keeps of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.simulated.recorder import Recorder
from tests.unit.simulated.source import RUN, Numbers
from zmqpipeline.delivery.ledger import Ledger
from zmqpipeline.delivery.ports import Options, Outcome
from zmqpipeline.delivery.taskbook import TaskBook
from zmqpipeline.wire import envelope
from zmqpipeline.wire.envelope import Message

A, B = b"a", b"b"
DEEP: Any = []
for _ in range(1010):
    DEEP = [DEEP]
INFO = {"name": "Does", "version": "1.0", "host": "here", "process": "p", "pid": 5, "protocol": 1, "hands": 2}


def make(max_deaths: int = 1) -> TaskBook:
    source = Numbers(3)
    source.max_worker_deaths = max_deaths
    book = TaskBook("t", source, [], Recorder(), RUN, Ledger(envelope.cut), Options())
    book.open({})
    return book


def say(book: TaskBook, address: bytes, message: Message) -> None:
    book.receive(address, message, 100.0)


def test_what_a_worker_says_of_itself_is_kept() -> None:
    book = make()
    say(book, A, Message("HELLO", "t", {**INFO, "more": [1]}))
    assert book.peers[A].info == INFO


@pytest.mark.parametrize(
    "value", [DEEP, [], {}, None, True, 1.5, b"x", "x" * 257, "two\nlines", "\ud800", {"a": DEEP}]
)
def test_what_does_not_fit_into_a_log_is_not(value: Any) -> None:
    book = make()
    for address in (A, B):
        say(book, address, Message("HELLO", "t", dict.fromkeys(INFO, value)))
        assert book.peers[address].info == {}


def test_an_absurd_introduction_of_a_worker_that_dies_does_no_harm() -> None:
    """Its host and process id are looked up, and told."""
    book = make()
    for address in (A, B):
        frame = envelope.decode(
            b"\x83\xa4type\xa5HELLO\xa4task\xa1t\xa4data\x83\xa4host\x91\x01\xa3pid\x80\xa7process"
            + b"\x91" * 1010 + b"\x01"
        )  # fmt: skip
        assert frame is not None
        say(book, address, frame)
        say(book, address, Message("RDY", "t", run=RUN, credit=1))
        book.hand_out(100.0)
        book.lost(address)
    book.tick(101.0)
    assert "process ? on ?: its connection was lost" in book.ledger.batches[0].error["text"]
    assert [str(news) for news in book.news] == [
        "lost a worker of t (pid ? on ?), with 1 unfinished tasks"
    ] * 2


def test_one_that_was_gone_when_its_words_were_read_has_no_line_for_each_in_a_log() -> None:
    book = make()
    link = book.roster.link
    assert isinstance(link, Recorder)
    link.outcomes[A] = Outcome.GONE
    for said in ("HELLO", "RDY", "", "RDY") * 10:
        say(book, A, Message(said, "t"))
        book.hand_out(100.0)
        book.probe()
        book.lost(A)
    assert book.news == []
    assert book.ledger.holds(A) == 0
