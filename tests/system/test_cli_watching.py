"""``zmqpipeline status`` and ``zmqpipeline top``: real processes that watch a made-up distributor."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.roles.pipelines import address
from tests.roles.snapshots import FakeDistributor, make_snapshot, make_task
from zmqpipeline.keys import Keys

from .apps import BUSY, two_tasks
from .conftest import GUARD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Command

pytestmark = pytest.mark.usefixtures("folder")  # where the command runs as well

HERE = "ipc://monitor.ipc"
#: what a terminal is told before something is drawn on its other screen, and behind that
OTHER_SCREEN, FIRST_SCREEN = "\x1b[?1049h", "\x1b[?1049l"
SHOWN, HIDDEN = "\x1b[?25h", "\x1b[?25l"
PROGRESS = make_snapshot(tasks=[make_task(acknowledged=700)], acknowledged=700)
#: lets the command soon find that nobody is there; only for tests in which nobody comes
IMPATIENT = """
from functools import partial
from zmqpipeline.cli import app, watching
sys.modules["zmqpipeline.cli.top"].INTERVAL = 0.1
watching.MonitorClient = partial(watching.MonitorClient, timeout=0.1)
"""
#: lets the command give up as soon as it knows that it is refused, or that whom it has heard is gone
KNOWING = """
import time
from zmqpipeline.monitor import client
receive, heard = client._Connection.receive, []
def receive_or_know(self, until):
    while (found := receive(self, time.monotonic() + 0.1)) is None:
        if self._access.problem(self._endpoint) or (heard and not self._watch.connections):
            return None
    heard.append(found)
    return found
