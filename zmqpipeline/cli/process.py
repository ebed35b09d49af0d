"""One process of a run: how it is started, read, told to stop, and ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zmqpipeline.cli.voice import Voice

if TYPE_CHECKING:
    from collections.abc import Mapping

#: a role must have noticed that it is to stop before a second wish is taken for a harder one, in seconds
_SETTLE = 0.2
#: how many lines of a process' stderr are remembered
_LAST_LINES = 15


@dataclass
class Slot:
    """A place in a run that one process after another may take.

    Parameters
    ----------
    kind
        the command that runs it
    name
        what the file calls the role
    task
        its task type, ``''`` of a role that has none
    early
        how many processes in a row have ended before they were ready
    fruitless
        how many in a row have crashed without any task acknowledged in between
    acknowledged
        how many tasks were acknowledged at the last crash

    """

    kind: str
    name: str
    task: str = ""
    early: int = 0
    fruitless: int = 0
    acknowledged: int = -1


@dataclass
class Process:
    """A process that runs one role.

    Parameters
    ----------
    slot
        the place that it takes
    popen
        the process
    stop_pipe, status_pipe
        the supervisor's ends of its two pipes

    """

    slot: Slot
    popen: subprocess.Popen[bytes]
    stop_pipe: int | None
    status_pipe: int
    #: whether it has opened everything and is in none of the program's preparations
    ready: bool = False
    #: whether it has met the one that it works for
    started: bool = False
    #: exit code and sentence of an error that it has told
    error: tuple[int, str] | None = None
    #: when it was told to stop, and when to stop at once, on the monotonic clock
    stopped_at: float | None = None
    terminated_at: float | None = None
    hurried: bool = False
    killed: bool = False
    #: whether another one with changed code is to take its place
    renewed: bool = False
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))

    @property
    def label(self) -> str:
        """What it is called in a sentence."""
        return f"{self.slot.name}[{self.popen.pid}]"

    @property
    def voice(self) -> Voice:
        """Whose its lines are."""
        return Voice(self.slot.name, self.popen.pid, self.slot.task)

    @property
    def pid(self) -> int:
        """Its process id, and that of its process group."""
        return self.popen.pid

    def stop(self, now: float) -> None:
        """Tell it to finish what is under way and to end."""
        if self.stopped_at is None:
            self.stopped_at = now
            self.close_stop_pipe(b"s")

    def terminate(self, now: float) -> None:
        """Tell it to end now; what follows too soon on :meth:`stop` is left to a later :meth:`catch_up`."""
        self.stop(now)
        self.hurried = True
        self.catch_up(now)

    def catch_up(self, now: float) -> None:
        """Send the signal that :meth:`terminate` has put off."""
        if self.hurried and self.terminated_at is None and now - (self.stopped_at or now) >= _SETTLE:
            self.terminated_at = now
            self.popen.terminate()

    def kill(self, now: float) -> None:
        """End it, and whatever it has started."""
        self.terminate(now)
        if not self.killed:
            self.killed = True
            self.signal_group(signal.SIGKILL)

    def signal_group(self, number: signal.Signals) -> bool:
        """Send a signal to it and to what it has started; tell whether there was any of it."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def close_stop_pipe(self, last_word: bytes = b"") -> None:
        """Close the pipe whose end means stop."""
        if self.stop_pipe is not None:
            with contextlib.suppress(OSError):
                os.write(self.stop_pipe, last_word)
            os.close(self.stop_pipe)
            self.stop_pipe = None

    def tell(self, news: dict[str, Any]) -> None:
        """Tell it something, on the pipe whose end means stop."""
        if self.stop_pipe is not None:
            with contextlib.suppress(OSError):
                os.write(self.stop_pipe, json.dumps(news).encode() + b"\n")

    def note(self, line: bytes) -> dict[str, Any]:
        """Take in a line of its status pipe; return it as an event."""
        event: dict[str, Any] = json.loads(line)
        if event["event"] in {"ready", "welcome", "started"}:
            self.ready = True
            self.started = self.started or event["event"] == "started"
        elif event["event"] == "starting":
            self.ready = False
        elif event["event"] == "error":
            self.error = event["code"], event["sentence"]
        return event


def _safe_path() -> list[str]:
    """Keep the working directory out of where modules are looked for, unless this process looks there too."""
    if not hasattr(sys.flags, "safe_path") or sys.path[:1] in ([""], [str(Path.cwd())]):
        return []
    return ["-P"]


def start(slot: Slot, options: list[str], operands: list[str], environ: Mapping[str, str]) -> Process:
    """Start a process in a group of its own, so that the terminal's Ctrl-C reaches the supervisor alone.

    Parameters
    ----------
    slot
        the place that it takes
    options
        of the command that it runs
    operands
        what stands behind them, the file first
    environ
        its environment

    """
    stop_read, stop_write = os.pipe()
    status_read, status_write = os.pipe()
    command = [sys.executable, *_safe_path(), "-m", "zmqpipeline", slot.kind, *options]
    try:
        popen = subprocess.Popen(  # noqa: S603 - our own command
            [*command, f"--stop-fd={stop_read}", f"--status-fd={status_write}", "--", *operands],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=(stop_read, status_write),
            start_new_session=True,
            env=dict(environ),
        )
    except BaseException:
        os.close(stop_write)
        os.close(status_read)
        raise
    finally:
        os.close(stop_read)
        os.close(status_write)
    return Process(slot, popen, stop_write, status_read)
