"""Log lines on stderr, for a program that has not set up its own: plain ones, or objects of JSON."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from zmqpipeline.cli import jsonlines
from zmqpipeline.monitor import words

if TYPE_CHECKING:
    from zmqpipeline.cli.jsonlines import JsonLines
    from zmqpipeline.cli.voice import Voice

#: what --log-level takes
LEVELS = ("debug", "info", "warning", "error", "critical")
#: the environment variable that --log-level goes before
VARIABLE = "ZMQPIPELINE_LOG_LEVEL"


class Once(logging.Formatter):
    """Leaves out what a role calls itself in its lines, because its name stands in front of each.

    Of this library's lines nothing is obeyed by a terminal: errors of tasks have texts of other processes.

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
        record.message = _without(self._subject, record.name, record.message)
        if record.name.startswith("zmqpipeline"):  # in it may be what a peer has said
            record.message = words.lines(record.message)
        return super().formatMessage(record)


class Entries(logging.Handler):
    """Writes each record as an object of JSON.

    Parameters
    ----------
    sink
        what writes them
    subject
        what the role calls itself

    """

    def __init__(self, sink: JsonLines, subject: str) -> None:
        super().__init__()
        self._forms = logging.Formatter()
        self._sink = sink
        self._subject = subject

    def emit(self, record: logging.LogRecord) -> None:
        """Write one."""
        try:
            trace = [self._forms.formatException(record.exc_info)] if record.exc_info else []
            if record.stack_info:
                trace.append(record.stack_info)
            task = getattr(record, "task", None)
            self._sink.say(
                record.levelname.lower(),
                _without(self._subject, record.name, record.getMessage()),
                logger=record.name,
                exception="\n".join(trace),
                at=record.created,
                task=task if isinstance(task, str) else "",
            )
        except Exception:  # noqa: BLE001 - as every handler does it
            self.handleError(record)


def configure(level: str | None, voice: Voice, subject: str, *, prefixed: bool) -> None:
    """Log to stderr, with time, role and process id, unless the program has handlers already.

    Parameters
    ----------
    level
        the option's value; None for the environment's, or else ``info``
    voice
        whose lines they are
    subject
        what the role calls itself
    prefixed
        whether whoever reads stderr puts whose they are before each line anyway

    """
    sink = jsonlines.active()
    if sink is not None:
        sink.voice = voice
    chosen = level or os.environ.get(VARIABLE, "").lower()
    number = getattr(logging, chosen.upper()) if chosen in LEVELS else logging.INFO
    root, library = logging.getLogger(), logging.getLogger("zmqpipeline")
    own = [handler for handler in library.handlers if not isinstance(handler, logging.NullHandler)]
    if root.handlers or own:
        if chosen in LEVELS:
            library.setLevel(number)
        return
    handler: logging.Handler
    if sink is None:
        who = "" if prefixed else f"{voice.label} "
        handler = logging.StreamHandler()
        handler.setFormatter(Once(f"%(asctime)s {who.replace('%', '%%')}%(levelname)s %(message)s", subject))
    else:
        handler = Entries(sink, subject)
    logging.basicConfig(level=number, handlers=[handler])


def _without(subject: str, logger: str, text: str) -> str:
    if logger.startswith("zmqpipeline"):
        return text.removeprefix(f"{subject}: ").removeprefix(f"{subject} ")
    return text
