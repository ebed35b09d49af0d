"""How a log line is written on stderr."""

from __future__ import annotations

import logging

import pytest

from zmqpipeline.cli.logs import Once

#: clears the screen, goes to the begin of the line, gives the window a title
HOSTILE = "\x1b[2Ja\rb\x1b]0;c\x07\u202ed\x9be"


def formatted(logger: str, message: str) -> str:
    record = logging.LogRecord(logger, logging.INFO, __file__, 1, "%s", (message,), None)
    return Once("%(levelname)s %(message)s", "Keeps").format(record)


def test_its_own_name_is_left_out() -> None:
    assert formatted("zmqpipeline.collector", "Keeps waits for it") == "INFO waits for it"


def test_a_terminal_obeys_nothing_that_a_task_says_in_its_error() -> None:
    found = formatted("zmqpipeline.collector", f"failed: {HOSTILE}\n\tTraceback: {HOSTILE}")
    shown = " [2Ja b ]0;c  d e"
    assert found == f"INFO failed: {shown}\n\tTraceback: {shown}"


@pytest.mark.parametrize("logger", ["program", "root"])
def test_what_the_program_logs_is_its_own_business(logger: str) -> None:
    assert formatted(logger, "\x1b[32mgreen\x1b[0m") == "INFO \x1b[32mgreen\x1b[0m"
