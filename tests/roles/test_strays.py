"""Whose messages count: what is not of this run, this life or this connection changes nothing and is counted.

For each role and each type of message, one of the ids that have to match is wrong or missing. The other
end of each link is played by the test, so that it knows the right ones.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from tests.roles.pipelines import GUARD, Pipeline, eventually, running
from zmqpipeline.wire import envelope, serializer
from zmqpipeline.wire.binding import bind
from zmqpipeline.wire.envelope import Message
from zmqpipeline.wire.limits import UNOPENED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.roles.pipelines import Keeper, Running

pytestmark = pytest.mark.usefixtures("folder", "_quick_looks")

RUN, LIFE, OTHER = "this run", "this life", "another"


class Wire:
    """Sockets of the test's own, closed at the end."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._opened: list[zmq.Socket[bytes]] = []
        self._bound = contextlib.ExitStack()

    def socket(self, kind: int, *, connect: str = "", listen: str = "") -> zmq.Socket[bytes]:
        """Make a socket."""
        made = self._context.socket(kind)
        made.linger = 0
        made.rcvtimeo = made.sndtimeo = int(GUARD * 1000)
        self._opened.append(made)
        if connect:
            made.connect(connect)
        if listen:
            self._bound.enter_context(bind(made, listen))
        return made

    def close(self) -> None:
        """Close them."""
        for opened in self._opened:
            opened.close()
        self._bound.close()
        self._context.term()


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


def opened(frames: list[bytes]) -> Message:
    message = envelope.decode(frames[-1])
    assert message is not None
    return message


# -- the collector ---------------------------------------------------------------


class Peer:
    """A distributor, as a collector sees it, that has been answered."""

    def __init__(self, wire: Wire, pipeline: Pipeline) -> None:
        self._push = wire.socket(zmq.PUSH, connect=pipeline.collector)
        self._pull = wire.socket(zmq.PULL, connect=pipeline.acks)
        hello = self.hears("HELLO")
        self.life, self.number = hello.life or "", hello.number or 0
        self.say("METADATA", run=RUN, life=self.life, number=self.number, settled={"T": []})
        self.hears("RDY")

    def say(self, kind: str, task: str = "", data: Any = None, **fields: Any) -> None:
        self._push.send(envelope.encode(Message(kind, task, {} if data is None else data, **fields)))

    def send(self, frames: list[bytes]) -> None:
        self._push.send_multipart(frames)

    def hears(self, kind: str) -> Message:
        """Wait for a message of a type; others are left out."""
        while (message := opened([self._pull.recv()])).type != kind:
            pass
        return message


def right(kind: str, peer: Peer) -> dict[str, Any]:
    """Give a message of a type all the ids that it needs."""
    known: dict[str, dict[str, Any]] = {
        "DATA": {"task": "T", "run": RUN, "ids": [(0, 1)], "attempt": 1, "data": [{"r": 0}]},
        "FAIL": {"task": "T", "run": RUN, "id": 0, "attempt": 1, "error": {"text": "e"}},
        "OK": {"run": RUN, "life": peer.life, "number": 10},
        "END": {"run": RUN, "life": peer.life},
        "METADATA": {"run": OTHER, "life": peer.life, "number": peer.number, "settled": {"T": []}},
    }
    return known.get(kind, {"run": RUN, "life": peer.life})


@contextlib.contextmanager
def collecting(wire: Wire) -> Iterator[tuple[Keeper, Peer, Running]]:
    pipeline = Pipeline()
    keeper = pipeline.keeper()
    with running(keeper) as roles:
        yield keeper, Peer(wire, pipeline), roles


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        *[("DATA", {"run": run}) for run in (None, OTHER)],
        *[("DATA", {"task": task}) for task in ("", OTHER)],
        *[("FAIL", {"run": run}) for run in (None, OTHER)],
        *[("FAIL", {"task": task}) for task in ("", OTHER)],
        *[("OK", {"run": run}) for run in (None, OTHER)],
        *[("OK", {"life": life}) for life in (None, OTHER)],
        *[("END", {"run": run}) for run in (None, OTHER)],
        *[("END", {"life": life}) for life in (None, OTHER)],
        *[("METADATA", {"run": run}) for run in (None, "")],
        *[("METADATA", {"life": life}) for life in (None, OTHER)],
        *[("METADATA", {"number": number}) for number in (None, 0, 2)],
        # what is nothing that a collector is told, whatever its ids are
        *[(kind, {}) for kind in ("HELLO", "WELCOME", "RDY", "ACK", "HEARTBEAT", "RETURN", "RESET", "")],
        *[(kind, {}) for kind in ("BYE", "something new")],
    ],
)
def test_a_collector_heeds_only_its_own_run(kind: str, wrong: dict[str, Any], wire: Wire) -> None:
    with collecting(wire) as (keeper, peer, roles):
        peer.say("DATA", **{**right("DATA", peer), "ids": [(5, 1)], "data": [{"r": 5}]})
        peer.hears("ACK")
        settlement = keeper._settlement
        assert settlement.unconfirmed == 1
        peer.say(kind, **{**right(kind, peer), **wrong})
        eventually(lambda: settlement.strays == 1)
        assert (settlement.run, settlement.unconfirmed) == (RUN, 1)
        peer.say("DATA", **right("DATA", peer))
        peer.say("END", **right("END", peer))
        assert peer.hears("BYE").data["ended"] is True
        peer.say("BYE", run=RUN, life=peer.life)
        roles.join()
    assert keeper.numbers("T") == [0, 5]
    assert (keeper.failures, keeper.finished) == ([], [2])


