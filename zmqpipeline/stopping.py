"""How a role is told to stop: by a signal, by its program, or by the end of a pipe; each time harder."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from zmqpipeline.guard import Guard, held
from zmqpipeline.waker import Waker

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator

#: how hard a role is asked to stop
RUNNING, DRAIN, NOW = 0, 1, 2

#: how long user code may take that was interrupted, until the process ends all the same, in seconds
DEAF = 1.0


class StopNow(BaseException):
    """Raised inside user code by the second signal; never leaves the library."""


class UserCode(contextlib.AbstractContextManager[None]):
    """Code of the program runs inside, which the second signal interrupts; nothing is made for each time.

    Where somebody waits for it, the three steps are written out: a ``with`` calls two methods.

    Attributes
    ----------
    runs
        whether something runs inside
    stopper
        who says how hard the role is asked to stop; it is looked at behind ``runs``, never before

    """

    def __init__(self, stopper: Stopper | None = None) -> None:
        self.stopper = stopper
        self.runs = False

    def __enter__(self) -> None:
        self.runs = True
        if self.stopper is not None and self.stopper.level >= NOW:
            self.runs = False
            raise StopNow

    def __exit__(self, *_: object) -> None:
        self.runs = False


class Stopper:
    """Remembers how hard a role is asked to stop, wakes its poll, and interrupts user code.

    Parameters
    ----------
    logger
        where it says what the signal does and what the next one will do
    subject
        what the role calls itself in these lines
    work, second
        what the role finishes after the first signal, and what it does at the second, in words
    patience
        how long that may take, in seconds; None for ever
    part, abandon
        called before the process ends hard, from another thread than the role's: to take leave of its peers,
        and to remove its files

    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that a role has to do with stopping
        self,
        logger: logging.Logger,
        subject: str,
        work: str = "what is under way",
        second: str = "stops at once",
        patience: float | None = None,
        part: Callable[[], None] = lambda: None,
        abandon: Callable[[], None] = lambda: None,
    ) -> None:
        self.level = RUNNING
        self.signal: int | None = None
        self._logger = logger
        self._subject = subject
        self._work = work
        self._second = second
        self._patience = patience
        self._part = part
        self._abandon = abandon
        self.user_code = UserCode(self)
        self._drains_until: float | None = None
        self._ends_at: float | None = None
        self._guard: Guard | None = None
        self._saying: list[threading.Thread] = []
        self._waker = Waker()

    def fileno(self) -> int:
        """Tell what to poll: readable once it was asked to stop."""
        return self._waker.fileno()

    def request(self, level: int = DRAIN, *, bounded: bool = False) -> None:
        """Ask to stop; may be called from any thread.

        Parameters
        ----------
        level
            how hard
        bounded
            whether user code is interrupted when it takes too long, as it is after a signal

        """
        self.level = max(self.level, level)
        if bounded:
            self._bound()
        self.wake()
        if self._guard is not None:
            self._guard.nudge()

    def wake(self) -> None:
        """Make the poll return; may be called from any thread."""
        self._waker.wake()

    def awake(self) -> None:
        """Take the wake-ups that were polled."""
        self._waker.clear()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM while inside, if this is the main thread; restore them after."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._guard = guard = Guard(self._on_signal, self._look, self._interrupt)
        guard.install()
        try:
            yield
        finally:
            self._guard = None
            with held():
                guard.remove()

    def close(self) -> None:
        """Give back its file descriptors."""
        for thread in self._saying:
            thread.join(1.0)
        self._waker.close()

    # -- in the guard's thread ----------------------------------------------

    def _on_signal(self, number: int) -> None:
        self.signal = self.signal or number
        self.level += 1
        if self.level == DRAIN:
            self._bound()
            self.wake()
            name = signal.Signals(number).name
            most = "" if self._patience is None else f", for {self._patience:g} s at most"
            self._say(f"{name}, finishing {self._work}{most}; once more {self._second}")
        elif self.level == NOW:
            self._stop_now("stopping now; once more kills")
        else:
            self._abandon()
            os.kill(os.getpid(), signal.SIGKILL)

    def _bound(self) -> None:
        if self._patience is not None and self._drains_until is None:
            self._drains_until = time.monotonic() + self._patience

    def _stop_now(self, text: str) -> None:
        self.level = NOW
        self._ends_at = time.monotonic() + DEAF
        self._say(text)
        self.wake()
        if self._guard is not None:
            self._guard.poke()

    def _look(self) -> float | None:
        """Be harder when it takes too long; tell when to look again."""
        now = time.monotonic()
        if self.level == DRAIN and self._drains_until is not None:
            if now < self._drains_until:
                return self._drains_until - now
            self._stop_now(f"{self._patience:g} s have passed, stopping now; once more kills")
        if self._ends_at is None or not self.user_code.runs:
            return None
        if now < self._ends_at:
            return self._ends_at - now
        self._end_hard()
        return None

    def _end_hard(self) -> None:
        """End the process, because its main thread does not come back."""
        self._say("the program does not come to an end, so the process ends without it")
        self._part()
        self._abandon()
        for thread in self._saying:
            thread.join(1.0)
        os._exit(128 + (self.signal or signal.SIGTERM))

    # -- in the main thread -------------------------------------------------

    def _interrupt(self) -> None:
        if self.level >= NOW and self.user_code.runs:
            raise StopNow

    def _say(self, text: str) -> None:
        """Log from a thread of its own: what the main thread does may hold the locks of logging, for long."""
        thread = threading.Thread(
            target=self._logger.warning, args=("%s: %s", self._subject, text), name="signal", daemon=True
        )
        thread.start()
        self._saying.append(thread)
