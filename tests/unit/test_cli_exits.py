"""Which exit code and sentence an exception ends in."""

from __future__ import annotations

import errno
import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq

from zmqpipeline import EndpointAddress, MetaDataWorker
from zmqpipeline.cli.exits import CommandError, Exit, is_starved, of_exception, trimmed_traceback
from zmqpipeline.errors import (
    BindError,
    DeclarationError,
    EndpointError,
    JournalError,
    PeerTimeoutError,
    SerializationError,
)
from zmqpipeline.wire.serializer import serialize

if TYPE_CHECKING:
    from collections.abc import Callable


class Knows(MetaDataWorker):
    """A role whose get_metadata(), which the library calls first of all, raises what it is told."""

    endpoint = EndpointAddress("inproc://nobody")
    raises: Callable[[], object] = staticmethod(lambda: None)

    def get_metadata(self) -> dict[str, object]:
        self.raises()
        return {}


def raised(action: Callable[[], object]) -> BaseException:
    try:
        action()
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError("nothing was raised")


def from_user_code(action: Callable[[], object]) -> BaseException:
    role = Knows()
    role.raises = action
    return raised(role.run)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (BindError("cannot bind 'x'"), Exit.CANNOT_BIND, "Name: cannot bind 'x'"),
        (JournalError("the journal 'x' is"), Exit.JOURNAL, "Name: the journal 'x' is"),
        (PeerTimeoutError("x has been gone"), Exit.PEER_TIMEOUT, "Name: x has been gone"),
        (DeclarationError("class A: b"), Exit.WRONG_DECLARATION, "class A: b"),
        (EndpointError("'x' is not valid"), Exit.WRONG_DECLARATION, "'x' is not valid"),
        (SerializationError("A.handle: data['a']"), Exit.USER_CODE, "Name: A.handle: data['a']"),
        (TypeError("A.handle returned list"), Exit.USER_CODE, "Name: A.handle returned list"),
        (CommandError("this is wrong", Exit.WRONG_FILE), Exit.WRONG_FILE, "this is wrong"),
        (KeyboardInterrupt(), Exit.INTERRUPTED, "Name was interrupted"),
    ],
)
def test_errors_of_the_library_are_a_sentence(error: BaseException, code: Exit, sentence: str) -> None:
    ending = of_exception(error, "Name")
    assert (ending.code, ending.sentence, ending.details) == (code, sentence, "")


def test_an_exception_of_user_code_names_class_and_method_and_shows_user_frames_only() -> None:
    ending = of_exception(from_user_code(lambda: json.loads("{")), "Name")
    assert ending.code == Exit.USER_CODE
    assert ending.sentence.startswith("Knows.get_metadata() raised JSONDecodeError: ")
    assert "role.py" not in ending.details
    assert "in get_metadata" in ending.details
    assert "json" in ending.details  # what user code called is of interest


def test_an_error_of_the_library_inside_user_code_is_user_code_s() -> None:
    ending = of_exception(from_user_code(lambda: serialize({"a": object()})), "Name")
    assert ending.code == Exit.USER_CODE
    assert ending.sentence.startswith("Knows.get_metadata() raised SerializationError")
    assert "serializer.py" not in ending.details


def test_sys_exit_in_user_code_is_an_error_of_it() -> None:
    ending = of_exception(from_user_code(lambda: sys.exit(0)), "Name")
    assert ending.code == Exit.USER_CODE
    assert ending.sentence == "Knows.get_metadata() called sys.exit(0), which would end the role"


def test_causes_are_trimmed_as_well() -> None:
    def chained() -> None:
        try:
            serialize({"a": object()})
        except TypeError as error:
            raise RuntimeError("because") from error

    text = trimmed_traceback(from_user_code(chained))
    assert "direct cause" in text
    assert "serializer.py" not in text
    assert "role.py" not in text


def test_an_error_of_the_library_itself_is_shown_in_full() -> None:
    from zmqpipeline.cli import exits  # noqa: PLC0415

    error = raised(lambda: exits.described("x"))  # type: ignore[arg-type]
    lost = raised(lambda: (_ for _ in ()).throw(KeyError("lost")))
    assert isinstance(error, TypeError)
    ending = of_exception(lost, "Name")
    assert ending.code == Exit.INTERNAL
    assert "Traceback" in ending.details


def test_every_code_is_distinct() -> None:
    assert len({code.value for code in Exit}) == len(Exit.__members__)


def too_many_threads() -> None:
    before = threading.stack_size(1 << 50)  # no machine has so much
    try:
        threading.Thread(target=print).start()
    finally:
        threading.stack_size(before)


def refused_by_zmq() -> None:
    raise zmq.ZMQError(errno.ENOMEM)


@pytest.mark.parametrize(
    ("action", "starved"),
    [
        (lambda: bytearray(1 << 62), True),
        (too_many_threads, True),
        (refused_by_zmq, True),
        (lambda: Path("/nowhere").read_text(), False),
        (lambda: int("x"), False),
    ],
)
def test_what_another_process_may_have_is_told_from_errors(
    action: Callable[[], object], starved: bool
) -> None:
    assert is_starved(raised(action)) is starved