client._Connection.receive = receive_or_know
"""
ENDED = make_snapshot(
    tasks=[make_task(acknowledged=1000, phase="complete")], acknowledged=1000, phase="ended"
)


class Terminal:
    """A terminal, and a command of which it is the stdout."""

    def __init__(
        self, command: Command, *arguments: str, size: tuple[int, int] = (24, 80), before: str = ""
    ) -> None:
        self._ours, theirs = pty.openpty()
        self.written = ""
        self._news = threading.Condition()
        self.resize(*size)
        try:
            self.popen = subprocess.Popen(
                [sys.executable, *command.program(before), *arguments],
                cwd=command.folder,
                env={
                    name: value for name, value in command.environ.items() if name not in ("COLUMNS", "LINES")
                }
                | {"TERM": "xterm"},
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
            )
        finally:
            os.close(theirs)
        self._reader = threading.Thread(target=self._read, name="terminal")
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # what a terminal gives at its end
            while data := os.read(self._ours, 65536):
                with self._news:
                    self.written += data.decode(errors="replace")
                    self._news.notify_all()

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def wait_for(self, text: str, begin: int = 0) -> int:
        """Wait until something is written; return how much is written then."""
        deadline = time.monotonic() + GUARD
        with self._news:
            while text not in plain(self.written[begin:]):
                left = deadline - time.monotonic()
                assert left > 0, f"no {text!r} in {self.written!r}"
                self._news.wait(left)
            return len(self.written)

    def finish(self) -> int:
        """Wait for the end; return the exit code."""
        code = self.popen.wait(GUARD)
        self._reader.join(GUARD)
        return code

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        self._reader.join(GUARD)
        os.close(self._ours)

    def assert_restored(self) -> None:
        """See that the terminal is as it was, with a last picture on it."""
        assert self.written.count(OTHER_SCREEN) == self.written.count(FIRST_SCREEN) == 1
        assert self.written.rfind(SHOWN) > self.written.rfind(HIDDEN)

    @property
    def left(self) -> list[str]:
        """The lines that stay when the command is gone."""
        return plain(self.written.rpartition(FIRST_SCREEN)[2]).strip("\n").split("\n")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


@contextlib.contextmanager
def on_terminal(
    command: Command, *arguments: str, size: tuple[int, int] = (24, 80), before: str = ""
) -> Iterator[Terminal]:
    terminal = Terminal(command, *arguments, size=size, before=before)
    try:
        yield terminal
    finally:
        terminal.close()


# -- a real run -------------------------------------------------------------------


def test_a_run_is_watched_from_its_first_task_to_its_end(command: Command) -> None:
    command.write("app.py", two_tasks(execution=BUSY).replace("    n = 0\n", "    n = 0\n    total = N\n"))
    run = command.start("run", "app.py", "-w", "1", "--monitor-endpoint", HERE)
    run.wait_for("busy 1$")
    top = command.start("top", env={"ZMQPIPELINE_MONITOR_ENDPOINT": HERE})
    top.wait_for(r"running, \d+ handed out, 0 acknowledged, 0 failed, 0/s, \d workers?; first 0%")
    code, status = command.run("status", HERE, env={"COLUMNS": "80"})
    assert (code, status.err) == (0, [])
    assert re.search(r"^first +0% +0/40 +0 ", status.output, re.MULTILINE)
    assert re.search(r"^second +after first +0% +0/40 ", status.output, re.MULTILINE)
    assert re.search(r"^  Does +\d+ working +\d+/\d+ ", status.output, re.MULTILINE)
    assert re.search(r"^  Keeps +\d+ working ", status.output, re.MULTILINE)
    command.write("go", "")
    assert run.finish() == 0, run.output
    assert top.finish() == 0, top.output
    assert re.search(r" ended, 80 handed out, 80 acknowledged, 0 failed, ", top.out[-1])
    command.assert_clean()


# -- status -----------------------------------------------------------------------


def test_status_shows_a_table(command: Command) -> None:
    with FakeDistributor(HERE):
        code, run = command.run("status", HERE, env={"COLUMNS": "80"})
    assert (code, run.err) == (0, [])
    assert run.out[0].strip() == "run 01234567  running 1:01  50/s  latency 12 ms  3 workers (1 silent)"
    assert "count                 ━━━━╸        40% 0:12 400/1000      3 50/s   12 ms       2" in run.out
    assert "\x1b" not in run.output


def test_status_as_json_is_all_that_is_known(command: Command) -> None:
    with FakeDistributor(HERE):
        ways = {
            ("status", HERE, "--json"): {},
            ("status", "--json", "--monitor-endpoint", HERE): {
                "ZMQPIPELINE_MONITOR_ENDPOINT": "ipc://nobody.ipc"
            },
            ("status", "--json"): {"ZMQPIPELINE_MONITOR_ENDPOINT": HERE},
        }
        for arguments, env in ways.items():
            code, run = command.run(*arguments, env=env)
            assert (code, run.err) == (0, [])
            assert json.loads("\n".join(run.out)) == make_snapshot()


def test_status_with_keys(command: Command) -> None:
    where = address("tcp", "monitor")
    with FakeDistributor(where, keys=Keys.new(command.folder / "keys")):
        code, run = command.run("status", where, "--json", "--keys", "keys")
        assert (code, run.err) == (0, [])
        assert json.loads("\n".join(run.out)) == make_snapshot()
        code, run = command.run("status", where, before=KNOWING)
    assert (code, run.out) == (7, [])
    assert "\n".join(run.err) == (
        f"zmqpipeline: this process finds keys at {where} and has none: start it again with "
        f"ZMQPIPELINE_KEYS=FOLDER"
    )


NO_ADDRESS = (
    "which run? Give the ADDRESS that it was started with as --monitor-endpoint, "
    "or set ZMQPIPELINE_MONITOR_ENDPOINT=ADDRESS"
)
WRONG_ADDRESS = (
    "ADDRESS: 'tpc://127.0.0.1:5555' is not a valid endpoint address: its scheme 'tpc' is unknown; "
    "did you mean tcp?"
)
NOBODY = (
    f"nobody is at {HERE}: start the run with --monitor-endpoint {HERE}, "
    f"or give the address that it was started with"
)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [((), 2, NO_ADDRESS), (("tpc://127.0.0.1:5555",), 2, WRONG_ADDRESS), ((HERE,), 7, NOBODY)],
)
@pytest.mark.parametrize("name", ["status", "top"])
def test_what_is_wrong_is_one_sentence(
    command: Command, name: str, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    ended, run = command.run(name, *arguments, before=IMPATIENT)
    assert (ended, run.out, run.err) == (code, [], [f"zmqpipeline: {sentence}"])


def test_keys_that_cannot_be_used_are_one_sentence(command: Command) -> None:
    code, run = command.run("status", "tcp://127.0.0.1:5555", "--keys", "nowhere")
    assert code == 13
    assert len(run.err) == 1
    assert "nowhere" in run.err[0]


# -- top, where there is no terminal ------------------------------------------------


def test_top_prints_lines_where_there_is_no_terminal(command: Command) -> None:
    with FakeDistributor(HERE) as fake:
        # a colour that is forced is no terminal
        run = command.start("top", HERE, env={"TERM": "xterm", "FORCE_COLOR": "1"})
        run.wait_for(r"^1:01 running, 416 handed out, 400 acknowledged, .*; count 40%, 0:12 left$")
        fake.show(PROGRESS)
        run.wait_for("700 acknowledged")
        fake.show(ENDED)
        assert run.finish() == 0, run.output
    assert run.out[-1].startswith("1:01 ended, 416 handed out, 1000 acknowledged, 3 failed")
    assert "\x1b" not in run.output
    assert run.err == []
    command.assert_clean()


def test_top_goes_on_when_the_distributor_is_started_again(command: Command) -> None:
    with FakeDistributor(HERE):
        run = command.start("top", HERE, before=KNOWING)
        run.wait_for("400 acknowledged")
    run.wait_for(f"^nobody is at {HERE}: start the run with")
    with FakeDistributor(HERE, PROGRESS) as fake:
        run.wait_for("700 acknowledged")
        fake.show(ENDED)
        assert run.finish() == 0, run.output
    assert sum("nobody is at" in line for line in run.out) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_top(command: Command, number: signal.Signals, code: int) -> None:
    with FakeDistributor(HERE):
        run = command.start("top", HERE)
        run.wait_for("400 acknowledged")
        run.signal(number)
        assert run.finish() == code
    assert run.err == []


def test_who_reads_no_more_ends_top(command: Command) -> None:
    with FakeDistributor(HERE):
        done = subprocess.run(
            [
                "bash",
                "-c",
                f"{sys.executable} -m zmqpipeline top {HERE} | head -n 1; echo ${{PIPESTATUS[0]}}",
            ],
            cwd=command.folder,
            env=command.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=GUARD,
        )
    first, code = done.stdout.splitlines()
    assert first.startswith("1:01 running")
    assert (code, done.stderr) == ("0", "")


# -- top on a terminal ------------------------------------------------------------


def test_top_draws_until_the_run_has_ended_and_leaves_the_last_picture(command: Command) -> None:
    with FakeDistributor(HERE) as fake, on_terminal(command, "top", HERE) as terminal:
        terminal.wait_for("400/1000")
        fake.show(PROGRESS)
        terminal.wait_for("700/1000")
        fake.show(ENDED)
        assert terminal.finish() == 0, terminal.written
    terminal.assert_restored()
    assert terminal.left[0].startswith("run 01234567  ended 1:01")
    assert terminal.left[4].split()[:3] == ["count", "━━━━━━━━━━━━", "100%"]
    assert terminal.left[-1].startswith("5 s count 17")
    # nothing of it scrolls
    assert len(terminal.left) <= 24
    command.assert_clean()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_restores_the_terminal(command: Command, number: signal.Signals, code: int) -> None:
    with FakeDistributor(HERE), on_terminal(command, "top", HERE) as terminal:
        terminal.wait_for("400/1000")
        terminal.popen.send_signal(number)
        assert terminal.finish() == code, terminal.written
    terminal.assert_restored()
    assert terminal.left[4].startswith("count ")
    assert "Traceback" not in terminal.written


def test_top_draws_for_the_size_that_the_terminal_has(command: Command) -> None:
    with FakeDistributor(HERE) as fake, on_terminal(command, "top", HERE) as terminal:
        before = terminal.wait_for("400/1000")
        assert "lag" not in plain(terminal.written)
        terminal.resize(50, 120)
        terminal.popen.send_signal(signal.SIGWINCH)  # it has no session of its own, so nobody else does
        terminal.wait_for("lag", before)
        before = len(terminal.written)
        terminal.resize(12, 40)
        terminal.popen.send_signal(signal.SIGWINCH)
        terminal.wait_for("and 5 more", before)
        fake.show(ENDED)
        assert terminal.finish() == 0, terminal.written
    terminal.assert_restored()
    assert len(terminal.left) <= 12
    assert max(map(len, terminal.left)) <= 40


def test_top_says_that_nothing_comes_and_goes_on_when_something_does(command: Command) -> None:
    with on_terminal(command, "top", HERE, before=KNOWING) as terminal:
        with FakeDistributor(HERE):
            terminal.wait_for("400/1000")
        before = terminal.wait_for(f"nobody is at {HERE}")
        with FakeDistributor(HERE, PROGRESS) as fake:
            terminal.wait_for("700/1000", before)
            fake.show(ENDED)
            assert terminal.finish() == 0, terminal.written
    assert not any("nobody" in line for line in terminal.left)


def test_nobody_leaves_the_terminal_alone(command: Command) -> None:
    with on_terminal(command, "top", HERE, before=IMPATIENT) as terminal:
        assert terminal.finish() == 7
    assert terminal.written.startswith(f"zmqpipeline: nobody is at {HERE}")
    assert "\x1b" not in terminal.written
