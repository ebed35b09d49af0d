"""What goes in comes out, and what cannot go in is named."""

from __future__ import annotations

import collections
import enum
import math
import os
import sys
import threading
from bisect import bisect_left
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, NoReturn, TypeVar
from zoneinfo import ZoneInfo

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import budget
from zmqpipeline.delivery.assignment import Work
from zmqpipeline.descriptors import EndpointAddress
from zmqpipeline.errors import SerializationError
from zmqpipeline.execution import Execution
from zmqpipeline.wire import serializer
from zmqpipeline.wire.serializer import (
    decoder,
    deserialize,
    encoder,
    explain,
    serialize,
    unix_time,
)

Moment = TypeVar("Moment", datetime, time)

DAY = timedelta(days=1)
offsets = st.timedeltas(-DAY, DAY).filter(lambda offset: -DAY < offset < DAY).map(timezone)


def without_fold(moment: Moment) -> Moment:
    """With an offset, a fold says nothing."""
    return moment.replace(fold=0) if moment.tzinfo else moment


datetimes = st.datetimes(timezones=st.none() | offsets).map(without_fold) | st.datetimes().map(
    lambda moment: moment.replace(fold=1)
)
times = st.times(timezones=st.none() | offsets).map(without_fold) | st.times().map(
    lambda clock: clock.replace(fold=1)
)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
texts = st.text(st.characters())  # lone surrogates included
hashable = st.one_of(
    st.none(), st.booleans(), numbers, texts, st.binary(), datetimes, st.dates(), times, st.timedeltas()
)
keys = st.recursive(hashable, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)
values = st.recursive(
    hashable,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


def exact(value: Any) -> tuple[type, Any]:
    """Return a form in which 1, 1.0 and True differ, and so do the two folds and offsets of one moment."""
    if isinstance(value, dict):
        return dict, [(exact(key), exact(inner)) for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [exact(inner) for inner in value]
    return type(value), repr(value)


@given(values)
@example({(1, (2, b"3")): {("a",): [None]}, "x": 1})
@example([datetime(1, 1, 1, 1, tzinfo=timezone(timedelta(microseconds=sign))) for sign in (1, -1)])
@example([time(1, tzinfo=timezone(timedelta(microseconds=sign))) for sign in (1, -1)])
@settings(deadline=None)
def test_round_trip_is_exact(value: Any) -> None:
    assert exact(deserialize(serialize(value))) == exact(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2,)), [1, [2]]),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        (math.inf, math.inf),
        ({"__datetime__": True, "epochs": 1.0}, {"__datetime__": True, "epochs": 1.0}),
        (os.fsdecode(b"caf\xe9"), "caf\udce9"),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(int, a=1), {"a": 1}),
        (enum.IntEnum("Colour", "RED").RED, 1),  # type: ignore[attr-defined]
        (EndpointAddress("ipc://a"), "ipc://a"),
        (
            datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris")).utcoffset(),
            timedelta(hours=1),
        ),
    ],
)
def test_what_becomes_its_base(value: Any, expected: Any) -> None:
    assert exact(deserialize(serialize(value))) == exact(expected)


def test_nan() -> None:
    assert math.isnan(deserialize(serialize(math.nan)))


def test_a_zone_becomes_its_offset() -> None:
    moment = datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris"))
    again = deserialize(serialize(moment))
    assert again.isoformat() == "2024-10-27T02:30:00+01:00"
    assert again.timestamp() == moment.timestamp()


def test_subclass_of_datetime_travels_as_its_base() -> None:
    class Stamp(datetime):
        def isoformat(self, *args: Any) -> str:
            return "printed in a way of its own"

    assert exact(deserialize(serialize(Stamp(2024, 1, 2, 3)))) == exact(datetime(2024, 1, 2, 3))  # noqa: DTZ001


def test_timestamps_of_other_languages() -> None:
    moment = datetime(2024, 1, 2, 3, 4, 5, 600, tzinfo=timezone.utc)
    assert deserialize(msgpack.packb(msgpack.Timestamp.from_datetime(moment))) == moment
    text = msgpack.ExtType(1, b"2024-01-02T03:04:05.000600Z")
    assert deserialize(msgpack.packb(text)) == moment


