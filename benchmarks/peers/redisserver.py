"""A Redis of one's own: on a Unix socket in the working folder, without a file to keep anything in."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import redis

if TYPE_CHECKING:
    from collections.abc import Iterator

EXECUTABLE = "redis-server"

#: seconds that its start may take
PATIENCE = 20.0


def missing() -> str | None:
    """Tell why it cannot be started."""
    return None if shutil.which(EXECUTABLE) else f"there is no {EXECUTABLE} on the PATH; install Redis"


@contextmanager
def server() -> Iterator[Path]:
    """Start it, and end it; the socket is in the current folder."""
    path = Path.cwd() / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no"]
    with Path("redis.log").open("wb") as log:
        process = subprocess.Popen([EXECUTABLE, *options], stdout=log, stderr=log)
    try:
        wait_for(path, process)
        yield path
    finally:
        end(process)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until it answers."""
    deadline = time.monotonic() + PATIENCE
    while not answers(path):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("redis-server does not start: " + Path("redis.log").read_text())
        time.sleep(0.02)


def answers(path: Path) -> bool:
    """Tell whether it is there."""
    try:
        with redis.Redis(unix_socket_path=str(path)) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that we started: asked first, then hard."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
