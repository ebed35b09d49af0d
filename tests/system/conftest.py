"""Runs the command as its users do: real processes, in a folder of their own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

import zmqpipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: no test waits longer for an event, in seconds
GUARD = 40.0
_MARKER = "ZMQPIPELINE_TEST_MARKER"
_OF_CONTAINERS = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}

#: for tests that look into /proc
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="it needs Linux")


class Running:
    """A started command: what it has written so far, and how it ends."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.popen = popen
        self.out: list[str] = []
        self.err: list[str] = []
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((popen.stdout, self.out), (popen.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[bytes], lines: list[str]) -> None:
        for line in stream:
            with self._news:
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._news.notify_all()

    def wait_for(self, pattern: str, *, times: int = 1) -> list[re.Match[str]]:
        """Wait until so many lines match."""
        deadline = time.monotonic() + GUARD
        with self._news:
            while True:
                found = [m for line in [*self.out, *self.err] if (m := re.search(pattern, line))]
                if len(found) >= times:
                    return found
                left = deadline - time.monotonic()
                assert left > 0, f"no {pattern!r} in\n{self.output}"
                self._news.wait(min(left, 1.0))
                assert (
                    self.popen.poll() is None or self._readers[0].is_alive() or self._matches(pattern, times)
                ), f"ended with {self.popen.returncode} without {pattern!r}:\n{self.output}"

    def _matches(self, pattern: str, times: int) -> bool:
        return sum(bool(re.search(pattern, line)) for line in [*self.out, *self.err]) >= times

    @property
    def output(self) -> str:
        return "\n".join([*self.out, "--- stderr:", *self.err])

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def finish(self, guard: float = GUARD) -> int:
        """Wait for the end, for so many seconds; return the exit code."""
        try:
            code = self.popen.wait(guard)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"does not end:\n{self.output}") from None
        for reader in self._readers:
            reader.join(GUARD)
        return code

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        for reader in self._readers:
            reader.join(GUARD)
        for stream in (self.popen.stdout, self.popen.stderr):
            if stream is not None:
                stream.close()


class Command:
    """The command, run in one folder.

    Every process that it starts, directly or not, carries a mark in its
    environment, so that those that stay behind are found.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self.running: list[Running] = []

    @property
    def environ(self) -> dict[str, str]:
        # users have none of our variables, and not those of some containers: neither is output unbuffered,
        # nor is the package compiled anew by each process
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("ZMQPIPELINE_") and name not in _OF_CONTAINERS
        }
        package = str(Path(zmqpipeline.__file__).parents[1])
        path = os.pathsep.join(filter(None, [package, environ.get("PYTHONPATH", "")]))
        return {**environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error", _MARKER: self.mark}

    def write(self, name: str, text: str) -> None:
        self.folder.joinpath(name).write_text(text, encoding="utf-8")

    @staticmethod
    def program(before: str = "") -> list[str]:
        """Tell what Python is to run: the command, behind statements that set other times than its own."""
        main = f"import sys\n{before}\nfrom zmqpipeline.__main__ import main\nsys.exit(main())"
        return ["-c", main] if before else ["-m", "zmqpipeline"]

    def start(self, *arguments: str, env: dict[str, str] | None = None, before: str = "") -> Running:
        return self.start_python(*self.program(before), *arguments, env=env)

    def start_python(self, *arguments: str, env: dict[str, str] | None = None) -> Running:
        """Start a program of the folder that is not the command."""
        popen = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**self.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.running.append(Running(popen))
        return self.running[-1]

    def run(
        self, *arguments: str, env: dict[str, str] | None = None, before: str = ""
    ) -> tuple[int, Running]:
        running = self.start(*arguments, env=env, before=before)
        return running.finish(), running

    def survivors(self) -> list[int]:
        """List the processes that carry the mark and are not dead."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    marked = self.mark.encode() in folder.joinpath("environ").read_bytes()
                    state = folder.joinpath("stat").read_text().rpartition(")")[2].split()[0]
                except OSError:
                    continue
                if marked and state != "Z":
                    found.append(int(folder.name))
        return found

    def wait_until_gone(self) -> None:
        deadline = time.monotonic() + GUARD
        while self.survivors():
            assert time.monotonic() < deadline, f"processes stay behind: {self.survivors()}"
            time.sleep(0.02)

    def sockets(self) -> list[str]:
        """List the socket files and locks in the folder."""
        return sorted(path.name for path in self.folder.iterdir() if ".ipc" in path.name)

    def assert_clean(self) -> None:
        assert self.survivors() == []
        assert self.sockets() == []


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    made = Command(tmp_path)
    yield made
    for running in made.running:
        running.close()
    for pid in made.survivors():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Hand out tcp ports that nobody has bound a moment ago."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find
