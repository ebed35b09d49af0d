"""The envelope: what delivery needs to know of a message, beside its data, task and type.

A message is one frame: a msgpack map with ``data``, ``task``, ``type`` and the
fields that its type has (``docs/protocol.rst`` lists them). ``data`` is packed
last, so that a batch is a header with a run of packed dictionaries behind it:
what user code returned is packed once, at once, and never again. A large
dictionary is not even copied: it is a frame of its own, behind that of its
message, whose data says nil in its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgpack

from zmqpipeline.wire import serializer
from zmqpipeline.wire.limits import MAX_KEYS
from zmqpipeline.wire.messages import MESSAGE_TYPE_DATA, MESSAGE_TYPE_EMPTY, MESSAGE_TYPE_FAILURE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zmqpipeline.delivery.intervals import Range

#: the version of the protocol, in HELLO and WELCOME
PROTOCOL_VERSION = 1
#: the most ranges of ids that one message may list; between settled tasks lie open ones, so it has to be
#: more than a distributor may have open
MAX_RANGES = 250_000
#: of each text of an error so much is kept, in characters: it travels on beside the task's data
MAX_ERROR_TEXT = 32_768
#: ids, credits and counts are below this
MAX_NUMBER = 2**53

#: what an envelope adds to its data at the most, in bytes, errors excepted
ENVELOPE_BYTES = 65_536

#: a packed dictionary of so many bytes is a frame of its own: to copy it would cost more than a frame does
OWN_FRAME = 256 * 1024

_DATA_KEY, _IDS_KEY = bytes(msgpack.packb("data")), bytes(msgpack.packb("ids"))
_SMALL_ARRAYS = [bytes((0x90 | count,)) for count in range(16)]
#: the fields of a batch of results, and of one of tasks, in the order on the wire
_RESULT_KEYS = ("type", "task", "run", "ids", "attempt", "data")
_BATCH_KEYS = ("type", "task", "run", "ids", "attempt", "order", "number", "data")
_NUMBERS = ("attempt", "credit", "order", "number", "count", "epoch", "limit")
_RANGES = ("ids", "held", "failed")
_TEXTS = ("run", "life", "worker")
_ERROR = {"type": str, "text": str, "traceback": str, "retry": bool}


@dataclass(slots=True)
class Message:
    """A message, opened or to be sent; a field that a message does not have is None.

    The data of a batch is in ``data`` as a list when it was received, and in
    ``body`` as packed items, one after another, when it is to be sent. First
    is what batches have: positions are faster than keywords.
    """

    type: str
    task: str = ""
    data: Any = field(default_factory=dict)
    run: str | None = None  #: the run that it belongs to
    ids: list[Range] | None = None  #: the tasks of a batch, in the order of the data
    attempt: int | None = None  #: how often these tasks were handed out, but for those given back
    body: bytes | None = None
    n: int = 0  #: how many items are in ``body``
    order: int | None = None  #: the place of a credit among those that this worker has told
    number: int | None = None  #: its place in the sender's sequence of numbered messages
    life: str | None = None  #: the life of the collector that it comes from or is meant for
    id: int | None = None  #: the one task that it is about
    credit: int | None = None  #: how many unacknowledged tasks a worker has room for
    count: int | None = None  #: how many tasks the collector had acknowledged before those of this ACK
    epoch: int | None = None  #: how often the run was resumed
    worker: str | None = None  #: the routing id of the worker for which its heartbeat speaks
    limit: int | None = None  #: how long a task of this type may take, in milliseconds
    held: list[Range] | None = None  #: what a worker has not finished
    failed: list[Range] | None = None  #: which of ``ids`` failed for good
    settled: dict[str, list[Range]] | None = None  #: what was acknowledged, by task type
    error: dict[str, Any] | None = None  #: why a task failed: type, text, traceback, retry

    @property
    def has_own_frame(self) -> bool:
        """Whether its data is one dictionary that is large enough for a frame of its own.

        A worker in lock-step, whose messages have no ``ids``, gets one frame in any case, as in the original.
        """
        if self.body is None or len(self.body) < OWN_FRAME:
            return False
        return self.n == 1 if self.ids is not None else self.type == MESSAGE_TYPE_FAILURE

    @property
    def ranges(self) -> list[Range]:
        """The ids that it is about, be it a batch or a single task."""
        if self.ids is not None:
            return self.ids
        return [] if self.id is None else [(self.id, 1)]


def frames(message: Message) -> list[bytes]:
    """Pack a message into its frames: one, or two if a large dictionary is in it.

    Raises
    ------
    zmqpipeline.errors.SerializationError
        if its data cannot be packed

    """
    body = message.body
    if body is not None and len(body) < OWN_FRAME and message.ids is not None and message.attempt is not None:
        return [_batch(message, body)]
    if body is None or not message.has_own_frame:
        return [encode(message)]
    nil = b"\xc0" if message.ids is None else b"\x91\xc0"
    return [_header(message) + nil, body]


def joined(parts: Sequence[bytes]) -> bytes:
    """Make one frame of those of :func:`frames`."""
    return parts[0] if len(parts) == 1 else parts[0][:-1] + parts[1]


def encode(message: Message) -> bytes:
    """Pack a message into one frame, however large.

    Raises
    ------
    zmqpipeline.errors.SerializationError
        if its data cannot be packed

    """
    if message.body is None:
        return _header(message) + serializer.serialize(message.data)
    if message.ids is None:
        return _header(message) + message.body
    if message.attempt is None:
        return _header(message) + array_header(message.n) + message.body
    return _batch(message, message.body)


def _header(message: Message) -> bytes:
    """Pack everything but the data; that follows."""
    values = zip(_FIELDS, _values(message), strict=True)
    fields = {name: value for name, value in values if value is not None}
    packed = serializer.serialize(fields, "envelope")
    # the same map with one key more: a small one has its length in the one byte of its header
    keys = len(fields) + 1
    header = bytes((0x80 | keys,)) if keys < 16 else b"\xde" + keys.to_bytes(2, "big")
    return header + packed[1 if keys <= 16 else 3 :] + _DATA_KEY


def results(  # noqa: PLR0913, PLR0917 - a message without the message
    task: str, run: str | None, ids: list[Range], attempt: int, body: bytes, count: int
) -> bytes:
    """Pack a batch of results into one frame, at once: somebody waits for it.

    Parameters
    ----------
    task, run, ids, attempt
        the fields of that name
    body, count
        the packed dictionaries, one after another, and how many there are

    """
    pack = serializer.of_thread.pack
    opening = _opening(len(_RESULT_KEYS), task, run)
    array = _SMALL_ARRAYS[count] if count < 16 else array_header(count)
    behind = pack((ids, "attempt", attempt))[1:]
    return b"%b%b\xa4data%b%b" % (opening, behind, array, body)


def _batch(message: Message, body: bytes) -> bytes:
    """Pack a batch: nothing else has ids, an attempt and a body.

    Each task waits for it, so what was said with the batch before is kept.
    """
    ids, attempt, count = message.ids or [], message.attempt or 0, message.n
    if message.number is None:
        return results(message.task, message.run, ids, attempt, body, count)
    pack = serializer.of_thread.pack
    array = _SMALL_ARRAYS[count] if count < 16 else array_header(count)
    opening = _opening(len(_BATCH_KEYS), message.task, message.run)
    behind = pack((ids, "attempt", attempt, "order", message.order, "number", message.number))[1:]
    return b"%b%b\xa4data%b%b" % (opening, behind, array, body)


@lru_cache(maxsize=64)
def _opening(keys: int, task: str, run: str | None) -> bytes:
    """Pack what the batches of a task have in common, up to the key of their ids."""
    fields = {"type": MESSAGE_TYPE_DATA, "task": task, "run": run}
    return bytes((0x80 | keys,)) + serializer.serialize(fields, "envelope")[1:] + _IDS_KEY


def array_header(count: int) -> bytes:
    """Pack the header of a msgpack array."""
    if count < 16:
        return _SMALL_ARRAYS[count]
    if count < 1 << 16:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")


def decode(frame: bytes | memoryview, own: bytes | memoryview | None = None) -> Message | None:
    """Open a message; None if it is not a valid one. Never raises.

    Parameters
    ----------
    frame
        the message; an empty one is a message without anything, as a worker of the original sends first
    own
        the frame behind it, of a dictionary that is as large as that, if there is one

    """
    try:
        fields = serializer.unpack(frame)
    except Exception:  # noqa: BLE001 - what msgpack raises for hostile bytes is many things
        fields = None
    if own is not None or type(fields) is not dict:
        return _decode_slowly(frame, own)
    # a batch of contiguous ids, packed as we do it, is checked without a call for each field
    keys, order, number = tuple(fields), 0, 0
    if keys == _BATCH_KEYS:
        kind, task, run, ids, attempt, order, number, data = fields.values()
    elif keys == _RESULT_KEYS:
        kind, task, run, ids, attempt, data = fields.values()
    else:
        return _checked(fields)
    if kind == MESSAGE_TYPE_DATA and type(ids) is list and len(ids) == 1 and type(ids[0]) is list:
        first, count = ids[0] if len(ids[0]) == 2 else (None, None)
        if (
            type(first) is type(count) is type(attempt) is type(order) is type(number) is int
            and type(task) is type(run) is str
            and 0 <= first < MAX_NUMBER and 0 < count < MAX_NUMBER
            and 0 <= attempt < MAX_NUMBER and 0 <= order < MAX_NUMBER and 0 <= number < MAX_NUMBER
        ):  # fmt: skip
            message = Message(MESSAGE_TYPE_DATA, task, data, run, [(first, count)], attempt)
            if keys == _BATCH_KEYS:
                message.order, message.number = order, number
            return message
    return _checked(fields)


def _decode_slowly(frame: bytes | memoryview, own: bytes | memoryview | None) -> Message | None:
    """Open any other message than a map that msgpack takes at once."""
    if not len(frame):
        return None if own is not None else Message(MESSAGE_TYPE_EMPTY)
    try:
        fields = serializer.deserialize(frame)
        item = None if own is None else serializer.deserialize(own)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    if own is not None:
        data = fields.get("data")
        if data not in (None, [None]):
            return None
        fields["data"] = item if data is None else [item]
    return _checked(fields)


def names(frame: bytes | memoryview) -> tuple[str | None, str | None]:
    """Tell the run and the life that a message names, without opening its data. Never raises.

    It is for large frames: opened, they would take many times their size, whoever they are from.
    """
    found: dict[Any, Any] = {}
    unpacker = msgpack.Unpacker(
        read_size=4096, max_buffer_size=0, max_array_len=0, max_map_len=0, strict_map_key=False
    )
    try:
        unpacker.feed(frame)
        for _ in range(min(unpacker.read_map_header(), MAX_KEYS)):
            key = unpacker.unpack()
            if key in {"run", "life"}:
                found[key] = unpacker.unpack()
            else:
                unpacker.skip()
    except Exception:  # noqa: BLE001 - what msgpack raises for hostile bytes is many things
        return None, None
    return found.get("run"), found.get("life")


def cut(body: bytes, skip: int, keep: int) -> bytes:
    """Take ``keep`` packed items out of a run of them, after ``skip`` others."""
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(body)
    for _ in range(skip):
        unpacker.skip()
    start = unpacker.tell()
    for _ in range(keep):
        unpacker.skip()
    return body[start : unpacker.tell()]


def _checked(fields: dict[Any, Any]) -> Message | None:
    kind, task = fields.get("type"), fields.get("task", "")
    if not isinstance(kind, str) or not isinstance(task, str) or len(fields) > MAX_KEYS:
        return None
    message = Message(kind, task, fields.get("data", {}))
    for name, value in fields.items():
        take = _TAKERS.get(name) if value is not None and isinstance(name, str) else None
        if take is None:
            continue
        if take is int:  # the most frequent kinds first, and without a call: this is in the way of each task
            if type(value) is not int or not 0 <= value < MAX_NUMBER:
                return None
            setattr(message, name, value)
        elif take is str:
            if type(value) is not str:
                return None
            setattr(message, name, value)
        elif not take(message, name, value):
            return None
    return message


def _listed(message: Message, name: str, value: Any) -> bool:
    ranges = _ranges(value)
    setattr(message, name, ranges)
    return ranges is not None


def _error(message: Message, _name: str, value: Any) -> bool:
    """Keep what an error may say: it is sent on, so anything else in it would have to be packed again."""
    if not isinstance(value, dict):
        return False
    kept = {name: value[name] for name, kind in _ERROR.items() if type(value.get(name)) is kind}
    message.error = {name: said if name == "retry" else said[:MAX_ERROR_TEXT] for name, said in kept.items()}
    return True


def _settled(message: Message, _name: str, value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    message.settled = {}
    for task, listed in value.items():
        ranges = _ranges(listed)
        if not isinstance(task, str) or ranges is None:
            return False
        message.settled[task] = ranges
    return True


def _ranges(value: Any) -> list[Range] | None:
    if not isinstance(value, list) or len(value) > MAX_RANGES:
        return None
    ranges = []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            return None
        first, count = pair
        if type(first) is not int or type(count) is not int:
            return None
        if not (0 <= first < MAX_NUMBER and 0 < count < MAX_NUMBER):
            return None
        ranges.append((first, count))
    return ranges


def total(ranges: Sequence[Range]) -> int:
    """Count the ids in ranges."""
    if len(ranges) == 1:
        return ranges[0][1]
    return sum(count for _, count in ranges)


def part(ranges: Sequence[Range], skip: int, keep: int) -> list[Range]:
    """Take ``keep`` ids out of ranges, after ``skip`` others."""
    taken = []
    for first, count in ranges:
        low, high = min(skip, count), min(skip + keep, count)
        if low < high:
            taken.append((first + low, high - low))
        skip, keep = skip - low, keep - (high - low)
    return taken


#: of which type each field is that arrives, or how it is checked and taken
_TAKERS: dict[str, Any] = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(("id", *_NUMBERS), int),
    **dict.fromkeys(_RANGES, _listed),
    "error": _error,
    "settled": _settled,
}
#: what is sent beside the data, in the order on the wire
_FIELDS = ("type", "task", *_TEXTS, "id", *_RANGES, *_NUMBERS, "settled", "error")
_values: Callable[[Message], tuple[Any, ...]] = attrgetter(*_FIELDS)
