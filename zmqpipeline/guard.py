"""Hears signals while the main thread does not: C code keeps Python's own handlers waiting.

The interpreter's C handler writes the number of each signal to a socket (see ``signal.set_wakeup_fd``). A
thread that reads it does not depend on what the main thread is in, as long as that gives the GIL back.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

#: what stops a role
SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: interrupts the main thread; ignored where nobody handles it, and used by hardly anybody else
_POKE = signal.SIGURG
#: the longest that a thread sleeps, in seconds
_LONGEST = 3600.0


class Guard(threading.Thread):
    """Handles SIGINT and SIGTERM in a thread, from :meth:`install` to :meth:`remove`.

    Parameters
    ----------
    heard
        called for each signal, in this thread
    look
        called after each signal, after each :meth:`nudge`, and when the time has come that it told: does what
        is due, and tells in how many seconds to call it again; None for not before the next signal
    interrupt
        called in the main thread after a :meth:`poke`; may raise

    """

    def __init__(
        self, heard: Callable[[int], None], look: Callable[[], float | None], interrupt: Callable[[], None]
    ) -> None:
        super().__init__(name="signals", daemon=True)
        self._heard = heard
        self._look = look
        self._interrupt = interrupt
        self._removed = False
        self._main = threading.main_thread().ident or 0
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._before: dict[int, Any] = {}
        self._wakeup = -1

    def install(self) -> None:
        """Begin; only in the main thread."""
        global _installed  # noqa: PLW0603 - a process has one set of handlers
        self.start()
        self._before = {number: signal.signal(number, self._on_signal) for number in (*SIGNALS, _POKE)}
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        _installed = self

    def remove(self) -> None:
        """End, and put back what was there before."""
        global _installed  # noqa: PLW0603
        _installed = None
        self._restore(self._wakeup)
        self._removed = True
        self.nudge()
        self.join(1.0)
        self._reader.close()
        self._writer.close()

    def nudge(self) -> None:
        """Have it look; from any thread."""
        self._tell(0)

    def poke(self) -> None:
        """Interrupt the main thread."""
        signal.pthread_kill(self._main, _POKE)

    def run(self) -> None:
        """Wait for signals, and for the time."""
        wait: float | None = 0.0
        poller = select.poll()  # select() takes no descriptor above 1023
        poller.register(self._reader, select.POLLIN)
        while not self._removed:
            # rounded up: a poll that ends a fraction of a millisecond early would spin
            poller.poll(None if wait is None else int(min(max(wait, 0.0), _LONGEST) * 1000 + 0.999))
            with contextlib.suppress(BlockingIOError):
                for number in self._reader.recv(256):
                    if number in SIGNALS:
                        self._heard(number)
            wait = self._look()

    def forget(self) -> None:
        """Have nothing to do with the signals of a process that was forked from this one."""
        self._restore(-1)

    def _restore(self, descriptor: int) -> None:
        signal.set_wakeup_fd(descriptor)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Do in the main thread what Python lets no other do."""
        if number == _POKE:
            self._interrupt()
            return
        ours = self._writer.fileno()
        found = signal.set_wakeup_fd(ours, warn_on_full_buffer=False)
        if found != ours:  # the program has given it to an event loop: so nobody has told the thread
            signal.set_wakeup_fd(found, warn_on_full_buffer=False)
            self._tell(number)

    def _tell(self, number: int) -> None:
        with contextlib.suppress(OSError):  # full: it will look anyway
            self._writer.send(bytes([number]))


@contextlib.contextmanager
def held() -> Iterator[Callable[[], None]]:
    """Hold SIGINT and SIGTERM back while inside, or until what is returned was called.

    A handler that raises would leave half made what is made here, or half closed; only in the main thread.
    """
    mask: list[set[int]] = []

    def release() -> None:
        while mask:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask.pop())

    if threading.current_thread() is threading.main_thread():
        mask.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)))
    try:
        yield release
    finally:
        release()


_installed: Guard | None = None
#: the signal masks of the threads that are forking
_masks: dict[int, set[int]] = {}


def _before_fork() -> None:
    """Hold signals back: one that reached the child before it let go would be told to the parent's thread."""
    if _installed is not None:
        _masks[threading.get_ident()] = set(signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS))


def _after_fork() -> None:
    """Take signals again."""
    mask = _masks.pop(threading.get_ident(), None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _after_fork_in_child() -> None:
    """Let go of the parent: a signal to this process must not be taken for one to that."""
    global _installed  # noqa: PLW0603
    if _installed is not None:
        _installed.forget()
        _installed = None
    _after_fork()
    _masks.clear()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
