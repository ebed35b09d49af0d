"""The processes of a run: reads what they say, and finds out when they end."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
from typing import TYPE_CHECKING, Any

from zmqpipeline.cli.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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

    """

    def __init__(self, on_line: Callable[[Process, int, bytes], None]) -> None:
        self._on_line = on_line
        self._selector = selectors.DefaultSelector()
        self._pipes: dict[int, dict[int, Lines]] = {}
        self._signals: list[int] = []
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self.alive: list[Process] = []
        #: the ids of all processes that ever were in it
        self.pids: set[int] = set()
        #: those that have ended, but not everything that they had started
        self._orphaned: list[Process] = []

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Note SIGINT and SIGTERM while inside, and wake up for them and for children that end."""
        before: dict[signal.Signals, Any] = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        descriptor = signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def take_signals(self) -> list[int]:
        """Return the signals that came since the last call."""
        taken, self._signals = self._signals, []
        return taken

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
                with contextlib.suppress(BlockingIOError):
                    while self._wake_reader.recv(4096):
                        pass
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
        self._wake_reader.close()
        self._wake_writer.close()
