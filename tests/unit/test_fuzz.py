"""Whatever takes bytes from a socket, or from a file, takes them all, or drops or refuses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import budget
from tests.fuzz.machines import LIFE, TASK
from tests.fuzz.targets import TARGETS, joined
from tests.unit.simulated.source import RUN
from zmqpipeline.wire import envelope, messages, serializer

CRASHES = Path(__file__).parents[1] / "fuzz" / "crashes"

#: the numbers that matter: those of tasks that there are, and the ends of what is allowed
NUMBERS = st.integers(-1, 25) | st.sampled_from(
    [10**12, envelope.MAX_NUMBER - 1, envelope.MAX_NUMBER, 2**64 - 1]
)
RANGES = st.lists(st.tuples(NUMBERS, NUMBERS).map(list), max_size=4)
#: also of deep values, which can be unpacked and not packed again
DATA: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats() | st.text(max_size=4) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
TEXTS = st.sampled_from(["", TASK, "u", RUN, LIFE, "a", "b", "good", "\ud800"])
TYPES = st.sampled_from([v for k, v in sorted(vars(messages).items()) if k.startswith("MESSAGE_TYPE_")])
KNOWN = {
    "type": TYPES,
    "task": st.sampled_from([TASK, "", TASK, "u"]),
    "data": DATA | st.lists(st.fixed_dictionaries({"n": NUMBERS}), max_size=4),
    "run": st.sampled_from([RUN, RUN, "another run"]),
    "life": st.sampled_from([LIFE, "another life"]),
    "worker": TEXTS,
    **dict.fromkeys(("id", *envelope._NUMBERS), NUMBERS),
    **dict.fromkeys(envelope._RANGES, RANGES),
    "settled": st.dictionaries(TEXTS, RANGES, max_size=2),
    "error": st.fixed_dictionaries({}, optional={"type": TEXTS, "retry": st.booleans(), "text": DATA}),
}
#: envelopes, most of them valid, that speak of tasks that there are
ENVELOPES = st.fixed_dictionaries({"type": TYPES}, optional={n: s for n, s in KNOWN.items() if n != "type"})
WRONG = st.dictionaries(st.sampled_from(sorted(KNOWN)) | st.text(max_size=5), DATA, max_size=6)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Draw an envelope; some have a field of a wrong kind, and some are damaged or cut off."""
    fields = draw(st.one_of(ENVELOPES, ENVELOPES, ENVELOPES, WRONG))
    frame = bytearray(serializer.serialize(fields))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        frame[draw(st.integers(0, len(frame) - 1))] = draw(st.integers(0, 255))
    return bytes(frame[: draw(st.integers(0, len(frame)))]) if draw(st.integers(0, 9)) == 0 else bytes(frame)


SAYERS = st.integers(0, 255).map(lambda number: bytes([number]))
SPOKEN = st.lists(st.builds(bytes.__add__, SAYERS, frames()), max_size=12).map(joined)
OPENERS = st.sampled_from(
    [
        b"\x91",
        b"\x81\xa1a",
        b"\x81\x91",
        b"\xc7\x40\x05\x92\xa1x",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\x00\x01\x00\x00",
    ]
)
DEEP = st.builds(
    lambda opener, count: b"\x82\xa4type\xa3RDY\xa4data" + opener * count + b"\x01",
    OPENERS,
    st.integers(1, 1500),
)
LENGTHS = st.builds(
    lambda kind, n, rest: bytes([kind]) + n.to_bytes(4, "big") + rest,
    st.sampled_from([0xC6, 0xC9, 0xDB, 0xDD, 0xDF]),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=20),
)


@pytest.mark.parametrize("name", ["decode", "get", "deserialize", "header"])
@given(
    data=st.binary(max_size=200)
    | frames()
    | DEEP
    | LENGTHS
    | st.lists(frames(), max_size=2).map(lambda pair: b"\x00" + joined(pair))
)
@settings(max_examples=budget.examples(100))
def test_a_decoder_takes_whatever_comes(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize("name", ["dispatch", "assignment", "collector", "service"])
@given(data=SPOKEN)
@settings(max_examples=budget.examples(50))
def test_a_role_does_nothing_wrong_whoever_says_what(name: str, data: bytes) -> None:
    TARGETS[name](data)


@given(st.binary(max_size=60))
@settings(max_examples=budget.examples(100))
def test_connections_are_counted_whatever_becomes_of_them(data: bytes) -> None:
    TARGETS["monitor"](data)


@given(st.binary(max_size=40))
@example(b"")
@settings(max_examples=budget.examples(30))
def test_a_damaged_journal_is_refused_or_read(data: bytes) -> None:
    TARGETS["journal"](data)


@pytest.mark.parametrize("path", sorted(CRASHES.glob("*-*")), ids=lambda path: path.name)
def test_what_was_a_crash_is_none(path: Path) -> None:
    """The name of each file is that of its target, a hyphen, and what it was."""
    TARGETS[path.name.partition("-")[0]](path.read_bytes())
