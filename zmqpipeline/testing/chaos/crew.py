"""The processes of a round: how they are started, started again when they die, and how they have to end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

#: the file that is run, and the run's journal
FILE, JOURNAL = "workload.py", "run.journal"
#: processes of each worker class
WORKERS = 2
#: how long workers may take to hear of the end, in seconds; one that was not there is told by a signal
END_GRACE = 5.0
#: how long it takes to start a role again, in seconds
_RESTART = 0.1
#: exit codes: the work is done; some tasks have failed; a peer stayed away; ended by SIGTERM
_DONE, _FAILED, _PEER_TIMEOUT, _TERMINATED = 0, 1, 7, 128 + signal.SIGTERM
#: what ``zmqpipeline run`` says of a process that it replaces
_REPLACED = re.compile(r"(\w+)\[(\d+)\] has ended \((.*)\): another one takes its place")


class Crew(ABC):
    """The processes of a round.

    Parameters
    ----------
    folder
        where they run
    environ
        their environment

    """

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self._started: list[subprocess.Popen[bytes]] = []

    @abstractmethod
    def start(self) -> None:
        """Start everything."""

    @abstractmethod
    def tick(self, now: float) -> None:
        """Start again who has died, and end who is left over."""

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether nobody is left."""

    @property
    @abstractmethod
    def distributing(self) -> bool:
        """Whether the distributor has not said that the work is done."""

    @abstractmethod
    def complaints(self, killed: Collection[int], *, failures: int) -> Iterator[str]:
        """Tell who has ended in a way that nobody has caused.

        Parameters
        ----------
        killed
            the processes that were killed
        failures
            how many tasks have failed

        """

    def close(self) -> None:
        """End everything at once."""
        for popen in self._started:
            if popen.poll() is None:
                popen.kill()
            popen.wait()

    def _launch(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with self._folder.joinpath(f"{name}.log").open("ab") as log:
            popen = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "zmqpipeline", *arguments],
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the process that watches
            )
        self._started.append(popen)
        return popen


class Supervised(Crew):
    """The processes of ``zmqpipeline run``, which starts them again by itself."""

    def start(self) -> None:
        """Start the run."""
        self._run = self._launch("run", "run", FILE, "-w", str(WORKERS), "--journal", JOURNAL)

    def tick(self, now: float) -> None:
        """Do nothing: the run sees to it."""

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self._run.poll() is not None

    @property
    def distributing(self) -> bool:
        """Whether the run goes on."""
        return not self.ended

    def complaints(self, killed: Collection[int], *, failures: int) -> Iterator[str]:
        """Compare the run's exit code, and what it says of the processes that it has replaced."""
        code, wanted = self._run.returncode, _FAILED if failures else _DONE
        if code != wanted:
            yield f"zmqpipeline run ended with exit code {code} instead of {wanted}"
        log = self._folder.joinpath("run.log").read_text(encoding="utf-8", errors="replace")
        for name, pid, how in _REPLACED.findall(log):
            if int(pid) not in killed:
                yield f"{name} (process {pid}) ended by itself: {how}"


@dataclass(eq=False)
class _Slot:
    """A place that one process after another takes."""

    role: str
    name: str
    log: str
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0
    told_to_stop: bool = False


class OneByOne(Crew):
    """Each role as a command of its own, started again by us."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        super().__init__(folder, environ)
        workers = [("worker", name) for name in ("DoesMany", "DoesGated", "DoesLast") for _ in range(WORKERS)]
        roles = [("collector", "Keeps"), ("distributor", ""), *workers]
        self._slots = [_Slot(role, name, f"{role}-{index}") for index, (role, name) in enumerate(roles)]
        self._done_at: float | None = None
        self._ends: list[tuple[_Slot, int, int]] = []

    def start(self) -> None:
        """Let the first tick start them all."""

    def tick(self, now: float) -> None:
        """Start who is due, and see who has ended."""
        for slot in self._slots:
            if slot.process is not None and slot.process.poll() is not None:
                self._took_an_end(slot, slot.process, now)
            elif slot.process is None and now >= slot.start_at:
                self._start(slot)
        if self._done_at is not None and now - self._done_at > END_GRACE:
            for slot in self._slots:
                # who was not there at the end hears of it from whoever started it: a worker, or a collector
                # that has taken the place of one that was killed in its last moment, behind its goodbye
                if slot.process is not None and not slot.told_to_stop:
                    slot.told_to_stop = True
                    slot.process.terminate()

    @property
    def ended(self) -> bool:
        """Whether the work is done and everybody has ended."""
        return self._done_at is not None and all(slot.process is None for slot in self._slots)

    @property
    def distributing(self) -> bool:
        """Whether the distributor has not ended with its work done."""
        return self._done_at is None

    def complaints(self, killed: Collection[int], *, failures: int) -> Iterator[str]:
        """Compare the exit codes."""
        for slot, pid, code in self._ends:
            fine = {_DONE}
            if slot.role == "distributor":
                fine = {_FAILED if failures else _DONE}
            elif slot.told_to_stop:
                fine = {_DONE, _PEER_TIMEOUT, _TERMINATED}
            if code not in fine and pid not in killed:
                yield f"{slot.role} {slot.name} (process {pid}) ended by itself with exit code {code}"

    def _start(self, slot: _Slot) -> None:
        journal = ["--journal", JOURNAL] if slot.role == "distributor" else []
        slot.process = self._launch(slot.log, slot.role, *journal, FILE, *filter(None, [slot.name]))
        slot.told_to_stop = False

    def _took_an_end(self, slot: _Slot, process: subprocess.Popen[bytes], now: float) -> None:
        code = process.returncode
        self._ends.append((slot, process.pid, code))
        slot.process = None
        slot.start_at = now + _RESTART
        if slot.role == "distributor" and code in {_DONE, _FAILED}:
            self._done_at = now
        if self._done_at is not None:
            for other in self._slots:
                other.start_at = float("inf")
        elif slot.role == "distributor":
            # whoever had heard of the end already has to hear of it again
            for other in self._slots:
                other.start_at = min(other.start_at, now + _RESTART)
        elif code == _DONE:
            slot.start_at = float("inf")  # it has heard of the end


def environment(mark: dict[str, str], package: Path, endpoints: dict[str, str]) -> dict[str, str]:
    """Make the environment of a round's processes: this package, and no settings of the user's own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ZMQPIPELINE_")}
    path = os.pathsep.join(filter(None, [str(package), environ.get("PYTHONPATH", "")]))
    return {**environ, **mark, **endpoints, "PYTHONPATH": path}
