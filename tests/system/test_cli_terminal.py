"""On a terminal a bar shows how far the run is, and lines stay whole above it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from .apps import two_tasks

if TYPE_CHECKING:
    from .conftest import Command


def on_terminal(command: Command, *arguments: str, env: dict[str, str], until: str = "") -> tuple[int, str]:
    """Run the command with a terminal for stdout and stderr; return exit code and what it wrote.

    Once it has written what is waited for, there is a file named go.
    """
    ours, theirs = pty.openpty()
    try:
        popen = subprocess.Popen(
            [sys.executable, "-m", "zmqpipeline", *arguments],
            cwd=command.folder,
            env={**command.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
    finally:
        os.close(theirs)
    written = b""
    try:
        while data := os.read(ours, 65536):
            written += data
            if until and re.search(until, plain(written.decode("utf-8", "ignore"))):
                command.write("go", "")
    except OSError:  # what a terminal gives at its end
        pass
    finally:
        os.close(ours)
    return popen.wait(40), written.decode()


def plain(written: str) -> str:
    """Take out what is no text."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).replace("\r", "\n")


def test_a_terminal_shows_a_bar(command: Command) -> None:
    command.write("app.py", two_tasks(execution="time.sleep(0.01)\nprint('did', data['n'])"))
    code, written = on_terminal(command, "run", "app.py", "-w", "1", env={"TERM": "xterm", "COLUMNS": "120"})
    assert code == 0, written
    text = plain(written)
    assert re.search(r"━+.*\d+ handed out, \d+ acknowledged, 0 failed, \d+/s, \d workers?", text), text
    did = [line for line in text.split("\n") if "did" in line]
    assert len(did) == 80
    assert all(re.fullmatch(r"\s*(Does/first|DoesMore/second)\[\d+\] did \d+\s*", line) for line in did), did
    # the bar is gone at the end, the cursor is back, and the summary is the last line
    assert text.rstrip().split("\n")[-1].startswith("zmqpipeline: done: 80 handed out, 80 acknowledged")
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l")
    command.assert_clean()


def test_with_totals_the_bar_has_a_percentage_and_the_time_that_is_left(command: Command) -> None:
    text = two_tasks(execution="if not os.path.exists('go'): time.sleep(0.05)")
    command.write("app.py", text.replace("    n = 0\n", "    n = 0\n    total = N\n"))
    env = {"TERM": "xterm", "COLUMNS": "80", "N": "400"}
    bar = r"━+ +\d+ of 800 \(\d+%\), \d+:\d\d left, 0 failed, \d+/s, \d workers?"
    code, written = on_terminal(command, "run", "app.py", "-w", "1", env=env, until=bar)
    assert code == 0, written
    assert re.search(bar, plain(written)), written


def test_a_terminal_shows_what_is_being_measured_and_then_the_table(command: Command) -> None:
    env = {"TERM": "xterm", "COLUMNS": "160"}
    code, written = on_terminal(command, "bench", "start", "--quick", env=env)
    assert code == 0, written
    text = plain(written)
    assert re.search(r"[━╸]+ +2/3 start, process, ipc: zmqpipeline, turn 1 of 1", text), text
    # the bar is gone before the table, and the cursor is back
    assert re.search(r"worker ready, ms +zmqpipeline", text)
    assert written.index("median") > written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l")
    command.assert_clean()


def test_a_terminal_that_can_show_no_bar_gets_plain_lines(command: Command) -> None:
    command.write("app.py", two_tasks())
    code, written = on_terminal(command, "run", "app.py", "-w", "1", env={"TERM": "dumb"})
    assert code == 0, written
    assert "\x1b" not in written
    assert "zmqpipeline: done: 80 handed out" in written
