"""Wakes up a thread that polls, from any other thread or from a signal."""

from __future__ import annotations

import contextlib
import socket


class Waker:
    """A pair of sockets: poll this, which is readable once somebody has called :meth:`wake`."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """Tell what to poll."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Make the poll return; may be called from any thread."""
        with contextlib.suppress(OSError):  # full: it is awake already; closed: it is gone
            self._writer.send(b"\0")

    def clear(self) -> None:
        """Take the wake-ups that were polled; look at their reason after that."""
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass

    def close(self) -> None:
        """Give back its file descriptors."""
        self._reader.close()
        self._writer.close()
