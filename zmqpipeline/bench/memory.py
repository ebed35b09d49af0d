"""How much memory another process has now."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_MIB = 1024 * 1024


def resident(pid: int) -> float:
    """Tell how much memory a process holds, in MiB; 0.0 if it has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0.0 if Path("/proc/self/statm").exists() else _of_ps(pid)
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / _MIB


def _of_ps(pid: int) -> float:
    """Ask the command that other systems have for it."""
    done = subprocess.run(  # noqa: S603
        ["ps", "-o", "rss=", "-p", str(pid)],  # noqa: S607 - wherever the system keeps it
        capture_output=True,
        text=True,
        check=False,
    )
    return int(done.stdout or 0) / 1024