def test_object_id_travels_as_its_text() -> None:
    class ObjectId:
        def __str__(self) -> str:
            return "507f1f77bcf86cd799439011"

    assert deserialize(serialize({"_id": ObjectId()})) == {"_id": "507f1f77bcf86cd799439011"}


def test_hooks_are_usable_by_themselves() -> None:
    packed = encoder(timedelta(1, 2, 3))
    assert decoder(packed.code, packed.data) == timedelta(1, 2, 3)
    with pytest.raises(TypeError, match="cannot serialize set"):
        encoder(set())


def test_unix_time() -> None:
    assert unix_time(datetime(1970, 1, 2)) == 86400  # noqa: DTZ001 - naive is the case
    assert unix_time(datetime(1970, 1, 2, 1, tzinfo=timezone(timedelta(hours=1)))) == 86400
    assert unix_time(date(1970, 1, 2)) == 86400
    assert unix_time(timedelta(seconds=1.5)) == 1.5
    with pytest.raises(TypeError, match="not str"):
        unix_time("1970")  # type: ignore[arg-type]


# -- what cannot be packed


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {"a": [1]}
    value["a"].append(value)
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1}, "data: cannot serialize set; make it a list"),
        ({"a": [0, 1, 2, {1}]}, "data['a'][3]: cannot serialize set"),
        (
            {"a": {(1, 2): Odd()}},
            "data['a'][(1, 2)]: cannot serialize Odd; register_type() can teach its class",
        ),
        ({1: {b"k": [2**64]}}, "data[1][b'k'][0]: cannot serialize int of 65 bits"),
        ({"n": -(2**63) - 1}, "data['n']: cannot serialize int of 64 bits"),
        ({"n": 10**6000}, "data['n']: cannot serialize int of"),
        ({10**6000: 1}, "data (the key <int>): cannot serialize int of"),
        ({Odd(): 1}, "cannot serialize Odd"),
        ({frozenset({1}): 1}, "data (the key frozenset({1})): cannot serialize frozenset"),
        ({"k" * 1000: {1}}, "kkk...kkk"),
        (cyclic(), "data['a'][1]: cannot serialize dict, because it contains itself"),
        (nested(5000), "data[0][0][0]"),
        (nested(100_000), "100000 levels are too many"),
        (time(12, tzinfo=ZoneInfo("Europe/Paris")), "data: cannot serialize time: "),
        (memoryview(b"abcd")[::2], "data: cannot serialize memoryview"),
        (1j, "data: cannot serialize complex"),
        (len, "data: cannot serialize builtin_function_or_method"),
    ],
)
def test_what_cannot_be_packed_is_named(value: Any, said: str) -> None:
    with pytest.raises(SerializationError) as caught:
        serialize(value)
    assert isinstance(caught.value, TypeError)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400
    assert explain(value) == str(caught.value)
    assert serialize([1]) == b"\x91\x01"


def test_without_memory_nothing_is_wrong_with_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    class Large:
        """What there is no memory for."""

    def encode(_: Large) -> Any:
        raise MemoryError("Unable to allocate internal buffer.")

    monkeypatch.setitem(serializer._encoders, Large, encode)
    with pytest.raises(MemoryError):
        serialize({"a": Large()})
    execution = Execution(Work([{}], [(0, 1)], 1, "run"))
    execution.run(lambda _: {"a": Large()}, "handle", serializer.make_packer())
    assert execution.errors[0]["type"] == "MemoryError"
    assert execution.errors[0]["retry"] is True


def test_explain_finds_nothing_wrong() -> None:
    shared = [1]
    assert explain({"a": shared, "b": [shared, shared]}) is None
    assert "job['a']" in str(explain({"a": {1}}, "job"))


def test_what_is_packed_can_be_unpacked_in_an_envelope() -> None:
    # How many levels that are depends on msgpack's version.
    too_deep = bisect_left(range(1100), True, key=lambda levels: explain(nested(levels)) is not None)
    deepest = too_deep - 1
    assert deepest >= 500
    deserialize(b"\x91" * serializer.ENVELOPE_LEVELS + serialize(nested(deepest)))
    with pytest.raises(SerializationError, match=f"because {deepest + 1} levels are too many"):
        serialize(nested(deepest + 1))


