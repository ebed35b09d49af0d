"""Messages, and whatever else arrives."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

import msgpack
import pytest
import zmq
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import budget
from zmqpipeline.errors import SerializationError
from zmqpipeline.wire import messages

if TYPE_CHECKING:
    from collections.abc import Callable

UNKNOWN: tuple[Any, str, str] = ({}, "", messages.MESSAGE_TYPE_UNKNOWN)


def test_constants_are_the_originals() -> None:
    assert messages.ALL_MESSAGE_TYPES == ("ACK", "OK", "FAIL", "RDY", "END", "DATA", "METADATA", "")
    assert messages.MESSAGE_TYPE_UNKNOWN == "UNK"
    assert messages.MESSAGE_TYPE_ROUTING == "RTE"


def test_types_are_distinct() -> None:
    types = [value for name, value in vars(messages).items() if name.startswith("MESSAGE_TYPE_")]
    assert len(types) == len(set(types)) == 16


@pytest.mark.parametrize(
    ("create", "msgtype"),
    [
        (messages.create_ack, "ACK"),
        (messages.create_success, "OK"),
        (messages.create_failure, "FAIL"),
        (messages.create_empty, ""),
        (messages.create_ready, "RDY"),
        (messages.create_end, "END"),
        (messages.create_routing, "RTE"),
    ],
)
def test_create_and_get(create: Callable[..., bytes], msgtype: str) -> None:
    assert messages.get(create()) == ("", "", msgtype)
    assert messages.get(create("T", {"a": 1})) == ({"a": 1}, "T", msgtype)
    assert messages.get(create(task="T", data=[1])) == ([1], "T", msgtype)


def test_data_and_metadata() -> None:
    moment = datetime(2024, 1, 2, tzinfo=timezone.utc)
    assert messages.get(messages.create_data("T", {"when": moment})) == ({"when": moment}, "T", "DATA")
    assert messages.get(messages.create_metadata({"a": 1})) == ({"a": 1}, "", "METADATA")
    assert messages.get(messages.introduce_metadata({"a": 1}, {"pid": 7})) == ({"a": 1}, "", "METADATA")
    assert messages.get(messages.create("x", "T", "RESET")) == ("x", "T", "RESET")


def test_envelope_is_a_map_of_three() -> None:
    assert msgpack.unpackb(messages.create({"a": 1}, "T", "DATA")) == {
        "data": {"a": 1},
        "task": "T",
        "type": "DATA",
    }


def test_what_is_missing_has_a_default_and_what_is_more_is_ignored() -> None:
    assert messages.get(msgpack.packb({})) == ({}, "", "")
    assert messages.get(msgpack.packb({"type": "RDY", "id": 5, 7: 8})) == ({}, "", "RDY")


def test_get_opens_frames() -> None:
    packed = messages.create_ready("T")
    expected = ("", "T", "RDY")
    for form in (packed, bytearray(packed), memoryview(packed), zmq.Frame(packed)):
        assert messages.get(form) == expected
        assert messages.get([b"id", b"", form]) == expected
        assert messages.get((form,)) == expected


class Hostile(list[Any]):
    def __getitem__(self, index: SupportsIndex | slice) -> NoReturn:
        raise RuntimeError


@pytest.mark.parametrize(
    "msg",
    [
        None,
        "RDY",
        5,
        object(),
        [],
        [[]],
        [None],
        Hostile(),
        {},
        b"",
        b"\xc1",
        msgpack.packb([1, 2]),
        msgpack.packb("DATA"),
        msgpack.packb({"task": 5}),
        msgpack.packb({"task": b"T"}),
        msgpack.packb({"type": None}),
        msgpack.packb({"data": msgpack.ExtType(99, b"")}),
        b"\x91" * 5000,
    ],
)
def test_what_is_no_message(msg: Any) -> None:
    assert messages.get(msg) == UNKNOWN


@given(st.binary() | st.lists(st.binary()) | st.none() | st.text())
@example(b"\x80")
@settings(max_examples=budget.examples(250))
def test_get_never_raises(msg: Any) -> None:
    _, task, msgtype = messages.get(msg)
    assert type(task) is type(msgtype) is str


@given(st.text(), st.text(), st.recursive(st.none() | st.text(), st.lists))
@settings(deadline=None)
def test_round_trip(task: str, msgtype: str, data: Any) -> None:
    assert messages.get(messages.create(data, task, msgtype)) == (data, task, msgtype)


def test_create_names_what_it_cannot_pack() -> None:
    with pytest.raises(SerializationError, match=r"^data\['a'\]\[1\]: cannot serialize set") as caught:
        messages.create_data("T", {"a": [1, {2}]})
    assert caught.value.__cause__ is not None
    with pytest.raises(SerializationError, match="task: a str is expected, not int"):
        messages.create_data(5, {})  # type: ignore[arg-type]
    with pytest.raises(SerializationError, match="type: a str is expected, not NoneType"):
        messages.create({}, "", None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "program",
    [
        "import zmqpipeline.utils.messages as a; import zmqpipeline.wire.messages as b",
        "from zmqpipeline.utils import messages as a; from zmqpipeline.wire import messages as b",
        "from zmqpipeline.wire import messages as b; from zmqpipeline.utils import messages as a",
        "import zmqpipeline.utils.serializer as a; import zmqpipeline.wire.serializer as b",
        (
            "import importlib; a = importlib.import_module('zmqpipeline.utils.serializer')"
            "; from zmqpipeline.utils.serializer import serialize; import zmqpipeline.wire.serializer as b"
        ),
    ],
)
def test_one_module_under_two_names(program: str) -> None:
    # In a process of its own: what is imported first matters.
    subprocess.run([sys.executable, "-c", f"{program}; assert a is b, (a, b)"], check=True)


def test_kill_current_process() -> None:
    program = "from zmqpipeline.utils.shutdown import kill_current_process as kill; kill(); print('alive')"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ran.returncode == -9
    assert ran.stdout == b""
