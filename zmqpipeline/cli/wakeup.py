"""Signals that are waited for: what they do is decided where nothing is half done, and none is missed."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Wakeup:
    """Notes SIGINT and SIGTERM, and wakes up whoever waits.

    A lock, an event or a queue is no place to wait at for a signal: one that comes right before the thread
    sleeps, or that the system gives to another thread, does not wake it.

    Attributes
    ----------
    reader
        readable when there is something to look at; :meth:`clear` it first

    """

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)
        self._signals: list[int] = []

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Note SIGINT and SIGTERM while inside, and wake up for them and for children that end."""
        before: dict[signal.Signals, Any] = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        descriptor = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def take(self) -> list[int]:
        """Return the signals that came since the last call."""
        taken, self._signals = self._signals, []
        return taken

    def wake(self) -> None:
        """Wake up whoever waits; any thread may call it, also when nobody does any more."""
        with contextlib.suppress(OSError):  # full: somebody is woken already; closed: nobody is there
            self._writer.send(b"\0")

    def clear(self) -> None:
        """Take in that somebody was woken, before looking at why."""
        with contextlib.suppress(BlockingIOError):
            while self.reader.recv(4096):
                pass

    def wait(self) -> None:
        """Wait until something happens."""
        select.select([self.reader], [], [])
        self.clear()

    def close(self) -> None:
        """Close it; nobody waits any more."""
        self.reader.close()
        self._writer.close()
