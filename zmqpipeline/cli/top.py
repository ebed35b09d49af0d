"""``zmqpipeline top``: shows how a run is, until it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from zmqpipeline.cli import views, watching
from zmqpipeline.cli.exits import Exit, of_signal
from zmqpipeline.errors import MonitorError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

    from typing_extensions import Self

    from zmqpipeline.monitor.client import MonitorClient

#: how often there is something new, in seconds
INTERVAL = 1.0


@click.command()
@watching.watches
def top(*, address: str | None, monitor_endpoint: str | None, keys: str | None) -> int:
    """Show how the run at ADDRESS is, live, until it ends or you press Ctrl-C.

    ADDRESS is what the run was started with as --monitor-endpoint. Where there is no terminal, a line a
    second is printed.
    """
    watching.write_anything()
    with watching.connected(address, monitor_endpoint, keys) as client:
        try:
            return _watch(client, views.choose())
        except BrokenPipeError:  # whoever read it has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.DONE


def _watch(client: MonitorClient, view: views.Lines) -> int:
    """Show what comes until the run has ended, or a signal; return the exit code.

    Raises
    ------
    MonitorError
        if nobody answers at first; who goes later may come back

    """
    stream, seen = client.stream(INTERVAL), False
    with contextlib.closing(view), _Signals(view) as signals:
        while True:
            try:
                with signals.heeded():
                    snapshot = next(stream)
            except StopIteration:
                return Exit.DONE
            except _Stopped:
                return of_signal(signals.number)
            if snapshot is not None:
                seen = True
                view.show(snapshot)
            elif seen:
                view.miss(client.problem())
            else:
                raise MonitorError(client.problem())


class _Stopped(Exception):  # noqa: N818 - nothing is wrong
    """Raised by a signal."""


class _Signals:
    """Lets signals do something only while nothing is drawn: a picture is whole, and then the next begins.

    Parameters
    ----------
    view
        what is drawn again when the size of the terminal has changed

    """

    def __init__(self, view: views.Lines) -> None:
        self.number = 0
        self._view = view
        self._heeded = self._is_outdated = False
        self._before: dict[int, Any] = {}

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Let a signal that has come, or comes inside, raise :class:`_Stopped`."""
        try:
            self._heeded = True
            if self.number:
                raise _Stopped
            yield
        finally:
            self._heeded = False

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGWINCH:
            self._draw()
            return
        self.number = self.number or number
        if self._heeded:
            raise _Stopped

    def _draw(self) -> None:
        """Draw for a new size; if that changes once more meanwhile, then once more."""
        self._is_outdated = True
        while self._heeded and self._is_outdated:
            self._is_outdated = self._heeded = False
            try:
                self._view.draw()
            finally:
                self._heeded = True
            if self.number:  # it came while this was drawn
                raise _Stopped

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGWINCH):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
