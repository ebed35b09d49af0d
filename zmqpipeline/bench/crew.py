"""The processes of one measurement: started, heard, told to go on, and ended whatever happens."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zmqpipeline.bench import seat
from zmqpipeline.bench.failure import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

#: how long a process may take to end when its work is done, in seconds
PARTING = 30.0


def search_path() -> list[str]:
    """List where this process finds its modules, so that one in another folder finds the same."""
    return [str(Path(path).absolute()) for path in sys.path]


@dataclass(eq=False)
class Member:
    """One process.

    Parameters
    ----------
    name
        what it is called in an error
    popen
        the process
    descriptor
        where its words come from
    begun
        when it was started, in nanoseconds of ``time.perf_counter_ns()``

    """

    name: str
    popen: subprocess.Popen[bytes]
    descriptor: int
    begun: int
    #: what came behind its last whole line
    rest: bytes = field(default=b"", repr=False)
    #: how much memory it has had at most, in MiB; known when it has ended
    memory: float = 0.0

    def release(self) -> None:
        """Tell it to go on."""
        assert self.popen.stdin is not None  # noqa: S101 - it was started with one
        with contextlib.suppress(BrokenPipeError):  # it has ended: whoever waits for its words will notice
            os.write(self.popen.stdin.fileno(), b"\n")


@dataclass(frozen=True)
class Word:
    """What a member has said, and when it was heard."""

    member: Member
    word: str
    values: dict[str, Any]
    heard: float


class Crew:
    """Runs roles as processes, in a folder of their own.

    It is used as a context: at its end no process is left, and no file.
    """

    def __init__(self) -> None:
        self.members: list[Member] = []
        self._words: deque[Word] = deque()
        self._prepared: list[Member] = []
        self._selector = selectors.DefaultSelector()
        self._folder = tempfile.TemporaryDirectory(prefix="zmqpipeline-bench-", ignore_cleanup_errors=True)

    @property
    def folder(self) -> Path:
        """The working directory of its processes."""
        return Path(self._folder.name)

    def start(self, name: str, function: Callable[..., None], **arguments: Any) -> Member:
        """Start a process that runs a function.

        Parameters
        ----------
        name
            what the process is called in an error
        function
            a function of a module, which gets a :class:`~zmqpipeline.bench.seat.Post`. Its module is loaded
            from its file, without the packages around it
        **arguments
            what else the function gets; goes through JSON

        """
        said, says = os.pipe()
        order = {
            "descriptor": says,
            "file": inspect.getfile(function),
            "function": function.__name__,
            "arguments": arguments,
        }
        paths = search_path()
        code = (
            f"import sys, runpy; sys.path[:] = {paths!r}; runpy.run_path({seat.__file__!r}, None, '__main__')"
        )
        begun = time.perf_counter_ns()
        try:
            with self._log(len(self.members)).open("wb") as log:
                popen = subprocess.Popen(  # noqa: S603 - our own program
                    [sys.executable, "-c", code, json.dumps(order)],
                    cwd=self._folder.name,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    bufsize=0,
                    pass_fds=(says,),
                    start_new_session=True,  # the terminal's Ctrl-C is for us alone
                )
        except BaseException:
            os.close(said)
            raise
        finally:
            os.close(says)
        member = Member(name, popen, said, begun)
        self.members.append(member)
        self._selector.register(said, selectors.EVENT_READ, member)
        return member

    def hear(self, word: str, times: int = 1) -> list[Word]:
        """Wait until a word was said so many times; what else is said is kept.

        Raises
        ------
        BenchError
            if a process ends before that

        """
        while sum(said.word == word for said in self._words) < times:
            self.listen(None)
        found = self.taken(word)
        self._words.extendleft(reversed(found[times:]))
        return found[:times]

    def taken(self, word: str) -> list[Word]:
        """Take every such word that was said already."""
        found = [said for said in self._words if said.word == word]
        for said in found:
            self._words.remove(said)
        return found

    def listen(self, timeout: float | None) -> None:
        """Wait until something is said, for so many seconds at most.

        Raises
        ------
        BenchError
            if a process has ended that should not have

        """
        if not self._selector.get_map():
            raise BenchError("all processes of a measurement have ended before it was done")
        for key, _ in self._selector.select(timeout):
            member: Member = key.data
            data = os.read(member.descriptor, 65536)
            if data:
                *lines, member.rest = (member.rest + data).split(b"\n")
                self._take(member, lines)
            else:
                self._selector.unregister(member.descriptor)
                self._check(member)

    def bound(self) -> None:
        """Wait until distributor and collector are bound.

        Who connects earlier fails, and ZeroMQ tries again only a tenth of a second later: too late for a
        short run.
        """
        self.hear("ready", 2)

    def gather(self, times: int) -> None:
        """Wait until so many processes are prepared, and let them go on together."""
        self.prepared(times)
        self.release()

    def prepared(self, times: int) -> None:
        """Wait until so many processes are prepared."""
        self._prepared = [said.member for said in self.hear("prepared", times)]

    def release(self) -> None:
        """Let those that are prepared go on."""
        for member in self._prepared:
            member.release()

    def finish(self) -> None:
        """Let everybody go on, and wait until all have ended.

        Raises
        ------
        BenchError
            if one ends with an error, or not at all

        """
        for member in self.members:
            member.release()
        until = time.monotonic() + PARTING
        while self._selector.get_map():
            left = until - time.monotonic()
            if left < 0:
                names = ", ".join(key.data.name for key in self._selector.get_map().values())
                raise BenchError(
                    f"{names} did not end {PARTING:.0f} s after the work was done; please report it"
                )
            self.listen(left)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self.members:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(member.popen.pid, signal.SIGKILL)
        for member in self.members:
            member.popen.wait()
            os.close(member.descriptor)
            if member.popen.stdin is not None:
                member.popen.stdin.close()
        self._selector.close()
        self._folder.cleanup()

    def _take(self, member: Member, lines: list[bytes]) -> None:
        now = time.perf_counter()
        for line in lines:
            values = json.loads(line)
            word = values.pop("word")
            if word == "ended":
                member.memory = values["memory"]
            else:
                self._words.append(Word(member, word, values, now))

    def _check(self, member: Member) -> None:
        """See that a process that says no more has ended well."""
        code = member.popen.wait()
        if code != 0 or not member.memory:
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            said = self._log(self.members.index(member)).read_text(encoding="utf-8", errors="replace")
            last = said.strip().splitlines()[-1:] or ["it said nothing"]
            raise BenchError(f"the process of {member.name} ended early ({how}): {last[0]}")

    def _log(self, index: int) -> Path:
        return Path(self._folder.name, f"process-{index}.log")
