"""The processes of a run: reads what they say, and finds out when they end."""

from __future__ import annotations

import os
import selectors
import signal
from typing import TYPE_CHECKING

from zmqpipeline.cli.lines import Lines
from zmqpipeline.cli.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.cli.process import Process

#: how much is read from one pipe before the others get their turn, in bytes
_TURN = 65536
#: which of a process' pipes something came from
STDOUT, STDERR, STATUS = 1, 2, 3


class Herd:
    """Reads the pipes of processes in one thread, and notices signals and ends.

    Parameters
    ----------
    on_line
        called with the process, :data:`STDOUT`, :data:`STDERR` or :data:`STATUS`, and a line

    Attributes
    ----------
    signals, take_signals
        those of :class:`zmqpipeline.cli.wakeup.Wakeup`

    """

    def __init__(self, on_line: Callable[[Process, int, bytes], None]) -> None:
        self._on_line = on_line
        self._selector = selectors.DefaultSelector()
        self._pipes: dict[int, dict[int, Lines]] = {}
        self._wakeup = Wakeup()
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        self.signals = self._wakeup.signals
        self.take_signals = self._wakeup.take
        self.alive: list[Process] = []
        #: the ids of all processes that ever were in it
        self.pids: set[int] = set()
        #: those that have ended, but not everything that they had started
        self._orphaned: list[Process] = []

    def add(self, process: Process) -> None:
        """Begin to read a process."""
        self.alive.append(process)
        self.pids.add(process.pid)
        self._pipes[process.pid] = {}
        assert process.popen.stdout is not None  # noqa: S101 - it was started with pipes
        assert process.popen.stderr is not None  # noqa: S101
        for kind, descriptor in (
            (STDOUT, process.popen.stdout.fileno()),
            (STDERR, process.popen.stderr.fileno()),
            (STATUS, process.status_pipe),
        ):
            os.set_blocking(descriptor, False)
            self._pipes[process.pid][descriptor] = Lines()
            self._selector.register(descriptor, selectors.EVENT_READ, (process, kind))

    def wait(self, seconds: float) -> list[Process]:
        """Read what comes, for so long or until something happened; return the processes that have ended."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                self._wakeup.clear()
            else:
                self._read(key.fd, *key.data)
        ended = [process for process in self.alive if process.popen.poll() is not None]
        for process in ended:
            self._remove(process)
        return ended

    def _read(self, descriptor: int, process: Process, kind: int) -> bool:
        """Read once; tell whether there may be more."""
        try:
            data = os.read(descriptor, _TURN)
        except BlockingIOError:
            return False
        lines = self._pipes[process.pid][descriptor]
        for line in lines.feed(data) if data else lines.rest():
            self._on_line(process, kind, line)
        if not data:
            self._selector.unregister(descriptor)
            del self._pipes[process.pid][descriptor]
        return bool(data)

    def _remove(self, process: Process) -> None:
        """Read what an ended process has left, and close its pipes, whoever holds their other ends."""
        self.alive.remove(process)
        # what it has started would live on; Python's own helpers ignore this signal, and end by themselves
        if process.signal_group(signal.SIGTERM):
            self._orphaned.append(process)
        for key in [key for key in self._selector.get_map().values() if key.data and key.data[0] is process]:
            while self._read(key.fd, *key.data):
                pass
            if key.fd in self._pipes[process.pid]:
                for line in self._pipes[process.pid].pop(key.fd).rest():
                    self._on_line(process, key.data[1], line)
                self._selector.unregister(key.fd)
        del self._pipes[process.pid]
        for stream in (process.popen.stdout, process.popen.stderr):
            if stream is not None:
                stream.close()
        os.close(process.status_pipe)
        process.close_stop_pipe()

    def end(self, now: float) -> None:
        """Kill whatever is still alive, and close everything."""
        for process in self.alive:
            process.kill(now)
        for process in self.alive[:]:
            process.popen.wait()
            self._remove(process)
        for process in self._orphaned:
            process.signal_group(signal.SIGKILL)
        self._selector.close()
        self._wakeup.close()
