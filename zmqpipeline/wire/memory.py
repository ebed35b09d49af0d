"""Memory of large messages: kept for the next one instead of given back to the system."""

from __future__ import annotations

import os

#: memory at the end of the heap that is free stays with the process, up to so many bytes
KEPT = 32 * 1024 * 1024
#: mallopt(3)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
#: whoever has set one of these knows better
_OWN_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")

_is_kept = False


def keep() -> None:
    """Let this process keep the memory of large messages, from the first one on.

    The C library of Linux gives it back to the system when a message has gone, and takes it again, page by
    page, for the next one. With payloads of 1 MiB that was a quarter of all processor time of a pipeline.
    Another C library is left as it is, and so is one that was configured by the environment.
    """
    global _is_kept  # noqa: PLW0603 - it is about the process
    if _is_kept:
        return
    _is_kept = True
    if not _is_glibc() or any(name in os.environ for name in _OWN_SETTINGS):
        return
    import ctypes  # noqa: PLC0415 - who sends nothing large need not load it

    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_THRESHOLD, KEPT)
    mallopt(_M_TRIM_THRESHOLD, KEPT)


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError):
        return False
