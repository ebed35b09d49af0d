"""Plain log lines on stderr, for a program that has not set up its own."""

from __future__ import annotations

import logging
import os

#: what --log-level takes
LEVELS = ("debug", "info", "warning", "error", "critical")
#: the environment variable that --log-level goes before
VARIABLE = "ZMQPIPELINE_LOG_LEVEL"


class Once(logging.Formatter):
    """Leaves out what a role calls itself in its lines, because its name stands in front of each.

    Parameters
    ----------
    form
        see :class:`logging.Formatter`
    subject
        what the role calls itself

    """

    def __init__(self, form: str, subject: str) -> None:
        super().__init__(form, "%H:%M:%S")
        self._subject = subject

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base's name
        """Format one line."""
        text = record.message
        if record.name.startswith("zmqpipeline"):
            text = text.removeprefix(f"{self._subject}: ").removeprefix(f"{self._subject} ")
        record.message = text
        return super().formatMessage(record)


def configure(level: str | None, role: str, subject: str, *, prefixed: bool) -> None:
    """Log to stderr, with time, role and process id, unless the program has handlers already.

    Parameters
    ----------
    level
        the option's value; None for the environment's, or else ``info``
    role
        what the file calls the role
    subject
        what the role calls itself
    prefixed
        whether whoever reads stderr puts role and process id before each line anyway

    """
    chosen = level or os.environ.get(VARIABLE, "").lower()
    number = getattr(logging, chosen.upper()) if chosen in LEVELS else logging.INFO
    root, library = logging.getLogger(), logging.getLogger("zmqpipeline")
    own = [handler for handler in library.handlers if not isinstance(handler, logging.NullHandler)]
    if root.handlers or own:
        if chosen in LEVELS:
            library.setLevel(number)
        return
    who = "" if prefixed else f"{role}[{os.getpid()}] "
    handler = logging.StreamHandler()
    handler.setFormatter(Once(f"%(asctime)s {who.replace('%', '%%')}%(levelname)s %(message)s", subject))
    logging.basicConfig(level=number, handlers=[handler])
