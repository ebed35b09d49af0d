"""Starts a measurement of a peer, and ends everything that it has left, whatever has happened."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import site
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .memory import descendants

#: seconds for a measurement that is told to end, to end what it has started
PATIENCE = 15.0
#: seconds for what it has left: to end by itself, when asked, and when forced
GRACE = 3.0
NO_SIGNAL = 0

#: what prctl(2) can do
_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36

_LINUX = sys.platform == "linux"
_LIBRARY = ctypes.CDLL(None) if _LINUX else None


class PeerError(Exception):
    """Raised when a peer cannot be measured; the sentence says why."""


def adopt_orphans() -> None:
    """Become the parent of whatever a measurement leaves behind, so that it can be found and ended.

    Some peers start daemons in sessions of their own, which no process group would reach. Only Linux can do
    this; elsewhere the process group has to do.
    """
    if _LIBRARY is not None:
        _LIBRARY.prctl(_SET_CHILD_SUBREAPER, 1)


def launch(module: str, measurement: str, timeout: float, **arguments: Any) -> dict[str, Any]:
    """Measure a peer in a process and a folder of its own.

    Parameters
    ----------
    module, measurement
        which peer, and what: `describe` or a measurement of `Peer`
    timeout
        seconds that it may take
    **arguments
        of the measurement

    Raises
    ------
    PeerError
        if it fails, or takes longer

    """
    before = descendants(os.getpid())
    popen = None
    # peers put sockets below the folder, whose paths must be short
    with tempfile.TemporaryDirectory(prefix="p", ignore_cleanup_errors=True) as folder:
        report, log = Path(folder, "report"), Path(folder, "log")
        pairs = [f"{name}={json.dumps(value)}" for name, value in arguments.items()]
        try:
            popen = start(folder, log, str(report), module, measurement, *pairs)
            popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise PeerError(f"has not ended within {timeout:g} s") from None
        finally:
            clear(popen, before)
        if popen.returncode != 0 or not report.exists():
            raise PeerError(f"ended with {popen.returncode}: {last_line(log)}")
        found: dict[str, Any] = json.loads(report.read_text("utf-8"))
        return found


def start(folder: str, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start the process that measures."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.measure", *arguments],
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # the terminal's Ctrl-C is for the one who measures
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - there are no threads here
        )


def environment(folder: str) -> dict[str, str]:
    """Let the process find this package, and keep in its folder what it would leave with its user."""
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONUSERBASE": site.getuserbase(),  # else it would be sought at the new home
        "HOME": folder,
        "TMPDIR": folder,
    }


def last_line(log: Path) -> str:
    """Tell the last thing that was said; of an exception, this is what it is."""
    lines = log.read_text("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def clear(popen: subprocess.Popen[bytes] | None, before: set[int]) -> None:
    """End a process and all that came of it; its own attempt to do so comes first.

    It is None if a signal has come while it was started: what was started then is found all the same.
    """
    if popen is not None and popen.poll() is None:
        popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            popen.wait(PATIENCE)
    for number in (NO_SIGNAL, signal.SIGTERM, signal.SIGKILL):
        for process in living(before):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        deadline = time.monotonic() + GRACE
        while living(before) and time.monotonic() < deadline:
            time.sleep(0.01)
    if popen is not None:
        if not _LINUX:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


def living(before: set[int]) -> set[int]:
    """Find what was started since; what has ended and is ours to bury is gone after this."""
    found = descendants(os.getpid()) - before
    for process in found:
        with contextlib.suppress(ChildProcessError):  # it is the child of another
            os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG)
    return found


def _end_with_parent() -> None:
    """Ask the new process to end, should the one who measures be killed."""
    if _LIBRARY is not None:
        _LIBRARY.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
