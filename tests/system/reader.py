"""Somebody who follows a page: saves its programs, types its commands, sees that what is shown comes."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import IO, TYPE_CHECKING, NamedTuple

from tests.pages import NOT_TYPED

from .conftest import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from typing_extensions import Self

    from tests.pages import Block

#: no command takes longer, in seconds
_GUARD = 25.0
_SCRIPT = '#!/bin/sh\nexec {python} {arguments} "$@"\n'
#: what a machine has on its path here, and the arguments behind the interpreter
_PROGRAMS = {"zmqpipeline": "-m zmqpipeline", "python": "", "pytest": "-m pytest -p no:cacheprovider"}
#: what differs from run to run, as patterns of what is shown and of what may come instead
_VARYING = (
    r"\[\d+\]", r"\d\d:\d\d:\d\d", r"in \d+\.\d+s",
    # a busy machine may give back what was not begun, and hand it out again
    r"\d+ connections?", r"\(attempt \d+\)", r"\d+ redelivered in [\d.]+ s \(\d+/s\)",
)  # fmt: skip
#: stands for a public key: any at first, and from then on the same
_KEY = r"'KEY OF [A-Z ]+'"
_ANY = re.compile("|".join([*_VARYING, _KEY, r"\.\.\."]))


class Typed(NamedTuple):
    """A command, and the lines that are shown below it."""

    command: str
    shown: list[str]

    @property
    def is_background(self) -> bool:
        return self.command.endswith(" &")


def commands(block: Block) -> list[Typed]:
    """Take the commands out of a console block; what follows a prompt ``>`` belongs to the one above."""
    found: list[Typed] = []
    for line in block.text.split("\n"):
        if line.startswith("$ "):
            found.append(Typed(re.sub(r" +# .*", "", line[2:]), []))
        elif line.startswith("> ") and found:
            found[-1] = Typed(f"{found[-1].command}\n{line[2:]}", [])
        elif line.strip() and found:
            found[-1].shown.append(line)
    return found


class Console:
    """A command that goes on while others are typed: what it has written so far."""

    def __init__(self, popen: subprocess.Popen[str], typed: Typed, news: threading.Condition) -> None:
        self.popen = popen
        self.typed = typed
        self.out: list[str] = []
        self.err: list[str] = []
        self._news = news
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((popen.stdout, self.out), (popen.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        for line in stream:
            with self._news:
                lines.append(line.rstrip("\n"))
                self._news.notify_all()

    def finish(self) -> int:
        """Wait for the end; return the exit code."""
        try:
            code = self.popen.wait(_GUARD)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"does not end:\n{self.output}") from None
        for reader in self._readers:
            reader.join(_GUARD)
        return code

    @property
    def lines(self) -> list[str]:
        return [*self.out, *self.err]

    @property
    def output(self) -> str:
        return "\n".join([f"$ {self.typed.command}", *self.out, "--- stderr:", *self.err])


class Reader:
    """Follows a page in a folder of their own, which is their home as well.

    Parameters
    ----------
    folder
        where commands are typed
    swap
        what stands on the page, and what is typed and seen in its place
    keys
        the public keys that were seen, which readers may share

    """

    def __init__(
        self,
        folder: Path,
        swap: Mapping[str, str] | None = None,
        keys: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.swap = dict(swap or {})
        self.keys: dict[str, str] = {} if keys is None else keys
        self.begun: list[Console] = []
        self._command = Command(folder)
        programs = folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name, arguments in _PROGRAMS.items():
            script = programs / name
            script.write_text(_SCRIPT.format(python=shlex.quote(sys.executable), arguments=arguments))
            script.chmod(0o755)
        self.environ = {
            **self._command.environ,
            "HOME": str(folder),
            "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._code = 0
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self._command.survivors():
            os.kill(pid, signal.SIGKILL)
        for console in self.begun:
            console.finish()
            for stream in (console.popen.stdout, console.popen.stderr):
                if stream is not None:
                    stream.close()

    def follow(self, block: Block) -> None:
        """Do what a block says, and see that what comes is what is shown."""
        if block.language == "python":
            if block.caption:
                self.folder.joinpath(block.caption).write_text(block.text + "\n", encoding="utf-8")
        elif block.language == "console":
            for typed in commands(block):
                if not typed.command.startswith(tuple(NOT_TYPED)):
                    self.type(typed)
            assert self._code == 0, f"line {block.line}: a command fails, and its exit code is not shown"

    def wait_for(self, shown: str, *consoles: Console, times: int = 1) -> None:
        """Wait until a line that is shown has come so often, from one of some consoles or of all."""
        pattern, deadline = self.pattern(shown), time.monotonic() + _GUARD
        with self._news:
            while True:
                lines = [line for console in consoles or self.begun for line in console.lines]
                found = [match for line in lines if (match := re.fullmatch(pattern, line))]
                if len(found) >= times:
                    return self.learn(found[-1])
                output = "\n".join(console.output for console in consoles or self.begun)
                assert time.monotonic() < deadline, f"no {shown!r} in\n{output}"
                self._news.wait(0.5)

    def pattern(self, shown: str) -> str:
        """Make a pattern of a line that is shown."""
        text, pattern, at = self._swapped(shown), "", 0
        for found in _ANY.finditer(text):
            pattern += re.escape(text[at : found.start()]) + self._varying(found[0])
            at = found.end()
        return pattern + re.escape(text[at:])

    def learn(self, match: re.Match[str]) -> None:
        """Remember the keys in a line that was seen."""
        for name, key in match.groupdict().items():
            self.keys[name.replace("_", " ")] = key

    def _varying(self, text: str) -> str:
        """Make a pattern of what differs from run to run."""
        if re.fullmatch(_KEY, text):
            name = text.strip("'")
            # a shell needs no quotes around a key of letters and digits alone
            known = self.keys.get(name)
            key = f"(?P<{name.replace(' ', '_')}>.{{40}})" if known is None else re.escape(known)
            return f"'?{key}'?"
        return next((it for it in _VARYING if re.fullmatch(it, text)), ".*")

    def _swapped(self, text: str) -> str:
        for old, new in self.swap.items():
            text = text.replace(old, new)
        return text.replace("/home/you", str(self.folder))

    def type(self, typed: Typed) -> None:
        """Type a command; one in the background goes on when its lines have come."""
        command = self._swapped(typed.command).removesuffix("&").rstrip()
        for words in re.findall(_KEY, command):
            command = command.replace(words, shlex.quote(self.keys[words.strip("'")]))
        if typed.command == "echo $?":
            assert typed.shown == [str(self._code)]
            self._code = 0
            return
        assert self._code == 0, f"a command fails, and the page does not show its exit code: {typed.command}"
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self.environ[name] = self._shell(f"printf %s {value}")
            return
        console = self._begin(command, typed)
        if typed.is_background:
            self.begun.append(console)
            for line, times in Counter(typed.shown).items():
                self.wait_for(line, console, times=times)
            return
        try:
            self._code = console.finish()
            self._compare(console)
        finally:
            self.begun.append(console)

    def _begin(self, command: str, typed: Typed) -> Console:
        popen = subprocess.Popen(
            ["sh", "-c", command], cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
        )  # fmt: skip
        return Console(popen, typed, self._news)

    def _shell(self, command: str) -> str:
        return subprocess.check_output(["sh", "-c", command], cwd=self.folder, env=self.environ, text=True)

    def _compare(self, console: Console) -> None:
        """See that each line that is shown came, and, unless dots stand for others, no other on stdout."""
        shown, left = console.typed.shown, list(console.lines)
        for line in shown:
            if line == "...":
                continue
            pattern = self.pattern(line)
            match = next((found for came in left if (found := re.fullmatch(pattern, came))), None)
            assert match is not None, f"the page shows\n{line}\nand what came is\n{console.output}"
            self.learn(match)
            left.remove(match[0])
        if shown and "..." not in shown:
            more = [line for line in console.out if line in left and line.strip()]
            assert not more, f"the page does not show {more}:\n{console.output}"


def ports(text: str, free_port: Callable[[], int]) -> dict[str, str]:
    """Give each tcp address of a page one on the loopback interface."""
    found = dict.fromkeys(re.findall(r"tcp://(?:\d+\.\d+\.\d+\.\d+|\*):\d+", text))
    numbers = {port: str(free_port()) for port in {address.rpartition(":")[2] for address in found}}
    return {address: f"tcp://127.0.0.1:{numbers[address.rpartition(':')[2]]}" for address in found}
