"""How many files a process may have open; each connection is one."""

from __future__ import annotations

import contextlib
import resource

#: as many are wanted, if the system lets a process have them
_WANTED = 65536
#: so many are left to the program, where connections might take them all
RESERVED = 64


def raise_limit() -> None:
    """Let this process have as many files open as it may, up to what is wanted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # not allowed here: then it stays as it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def highest() -> int:
    """Tell from which file descriptor on a connection is one too many.

    Each file that is opened gets the lowest free number, so a high one means that the others are taken.
    """
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 2**31 if soft == resource.RLIM_INFINITY else max(soft - RESERVED, 0)
