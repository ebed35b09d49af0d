"""Signals that are waited for: what they do is decided where nothing is half done, and none is missed."""

from __future__ import annotations

import contextlib
import select
import signal
from typing import TYPE_CHECKING, Any

from zmqpipeline.waker import Waker

if TYPE_CHECKING:
    from collections.abc import Iterator


class Wakeup(Waker):
    """Notes SIGINT and SIGTERM, and wakes up whoever waits.

    A lock, an event or a queue is no place to wait at for a signal: one that comes right before the thread
    sleeps, or that the system gives to another thread, does not wake it.
    """

    def __init__(self) -> None:
        super().__init__()
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
        self.wake()  # it may have come before the interpreter was told where to write

    def take(self) -> list[int]:
        """Return the signals that came since the last call."""
        taken, self._signals = self._signals, []
        return taken

    def wait(self) -> None:
        """Wait until something happens."""
        poller = select.poll()  # select() takes no descriptor above 1023
        poller.register(self, select.POLLIN)
        poller.poll()
        self.clear()
