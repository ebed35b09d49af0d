"""``--log-json``: whatever a command says on stderr, an object of JSON a line."""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import sys
import threading
from datetime import datetime
from typing import Any

from zmqpipeline.cli.lines import LONGEST_LINE, Lines
from zmqpipeline.cli.voice import Voice

#: the environment's ``--log-json``
VARIABLE = "ZMQPIPELINE_LOG_JSON"
OPTION = "--log-json"
#: who logs what the command itself says, and what was written to stderr and not logged
COMMAND, PRINTED = "zmqpipeline.cli", "stderr"
#: of a message or traceback that makes its line too long so much is left, in characters
_CUT = LONGEST_LINE // 16
#: what :func:`_entry` begins each line with
_BEGINS = b'{"time": "'


class JsonLines(io.BufferedIOBase):
    """Takes the place of what is behind ``sys.stderr``, and writes each line that comes as an object.

    Each thread's lines are put together by themselves.

    Parameters
    ----------
    descriptor
        where the objects are written
    role
        what this process is called until :attr:`voice` says more

    """

    name = "<stderr>"

    def __init__(self, descriptor: int, role: str) -> None:
        self.voice = Voice(role, os.getpid())
        self._descriptor = descriptor
        self._lock = threading.RLock()
        self._begun: dict[int, Lines] = {}

    def say(  # noqa: PLR0913 - one for each thing that an object says
        self,
        level: str,
        text: str,
        *,
        logger: str = COMMAND,
        exception: str = "",
        at: float | None = None,
        task: str = "",
        voice: Voice | None = None,
    ) -> None:
        """Write one object.

        Parameters
        ----------
        level
            how much it matters, as ``--log-level`` calls it
        text
            the message
        logger
            the name of the logger
        exception
            a traceback, or nothing
        at
            when it was said, as a Unix time; None for now
        task
            the task type that it is about, if that is not the role's own
        voice
            who has said it; None for this process

        """
        # a process that the program has forked is another one
        voice = voice or self.voice._replace(pid=os.getpid(), task=task or self.voice.task)
        said = {"message": text, **({"exception": exception} if exception else {})}
        self.emit(_entry(voice, at, level, logger, said))

    def emit(self, line: bytes) -> None:
        """Write a line that is an object already."""
        left = memoryview(line + b"\n")
        # whoever read it may be gone; the work goes on
        with self._lock, contextlib.suppress(OSError):
            while left:
                left = left[os.write(self._descriptor, left) :]

    def take(self, line: bytes, voice: Voice) -> None:
        """Write a line of another process' stderr: as it is if that process writes objects itself."""
        if _is_entry(line):
            self.emit(line)
        else:
            self.say("info", _text(line), logger=PRINTED, voice=voice)

    def finish(self) -> None:
        """Write what came behind the last ends of lines."""
        for lines in list(self._begun.values()):
            for line in lines.rest():
                self.say("info", _text(line), logger=PRINTED)

    # -- as a file ----------------------------------------------------------

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def fileno(self) -> int:
        """Tell where the objects are written."""
        return self._descriptor

    def write(self, data: Any) -> int:
        """Take in what is printed to stderr."""
        lines = self._begun.setdefault(threading.get_ident(), Lines())
        for line in lines.feed(bytes(data)):
            self.say("info", _text(line), logger=PRINTED)
        return len(data)


def active() -> JsonLines | None:
    """Return what is behind ``sys.stderr``, if that is one of these."""
    buffer: object = getattr(sys.stderr, "buffer", None)
    return buffer if isinstance(buffer, JsonLines) else None


def is_wanted(arguments: list[str]) -> bool:
    """Tell whether the command line or the environment asks for it, before either is looked at closely."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return OPTION in options or os.environ.get(VARIABLE, "") not in ("", "0")


def speak(role: str) -> None:
    """Write objects of JSON, and nothing else, to stderr, until this process ends; so do those it starts.

    Parameters
    ----------
    role
        what this process is called until more is known

    """
    os.environ[VARIABLE] = "1"
    sys.stderr.flush()
    sink = JsonLines(sys.stderr.fileno(), role)
    atexit.register(sink.finish)
    sys.stderr = io.TextIOWrapper(sink, "utf-8", "backslashreplace", write_through=True)


def _entry(voice: Voice, at: float | None, level: str, logger: str, said: dict[str, str]) -> bytes:
    """Make an object; characters beyond ASCII are escaped, so that no reader takes one for a line's end."""
    when = datetime.now().astimezone() if at is None else datetime.fromtimestamp(at).astimezone()
    entry = {
        "time": when.isoformat(timespec="milliseconds"),
        "level": level,
        "logger": logger,
        "role": voice.role,
        "pid": voice.pid,
        "host": os.uname().nodename,
        **({"task": voice.task} if voice.task else {}),
    }
    line = json.dumps(entry | said).encode()
    if len(line) > LONGEST_LINE:
        cut = {
            name: f"{text[:_CUT]} ({len(text) - _CUT} more characters)" if len(text) > _CUT else text
            for name, text in said.items()
        }
        line = json.dumps(entry | cut).encode()
    return line


def _is_entry(line: bytes) -> bool:
    if not line.startswith(_BEGINS):
        return False
    try:
        return "message" in json.loads(line)
    except ValueError:
        return False


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")