@pytest.mark.parametrize("run", [None, OTHER])
@pytest.mark.parametrize("own_frame", [False, True])
def test_a_large_result_of_another_run_is_not_even_opened(
    own_frame: bool, run: str | None, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    decode = envelope.decode

    def noting(*frames: bytes) -> Message | None:
        decoded.append(len(frames[-1]))
        return decode(*frames)

    body = serializer.serialize({"r": 0, "b": bytes(2 * UNOPENED)})
    with collecting(wire) as (keeper, peer, roles):

        def came(count: int) -> bool:
            return len(keeper.kept) == count and keeper._settlement.strays == 1

        for named in (run, RUN):
            message = Message("DATA", "T", run=named, ids=[(0, 1)], attempt=1, body=body, n=1)
            parts = envelope.frames(message) if own_frame else [envelope.encode(message)]
            with monkeypatch.context() as patched:
                patched.setattr(envelope, "decode", noting)
                peer.send(parts)
                eventually(partial(came, 0 if named == run else 1))
            assert (max(decoded, default=0) > UNOPENED) is (named == RUN)
        assert keeper._settlement.strays == 1
        peer.say("END", **right("END", peer))
        peer.hears("BYE")
        peer.say("BYE", run=RUN, life=peer.life)
        roles.join()
    assert keeper.numbers("T") == [0]


@pytest.mark.parametrize("run", [OTHER, RUN])
def test_a_collector_that_leaves_opens_no_large_result(
    run: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It only waits for a goodbye: a result that comes now is one that it has, or a stranger's."""
    decoded: list[int] = []
    decode = envelope.decode

    def noting(*frames: bytes) -> Message | None:
        decoded.append(len(frames[-1]))
        return decode(*frames)

    body = serializer.serialize({"r": 0, "b": bytes(2 * UNOPENED)})
    with collecting(wire) as (_, peer, roles):
        peer.say("END", **right("END", peer))
        peer.hears("BYE")
        monkeypatch.setattr(envelope, "decode", noting)
        peer.send([envelope.encode(Message("DATA", "T", run=run, ids=[(0, 1)], attempt=1, body=body, n=1))])
        peer.say("BYE", run=RUN, life=peer.life)
        roles.join()
    assert 0 < max(decoded) <= UNOPENED


@pytest.mark.parametrize("wrong", [{"run": None}, {"run": OTHER}, {"life": None}, {"life": OTHER}])
def test_a_collector_that_leaves_waits_for_the_goodbye_of_its_own_run(
    wrong: dict[str, Any], wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    lingers = []
    with collecting(wire) as (keeper, peer, roles):
        monkeypatch.setattr(
            keeper, "_closing", lambda: lingers.append(keeper.ack_sender and keeper.ack_sender.linger)
        )
        peer.say("END", **right("END", peer))
        peer.hears("BYE")
        peer.say("BYE", **{"run": RUN, "life": peer.life, **wrong})
        peer.hears("BYE")  # it says it again
        peer.hears("BYE")
        peer.say("BYE", run=RUN, life=peer.life)
        roles.join()
    assert lingers == [0], "nothing is left that anybody needs"


# -- the distributor ----------------------------------------------------------------


class Hub:
    """A distributor that has handed out its one task, with collector and worker played by the test."""

    def __init__(self, wire: Wire, pipeline: Pipeline) -> None:
        self.wire = wire
        self.endpoint = pipeline.endpoint("T")
        self._results = wire.socket(zmq.PULL, listen=pipeline.collector)
        self._acks = wire.socket(zmq.PUSH, listen=pipeline.acks)
        self.distributor = pipeline.distributor()

    def begin(self) -> None:
        self.acks("HELLO", life=LIFE, number=1)
        start = opened([self._results.recv()])
        self.run = start.run
        self.acks("RDY", run=self.run, life=LIFE)
        self.worker, self.name = self.connection(b"worker")
        self.says(self.worker, "HELLO", "T")
        assert [self.told(self.worker).type for _ in range(2)] == ["WELCOME", "METADATA"]
        self.says(self.worker, "RDY", "T", run=self.run, credit=1)
        assert self.told(self.worker).type == "DATA"
        self.dispatch = self.distributor._dispatch
        self.book = self.dispatch.books["T"]

    def connection(self, name: bytes) -> tuple[zmq.Socket[bytes], str]:
        """Connect to the task's endpoint."""
        made = self.wire.socket(zmq.DEALER)
        made.routing_id = name
        made.connect(self.endpoint)
        return made, name.decode()

    def acks(self, kind: str, task: str = "", **fields: Any) -> None:
        self._acks.send(envelope.encode(Message(kind, task, **fields)))

    def says(self, connection: zmq.Socket[bytes], kind: str, task: str = "", **fields: Any) -> None:
        connection.send_multipart([b"", envelope.encode(Message(kind, task, **fields))])

    def told(self, connection: zmq.Socket[bytes]) -> Message:
        """Wait for what is no sign of life."""
        while (message := opened(connection.recv_multipart())).type == "HEARTBEAT":
            pass
        return message

    def ignores(self) -> None:
        """Wait until a message was dropped; check that nothing has come of it, and end the run."""
        eventually(lambda: self.dispatch.dropped + self.book.roster.late == 1)
        assert (self.dispatch.life, self.dispatch.collector_ready) == (LIFE, True)
        assert self.book.ledger.holds(b"worker") == self.book.ledger.open_count == 1
        assert self.book.peers[b"worker"].credit == 1
        assert not self.dispatch.acknowledged
        self.acks("ACK", "T", run=self.run, life=LIFE, ids=[(0, 1)], number=1, count=0)
        assert self.told(self.worker).type == "END"
        self.says(self.worker, "BYE", "T", run=self.run)
        while opened([self._results.recv()]).type != "END":
            pass
        self.acks("BYE", run=self.run, life=LIFE, data={"ended": True})
        while opened([self._results.recv()]).type != "BYE":
            pass
        self._acks.close()  # as a collector does, and a distributor waits for


@pytest.fixture
def hub(wire: Wire) -> Iterator[Hub]:
    pipeline = Pipeline()
    pipeline.task("T", 1)
    made = Hub(wire, pipeline)
    with running(made.distributor) as roles:
        made.begin()
        yield made
        roles.join()


ACK: dict[str, Any] = {"task": "T", "ids": [(0, 1)], "number": 1, "count": 0}


@pytest.mark.parametrize("wrong", [{"run": None}, {"run": OTHER}, {"life": None}, {"life": OTHER}])
@pytest.mark.parametrize(
    ("kind", "fields"), [("RDY", {}), ("ACK", ACK), ("HEARTBEAT", {}), ("BYE", {"data": {"ended": True}})]
)
def test_a_distributor_heeds_only_its_own_collector(
    kind: str, fields: dict[str, Any], wrong: dict[str, Any], hub: Hub
) -> None:
    hub.acks(kind, **{**fields, "run": hub.run, "life": LIFE, **wrong})
    hub.ignores()


@pytest.mark.parametrize(
    "kind", ["DATA", "METADATA", "END", "OK", "FAIL", "RETURN", "RESET", "something new"]
)
def test_a_distributor_heeds_nothing_that_no_collector_says(kind: str, hub: Hub) -> None:
    hub.acks(kind, **ACK, run=hub.run, life=LIFE)
    hub.ignores()


def test_a_hello_without_a_life_greets_nobody(hub: Hub) -> None:
    hub.acks("HELLO", number=1)
    hub.ignores()


OF_A_WORKER: list[tuple[str, dict[str, Any]]] = [
    ("RDY", {"credit": 7, "order": 9}),
    ("HEARTBEAT", {"number": 1, "held": []}),
    ("FAIL", {"id": 0, "attempt": 1, "error": {"retry": False}}),
    ("RETURN", {"number": 1, "ids": [(0, 1)], "credit": 0, "order": 9}),
]
RETURNED = OF_A_WORKER[1:]


@pytest.mark.parametrize("run", [None, OTHER, ""])
@pytest.mark.parametrize(("kind", "fields"), OF_A_WORKER)
def test_a_distributor_heeds_a_worker_only_in_its_own_run(
    kind: str, fields: dict[str, Any], run: str | None, hub: Hub
) -> None:
    hub.says(hub.worker, kind, "T", **fields, run=run)
    hub.ignores()


def test_a_goodbye_of_another_run_is_none(hub: Hub) -> None:
    hub.says(hub.worker, "BYE", "T", run=OTHER)
    hub.ignores()


@pytest.mark.parametrize("run", [None, OTHER, ""])
@pytest.mark.parametrize(("kind", "fields"), [*RETURNED, ("BYE", {})])
def test_nobody_speaks_for_a_worker_without_its_run(
    kind: str, fields: dict[str, Any], run: str | None, hub: Hub
) -> None:
    stray, _ = hub.connection(b"stray")
    hub.says(stray, kind, "T", **fields, run=run, worker=hub.name)
    hub.ignores()


@pytest.mark.parametrize(("kind", "fields"), [*RETURNED, ("BYE", {})])
def test_nobody_speaks_for_a_worker_that_is_not_there(kind: str, fields: dict[str, Any], hub: Hub) -> None:
    stray, _ = hub.connection(b"stray")
    hub.says(stray, kind, "T", **fields, run=hub.run, worker="nobody")
    hub.ignores()


@pytest.mark.parametrize(("kind", "fields"), [*OF_A_WORKER, ("DATA", ACK), ("END", {}), ("WELCOME", {})])
def test_a_stranger_without_hello_changes_nothing_and_is_reset(
    kind: str, fields: dict[str, Any], hub: Hub
) -> None:
    stray, _ = hub.connection(b"stray")
    hub.says(stray, kind, **{"task": "T", **fields}, run=hub.run)
    assert hub.told(stray).type == "RESET"
    hub.ignores()


def test_a_worker_in_lock_step_that_names_another_run_begins_again(hub: Hub) -> None:
    """It waits for an answer, so to drop what it says would be the end of it."""
    stray, _ = hub.connection(b"stray")
    hub.says(stray, "")
    assert hub.told(stray).type == "METADATA"
    hub.says(stray, "FAIL", "T", run=OTHER, id=0, attempt=1, error={"retry": False})
    assert hub.told(stray).type == "RESET"
    stray.close()  # the distributor need not wait for its goodbye at the end
    hub.ignores()


# -- the worker ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        *[("DATA", {"run": run, "ids": [(1, 1)], "attempt": 1, "data": [{"i": 1}]}) for run in (None, OTHER)],
        *[("METADATA", {"run": run, "data": {"other": 1}}) for run in (None, OTHER)],
        *[("END", {"run": run}) for run in (None, OTHER, "")],
        *[("HEARTBEAT", {"run": run}) for run in (None, OTHER)],
        *[("WELCOME", {"run": run, "data": {"max_message": 1}}) for run in (None, OTHER, "")],
        *[(kind, {"run": RUN}) for kind in ("HELLO", "RDY", "ACK", "OK", "FAIL", "RETURN", "BYE", "")],
    ],
)
def test_a_worker_heeds_only_its_own_run(kind: str, fields: dict[str, Any], wire: Wire) -> None:
    pipeline = Pipeline()
    pipeline.task("T", 1)
    results = wire.socket(zmq.PULL, listen=pipeline.collector)
    router = wire.socket(zmq.ROUTER, listen=pipeline.endpoint("T"))
    worker = pipeline.worker("T")()

    def tell(address: bytes, kind: str, **said: Any) -> None:
        router.send_multipart([address, b"", envelope.encode(Message(kind, "T", **said))])

    with running(worker) as roles:
        address = router.recv_multipart()[0]
        tell(address, "WELCOME", run=RUN)
        tell(address, "METADATA", run=RUN)
        eventually(lambda: worker._greeted)
        tell(address, kind, **fields)
        eventually(lambda: worker._assignment.strays == 1)
        assert (worker._assignment.run, worker.metadata) == (RUN, {})
        tell(address, "DATA", run=RUN, ids=[(0, 1)], attempt=1, number=1, order=1, data=[{"i": 0}])
        result = opened([results.recv()])
        assert (result.ids, result.data) == ([(0, 1)], [{"r": 0}])
        tell(address, "END", run=RUN)
        roles.join()
