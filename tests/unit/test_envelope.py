"""Envelopes: what is packed comes out again, and nothing that arrives can raise."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zmqpipeline.delivery.ports import Options
from zmqpipeline.wire import envelope, messages, serializer
from zmqpipeline.wire.envelope import MAX_NUMBER, Message, decode, encode

if TYPE_CHECKING:
    from zmqpipeline.delivery.intervals import Range

NUMBERS = st.integers(0, MAX_NUMBER - 1)
COUNTS = st.integers(1, MAX_NUMBER - 1)
RANGES = st.lists(st.tuples(NUMBERS, COUNTS), max_size=5)
TEXTS = st.text(st.characters(), max_size=8)  # lone surrogates included: peers may send them
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ERRORS = st.fixed_dictionaries(
    {}, optional={"type": TEXTS, "text": TEXTS, "traceback": TEXTS, "retry": st.booleans()}
)
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "id": NUMBERS,
    **dict.fromkeys(envelope._NUMBERS, NUMBERS),
    **dict.fromkeys(envelope._RANGES, RANGES),
    **dict.fromkeys(envelope._TEXTS, TEXTS),
    "settled": st.dictionaries(TEXTS, RANGES, max_size=3),
    "error": ERRORS,
}
MESSAGES = st.builds(
    Message,
    type=st.sampled_from([*messages.ALL_MESSAGE_TYPES, "HELLO", "something new"]),
    task=TEXTS,
    data=DATA,
    **{name: st.none() | value for name, value in OPTIONAL.items()},
)
FULL = Message(
    messages.MESSAGE_TYPE_DATA,
    "t",
    {"a": 1},
    id=0,
    settled={"t": [(0, 1)]},
    error={"type": "E", "text": "e", "traceback": "tb", "retry": False},
)
for _name in envelope._NUMBERS:
    setattr(FULL, _name, 7)
for _name in envelope._RANGES:
    setattr(FULL, _name, [(8, 9)])
for _name in envelope._TEXTS:
    setattr(FULL, _name, "text")


@given(MESSAGES)
@example(FULL)
def test_every_field_comes_out_as_it_went_in(message: Message) -> None:
    assert decode(encode(message)) == message


def test_any_number_of_fields_is_packed() -> None:
    message = Message("DATA", "t", {"a": 1})
    for name in OPTIONAL:
        setattr(message, name, getattr(FULL, name))
        assert decode(encode(message)) == message
    assert message == FULL


@given(MESSAGES)
def test_what_is_missing_stays_missing(message: Message) -> None:
    fields = serializer.deserialize(encode(message))
    there = {name for name in OPTIONAL if getattr(message, name) is not None}
    assert fields.keys() == there | {"type", "task", "data"}


@given(MESSAGES)
def test_messages_get_opens_every_envelope(message: Message) -> None:
    assert messages.get(encode(message)) == (message.data, message.task, message.type)


@given(st.lists(st.dictionaries(TEXTS, DATA, max_size=2), max_size=40))
def test_a_batch_is_sent_as_packed_items_and_received_as_a_list(items: list[dict[str, Any]]) -> None:
    body = b"".join(serializer.serialize(item) for item in items)
    message = decode(encode(Message("DATA", "t", ids=[(3, len(items))], body=body, n=len(items))))
    assert message is not None or not items  # a range of nothing is refused
    assert message is None or message.data == items


BATCH = {
    "type": "DATA", "task": "t", "run": "r", "ids": [[3, 2]], "data": [{}, {}],
    "attempt": 1, "order": 4, "number": 5,
}  # fmt: skip
RESULTS = {name: value for name, value in BATCH.items() if name not in {"order", "number"}}


@given(TEXTS, TEXTS, RANGES.filter(bool), st.tuples(NUMBERS, NUMBERS, NUMBERS))
def test_a_batch_is_packed_as_any_other_message(
    task: str, run: str, ids: list[Range], numbers: tuple[int, int, int]
) -> None:
    attempt, order, number = numbers
    body = serializer.serialize({"a": 1})
    for places in ((None, None), (order, number)):
        message = Message("DATA", task, None, run, ids, attempt, body, 1, *places)
        (frame,) = envelope.frames(message)
        assert frame == encode(message)
        message.data, message.body, message.n = [{"a": 1}], None, 0
        assert serializer.deserialize(frame) == serializer.deserialize(encode(message))
        assert decode(frame) == message
    assert envelope.results(task, run, ids, attempt, body, 1) == encode(
        Message("DATA", task, None, run, ids, attempt, body, 1)
    )


def test_a_batch_is_checked_as_any_other_message() -> None:
    for fields in (BATCH, RESULTS, {**BATCH, "new": 1}, {**RESULTS, "credit": 2, "new": 1}):
        message = envelope._checked(dict(fields))
        assert message is not None
        assert decode(serializer.serialize(fields)) == message
        for name in (*fields, "order", "number", "new", "worker"):
            for value in (*ABSURD, None, 0, [[0, 1], [5, 1]], [[0, 1, 1]], {"a": [0, 1]}, ["ab"]):
                if str(value) == "nan":
                    continue  # it is not equal to itself
                frame = serializer.serialize({**fields, name: value})
                assert decode(frame) == envelope._checked(serializer.deserialize(frame)), (name, value)
            frame = serializer.serialize({key: value for key, value in fields.items() if key != name})
            assert decode(frame) == envelope._checked(serializer.deserialize(frame)), name


def test_a_single_packed_item_is_sent_as_it_is() -> None:
    message = decode(encode(Message("DATA", "t", id=3, body=serializer.serialize({"a": 1}), n=1)))
    assert message is not None
    assert (message.data, message.ranges) == ({"a": 1}, [(3, 1)])


LARGE = serializer.serialize({"x": bytes(envelope.OWN_FRAME)})


@pytest.mark.parametrize(
    ("message", "data"),
    [
        (Message("DATA", "T", ids=[(3, 1)], run="r", body=LARGE, n=1), [{"x": bytes(envelope.OWN_FRAME)}]),
        (Message("FAIL", "T", id=3, run="r", body=LARGE), {"x": bytes(envelope.OWN_FRAME)}),
    ],
)
def test_a_large_dictionary_is_a_frame_of_its_own(message: Message, data: Any) -> None:
    parts = envelope.frames(message)
    assert len(parts) == 2
    assert parts[1] is LARGE, "it is not copied"
    for own in (parts[1], memoryview(parts[1])):
        opened = decode(parts[0], own)
        assert opened is not None
        assert (opened.data, opened.run, opened.ids, opened.id) == (data, "r", message.ids, message.id)
    assert envelope.joined(parts) == encode(message)


@pytest.mark.parametrize(
    "message",
    [
        Message("DATA", "T", ids=[(0, 1)], body=LARGE[: envelope.OWN_FRAME - 1], n=1),  # not large
        Message("DATA", "T", ids=[(0, 2)], body=LARGE + b"\x80", n=2),
        Message("DATA", "T", id=0, body=LARGE, n=1),  # to a worker in lock-step
        Message("RDY", credit=1),
    ],
)
def test_all_else_is_one_frame(message: Message) -> None:
    assert envelope.frames(message) == [encode(message)]
    assert envelope.joined(envelope.frames(message)) == encode(message)


@pytest.mark.parametrize(
    ("data", "own"),
    [
        ([None], b"\xc1"),
        ([None], b""),
        ([None], b"\x80\x80"),
        ([1], b"\x80"),
        ([None, None], b"\x80"),
        ({}, b"\x80"),
    ],
)
def test_a_second_frame_that_does_not_fit_makes_it_no_message(data: Any, own: bytes) -> None:
    assert decode(msgpack.packb({"type": "DATA", "task": "T", "data": data}), own) is None
    assert decode(b"", own) is None


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65535, 65536])
def test_array_header_is_msgpacks_own(count: int) -> None:
    assert envelope.array_header(count) == msgpack.Packer().pack_array_header(count)


def test_an_empty_frame_is_a_message_without_anything() -> None:
    assert decode(b"") == Message(messages.MESSAGE_TYPE_EMPTY)


# -- hostile input ----------------------------------------------------------


@given(st.binary(max_size=200))
def test_random_bytes_never_raise(frame: bytes) -> None:
    decode(frame)


@given(MESSAGES, st.data())
def test_a_damaged_envelope_never_raises(message: Message, data: st.DataObject) -> None:
    frame = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    decode(bytes(frame[: data.draw(st.integers(0, len(frame)))]))


ABSURD: list[Any] = [
    -1, MAX_NUMBER, 2**64 - 1, -(2**63), 1.0, math.nan, math.inf, True, "1", b"1", [], [1], {}, {1: 1},
    [[0]], [[0, 0]], [[0, -1]], [[-1, 1]], [[0, 1, 2]], [["0", 1]], [[0, 1.0]], [[True, True]], [None],
    [[0, MAX_NUMBER]], "text", datetime(2020, 1, 1, tzinfo=timezone.utc),
]  # fmt: skip
FITS: dict[str, list[Any]] = {
    **{name: ["1", "text"] for name in ("type", "task", *envelope._TEXTS)},
    **{name: [[]] for name in envelope._RANGES},
    "settled": [{}],
    "error": [{}, {1: 1}],
}


@pytest.mark.parametrize("name", ["type", "task", *OPTIONAL])
def test_a_field_of_a_wrong_kind_makes_it_no_message(name: str) -> None:
    for value in ABSURD:
        frame = serializer.serialize({"type": "DATA", "task": "t", "data": {}, name: value})
        assert (decode(frame) is not None) == (value in FITS.get(name, [])), value


def test_a_number_beyond_64_bits_makes_it_no_message() -> None:
    # 10**20 as an extension type, which is what senders with big numbers may try
    credit = msgpack.ExtType(42, (10**20).to_bytes(9, "big"))
    assert decode(msgpack.packb({"type": "RDY", "task": "", "credit": credit})) is None


@pytest.mark.parametrize("settled", [{1: []}, {"t": [[0, 0]]}, {"t": {}}, {"t": [[0, 1], 2]}])
def test_settled_maps_task_types_to_ranges(settled: dict[Any, Any]) -> None:
    assert decode(serializer.serialize({"type": "METADATA", "settled": settled})) is None


@pytest.mark.parametrize("value", [None, 1, "text", [], [{"type": "RDY"}]])
def test_what_is_not_a_map_is_no_message(value: Any) -> None:
    assert decode(serializer.serialize(value)) is None


@pytest.mark.parametrize("opener", [b"\x91", b"\x81\xa1a", b"\x81\x91", b"\xdd\xff\xff\xff\xff"])
def test_deep_nesting_and_false_lengths_are_no_message(opener: bytes) -> None:
    assert decode(b"\x82\xa4type\xa3RDY\xa4data" + opener * 100_000 + b"\x01") is None
    assert decode(opener * 100_000) is None


def test_unknown_keys_and_a_missing_task_do_no_harm() -> None:
    frame = serializer.serialize({"type": "RDY", "credit": 3, "new": 1, 5: "five", None: 1})
    assert decode(frame) == Message("RDY", "", credit=3)


def test_too_many_ranges_make_it_no_message() -> None:
    many = [[2 * n, 1] for n in range(envelope.MAX_RANGES + 1)]
    assert decode(serializer.serialize({"type": "ACK", "ids": many})) is None
    assert decode(serializer.serialize({"type": "ACK", "ids": many[1:]})) is not None


def test_what_a_distributor_has_settled_can_always_be_told() -> None:
    # each open task splits the settled ones once
    assert Options().max_open + 1 < envelope.MAX_RANGES


# what a worker says of a failure is sent on to the collector: it must be possible to pack it again
@pytest.mark.parametrize(
    ("error", "kept"),
    [
        ({"type": "E", "text": datetime(2020, 1, 1, tzinfo=timezone.utc)}, {"type": "E"}),
        ({"type": 1, "text": "\ud800", "retry": 0}, {"text": "\ud800"}),
        ({"retry": False, "more": {"a": 1}, 5: 6}, {"retry": False}),
        (
            {"traceback": "x" * (envelope.MAX_ERROR_TEXT + 1)},
            {"traceback": "x" * envelope.MAX_ERROR_TEXT},
        ),
    ],
)
def test_an_error_is_reduced_to_what_it_may_say(error: dict[Any, Any], kept: dict[str, Any]) -> None:
    message = decode(serializer.serialize({"type": "FAIL", "error": error}))
    assert message is not None
    assert message.error == kept
    assert decode(encode(message)) == message


# -- pieces -----------------------------------------------------------------


def spread(ranges: list[Range]) -> list[int]:
    return [number for first, count in ranges for number in range(first, first + count)]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), max_size=6), st.data())
def test_part_is_a_slice_of_the_ids(ranges: list[Range], data: st.DataObject) -> None:
    ids = spread(ranges)
    skip = data.draw(st.integers(0, len(ids) + 2))
    keep = data.draw(st.integers(0, len(ids) + 2))
    assert spread(envelope.part(ranges, skip, keep)) == ids[skip : skip + keep]
    assert envelope.total(ranges) == len(ids)


@given(st.lists(DATA, max_size=12), st.data())
def test_cut_is_a_slice_of_the_packed_items(items: list[Any], data: st.DataObject) -> None:
    packed = [serializer.serialize(item) for item in items]
    skip = data.draw(st.integers(0, len(items)))
    keep = data.draw(st.integers(0, len(items) - skip))
    assert envelope.cut(b"".join(packed), skip, keep) == b"".join(packed[skip : skip + keep])
