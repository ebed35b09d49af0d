"""Bad messages: each kind is a function that makes the frames of one, behind routing id and delimiter.

Nothing here makes its sender a worker: a stranger that speaks the protocol is one, and only keys keep it out.
What such a stranger can do is in ``attack``.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgpack

from zmqpipeline.wire import envelope, messages
from zmqpipeline.wire.envelope import MAX_NUMBER

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    #: makes the frames of one message
    Kind = Callable[[random.Random], list[bytes]]

#: what introduces its sender, if it is at the right address: not what a stranger says by chance
INTRODUCTIONS = ("HELLO", "RDY", "")
#: and all else that anybody says
OTHERS = (
    "ACK", "OK", "FAIL", "END", "DATA", "METADATA", "RTE", "WELCOME", "HEARTBEAT", "RESET", "RETURN", "BYE",
    "something new",
)  # fmt: skip
#: a task type that nobody has
NO_TASK = "no such task"
#: numbers that are valid, and make no sense
HUGE = (0, 10**6, 10**12, MAX_NUMBER - 1)
#: values of which each is wrong for most fields
ABSURD: tuple[Any, ...] = (
    -1, MAX_NUMBER, 2**64 - 1, -(2**63), 1.5, float("nan"), float("inf"), True, "1", "\ud800", b"1", [], [1],
    {}, {1: 1}, {"type": [1]}, [[0]], [[0, 0]], [[0, -1]], [[-1, 1]], [[0, 1, 2]], [["0", 1]],
    [[0, MAX_NUMBER]], [None],
    msgpack.ExtType(1, b"yesterday"), msgpack.ExtType(5, b"\x92\xa1x\xc0"), msgpack.ExtType(99, b""),
    msgpack.Timestamp(2**60),
)  # fmt: skip


def packed(**fields: Any) -> bytes:
    """Pack an envelope, whatever is in it."""
    return bytes(msgpack.packb(fields, unicode_errors="surrogatepass"))


def identity(chance: random.Random) -> str:
    """Make an id such as runs and lives have."""
    return chance.randbytes(16).hex()


def random_bytes(chance: random.Random) -> list[bytes]:
    return [chance.randbytes(chance.randrange(1, 200))]


def truncated(chance: random.Random) -> list[bytes]:
    whole = valid(chance)
    return [whole[: chance.randrange(1, len(whole))]]


def damaged(chance: random.Random) -> list[bytes]:
    frame = bytearray(valid(chance))
    for _ in range(chance.randrange(1, 4)):
        frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
    return [bytes(frame)]


def followed_by_more(chance: random.Random) -> list[bytes]:
    return [valid(chance) + chance.randbytes(chance.randrange(1, 9))]


def nested(chance: random.Random) -> list[bytes]:
    """Arrays or maps inside each other, less and more than msgpack takes, bare or in an envelope."""
    opener = chance.choice([b"\x91", b"\x81\xa1a", b"\x81\x91"]) * chance.choice([600, 1000, 5000])
    return [chance.choice([b"", b"\x82\xa4type\xa3ACK\xa4data"]) + opener + b"\x01"]


def registered(chance: random.Random) -> list[bytes]:
    """Registered objects inside each other, which fail in a way that another look at a value may mend."""
    packed = msgpack.packb(msgpack.ExtType(4, msgpack.packb([1, 2, 3, 4])))
    for _ in range(chance.choice([2, 16, 17])):
        packed = msgpack.packb(msgpack.ExtType(5, b"\x92\xa1x" + packed))
    return [chance.choice([b"", b"\x82\xa4type\xa3ACK\xa4data"]) + packed]


def huge_length(chance: random.Random) -> list[bytes]:
    """A value that says that it is far longer than the frame."""
    kind = chance.choice([b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9"])
    length = chance.choice([2**31 - 1, 2**32 - 1, 10**9]).to_bytes(4, "big")
    return [chance.choice([b"", b"\x82\xa4type\xa3ACK\xa4data"]) + kind + length + b"\x01\x02\x03"]


def wrong_type(chance: random.Random) -> list[bytes]:
    """One field of the envelope with a value that is none of its own."""
    name = chance.choice(["type", "task", *envelope._TAKERS])
    return [
        packed(**{"type": chance.choice(OTHERS), "task": NO_TASK, "data": {}, name: chance.choice(ABSURD)})
    ]


def absurd(chance: random.Random) -> list[bytes]:
    """A valid message, of a stranger, about what nobody has."""
    fields: dict[str, Any] = {"type": chance.choice(OTHERS), "task": chance.choice(["", NO_TASK]), "data": {}}
    for name in ("id", "attempt", "order", "number", "count", "epoch", "limit"):
        if chance.random() < 0.5:
            fields[name] = chance.choice(HUGE)
    for name in ("ids", "held", "failed"):
        if chance.random() < 0.5:
            fields[name] = [
                [chance.choice(HUGE), 1 + chance.choice(HUGE)] for _ in range(chance.randrange(3))
            ]
    if fields["type"] in {"FAIL", "RETURN"}:  # not by chance the id of a task that somebody gave it
        fields["id"] = 10**12
        fields["error"] = {"type": "E", "text": "t", "traceback": "", "retry": False}
    if chance.random() < 0.5:
        fields["worker"] = f"worker-{identity(chance)}"
    return [packed(**fields)]


def of_another_run(chance: random.Random) -> list[bytes]:
    """What would mean something in another run: END, ACKs, results, signs of life."""
    run, life = identity(chance), identity(chance)
    ids = [[0, 1]]
    fields = {"task": "", "run": run, "life": life, "ids": ids, "number": 1, "count": 0, "credit": 10**12}
    return [packed(type=chance.choice(OTHERS), data=[{}], attempt=1, held=[], settled={"": ids}, **fields)]


def before_hello(chance: random.Random) -> list[bytes]:
    """What a worker says when it is known."""
    kind = chance.choice(["RDY", "HEARTBEAT", "FAIL", "RETURN", "BYE", "DATA"])
    credit = chance.choice([-1, 0, 1, 10**12, MAX_NUMBER - 1])
    return [
        packed(type=kind, task="", data={}, credit=credit, id=0, attempt=0, ids=[[0, 1]], number=1, held=[])
    ]


def of_no_task(chance: random.Random) -> list[bytes]:
    """An introduction at the wrong address."""
    return [packed(type=chance.choice(INTRODUCTIONS), task=NO_TASK, data={"pid": 1})]


def too_many_frames(chance: random.Random) -> list[bytes]:
    return [valid(chance) for _ in range(chance.choice([3, 4, 100]))]


def empty_frames(chance: random.Random) -> list[bytes]:
    return [b""] * chance.randrange(2, 20)


def many_ranges(chance: random.Random) -> list[bytes]:
    """Ids in the order that takes longest to sort in."""
    count = chance.choice([1, 300])
    ranges = [[2 * n, 1] for n in reversed(range(count))]
    kind = chance.choice(["HEARTBEAT", "ACK", "DATA"])
    return [packed(type=kind, task="", run=identity(chance), number=1, held=ranges, ids=ranges, data={})]


def result_without_ids(chance: random.Random) -> list[bytes]:
    """What a worker of the original would send, if it did not echo what it was given."""
    return [messages.create_data(chance.choice([NO_TASK, "x" * 5000]), {"n": chance.randrange(100)})]


def valid(chance: random.Random) -> bytes:
    """Make a message with all fields, which is valid and says nothing to anybody."""
    fields: dict[str, Any] = {
        "type": chance.choice(OTHERS),
        "task": NO_TASK,
        "run": identity(chance),
        "life": "",
        "worker": "w",
    }
    fields.update({name: [[1, 2]] for name in ("ids", "held", "failed")})
    fields.update(dict.fromkeys(("id", "attempt", "order", "number", "count", "epoch", "limit", "credit"), 7))
    return packed(
        **fields, settled={"t": [[0, 1]]}, error={"type": "E", "retry": False}, data={"a": [1.5, None]}
    )


#: all that a stranger says, by name
KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        random_bytes, truncated, damaged, followed_by_more, nested, huge_length, wrong_type, absurd,
        of_another_run, before_hello, of_no_task, too_many_frames, empty_frames, many_ranges,
        result_without_ids, registered,
    )
}  # fmt: skip
#: what one says that has been greeted, and is never to get a task
GREETED = tuple(kind for name, kind in KINDS.items() if name != "before_hello")


def hello(chance: random.Random) -> list[bytes]:
    """Introduce a worker with information that is none."""
    deep = b"\x91" * chance.choice([100, 900, 1015]) + b"\x01"
    infos = [
        b"\xc0",
        msgpack.packb({"host": [1], "pid": {"a": 1}, "process": [[]], "name": 5}),
        msgpack.packb({"host": "x" * 3000, "process": chance.choice(["the same", "x" * 3000]), "pid": -1}),
        b"\x81\xa7process" + deep,
        b"\x81\xa4host" + deep,
    ]
    return [b"\x83\xa4type\xa5HELLO\xa4task\xa0\xa4data" + chance.choice(infos)]


def pool(chance: random.Random, kinds: Iterable[Kind], count: int) -> list[list[bytes]]:
    """Make messages of some kinds, one after the other."""
    return [kind(chance) for kind in itertools.islice(itertools.cycle(kinds), count)]
