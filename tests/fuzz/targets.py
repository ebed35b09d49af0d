"""What takes bytes that anybody may have sent: a function for each, which raises if something is wrong.

They are run by Hypothesis in ``unit/test_fuzz.py``, by atheris in ``fuzz/decoders.py``, and with each file of
``fuzz/crashes`` in the default suite.
"""

from __future__ import annotations

import logging
import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import zmq

from tests.badness import frames
from tests.fuzz.events import watching
from tests.fuzz.machines import assignment, collector, dispatch
from zmqpipeline.delivery.brokerage import Brokerage, Limits
from zmqpipeline.errors import JournalError
from zmqpipeline.journal import Journal
from zmqpipeline.reception import can_be_packed
from zmqpipeline.service import Header, Service, _Transport, open_header
from zmqpipeline.wire import envelope, messages, serializer
from zmqpipeline.wire.envelope import MAX_NUMBER, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TEMPLATE: list[bytes] = []
_TASKS = {"t": "Task", "u": "Other"}


def parts(data: bytes) -> Iterator[bytes]:
    """Cut bytes into pieces, each with its length before it, in two bytes; the last may be shorter."""
    while data:
        length = int.from_bytes(data[:2], "big")
        yield data[2 : 2 + length]
        data = data[2 + length :]


def joined(pieces: list[bytes]) -> bytes:
    """Make what :func:`parts` takes apart."""
    return b"".join(len(piece).to_bytes(2, "big") + piece for piece in pieces)


def decode(data: bytes) -> None:
    """Open an envelope, with or without a frame of its own behind it."""
    own = None
    if data[:1] == b"\x00":
        frame, own = [*parts(data[1:]), b"", b""][:2]
    else:
        frame = data
    message = envelope.decode(frame, own)
    if message is not None:
        check(message)
        if can_be_packed(message.data):
            again = envelope.decode(envelope.encode(message))
            assert again is not None
            again.data = message.data  # which may be no number, and then differs from itself
            assert again == message


def check(message: Message) -> None:
    """Check that a message has what its annotations say."""
    assert type(message.type) is type(message.task) is str
    for name in ("id", *envelope._NUMBERS):
        value = getattr(message, name)
        assert value is None or (type(value) is int and 0 <= value < MAX_NUMBER), name
    for name in envelope._TEXTS:
        assert getattr(message, name) is None or type(getattr(message, name)) is str, name
    for ranges in [getattr(message, name) for name in envelope._RANGES] + [*(message.settled or {}).values()]:
        for first, count in ranges or []:
            assert 0 <= first < MAX_NUMBER, ranges
            assert 0 < count < MAX_NUMBER, ranges
    assert all(type(value) in {str, bool} for value in (message.error or {}).values())


def get(data: bytes) -> None:
    """Open a message."""
    _, task, kind = messages.get(data)
    assert type(task) is type(kind) is str


def deserialize(data: bytes) -> None:
    """Unpack a value."""
    try:
        serializer.deserialize(data)
    except ValueError as error:
        assert str(error).startswith("cannot deserialize: "), error  # noqa: PT017 - others come out


def header(data: bytes) -> None:
    """Open what a broker has to know of a message."""
    found = open_header(data)
    if found is not None:
        assert isinstance(found, Header)
        assert type(found.type) is type(found.task) is str
        assert found.id is None or 0 <= found.id < MAX_NUMBER
        assert found.data in data or found.data == b"\x80"


