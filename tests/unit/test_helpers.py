"""What a role binds for the address that its peers connect to."""

from __future__ import annotations

from typing import Any

import pytest
import zmq

from zmqpipeline import zhelpers
from zmqpipeline.errors import EndpointError
from zmqpipeline.helpers import endpoint_binding, valid_endpoint


@pytest.mark.parametrize(
    ("address", "bound"),
    [
        ("tcp://host:5555", "tcp://*:5555"),
        ("tcp://192.168.1.1:5555", "tcp://*:5555"),
        ("tcp://0.0.0.0:5555", "tcp://*:5555"),
        ("tcp://*:5555", "tcp://*:5555"),
        ("tcp://localhost:5555", "tcp://127.0.0.1:5555"),
        ("tcp://LocalHost.:5555", "tcp://127.0.0.1:5555"),
        ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5555"),
        ("tcp://127.8.9.1:5555", "tcp://127.8.9.1:5555"),
        ("tcp://[::1]:5555", "tcp://[::1]:5555"),
        ("tcp://[0:0::1]:5555", "tcp://[0:0::1]:5555"),
        ("tcp://[::ffff:127.0.0.1]:5555", "tcp://[::ffff:127.0.0.1]:5555"),
        ("tcp://[2001:db8::1]:5555", "tcp://[::]:5555"),
        ("tcp://[fe80::1%eth0]:5555", "tcp://[::]:5555"),
        ("tcp://[::]:5555", "tcp://[::]:5555"),
        ("ipc://worker.ipc", "ipc://worker.ipc"),
        ("ipc:///run/worker.ipc", "ipc:///run/worker.ipc"),
        ("inproc://threads", "inproc://threads"),
    ],
)
def test_endpoint_binding(address: str, bound: str) -> None:
    assert valid_endpoint(address) is True
    assert endpoint_binding(address) == bound
    assert type(endpoint_binding(address)) is str


@pytest.mark.parametrize("address", ["tpc://host:5555", "tcp://host", "", None, 5])
def test_invalid_input_raises(address: Any) -> None:
    with pytest.raises(EndpointError):
        valid_endpoint(address)
    with pytest.raises(EndpointError):
        endpoint_binding(address)


def test_dump_prints_text_and_hexadecimal(capsys: pytest.CaptureFixture[str]) -> None:
    printed = zhelpers.dump([b"", b"hello", b"\x00\xff", zmq.Frame(b"RDY")])
    assert printed.splitlines()[1:] == ["[000] ", "[005] hello", "[002] 0x00ff", "[003] RDY"]
    assert capsys.readouterr().out == printed


def test_zpipe_connects_and_dump_receives(capsys: pytest.CaptureFixture[str]) -> None:
    with zmq.Context() as context:
        near, far = zhelpers.zpipe(context)
        with near, far:
            near.send_multipart([b"a", b"b"])
            assert zhelpers.dump(far) == capsys.readouterr().out
            far.send(b"back")
            assert near.recv() == b"back"


def test_set_id_is_unique_and_prefixed() -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as one, context.socket(zmq.DEALER) as two:
        first, second = zhelpers.set_id(one, "worker"), zhelpers.set_id(two)
        assert first.startswith(b"worker")
        assert first != second
        assert one.getsockopt(zmq.IDENTITY) == first
        with pytest.raises(ValueError, match="at most 223"):
            zhelpers.set_id(one, "x" * 224)
