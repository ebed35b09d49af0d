"""Addresses and task types: what may be declared, and what is said about the rest."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import pytest

from zmqpipeline.descriptors import MAX_IPC_PATH, EndpointAddress, TaskType
from zmqpipeline.errors import DeclarationError, EndpointError

VALID = [
    "tcp://127.0.0.1:5555",
    "tcp://localhost:1",
    "tcp://some-host.example_1.org:65535",
    "tcp://*:5555",
    "tcp://[::1]:5555",
    "tcp://[2001:db8::1]:5555",
    "tcp://[fe80::1%eth0]:5555",
    "tcp://eth0:5555",
    "ipc://worker.ipc",
    "ipc://run/worker.ipc",
    "ipc:///run/worker.ipc",
    "ipc://" + "x" * MAX_IPC_PATH,
    "inproc://threadworker",
]

INVALID = [
    ("", "it is empty"),
    ("localhost:5555", "no scheme"),
    ("tcp:/localhost:5555", "no scheme"),
    ("tpc://localhost:5555", "did you mean tcp?"),
    ("TCP://localhost:5555", "did you mean tcp?"),
    ("http://localhost:5555", "use tcp, ipc or inproc"),
    ("://localhost:5555", "use tcp, ipc or inproc"),
    ("tcp://localhost", "no port"),
    ("tcp://localhost:", "no port"),
    ("tcp://[::1]", "no port"),
    ("tcp://:5555", "no host"),
    ("tcp://", "no port"),
    ("tcp://h:*", "the port '*'"),
    ("tcp://h:0", "from 1 to 65535"),
    ("tcp://h:65536", "from 1 to 65535"),
    ("tcp://h:-1", "from 1 to 65535"),
    ("tcp://h:+1", "from 1 to 65535"),
    ("tcp://h:1_0", "from 1 to 65535"),
    ("tcp://h:" + "9" * 5000, "from 1 to 65535"),
    ("tcp://h:\u0665\u0665\u0665\u0665", "from 1 to 65535"),
    ("tcp://h:5555/", "from 1 to 65535"),
    ("tcp://::1:5555", "brackets"),
    ("tcp://2001:db8::1:5555", "brackets"),
    ("tcp://[::g]:5555", "not an IPv6 address"),
    ("tcp://[127.0.0.1]:5555", "not an IPv6 address"),
    ("tcp://256.0.0.1:5555", "not an IPv4 address"),
    ("tcp://1.2.3:5555", "not an IPv4 address"),
    ("tcp://user@host:5555", "is not a host"),
    ("tcp://h\u00f6st:5555", "is not a host"),
    ("tcp://-:5555", "is not a host"),
    ("tcp://my host:5555", "white space"),
    ("tcp://h:5555\n", "white space"),
    ("ipc://a\u00a0b", "white space"),
    ("ipc://a\0b", "control character"),
    ("ipc://a\x7fb", "control character"),
    ("ipc://a\udc80b", "control character or a byte that is no text"),
    ("ipc://", "no path"),
    ("ipc://@", "no path"),
    ("ipc://*", "the path '*'"),
    ("ipc:///run/", "names a folder"),
    ("ipc://" + "x" * (MAX_IPC_PATH + 1), f"takes {MAX_IPC_PATH + 1} bytes"),
    ("ipc://" + "\u20ac" * (MAX_IPC_PATH // 3 + 1), "bytes and this system allows"),
    ("inproc://", "no name"),
]


@pytest.mark.parametrize("address", VALID)
def test_valid_address(address: str) -> None:
    made = EndpointAddress(address)
    assert made == address
    assert f"{made.scheme}://{made.target}" == address
    assert EndpointAddress(made) == made


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="abstract sockets exist on Linux only")
def test_abstract_ipc_name() -> None:
    assert EndpointAddress("ipc://@name").target == "@name"


@pytest.mark.parametrize(("address", "said"), INVALID)
def test_invalid_address_says_which_and_why(address: str, said: str) -> None:
    with pytest.raises(EndpointError) as caught:
        EndpointAddress(address)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, AttributeError)
    text = str(caught.value)
    assert said in text
    assert len(text) < 500
    assert repr(address)[:100] in text
    assert "\n" not in text


@pytest.mark.parametrize("value", [None, 5555, b"tcp://127.0.0.1:5555", ["tcp://127.0.0.1:5555"]])
def test_address_that_is_no_str(value: Any) -> None:
    with pytest.raises(EndpointError, match=f"not {type(value).__name__}"):
        EndpointAddress(value)


class Role:
    endpoint = EndpointAddress("ipc://role.ipc")


def test_address_is_a_data_descriptor() -> None:
    role = Role()
    assert role.endpoint is Role.endpoint
    assert Role.endpoint.name == "endpoint"
    with pytest.raises(AttributeError, match=r"Role\.endpoint .* cannot be set"):
        role.endpoint = EndpointAddress("ipc://other.ipc")
    with pytest.raises(AttributeError, match=r"Role\.endpoint .* cannot be deleted"):
        del role.endpoint


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_and_copy_of_an_address(protocol: int) -> None:
    for made in (
        pickle.loads(pickle.dumps(Role.endpoint, protocol)),  # noqa: S301 - our own bytes
        copy.copy(Role.endpoint),
        copy.deepcopy(Role.endpoint),
    ):
        assert type(made) is EndpointAddress
        assert made == "ipc://role.ipc"
        assert made.name == "endpoint"


@pytest.fixture(autouse=True)
def no_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskType, "ALL_TASK_TYPES", set())


def test_registered_type() -> None:
    assert not TaskType.IsValid("RESIZE")
    made = TaskType.register_type("RESIZE")
    assert type(made) is TaskType
    assert TaskType.register_type("RESIZE") == made == "RESIZE"
    assert TaskType("RESIZE") == made
    assert TaskType.IsValid("RESIZE")
    assert sorted(TaskType.ALL_TASK_TYPES) == ["RESIZE"]


def test_empty_type_is_always_valid() -> None:
    assert [TaskType(""), TaskType()] == ["", ""]
    assert TaskType.IsValid("")
    assert not TaskType.IsValid(None)


def test_unregistered_type_says_how_to_register_and_what_is_close() -> None:
    TaskType.register_type("RESIZE")
    with pytest.raises(DeclarationError) as caught:
        TaskType("REZISE")
    assert isinstance(caught.value, TypeError)
    assert "register_type('REZISE')" in str(caught.value)
    assert "did you mean 'RESIZE'?" in str(caught.value)


@pytest.mark.parametrize("value", ["", "a\nb", "\0", None, 5, b"a"])
def test_type_that_cannot_be_registered(value: Any) -> None:
    with pytest.raises(DeclarationError):
        TaskType.register_type(value)
    assert not TaskType.ALL_TASK_TYPES


@pytest.mark.parametrize("value", [None, 5, b"a"])
def test_type_that_is_no_str(value: Any) -> None:
    with pytest.raises(DeclarationError, match="a task type is a str"):
        TaskType(value)


def test_pickle_and_copy_of_a_type() -> None:
    made = TaskType.register_type("RESIZE")
    for again in (
        pickle.loads(pickle.dumps(made)),  # noqa: S301 - our own bytes
        copy.deepcopy(made),
        pickle.loads(pickle.dumps(TaskType())),  # noqa: S301 - our own bytes
    ):
        assert type(again) is TaskType
        assert again in {"RESIZE", ""}


def test_pickled_type_is_registered_where_it_is_opened() -> None:
    pickled = pickle.dumps(TaskType.register_type("ELSEWHERE"))
    program = f"import pickle; print(pickle.loads({pickled!r}))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "ELSEWHERE"
