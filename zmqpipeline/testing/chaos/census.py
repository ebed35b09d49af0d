"""Who is alive in a round: processes, by what they have written down and by what the system says."""

from __future__ import annotations

import os
import resource
import select
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zmqpipeline.testing.chaos.record import Event

#: in the environment of every process of a round, so that those that stay behind are found
MARK = "ZMQPIPELINE_CHAOS"
#: what a process may die of
LETHAL = frozenset({"kill", "segv", "abort", "memory"})
_SIGNALS = {
    "kill": signal.SIGKILL,
    "segv": signal.SIGSEGV,
    "abort": signal.SIGABRT,
    "stop": signal.SIGSTOP,
}
#: how much memory a process may still take when its limit is lowered, in bytes
_REST = 512 * 1024


@dataclass(eq=False)
class Member:
    """A process that runs a role; it is held by a descriptor, so that its id cannot mean another one."""

    pid: int
    role: str
    born: float
    descriptor: int
    #: whether it has done anything
    settled: bool = False
    #: until when it is stopped, or short of memory; on the monotonic clock
    stopped_until: float | None = None
    short_until: float | None = None

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return not select.select([self.descriptor], [], [], 0)[0]

    def suffer(self, action: str) -> bool:
        """Do something to it; tell whether it was there."""
        try:
            if action == "memory":
                self._limit(_size(self.pid) + _REST)
            else:
                signal.pidfd_send_signal(self.descriptor, _SIGNALS[action])
        except (ProcessLookupError, FileNotFoundError, PermissionError):
            return False
        return True

    def relieve(self, now: float) -> None:
        """Let it go on, or give it memory, when it is time."""
        try:
            if self.stopped_until is not None and now >= self.stopped_until:
                self.stopped_until = None
                signal.pidfd_send_signal(self.descriptor, signal.SIGCONT)
            if self.short_until is not None and now >= self.short_until:
                self.short_until = None
                self._limit(resource.RLIM_INFINITY)
        except (ProcessLookupError, FileNotFoundError, PermissionError):
            pass

    def _limit(self, size: int) -> None:
        signal.pidfd_send_signal(self.descriptor, 0)  # it is there, so its id is its own
        _, hard = resource.prlimit(self.pid, resource.RLIMIT_AS)
        wanted = size if hard == resource.RLIM_INFINITY else hard if size == resource.RLIM_INFINITY else size
        resource.prlimit(self.pid, resource.RLIMIT_AS, (wanted, hard))


class Census:
    """The processes of one round that have said which role they have.

    Parameters
    ----------
    mark
        what stands in their environment under :data:`MARK`

    """

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self.members: dict[int, Member] = {}
        #: the processes that were killed, or may have been
        self.victims: set[int] = set()

    def take(self, event: Event) -> None:
        """Take in a line."""
        if event.what == "born":
            self._meet(event)
            return
        if event.what == "fault" and event.words[0] in LETHAL:
            self.victims.add(event.pid)
        member = self.members.get(event.pid)
        if member is not None:
            member.settled = True

    def alive(self, role: str) -> list[Member]:
        """List the processes of a role that live and are not stopped already."""
        return [
            member
            for member in self.members.values()
            if member.role == role and member.stopped_until is None and member.alive
        ]

    def relieve(self, now: float) -> None:
        """Let those go on whose time has come."""
        for member in self.members.values():
            if member.stopped_until is not None or member.short_until is not None:
                member.relieve(now)

    @property
    def stopped(self) -> bool:
        """Whether somebody is stopped."""
        return any(member.stopped_until is not None for member in self.members.values())

    def close(self) -> None:
        """Let everybody go on, and let go of them."""
        for member in self.members.values():
            member.relieve(float("inf"))
            os.close(member.descriptor)
        self.members.clear()

    def _meet(self, event: Event) -> None:
        role = event.words[0]
        if role.startswith("_"):
            return  # it only looks at the file
        try:
            descriptor = os.pidfd_open(event.pid)
        except ProcessLookupError:
            return  # it is dead already
        # by now it may be another one's id
        if marked(event.pid, self._mark):
            self.members[event.pid] = Member(event.pid, role, event.time, descriptor)
        else:
            os.close(descriptor)


def survivors(mark: str) -> list[int]:
    """List the processes of a round that are still there."""
    return [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and marked(int(folder.name), mark)
    ]


def marked(pid: int, mark: str) -> bool:
    """Tell whether a process lives and belongs to a round."""
    folder = Path("/proc", str(pid))
    try:
        state = folder.joinpath("stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        return state not in "ZX" and f"{MARK}={mark}\0".encode() in folder.joinpath("environ").read_bytes()
    except OSError:
        return False


def _size(pid: int) -> int:
    """Tell how much memory a process has mapped, in bytes."""
    pages = Path("/proc", str(pid), "statm").read_text(encoding="ascii").split()[0]
    return int(pages) * resource.getpagesize()
