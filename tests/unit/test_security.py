"""What may be bound without keys."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import zmqpipeline
from zmqpipeline import security
from zmqpipeline.errors import DeclarationError, SecurityError

LOGGER = logging.getLogger("zmqpipeline.test")
OPEN = ["tcp://*:5000", "tcp://10.0.0.1:5000", "tcp://node:5000", "tcp://[::]:5000", "tcp://[fe80::1]:5000"]
CLOSED = [
    "tcp://localhost:5000", "tcp://127.0.0.1:5000", "tcp://127.1.2.3:5000", "tcp://[::1]:5000",
    "tcp://[::ffff:127.0.0.1]:5000", "ipc://x.ipc", "inproc://x",
]  # fmt: skip


@pytest.mark.parametrize("address", OPEN)
def test_each_open_address_is_warned_of_once(address: str, caplog: pytest.LogCaptureFixture) -> None:
    security.check([*CLOSED, address, None], LOGGER, "Role")
    expected = (
        f"Role: whoever can connect to {address} takes part: make keys with: zmqpipeline keys new FOLDER, "
        "then set ZMQPIPELINE_KEYS=FOLDER in every process"
    )
    assert [record.getMessage() for record in caplog.records] == [expected]


@pytest.mark.parametrize("by", ["program", "environment"])
def test_keys_can_be_required(
    by: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if by == "program":
        monkeypatch.setattr(zmqpipeline.Security, "required", True)
    else:
        monkeypatch.setenv("ZMQPIPELINE_SECURITY", "required")
    security.check(CLOSED, LOGGER, "Role")
    for address in OPEN:
        with pytest.raises(SecurityError, match="is open to the network, and keys are required: make keys"):
            security.check([*CLOSED, address], LOGGER, "Role")
    assert caplog.records == []


def test_a_misspelt_word_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZMQPIPELINE_SECURITY", "require")
    with pytest.raises(
        SecurityError, match="ZMQPIPELINE_SECURITY is 'require', expected 'required', or that it is not set"
    ):
        security.check(CLOSED, LOGGER, "Role")
    monkeypatch.setenv("ZMQPIPELINE_SECURITY", "")
    security.check(CLOSED, LOGGER, "Role")


@pytest.mark.parametrize("wrong", [5, ""])
def test_keys_are_a_path(wrong: Any) -> None:
    service = zmqpipeline.Service("ipc://front.ipc", "ipc://back.ipc")
    service.keys = wrong
    expected = f"class Service: keys is {wrong!r}, expected the path of a folder or"
    with pytest.raises(DeclarationError, match=expected):
        service.run()
