"""Signals between the start of the command and the moment when a role, or a run, handles them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

from zmqpipeline.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedEarly(Stopped):
    """Raised by a signal before anything runs; its code is 128 + the signal's number."""

    @property
    def sentence(self) -> str:
        """What a person is told."""
        name = signal.Signals(int(self.code or 0) - 128).name
        return f"stopped by {name} before it had begun"


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Let the first signal raise :class:`StoppedEarly` in what runs inside, the second end the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pid, stopped = os.getpid(), False

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        if os.getpid() != pid:  # what the program has forked is no process of ours
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif stopped:
            os._exit(128 + number)
        else:
            stopped = True
            raise StoppedEarly(128 + number)

    before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
