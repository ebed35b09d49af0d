"""What the ZAP handler answers, without sockets: whatever is not as it should be is refused."""

from __future__ import annotations

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from zmq.utils import z85

from zmqpipeline.wire import refusal, zap
from zmqpipeline.wire.refusal import Refusal

KEY = bytes(range(32))
DOMAIN = b"zmqpipeline-1"


class Names:
    """Knows one key, or fails."""

    def __init__(self, error: Exception | None = None, name: str = "node") -> None:
        self.error = error
        self.name = name

    def name_of(self, key: str) -> str | None:
        if self.error is not None:
            raise self.error
        return self.name if key == z85.encode(KEY).decode() else None


def domain(error: Exception | None = None) -> zap.Domain:
    return zap.Domain(DOMAIN.decode(), Names(error), None)  # type: ignore[arg-type] # it is not closed


def request(**changed: bytes) -> list[bytes]:
    fields = {
        "version": b"1.0",
        "number": b"7",
        "domain": DOMAIN,
        "address": b"127.0.0.1",
        "identity": b"",
        "mechanism": b"CURVE",
        "credentials": KEY,
    }
    return list({**fields, **changed}.values())


def test_who_is_on_the_list_gets_in_by_name() -> None:
    asked = domain()
    assert zap.reply(request(), {DOMAIN: asked}) == [b"1.0", b"7", b"200", b"OK", b"node", b""]


def test_who_is_on_the_list_in_a_file_whose_name_is_no_text_gets_in() -> None:
    asked = zap.Domain(DOMAIN.decode(), Names(name="n\udcff"), None)  # type: ignore[arg-type] # not closed
    assert zap.reply(request(), {DOMAIN: asked})[2:5] == [b"200", b"OK", b"n\xff"]


def test_another_key_is_refused_and_remembered() -> None:
    asked = domain()
    answer = zap.reply(request(credentials=bytes(32)), {DOMAIN: asked})
    assert answer[:4] == [b"1.0", b"7", b"400", b"this key is not authorized"]
    assert asked.last_key == z85.encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "changed",
    [
        {"mechanism": b"NULL"},
        {"mechanism": b"PLAIN"},
        {"mechanism": b"curve"},
        {"credentials": b""},
        {"credentials": KEY[:-1]},
        {"credentials": KEY + b"x"},
        {"credentials": z85.encode(KEY)},
        {"more": b"x"},
    ],
)
def test_what_is_no_key_is_refused(changed: dict[str, bytes]) -> None:
    asked = domain()
    assert zap.reply(request(**changed), {DOMAIN: asked})[2] == b"400"


@pytest.mark.parametrize("name", [b"", b"zmqpipeline", b"zmqpipeline-2"])
def test_another_domain_is_refused(name: bytes) -> None:
    assert zap.reply(request(domain=name), {DOMAIN: domain()})[:3] == [b"1.0", b"7", b"400"]


@pytest.mark.parametrize("version", [b"", b"1.1", b"2.0"])
def test_another_version_is_refused(version: bytes) -> None:
    assert zap.reply(request(version=version), {DOMAIN: domain()})[2] == b"500"


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("gone"), KeyError("gone"), MemoryError()])
def test_a_list_that_cannot_be_read_lets_nobody_in(error: Exception) -> None:
    asked = domain(error)
    assert zap.reply(request(), {DOMAIN: asked})[2] == b"500"
    assert asked.problem == (str(error) or "MemoryError")


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"1.0", DOMAIN, b"CURVE", KEY]), max_size=9))
def test_whatever_is_asked_is_answered(frames: list[bytes]) -> None:
    answer = zap.reply(frames, {DOMAIN: domain()})
    assert len(answer) == 6
    assert answer[0] == b"1.0"
    allowed = len(frames) == 7 and frames[:1] + frames[2:3] + frames[5:] == [b"1.0", DOMAIN, b"CURVE", KEY]
    assert answer[2] in ((b"200",) if allowed else (b"400", b"500"))


def test_each_event_of_a_handshake_that_failed_has_a_reason() -> None:
    auth, protocol = zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    assert refusal.of(auth, 400) is Refusal.NOT_LISTED
    assert refusal.of(protocol, zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH) is Refusal.ONE_SIDED
    assert refusal.of(protocol, zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC) is Refusal.OTHER_PIPELINE
    assert refusal.of(protocol, zmq.PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND) is Refusal.BROKEN
    assert refusal.of(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, 32) is Refusal.BROKEN