class Router:
    """Where a broker sends, which writes it down."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []

    def send_multipart(self, frames: Any, _flags: int = 0) -> None:
        self.sent.append(list(frames))


def service(data: bytes) -> None:
    """Have clients and workers say something to a broker; the first byte of each piece tells who it is."""
    broker = Service("inproc://front", "inproc://back")
    front, back = Router(), Router()
    broker._frontend, broker._backend = cast("Any", front), cast("Any", back)
    transport = _Transport(cast("Any", front), cast("Any", back), Limits(), broker.logger)
    broker._brokerage = brokerage = Brokerage(transport, Limits())
    asked: dict[bytes, int] = {}
    now = 0.0
    for piece in parts(data):
        now += 0.5
        peer, delimiter = bytes([piece[0] & 1]) if piece else b"\x00", b"" if len(piece) % 7 else b"x"
        if piece[:1] and piece[0] & 2:
            # a worker that answers has a route, which it got
            routes = [frames[2] for frames in back.sent if len(frames) == 5 and frames[0] == peer]
            route = routes[-1:] if piece[0] & 4 else []
            frames = [*route, b"", piece[1:]] if route else [piece[1:]]
            broker._from_worker([peer, delimiter, *frames], now)
        else:
            asked[peer] = asked.get(peer, 0) + 1
            broker._from_client([peer, delimiter, piece[1:]], now)
        brokerage.expire(now)
        brokerage.probe(now)
    brokerage.finish()
    assert brokerage.settled
    assert not brokerage.open_bytes
    for peer, count in asked.items():
        told = [frames for frames in front.sent if frames[0] == peer and frames[1:2] != [b"PING"]]
        assert len(told) <= count, "somebody was told what he did not ask for"


def monitor(data: bytes) -> None:
    """Have connections come and go: each byte is an event of one of eight."""
    events = [zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_ACCEPTED, zmq.EVENT_CONNECTED, zmq.EVENT_DISCONNECTED]
    events += [zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL]
    queue = [(int(events[byte % len(events)]), byte // 32) for byte in data]
    watch = watching(queue)
    changes = watch.drain()
    assert changes.came - len(changes.gone) == watch.connections
    assert 0 <= watch.connections <= changes.came
    assert set(changes.gone) - {-1} <= set(changes.closed)
    assert len(watch._live) <= watch.connections


def journal(data: bytes) -> None:
    """Damage the file of a journal: four bytes each are a place, and what stands there; then open it."""
    folder = Path(tempfile.mkdtemp(prefix="zmqpipeline-fuzz-"))
    try:
        if not _TEMPLATE:
            _TEMPLATE.append(_written(folder / "template"))
        file = bytearray(_TEMPLATE[0])
        for place in range(0, len(data) - 3, 4):
            file[int.from_bytes(data[place : place + 3], "big") % len(file)] = data[place + 3]
        path = folder / "run.journal"
        path.write_bytes(file)
        try:
            opened = Journal(path, _TASKS)
        except JournalError as error:
            assert "run.journal" in str(error)  # noqa: PT017 - others come out
            return
        try:
            for task in _TASKS:
                opened.state(task)
        except JournalError as error:
            assert "run.journal" in str(error)  # noqa: PT017
        except (KeyError, TypeError):
            pass  # whoever resumes calls that a damaged file, see zmqpipeline.resumption
        finally:
            opened.close()
    finally:
        shutil.rmtree(folder)


def _written(path: Path) -> bytes:
    """Write a journal, and return what is in its file."""
    made = Journal(path, _TASKS)
    made.began({"what": "is known", "numbers": list(range(20))})
    made.met("a life", 3)
    for task in _TASKS:
        made.keep(task, lambda: [0, [], 1], lambda: serializer.serialize({"made": 10}))
        for first in range(0, 50, 10):
            made.made(task, first, 10, b"\x81\xa1n\x01" * 10)
        made.settled(task, [(0, 10), (22, 3)])
        made.tried(task, 30, 1, 1)
    made.commit()
    made.close()  # with it goes the log that precedes the file
    return path.read_bytes()


def seeds(name: str) -> list[bytes]:
    """Make what a search for a target begins with."""
    chance = random.Random(7)  # noqa: S311 - the same each time
    made = [kind(chance)[0] for kind in frames.KINDS.values() for _ in range(5)]
    if name in {"decode", "get", "deserialize", "header"}:
        return made
    if name in {"monitor", "journal"}:
        return [chance.randbytes(40) for _ in range(10)]
    return [joined([chance.randbytes(1) + said for said in chance.choices(made, k=5)]) for _ in made]


def _of_machine(machine: Callable[[list[bytes]], None]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        machine(list(parts(data)))

    return run


logging.getLogger("zmqpipeline").addHandler(logging.NullHandler())
#: by name
TARGETS: dict[str, Callable[[bytes], None]] = {
    **{target.__name__: target for target in (decode, get, deserialize, header, service, monitor, journal)},
    **{machine.__name__: _of_machine(machine) for machine in (dispatch, assignment, collector)},
}
