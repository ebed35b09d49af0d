"""The task that kills workers is found, and only that one fails."""

from __future__ import annotations

from typing import Any

from zmqpipeline.delivery.ledger import Ledger
from zmqpipeline.delivery.ports import Options
from zmqpipeline.delivery.taskbook import TaskBook
from zmqpipeline.wire import envelope
from zmqpipeline.wire.envelope import Message

from .simulated.recorder import Recorder
from .simulated.source import Numbers

RUN = "run"


class Deadly:
    """A book whose workers die of one task, and are replaced at once."""

    def __init__(self, total: int, poison: int, *, max_deaths: int = 3) -> None:
        self.source = Numbers(total)
        self.source.max_worker_deaths = max_deaths
        self.link = Recorder()
        self.book = TaskBook("t", self.source, [], self.link, RUN, Ledger(envelope.cut), Options())
        self.book.open({})
        self.now = 100.0
        self.poison = poison
        self.deaths = 0
        self.batches: list[list[int]] = []

    def join(self, address: bytes, **info: Any) -> None:
        """Let a worker come and ask for a hundred tasks."""
        self.book.receive(address, Message("HELLO", "t", {"host": "h", **info}), self.now)
        self.book.receive(address, Message("RDY", "t", run=RUN, credit=100), self.now)

    def run(self, rounds: int = 200) -> None:
        """Let one worker after the other work until it dies."""
        address = b"worker-0"
        self.join(address, pid=0, process="p0")
        for _ in range(rounds):
            self.now += 1.0
            self.book.tick(self.now)
            self.book.hand_out(self.now)
            for message in self.link.to(address):
                if message.type == "DATA" and self.do(message):
                    self.deaths += 1
                    self.book.lost(address)
                    address = f"worker-{self.deaths}".encode()
                    self.join(address, pid=self.deaths, process=f"p{self.deaths}")

    def do(self, message: Message) -> bool:
        """Do a batch, in order; tell whether the worker died of it."""
        ids = [n for first, count in message.ranges for n in range(first, first + count)]
        self.batches.append(ids)
        if self.poison in ids:
            return True
        self.book.acknowledge(Message("ACK", "t", ids=message.ranges, run=RUN), self.now)
        return False


def test_only_the_deadly_task_fails_and_everything_else_is_done() -> None:
    case = Deadly(200, poison=77)
    case.book.ends["h", 3] = "signal SIGSEGV"
    case.run()
    (batch,) = case.book.ledger.batches
    assert (batch.first, batch.count, batch.deaths) == (77, 1, 3)
    assert batch.error["type"] == "WorkerDeaths"
    assert "task 77 of t was the only one in the hands of 3 workers that died" in batch.error["text"]
    assert (
        batch.error["text"].count("on h: its connection was lost") + ("SIGSEGV" in batch.error["text"]) == 3
    )
    # halved each time: 50 suspects need six deaths to become one, which then kills three
    assert case.deaths <= 6 + 3 + 1
    sizes = [len(ids) for ids in case.batches if 77 in ids]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-3:] == [1, 1, 1]


def test_suspects_are_handed_out_with_nothing_else() -> None:
    case = Deadly(200, poison=3)
    case.join(b"a")
    case.book.hand_out(case.now)
    case.link.to(b"a")
    case.book.lost(b"a")
    case.join(b"b")
    while case.book.hand_out(case.now):
        pass
    (data,) = [message for message in case.link.to(b"b") if message.type == "DATA"]
    assert data.ranges == [
        (0, 25)
    ]  # half of the fifty that the dead one had, though there is room for a hundred


def test_a_process_that_lives_has_not_died_of_its_task() -> None:
    case = Deadly(1, poison=0, max_deaths=1)
    case.join(b"a", process="p")
    case.book.hand_out(case.now)
    case.book.lost(b"a")
    case.join(b"again", process="p")  # the same process: only its connection was lost
    case.book.tick(case.now)
    case.book.hand_out(case.now)
    assert [message.ranges for message in case.link.to(b"again") if message.type == "DATA"] == [[(0, 1)]]
    case.book.lost(b"again")
    case.join(b"other", process="q")
    case.book.tick(case.now)
    (batch,) = case.book.ledger.batches
    assert batch.error["type"] == "WorkerDeaths"


def test_a_worker_that_leaves_kills_nothing() -> None:
    case = Deadly(1, poison=0, max_deaths=1)
    case.join(b"a", process="p")
    case.book.hand_out(case.now)
    case.book.receive(b"a", Message("BYE", "t", run=RUN), case.now)
    case.book.tick(case.now)
    (batch,) = case.book.ledger.batches
    assert (batch.deaths, batch.error) == (0, {})


def test_suspects_do_not_wait_for_the_source_to_run_dry() -> None:
    case = Deadly(100_000, poison=-1)
    for name in (b"a", b"b", b"c"):
        case.join(name)
    while case.book.hand_out(case.now):
        pass
    case.book.lost(b"a")
    dead = {n for batch in case.book.ledger.batches if batch.suspects for n in range(batch.first, batch.end)}
    assert dead
    given: set[int] = set()
    for _ in range(40):
        case.book.hand_out(case.now)
        for name in (b"b", b"c"):
            for message in [message for message in case.link.to(name) if message.type == "DATA"]:
                given.update(n for first, count in message.ranges for n in range(first, first + count))
                case.do(message)
    assert dead <= given
    assert not case.source.exhausted
