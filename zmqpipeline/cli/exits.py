"""How the command ends: one exit code for each kind of end, and the sentence that goes with it."""

from __future__ import annotations

import contextlib
import enum
import errno
import itertools
import signal
import sys
import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zmqpipeline.cli import jsonlines
from zmqpipeline.errors import (
    BindError,
    DeclarationError,
    JournalError,
    PeerTimeoutError,
    SecurityError,
    ZmqPipelineError,
)

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_LIBRARY = Path(__file__).parent.parent
_STANDARD = Path(sysconfig.get_path("stdlib"))
_SITE = Path(sysconfig.get_path("purelib"))


class Exit(enum.IntEnum):
    """What the command's exit codes mean."""

    #: the work is done
    DONE = 0
    #: the work is done, and some tasks have failed
    TASKS_FAILED = 1
    #: the command line or an environment variable is wrong
    USAGE = 2
    #: the file cannot be loaded, or the roles in it are not what the command needs
    WRONG_FILE = 3
    #: a class declares something that cannot work
    WRONG_DECLARATION = 4
    #: an address is in use, or may not be bound
    CANNOT_BIND = 5
    #: a method of the program raised, or returned what cannot be sent
    USER_CODE = 6
    #: a peer that was met stayed away for longer than ``peer_timeout``, or who was asked does not answer
    PEER_TIMEOUT = 7
    #: a process of a run keeps crashing, or one that cannot be started again has died
    PROCESS_LOST = 8
    #: the command needs click and rich
    MISSING_EXTRA = 9
    #: an error of the library itself
    INTERNAL = 10
    #: the journal cannot be used
    JOURNAL = 11
    #: there was no memory left
    OUT_OF_MEMORY = 12
    #: the keys cannot be used, or are required and not there
    SECURITY = 13
    #: stopped by SIGINT, as a shell counts it
    INTERRUPTED = 130
    #: stopped by SIGTERM, or by the end of the process that started it
    TERMINATED = 143


class CommandError(Exception):
    """Raised to end the command with a sentence and an exit code.

    Parameters
    ----------
    sentence
        what is wrong and what would be right
    code
        how the process ends
    details
        what to show before the sentence: a trimmed traceback, or nothing

    """

    def __init__(self, sentence: str, code: Exit, details: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.details = details


@dataclass(frozen=True)
class Ending:
    """How a role has ended badly.

    Parameters
    ----------
    code
        the exit code
    sentence
        what a person is told
    details
        a traceback to show before it, or nothing

    """

    code: int
    sentence: str
    details: str = ""


def report(ending: Ending, *, silent: bool = False) -> None:
    """Say on stderr how the command has ended; silent, only the details."""
    sink = jsonlines.active()
    if sink is not None:
        if ending.details or not silent:
            sink.say("error", ending.sentence, exception=ending.details)
        return
    with contextlib.suppress(OSError):
        sys.stderr.write(ending.details)
        sys.stderr.flush()
    if not silent:
        say(ending.sentence)


def say(sentence: str) -> None:
    """Say something on stderr in the command's name."""
    sink = jsonlines.active()
    if sink is not None:
        sink.say("info", sentence)
        return
    with contextlib.suppress(OSError):
        sys.stderr.write(f"zmqpipeline: {sentence}\n")
        sys.stderr.flush()


def of_signal(number: int) -> int:
    """Tell the exit code of a process that a signal has stopped."""
    return 128 + number


def is_starved(error: BaseException) -> bool:
    """Tell whether the system refused memory, or a thread: another process may have more luck."""
    refused = getattr(error, "errno", None) == errno.ENOMEM
    # of threads Python says it in no other way
    threadless = type(error) is RuntimeError and str(error) == "can't start new thread"
    return isinstance(error, MemoryError) or refused or threadless


def described(returncode: int) -> str:
    """Say how a process has ended: its exit code with what it means, or the name of the signal."""
    if returncode < 0:
        try:
            return f"killed by {signal.Signals(-returncode).name}"
        except ValueError:
            return f"killed by signal {-returncode}"
    return f"exit code {returncode}"


def of_exception(  # noqa: PLR0911 - one for each kind of end
    error: BaseException, role: str
) -> Ending:
    """Tell how a process ends whose role has raised.

    Parameters
    ----------
    error
        what left the role's ``run()``
    role
        what the role is called, such as the name of its class

    """
    if isinstance(error, CommandError):
        return Ending(error.code, error.sentence, error.details)
    if isinstance(error, KeyboardInterrupt):
        return Ending(Exit.INTERRUPTED, f"{role} was interrupted")
    if isinstance(error, BindError):
        return Ending(Exit.CANNOT_BIND, f"{role}: {error}")
    if isinstance(error, PeerTimeoutError):
        return Ending(Exit.PEER_TIMEOUT, f"{role}: {error}")
    if isinstance(error, JournalError):
        return Ending(Exit.JOURNAL, f"{role}: {error}")
    if isinstance(error, SecurityError):
        return Ending(Exit.SECURITY, f"{role}: {error}")
    where = _user_call(error.__traceback__)
    if where is not None:
        return Ending(Exit.USER_CODE, f"{where} {_raised(error)}", trimmed_traceback(error))
    if isinstance(error, DeclarationError):
        return Ending(Exit.WRONG_DECLARATION, str(error))
    if isinstance(error, ZmqPipelineError | TypeError | ValueError):
        # raised by the library about the program: what handle() returned cannot be packed, and the like
        return Ending(Exit.USER_CODE, f"{role}: {error}")
    details = "".join(traceback.format_exception(error))
    return Ending(Exit.INTERNAL, f"{role} hit an error of zmqpipeline itself: {_named(error)}", details)


def _raised(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"called sys.exit({'' if error.code is None else repr(error.code)}), which would end the role"
    return f"raised {_named(error)}"


def _named(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _user_call(trace: TracebackType | None) -> str | None:
    """Name the method of the program that the library was in when something was raised."""
    came_from_library = False
    while trace is not None:
        frame = trace.tb_frame
        if is_library(frame.f_code.co_filename):
            came_from_library = True
        elif came_from_library and is_program(frame.f_code.co_filename):
            return _method(frame)
        trace = trace.tb_next
    return None


def _method(frame: FrameType) -> str:
    owner = frame.f_locals.get("self", frame.f_locals.get("cls"))
    name = frame.f_code.co_name
    if owner is None:
        return f"{name}()"
    return f"{(owner if isinstance(owner, type) else type(owner)).__name__}.{name}()"


def is_library(filename: str) -> bool:
    """Tell whether a file of a traceback belongs to this package."""
    return Path(filename).is_relative_to(_LIBRARY)


def is_program(filename: str) -> bool:
    """Tell whether a file of a traceback is the user's: not this package's, its dependencies' or Python's."""
    if filename.startswith("<frozen ") or is_library(filename):
        return False
    path = Path(filename)
    if path.is_relative_to(_SITE):
        return path.relative_to(_SITE).parts[0] not in {"zmq", "msgpack"}
    return not path.is_relative_to(_STANDARD)


def trimmed_traceback(error: BaseException) -> str:
    """Format an exception from the program's first frame on, without the library's, its causes included."""
    formatted = traceback.TracebackException.from_exception(error)
    link: traceback.TracebackException | None = formatted
    while link is not None:
        # the frames before the program's first are those that start and import it
        frames = list(itertools.dropwhile(lambda frame: not is_program(frame.filename), link.stack))
        link.stack = traceback.StackSummary.from_list([f for f in frames if not is_library(f.filename)])
        link = link.__cause__ or link.__context__
    return "".join(formatted.format())
