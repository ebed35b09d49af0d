"""How much memory a process and its descendants have had, as /proc tells; nothing where there is none."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def descendants(root: int) -> set[int]:
    """Find the processes that a process has started, and those that they have."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            # the name in parentheses may itself contain anything
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found: set[int] = set()
    new = [root]
    while new:
        new = [child for parent in new for child in children.get(parent, []) if child not in found]
        found.update(new)
    return found


def peak() -> float:
    """Add up how much each of this process and its descendants has had at most, in MiB."""
    total = 0
    for process in {os.getpid(), *descendants(os.getpid())}:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/status").read_text(errors="replace").splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1])
    return total / 1024
