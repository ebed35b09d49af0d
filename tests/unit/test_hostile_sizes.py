"""How much memory a frame can take when it is opened: what it says of its lengths is not believed."""

from __future__ import annotations

import contextlib
import struct
import sys
import tracemalloc
from functools import partial
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from zmqpipeline.service import open_header
from zmqpipeline.wire import envelope, messages, serializer
from zmqpipeline.wire.extensions import EXT_TIMEDELTA
from zmqpipeline.wire.limits import MAX_KEYS
from zmqpipeline.wire.seldom import LONGEST_UNCHECKED
from zmqpipeline.wire.serializer import EXT_REGISTERED

if TYPE_CHECKING:
    from collections.abc import Callable

KIB, MIB = 1024, 1024 * 1024
#: what docs/protocol.rst promises: a frame takes no more bytes than so many times its size, and so many more
FACTOR, MORE = 150, 70 * MIB
#: the levels that msgpack unpacks
LEVELS = 1024


def peak(function: Callable[[], Any]) -> tuple[Any, int]:
    """Call a function; return its answer, and how many bytes it had at most."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        answer = function()
        return answer, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def message(data: bytes, **fields: Any) -> bytes:
    """Put packed data into an envelope."""
    header: bytes = msgpack.packb({"type": "DATA", "task": "t", "run": "r", **fields, "data": None})
    return header[:-1] + data


def array(count: int) -> bytes:
    return b"\xdd" + struct.pack(">I", count)


def extension(code: int, payload: bytes) -> bytes:
    packed: bytes = msgpack.packb(msgpack.ExtType(code, payload))
    return packed


FALSE_LENGTHS = {
    "arrays as long as the frame": array(MIB) * (LEVELS - 10),
    "arrays as long as can be": array(2**32 - 1) * (LEVELS - 10),
    "arrays of the longest length that is not checked": array(LONGEST_UNCHECKED) * (LEVELS - 10),
    "maps": (b"\xdf" + struct.pack(">I", MIB) + b"\x00") * (LEVELS - 10),
    "maps behind a list as a key": b"\x92\x81\x90\x00" + (b"\xdf\x00\x00\x20\x00\x00") * (LEVELS - 10),
    "in a time difference": extension(EXT_TIMEDELTA, array(MIB) * 900 + bytes(MIB)),
    "in a registered object": extension(EXT_REGISTERED, array(MIB) * 900 + bytes(MIB)),
    "in an array behind a long one": array(9000) + b"\xc0" * 8999 + array(MIB) * 900,
}


@pytest.mark.parametrize("what", FALSE_LENGTHS)
@pytest.mark.parametrize("size", [KIB, MIB])
def test_no_room_is_made_for_what_is_not_there(what: str, size: int) -> None:
    frame = message(FALSE_LENGTHS[what])
    frame += bytes(max(0, size - len(frame)))
    opened, most = peak(lambda: envelope.decode(frame))
    assert opened is None
    assert most < MORE + 4 * len(frame)
    opened, most = peak(lambda: messages.get(frame))
    assert opened == ({}, "", messages.MESSAGE_TYPE_UNKNOWN)
    assert most < MORE + 4 * len(frame)


TRUE_LENGTHS = {
    "nothing": b"\xc0",
    "empty arrays": b"\x90",
    "empty maps": b"\x80",
    "short texts": b"\xa2ab",
    "small numbers": b"\x01",
    "numbers": b"\xcd\x10\x00",
    "floats": b"\xca\x3f\x80\x00\x01",
    "maps with one key": b"\x81\x00\xc0",
    "arrays in arrays": b"\x91" * 900 + b"\xc0",
    "maps in maps": b"\x81\x00" * 900 + b"\xc0",
    "a tuple as a key": b"\x81\x91\x00\xc0",
    "extensions": extension(EXT_TIMEDELTA, b"\x93\x00\x00\x00"),
}


@pytest.mark.parametrize("what", TRUE_LENGTHS)
def test_what_is_there_takes_no_more_than_a_multiple_of_its_size(what: str) -> None:
    item = TRUE_LENGTHS[what]
    count = 256 * KIB // len(item)
    frame = message(array(count) + item * count)
    opened, most = peak(lambda: envelope.decode(frame))
    assert opened is not None
    assert len(opened.data) == count
    assert most < FACTOR * len(frame)


@pytest.mark.parametrize("what", [*FALSE_LENGTHS, *TRUE_LENGTHS])
@pytest.mark.parametrize("place", ["data", "key", "type"])
def test_a_message_that_is_only_looked_at_takes_no_more_than_its_size(what: str, place: str) -> None:
    """A collector looks at large messages so, and a service at all."""
    data = FALSE_LENGTHS.get(what) or array(KIB) + TRUE_LENGTHS[what] * KIB
    if place == "data":
        frame = message(data)
    else:
        frame = b"\x81" + (data + b"\xc0" if place == "key" else b"\xa4type" + data)
    frame += bytes(MIB)
    for look in (envelope.names, open_header):
        _, most = peak(partial(look, frame))
        assert most < 5 * len(frame) + 4 * MIB


def alike(count: int) -> list[tuple[int, int]]:
    """Make up tuples that have one hash: CPython's is xxHash, without a secret."""
    one, two, five = 11400714785074694791, 14029467366897019727, 2870177450012600261
    made: list[tuple[int, int]] = []
    first = 0
    while len(made) < count:
        mixed = (five + first * two) % 2**64
        mixed = (mixed << 31 | mixed >> 33) * one
        second = (12345 - mixed) * pow(two, -1, 2**64) % 2**64
        if second < 2**61 - 1:  # a number that is its own hash
            made.append((first, second))
        first += 1
    return made


