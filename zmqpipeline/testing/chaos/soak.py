"""Round after round, until it is enough: what was done, what was found."""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zmqpipeline.testing.chaos.checker import Tally
from zmqpipeline.testing.chaos.round import Outcome, Round
from zmqpipeline.testing.chaos.schedule import Schedule

#: how often a line says how far it is, in seconds
LINE_INTERVAL = 5.0


@dataclass
class Total:
    """What all rounds have come to."""

    seed: int
    rounds: int = 0
    seconds: float = 0.0
    torn: int = 0
    tally: Tally = field(default_factory=Tally)
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    at_points: int = 0
    recovery: dict[str, list[float]] = field(
        default_factory=lambda: {"worker": [], "collector": [], "distributor": []}
    )
    #: the folders of rounds in which something was found
    kept: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def broken(self) -> bool:
        """Whether a guarantee was broken."""
        return bool(self.tally.breaches)

    def add(self, outcome: Outcome) -> None:
        """Count a round."""
        self.rounds += 1
        self.torn += outcome.torn
        self.tally.add(outcome.tally)
        self.faults.update((fault.role, fault.action) for fault in outcome.faults)
        self.at_points += sum(bool(fault.point) for fault in outcome.faults)
        for role, times in outcome.recovery.items():
            self.recovery[role] += times

    def figures(self) -> dict[str, Any]:
        """Make what ``--json`` prints."""
        tally = self.tally
        return {
            "seed": self.seed,
            "rounds": self.rounds,
            "seconds": round(self.seconds, 1),
            "tasks": tally.made,
            "collected": tally.collected,
            "failed": tally.failed,
            "executions": tally.begun,
            "recovered": tally.recovered,
            "faults": self.faults.total(),
            "faults_at_points": self.at_points,
            "faults_by_kind": {f"{role} {action}": n for (role, action), n in sorted(self.faults.items())},
            "breaches": {"lost": 0, "doubled": 0, "unexpected": 0, **tally.breaches},
            "recovery": {role: _spread(times) for role, times in self.recovery.items() if times},
            "kept": self.kept,
        }


class Soak:
    """Runs rounds.

    Parameters
    ----------
    seed
        what everything is drawn from
    minutes
        no further round begins after so many, and none is hurt any more
    faults
        nor after so many faults; None for no such limit
    quiet
        whether to say nothing before the end

    """

    def __init__(self, seed: int, minutes: float, faults: int | None, *, quiet: bool = False) -> None:
        self._seed = seed
        self._until = time.monotonic() + 60 * minutes
        self._most = faults
        self._quiet = quiet
        self._said_at = time.monotonic()
        self._can_supervise = find_spec("click") is not None and find_spec("rich") is not None
        self.total = Total(seed)
        self._round: Round | None = None

    def run(self) -> Total:
        """Run rounds until it is enough; Ctrl-C ends it."""
        begun = time.monotonic()
        folder = Path(tempfile.mkdtemp(prefix="zmqpipeline-chaos-"))
        try:
            while self._goes_on():
                self._run_one(folder / f"round-{self.total.rounds}")
        except KeyboardInterrupt:
            self.total.interrupted = True
        finally:
            if not self.total.kept:
                shutil.rmtree(folder, ignore_errors=True)
        self.total.seconds = time.monotonic() - begun
        return self.total

    def _run_one(self, folder: Path) -> None:
        number = self.total.rounds
        schedule = Schedule(self._seed, number)
        supervised = schedule.supervised and self._can_supervise
        self._title = f"round {number} ({schedule.transport}, {'run' if supervised else 'one by one'})"
        folder.mkdir()
        self._round = Round(folder, schedule, supervised=supervised)
        outcome = self._round.run(self._goes_on, self._tell)
        self._round = None
        self.total.add(outcome)
        tally = outcome.tally
        self._say(
            f"{self._title}: {len(outcome.faults)} faults, {tally.made} tasks, {tally.collected} collected, "
            f"{tally.failed} failed, {tally.recovered} recovered, {sum(tally.breaches.values())} breaches "
            f"in {outcome.seconds:.1f} s"
        )
        for breach in outcome.breaches:
            self._say(f"  {breach.kind}: {breach.text}")
        if outcome.breaches:
            self.total.kept.append(str(folder))
            self._say(f"  kept in {folder}; its seed is {self._seed}, and it is round {number}")
        else:
            shutil.rmtree(folder, ignore_errors=True)

    def _goes_on(self) -> bool:
        here = 0 if self._round is None else self._round.faults
        enough = self._most is not None and self.total.faults.total() + here >= self._most
        return not enough and time.monotonic() < self._until

    def _tell(self) -> None:
        """Say, once in a while, how far it is."""
        if self._round is not None and time.monotonic() - self._said_at >= LINE_INTERVAL:
            made, received = self._round.progress
            self._say(f"{self._title}: {self._round.faults} faults, {made} tasks, {received} received")

    def _say(self, line: str) -> None:
        self._said_at = time.monotonic()
        if not self._quiet:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


def summary(total: Total) -> list[str]:
    """Say in some lines what was done."""
    figures, tally = total.figures(), total.tally
    by_role: dict[str, list[str]] = {}
    for (role, action), count in sorted(total.faults.items()):
        by_role.setdefault(role, []).append(f"{count} {action}")
    kinds = "; ".join(f"{role} {', '.join(counts)}" for role, counts in by_role.items())
    breaches = ", ".join(f"{count} {kind}" for kind, count in figures["breaches"].items())
    done = f"{tally.collected} collected, {tally.failed} failed as they should, {tally.begun} executions"
    lines = [
        f"{total.rounds} rounds in {total.seconds:.0f} s, seed {total.seed}: {tally.made} tasks, {done}",
        f"{figures['faults']} faults, {total.at_points} of them at a chosen point: {kinds or 'none'}",
        f"{breaches}, {tally.recovered} recovered",
    ]
    lines += [
        f"recovery, {role}: median {spread['median']:.2f} s, longest {spread['max']:.2f} s "
        f"({spread['count']} times)"
        for role, spread in figures["recovery"].items()
    ]
    return lines + [f"kept: {folder}" for folder in total.kept]


def _spread(times: list[float]) -> dict[str, float]:
    return {
        "count": len(times),
        "median": round(statistics.median(times), 3),
        "max": round(max(times), 3),
    }