def test_large_buffer_is_not_kept() -> None:
    before = serializer.of_thread.pack
    serialize(b"x" * 10_000)
    assert serializer.of_thread.pack is before
    assert len(serialize(b"x" * 3_000_000)) == 3_000_005
    assert serializer.of_thread.pack is not before


def test_threads_do_not_share_a_packer() -> None:
    value = {"n": list(range(1000)), "d": datetime(2024, 1, 1)}  # noqa: DTZ001 - naive is the case
    expected = serialize(value)
    wrong: list[bytes] = []

    def pack() -> None:
        wrong.extend(packed for packed in (serialize(value) for _ in range(200)) if packed != expected)

    threads = [threading.Thread(target=pack) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# -- what comes from others


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xc1")
@example(b"\x01\x01")
@example(b"\x91" * 5000 + b"\x01")
@example(b"\x81\x81\x01\x01\x01")  # a map as a key
@example(b"\x81\x91\x81\x01\x01\x01")  # a list with a map in it as a key
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xdf\xff\xff\xff\xff")
@example(b"\xc6\xff\xff\xff\xff")
@example(b"\xd9\x02\xff\xff")
@example(b"\xd4\x01\xff")
@example(b"\xd5\x01-1")
@example(msgpack.packb(msgpack.ExtType(4, msgpack.packb([10**12, 0, 0]))))
@example(msgpack.packb(msgpack.ExtType(4, msgpack.packb("abc"))))
@example(msgpack.packb(msgpack.ExtType(5, b"")))
@example(msgpack.packb(msgpack.ExtType(5, msgpack.packb([[], 1]))))
@example(b"\xc7\x0c\xff" + b"\x00" * 4 + b"\x7f" + b"\xff" * 7)  # a timestamp after the year 9999
@settings(max_examples=budget.examples(250))
def test_hostile_bytes_raise_only_value_errors(packed: bytes) -> None:
    try:
        deserialize(packed)
    except ValueError as error:
        assert str(error).startswith("cannot deserialize: ")  # noqa: PT017 - most bytes mean something


@pytest.mark.parametrize("value", [None, "text", 5, [b"a"]])
def test_what_is_no_bytes_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError):
        deserialize(value)


def test_accepts_buffers() -> None:
    assert deserialize(bytearray(b"\x01")) == deserialize(memoryview(b"\x01")) == 1


@pytest.mark.parametrize(
    ("ext", "said"),
    [
        (msgpack.ExtType(77, b""), "extension type 77 is unknown"),
        (msgpack.ExtType(5, msgpack.packb(["os.system", "true"])), "type 'os.system' is not registered"),
        (msgpack.ExtType(5, msgpack.packb(["a", 1, 2])), "an array of its type's name and a value"),
        (msgpack.ExtType(4, msgpack.packb([1, 2])), "three integers"),
        (msgpack.ExtType(4, msgpack.packb([True, 2, 3])), "three integers"),
    ],
)
def test_extension_type_that_is_not_known(ext: msgpack.ExtType, said: str) -> None:
    with pytest.raises(ValueError, match="cannot deserialize: ") as caught:
        deserialize(msgpack.packb({"a": [ext]}))
    assert said in str(caught.value)


@pytest.mark.parametrize("levels", [17, 300, 5000])
def test_nested_extension_types_do_not_exhaust_the_stack(levels: int) -> None:
    packed = msgpack.packb(1)
    for _ in range(levels):
        packed = msgpack.packb(msgpack.ExtType(5, msgpack.packb("x").join([b"\x92", packed])))
    with pytest.raises(ValueError, match="nested more than 16 deep"):
        deserialize(packed)
    assert serializer.of_thread.nesting == 0


def test_claimed_lengths_allocate_nothing() -> None:
    # Each of a thousand arrays claims as many elements as there are bytes.
    packed = (b"\xdd" + (100_000).to_bytes(4, "big")) * 1000 + b"\x01" * 100_000
    with pytest.raises(ValueError, match="cannot deserialize"):
        deserialize(packed)


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="the hook's cost is CPython's")
def test_hook_is_not_called_for_what_msgpack_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: object) -> NoReturn:
        raise AssertionError

    monkeypatch.setattr(serializer, "encoder", never)
    packer = serializer.make_packer()
    packer.pack({"a": [1, 2.0, "c", b"d", None, True, (1,)]})
    assert serializer.make_packer(autoreset=False).pack(1) is None
