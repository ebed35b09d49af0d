"""Runs every role of a file as a process: starts them, starts them again, tells them to stop."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from zmqpipeline import Statistics
from zmqpipeline.cli import leftovers, policy
from zmqpipeline.cli.endpoints import PLAN
from zmqpipeline.cli.exits import Exit, described, of_signal
from zmqpipeline.cli.herd import STATUS, STDERR
from zmqpipeline.cli.output import NOTHING, Output
from zmqpipeline.cli.process import Process, Slot, start
from zmqpipeline.cli.sources import REPLACEABLE
from zmqpipeline.cli.summary import summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zmqpipeline.cli.herd import Herd
    from zmqpipeline.cli.plan import Plan
    from zmqpipeline.cli.renewal import Renewal

#: roles that are there once for each --workers
_MANY = ("worker", "service-worker")
#: roles that run until they are stopped
_SERVICES = ("service", "service-worker")
#: roles that end with the distributor
_ENDED = ("worker", "metadata", "collector")
#: how long the others may take to hear of the end after the distributor has ended, in seconds
END_GRACE = 5.0
#: roles stop by themselves within their stop_timeout; what one may take beyond the longest of these until
#: it is terminated, and then killed, in seconds
STOP_GRACE, TERMINATE_GRACE = 2.0, 5.0
#: how long a drain may take in a run that has failed, in seconds
FAILED_GRACE = 2.0
#: with these codes ends a process that cannot load the program
_UNLOADABLE = (Exit.WRONG_FILE, Exit.WRONG_DECLARATION)
_TICK = 0.1


class Supervisor:
    """One run of a file.

    Parameters
    ----------
    target
        the file, as the user wrote it
    plan
        what is to be started
    workers
        how many processes of each worker class
    environ
        the environment of the processes
    herd
        reads the processes
    output
        where everything is written
    renewal
        tells what is to be started again because the program has changed; None if that does not count

    """

    def __init__(  # noqa: PLR0913, PLR0917 - one for each thing that a run is made of
        self,
        target: str,
        plan: Plan,
        workers: int,
        environ: Mapping[str, str],
        herd: Herd,
        output: Output,
        renewal: Renewal | None = None,
    ) -> None:
        self._target = target
        self._plan = plan
        self._environ = environ
        self._herd = herd
        self._output = output
        self._statistics = NOTHING
        self._restarts = 0
        self._renewal = renewal
        #: whether everything is to begin again
        self.is_outdated = False
        #: the first signal
        self.signal: int | None = None
        self._urgency = 0
        self._failure: policy.Fail | None = None
        self._stopping_since: float | None = None
        self._finished_at: float | None = None
        self._tasks_failed = False
        #: whether a distributor was lost and another one goes on; when the collector had heard of the end
        self._interrupted = False
        self._collected_at: float | None = None
        self._due: list[tuple[float, Slot]] = [
            (0.0, Slot(kind, name, plan.types.get(name, "")))
            for kind, name in plan.roles
            for _ in range(workers if kind in _MANY else 1)
        ]
        self._kinds = {kind for kind, _ in plan.roles}

    def run(self) -> int:
        """Start everything; return the exit code when everything has ended."""
        begun = time.monotonic()
        try:
            while self._herd.alive or self._due:
                now = time.monotonic()
                self._heed_signals(now)
                self._heed_changes(now)
                self._start_due(now)
                self._look_for_end(now)
                self._press(now)
                for process in self._herd.wait(self._pause(now)):
                    self._ended(process, time.monotonic())
                self._output.tick(time.monotonic())
        finally:
            self._herd.end(time.monotonic())
            leftovers.clean(self._plan.ipc, self._herd.pids)
            self._output.close()
        return self._conclude(time.monotonic() - begun)

    def on_line(self, process: Process, kind: int, line: bytes) -> None:
        """Take in a line of one of the processes."""
        if kind == STATUS:
            event = process.note(line)
            if self._renewal is not None and process is self._renewal.process and event["event"] == "plan":
                self._renewal.take(event["plan"])
            if event["event"] == "progress":
                self._statistics = Statistics(*event["tally"])
                self._output.counted(self._statistics, time.monotonic(), event["total"])
            return
        if process.slot.kind == PLAN:
            if kind == STDERR:
                self._output.details(line)
            return  # what it prints, each role prints again
        if kind == STDERR:
            process.last_lines.append(line.decode("utf-8", "replace"))
        self._output.line(process.voice, line, error=kind == STDERR)

    # -- starting -----------------------------------------------------------

    def _start_due(self, now: float) -> None:
        if self._is_held:
            return
        due, self._due = [slot for at, slot in self._due if at <= now], [e for e in self._due if e[0] > now]
        for slot in due:
            self._herd.add(start(slot, [], [self._target, slot.name], self._environ))

    def _pause(self, now: float) -> float:
        return _TICK if self._is_held else max(0.0, min([_TICK, *(at - now for at, _ in self._due)]))

    @property
    def _is_held(self) -> bool:
        """Whether the program has changed, and cannot be loaded, or nobody knows yet whether it can."""
        return self._renewal is not None and (self._renewal.process is not None or self._renewal.is_broken)

    # -- ends ---------------------------------------------------------------

    def _ended(self, process: Process, now: float) -> None:
        """Take in that a process has ended, and do what follows from that."""
        slot = process.slot
        if slot.kind == PLAN:
            self._loaded(process, now)
            return
        if slot.kind == "worker":
            for other in self._herd.alive:
                if other.slot.kind == "distributor":
                    other.tell({"pid": process.pid, "how": described(process.popen.returncode)})
        if not (process.renewed or self._cannot_load(process)):
            self._role_ended(process, now)
        elif not self._stopping and (self._finished_at is None or slot.kind in _SERVICES):
            self._due.append((now, slot))

    def _role_ended(self, process: Process, now: float) -> None:
        slot, code = process.slot, process.popen.returncode
        how = policy.Ended(code, process.ready, process.error, process.stopped_at is not None)
        verdict = policy.judge(
            slot,
            how,
            finished=self._finished_at is not None,
            acknowledged=self._statistics.acknowledged,
            journal=self._plan.journal,
        )
        if slot.kind == "distributor" and (self._stopping or not isinstance(verdict, policy.Restart)):
            self._output.ending()
        if isinstance(verdict, policy.Restart):
            if self._stopping:
                return
            self._restarts += 1
            self._interrupted = self._interrupted or slot.kind == "distributor"
            self._output.say(
                f"{process.label} has ended ({described(code)}): another one takes its place", "warning"
            )
            self._due.append((now + verdict.delay, slot))
        elif isinstance(verdict, policy.Fail):
            self._fail(verdict, process, now)
        elif slot.kind == "distributor" and process.stopped_at is None:
            self._finished_at = now
            self._tasks_failed = code == Exit.TASKS_FAILED
        elif slot.kind == "collector" and process.stopped_at is None:
            self._collected_at = now

    def _fail(self, verdict: policy.Fail, process: Process, now: float) -> None:
        """End the run for a reason; those that come later are consequences of the first."""
        if self._failure is not None or self._stopping:
            return
        self._failure = verdict
        self._output.say(verdict.reason, "error")
        if process.error is None and process.last_lines:
            self._output.last_lines(process.label, process.last_lines)
        self._stop(now)
        for other in self._herd.alive:
            # without a collector nothing is acknowledged any more
            if process.slot.kind == "collector" and other.slot.kind == "distributor":
                other.terminate(now)

    def _look_for_end(self, now: float) -> None:
        """Stop what would not end by itself once the work is done."""
        waits = self._interrupted and self._collected_at is not None and self._finished_at is None
        if waits and now - (self._collected_at or now) > END_GRACE:
            # the collector had heard of the end before the distributor was lost: it would wait for ever
            self._finished_at = now
            self._tasks_failed = self._statistics.failed > 0
            for process in self._herd.alive:
                if process.slot.kind == "distributor":
                    process.stop(now)
        late = self._finished_at is not None and now - self._finished_at > END_GRACE
        if self._finished_at is not None:
            # nothing is left for those who come late
            self._due = [(at, slot) for at, slot in self._due if slot.kind in _SERVICES]
            for process in self._herd.alive:
                # a collector is left to finish, however long it takes, unless it has nothing to finish:
                # it took the place of one that ended badly after it had said goodbye
                leaves = process.slot.kind in ("worker", "metadata") and late
                if leaves or (process.slot.kind in _ENDED and not process.started):
                    process.stop(now)
        pending = {process.slot.kind for process in self._herd.alive} | {slot.kind for _, slot in self._due}
        pipeline = self._kinds.difference(_SERVICES)
        if pipeline and not pending.difference(_SERVICES):
            self._stop(now)

    # -- changes ------------------------------------------------------------

    def _heed_changes(self, now: float) -> None:
        """Load the program again if it has changed; not any longer if nothing else runs."""
        if self._renewal is None or self._stopping:
            return
        process = self._renewal.begin(now)
        if process is not None:
            self._herd.add(process)
        if not self._due and all(each.slot.kind == PLAN for each in self._herd.alive):
            for each in self._herd.alive:
                each.kill(now)

    def _loaded(self, process: Process, now: float) -> None:
        """Take in that the changed program was loaded, or cannot be."""
        if self._renewal is None or process is not self._renewal.process or process.killed or self._stopping:
            return
        if process.popen.returncode != Exit.DONE:
            how = f"{self._target} ends the process that loads it ({described(process.popen.returncode)})"
            self._say_broken(how if process.error is None else process.error[1])
            return
        changed, names = self._renewal.conclude()
        if names is None or self._finished_at is not None:
            self._output.say(f"{changed}: all roles are finishing what is under way, to begin again")
            self.is_outdated = True
            self._stop(now)
            return
        self._plan = self._renewal.plan
        verb = "is" if len(names) == 1 else "are"
        self._output.say(f"{changed}: {', '.join(names)} {verb} finishing what is under way, to begin again")
        for other in self._herd.alive:
            if other.slot.kind in REPLACEABLE and other.slot.name in names:
                other.renewed = True
                other.stop(now)

    def _cannot_load(self, process: Process) -> bool:
        """Tell whether a process has found that the program, which could be loaded, no longer can."""
        failed = process.error is not None and process.error[0] in _UNLOADABLE and not process.ready
        if self._renewal is None or not failed:
            return False
        if not self._renewal.is_broken and process.error is not None:
            self._say_broken(process.error[1])
        return True

    def _say_broken(self, sentence: str) -> None:
        if self._renewal is not None:
            self._renewal.broke()
        self._output.say(sentence, "error")
        self._output.say("what runs goes on as it was, until the program can be loaded again")

    # -- stopping -----------------------------------------------------------

    @property
    def _stopping(self) -> bool:
        return self.signal is not None or self._failure is not None or self.is_outdated

    def _heed_signals(self, now: float) -> None:
        for number in self._herd.take_signals():
            self.signal = self.signal or number
            self._urgency += 1
            name = signal.Signals(number).name
            if self._urgency == 1:
                self._output.say(
                    f"{name}: finishing what is under way; once more stops at once, a third time kills"
                )
                self._stop(now)
            elif self._urgency == 2:
                self._output.say(f"{name}: stopping at once; once more kills")
                for process in self._herd.alive:
                    process.terminate(now)
            else:
                self._output.say(f"{name}: killing")
                for process in self._herd.alive:
                    process.kill(now)

    def _stop(self, now: float) -> None:
        """Tell the processes to finish what is under way; the collector when nothing can come any more."""
        self._due.clear()
        distributing = any(process.slot.kind == "distributor" for process in self._herd.alive)
        for process in self._herd.alive:
            if process.slot.kind != "collector" or not distributing:
                process.stop(now)

    def _press(self, now: float) -> None:
        """Be harder on what was told to stop and does not."""
        if self._stopping:
            self._stop(now)
            self._stopping_since = self._stopping_since or now
        patience = FAILED_GRACE if self._failure is not None else self._plan.stop_timeout + STOP_GRACE
        for process in self._herd.alive:
            process.catch_up(now)
            # the collector is told last, but one time is for all of them
            since = self._stopping_since or process.stopped_at
            if process.terminated_at is not None:
                if now - process.terminated_at > TERMINATE_GRACE:
                    process.kill(now)
            elif since is not None and now - since > patience:
                process.terminate(now)

    # -- the end ------------------------------------------------------------

    def _conclude(self, seconds: float) -> int:
        """Say what was done; return the exit code."""
        if "distributor" in self._kinds and (self._statistics.handed_out or self._failure is None):
            self._output.say(
                summary(self._statistics, seconds, stopped=self._stopping, restarts=self._restarts)
            )
        if self.signal is not None:
            return of_signal(self.signal)
        if self._failure is not None:
            return self._failure.code
        return Exit.TASKS_FAILED if self._tasks_failed else Exit.DONE
