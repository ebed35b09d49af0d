"""Removes the socket files that killed processes have left."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def clean(paths: Iterable[str], pids: set[int]) -> None:
    """Remove socket files and their locks, if a dead process of these held them last.

    Parameters
    ----------
    paths
        socket files that a run has bound
    pids
        the processes of the run

    """
    for path in paths:
        _clean(Path(path), Path(f"{path}.lock"), pids)


def _clean(path: Path, lock_path: Path, pids: set[int]) -> None:
    try:
        descriptor = os.open(lock_path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return  # whoever bound the path has tidied up
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        holder = os.read(descriptor, 20).strip()
        if (
            holder.isdigit()
            and int(holder) in pids
            and os.path.samestat(os.fstat(descriptor), lock_path.lstat())
        ):
            if path.is_socket():
                path.unlink(missing_ok=True)
            lock_path.unlink(missing_ok=True)
    except OSError:
        pass  # somebody else holds it by now, or may not be disturbed
    finally:
        os.close(descriptor)
