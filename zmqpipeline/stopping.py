"""How a role is told to stop: by a signal, by its program, or by the end of a pipe; each time harder."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator
    from types import FrameType

#: how hard a role is asked to stop
RUNNING, DRAIN, NOW = 0, 1, 2

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopNow(BaseException):
    """Raised inside user code by the second signal; never leaves the library."""


class Stopper:
    """Remembers how hard a role is asked to stop, and wakes its poll.

    Parameters
    ----------
    logger
        where it says what the signal does and what the next one will do
    subject
        what the role calls itself in these lines

    """

    def __init__(self, logger: logging.Logger, subject: str) -> None:
        self.level = RUNNING
        self.signal: int | None = None
        self._logger = logger
        self._subject = subject
        self._in_user_code = False
        self._saying: list[threading.Thread] = []
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """Tell what to poll: readable once it was asked to stop."""
        return self._reader.fileno()

    def request(self, level: int = DRAIN) -> None:
        """Ask to stop; may be called from any thread."""
        self.level = max(self.level, level)
        self.wake()

    def wake(self) -> None:
        """Make the poll return; may be called from any thread."""
        with contextlib.suppress(OSError):  # full: it is awake already; closed: it is gone
            self._writer.send(b"\0")

    def awake(self) -> None:
        """Take the wake-ups that were polled."""
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(256):
                pass

    @contextlib.contextmanager
    def user_code(self) -> Iterator[None]:
        """Let the second signal raise :class:`StopNow` in what runs inside."""
        self._in_user_code = True
        try:
            yield
        finally:
            self._in_user_code = False

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM while inside, if this is the main thread; restore them after."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self) -> None:
        """Give back its file descriptors."""
        for thread in self._saying:
            thread.join(1.0)
        self._reader.close()
        self._writer.close()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.signal = self.signal or number
        self.level += 1
        self.wake()
        if self.level == DRAIN:
            name = signal.Signals(number).name
            self._say(f"{name}, finishing what is under way; once more stops at once and gives tasks back")
        elif self.level == NOW:
            self._say("stopping now; once more kills")
            if self._in_user_code:
                raise StopNow
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def _say(self, text: str) -> None:
        """Log from a thread: what a signal interrupts may hold the locks of logging, or of its stream."""
        thread = threading.Thread(
            target=self._logger.warning, args=("%s: %s", self._subject, text), name="signal", daemon=True
        )
        thread.start()
        self._saying.append(thread)