NESTED = {
    "what fails in a way that others may be mended in": extension(EXT_TIMEDELTA, b"\x94\1\2\3\4"),
    "a long array": array(9000) + b"\xc0" * 9000,
    "a list as a key": b"\x81\x91\1\2",
    "a list as a key behind a long array": b"\x92" + array(9000) + b"\xc0" * 9000 + b"\x81\x91\1\2",
}


@pytest.mark.parametrize("what", NESTED)
@pytest.mark.parametrize("name", ["kept", "of nobody"])
def test_nested_registered_objects_are_not_unpacked_again_and_again(
    what: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each level that is unpacked twice would double the time of all."""
    monkeypatch.setitem(serializer._registered, "kept", serializer._Registered(object, lambda value: value))
    calls = 0
    really = serializer._decode_registered

    def counting(payload: bytes) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1000:
            raise ValueError("that is too often")
        return really(payload)

    monkeypatch.setitem(serializer._DECODERS, EXT_REGISTERED, counting)
    packed = NESTED[what]
    for _ in range(16):
        # what is inside comes first, so that it is unpacked before it is seen what is beside it
        packed = extension(EXT_REGISTERED, b"\x92" + msgpack.packb(name) + b"\x92" + packed + NESTED[what])
    with contextlib.suppress(ValueError):
        serializer.deserialize(b"\x92" + packed + NESTED[what])
    assert 16 <= calls <= 16 * 9


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="others have other hashes")
def test_keys_that_are_made_up_to_have_one_hash_are_refused() -> None:
    """To put n of them into a dictionary takes n * n steps."""
    keys = alike(101)
    assert len(set(map(hash, keys))) == 1
    enough = dict.fromkeys(keys[:100])
    assert serializer.deserialize(serializer.serialize(enough)) == enough
    with pytest.raises(ValueError, match="more than 100 keys of a map have one hash"):
        serializer.deserialize(serializer.serialize(dict.fromkeys(keys)))


def test_a_message_with_very_many_keys_is_none() -> None:
    """Whoever looks at a message without opening it would be busy for many seconds with 64 MiB of them."""
    for count, valid in ((MAX_KEYS, True), (MAX_KEYS + 1, False)):
        more: dict[str, Any] = {f"k{number}": number for number in range(count - 5)}
        frame = message(b"\xc0", **more, life="l")
        assert (envelope.decode(frame) is not None) is valid
        assert (open_header(frame) is not None) is valid
        assert envelope.names(frame) == ("r", "l")
        frame = message(b"\xc0", **more, k=0, life="l")
        assert envelope.names(frame) == ("r", "l" if valid else None)


def test_run_and_life_are_found_without_opening_the_data() -> None:
    nested = b"\x81\xa3run\xa5wrong"
    frame = message(nested, life="l", other=[1, {"run": 2}])
    assert envelope.names(frame) == envelope.names(memoryview(frame)) == ("r", "l")
    for junk in (b"", b"\x81", b"\xc1", b"\x81\xa3run", b"\x81\x90\x00", bytes(100), b"\x81\xa3run\x91\x00"):
        assert envelope.names(junk) == (None, None)


@pytest.mark.parametrize("length", [LONGEST_UNCHECKED, LONGEST_UNCHECKED + 1, 3 * LONGEST_UNCHECKED])
def test_long_arrays_and_maps_come_out_as_they_went_in(length: int) -> None:
    values: list[Any] = [
        list(range(length)),
        dict.fromkeys(range(length)),
        {(number, 1): [number] for number in range(length)},
        [{(1, 2): list(range(length))}],
        [list(range(length)), {(1, 2): 3}],
        [{(1, 2): 3}, list(range(length))],
    ]
    for value in values:
        assert serializer.deserialize(serializer.serialize(value)) == value
    batch = envelope.Message("DATA", "t", run="r", ids=[(0, length)], attempt=1, n=length)
    batch.body = b"".join(serializer.serialize({"n": number}) for number in range(length))
    opened = envelope.decode(envelope.encode(batch))
    assert opened is not None
    assert (opened.ids, opened.attempt) == ([(0, length)], 1)
    assert [item["n"] for item in opened.data] == list(range(length))


def test_what_is_nested_deeper_than_msgpack_goes_is_no_message() -> None:
    assert envelope.decode(message(b"\x91" * (LEVELS - 2) + b"\xc0")) is not None
    assert envelope.decode(message(b"\x91" * LEVELS + b"\xc0")) is None
