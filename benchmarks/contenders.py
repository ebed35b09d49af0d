"""Who is compared, and how each is measured; one that fails is left out, and the others go on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING

from pace import FIRST, choose_count
from peers import PEERS
from peers.launch import PeerError, launch

from zmqpipeline.bench import latency, sleep, throughput
from zmqpipeline.bench.case import Case, Run
from zmqpipeline.bench.failure import BenchError
from zmqpipeline.bench.sample import BARE, IDEAL, MEMORY, OURS, P50, P99, RATE, TIME, Reading
from zmqpipeline.bench.setting import Setting
from zmqpipeline.bench.spread import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: seconds that a peer may take to tell its version
PATIENCE = 60.0

#: a first attempt of those who are timed from the first result on, and have large batches
BATCHES = 50_000

#: how many tasks come one at a time, and how many that sleep are done at a time
ROUNDS, HANDS = 300, 10


@dataclass(frozen=True)
class Limits:
    """What holds for all measurements of a run.

    Parameters
    ----------
    workers
        processes that do the tasks which do nothing
    tasks
        of each measurement; None for as many as take the time wanted
    seconds
        the time wanted
    timeout
        seconds that a measurement of a peer may take, its start and its end included

    """

    workers: int = 2
    tasks: int | None = None
    seconds: float = 2.5
    timeout: float = 180.0


@dataclass(frozen=True)
class Found:
    """A peer that can be measured here.

    Parameters
    ----------
    name
        of the library
    module
        the adapter
    version
        of the library
    tuning
        what its documentation recommends for small tasks, if anything

    """

    name: str
    module: str
    version: str
    tuning: str | None

    @property
    def tuned(self) -> str:
        """The name that it has when it is tuned."""
        return f"{self.name}, tuned"


@dataclass
class Failures:
    """What has gone wrong: who is named here is measured no more."""

    sentences: dict[tuple[str, str], str] = field(default_factory=dict)

    def guard(self, workload: str, name: str, measure: Callable[[], list[Reading]]) -> Run:
        """Make a run of a measurement that may fail."""

        def guarded() -> list[Reading]:
            if (workload, name) in self.sentences:
                return []
            try:
                return measure()
            except (PeerError, BenchError) as error:
                self.sentences[workload, name] = str(error)
                return []

        return Run(name, guarded)


def paced(
    measure: Callable[[int], list[Reading]], limits: Limits, first: int = FIRST
) -> Callable[[], list[Reading]]:
    """Measure with as many tasks as take the time wanted; how many these are is found out once."""

    def rate(count: int) -> float:
        return next(reading.value for reading in measure(count) if reading.figure == RATE)

    @cache
    def count() -> int:
        return limits.tasks or choose_count(rate, limits.seconds, first)

    return lambda: measure(count())


def look(names: Iterable[str]) -> tuple[list[Found], dict[str, str]]:
    """Ask each peer whether it can be measured here; of the others tell why not."""
    found, skipped = [], {}
    for name in names:
        try:
            told = launch(PEERS[name], "describe", PATIENCE)
        except PeerError as error:
            told = {"missing": str(error)}
        if reason := told.get("missing"):
            skipped[name] = reason
        else:
            found.append(Found(name, PEERS[name], told["version"], told["tuning"]))
    return found, skipped


def beside(readings: Iterable[Reading], reference: str | None) -> list[Reading]:
    """Compare readings with somebody else's."""
    return [dataclasses.replace(reading, reference=reference) for reading in readings]


def cases(peers: list[Found], limits: Limits, failures: Failures) -> list[Case]:
    """Make all cases: everybody is in each of them."""
    return [
        _throughput(peers, limits, failures),
        _latency(peers, limits, failures),
        _sleep(peers, limits, failures),
    ]


# -- tasks that do nothing -------------------------------------------------------


def _throughput(peers: list[Found], limits: Limits, failures: Failures) -> Case:
    guard = partial(failures.guard, "throughput")

    def ours(count: int) -> list[Reading]:
        setting = throughput.Pace(count, limits.workers, memory=True)
        return throughput.measure_ours(setting, reference=None)

    def bare(count: int) -> list[Reading]:
        setting = throughput.Pace(count, limits.workers, memory=True)
        return beside(throughput.measure_bare(setting), OURS)

    runs = [guard(OURS, paced(ours, limits, BATCHES)), guard(BARE, paced(bare, limits, BATCHES))]
    for peer in peers:
        runs.append(guard(peer.name, paced(partial(_no_ops, peer, limits, tuned=False), limits)))
        if peer.tuning:
            runs.append(guard(peer.tuned, paced(partial(_no_ops, peer, limits, tuned=True), limits)))
    return Case("throughput", f"{limits.workers} worker{'' if limits.workers == 1 else 's'}", tuple(runs))


def _no_ops(peer: Found, limits: Limits, count: int, *, tuned: bool) -> list[Reading]:
    outcome = launch(
        peer.module, "throughput", limits.timeout, tasks=count, workers=limits.workers, tuned=tuned
    )
    name = peer.tuned if tuned else peer.name
    found = [Reading(name, RATE, outcome["tasks"] / outcome["seconds"], OURS)]
    if outcome["memory"]:
        found.append(Reading(name, MEMORY, outcome["memory"], OURS))
    return found


# -- one task at a time ------------------------------------------------------------


def _latency(peers: list[Found], limits: Limits, failures: Failures) -> Case:
    guard = partial(failures.guard, "latency")
    setting = Setting(limits.tasks or ROUNDS, 1)
    runs = [
        guard(OURS, lambda: beside(latency.measure_ours(setting), None)),
        guard(BARE, lambda: beside(latency.measure_bare(setting), OURS)),
        *(guard(peer.name, partial(_one_by_one, peer, limits, setting.count)) for peer in peers),
    ]
    return Case("latency", "one task at a time", tuple(runs))


def _one_by_one(peer: Found, limits: Limits, rounds: int) -> list[Reading]:
    outcome = launch(peer.module, "latency", limits.timeout, rounds=rounds, workers=limits.workers)
    times = [seconds * 1e6 for seconds in outcome["rounds"]]
    return [
        Reading(peer.name, P50, percentile(times, 50), OURS),
        Reading(peer.name, P99, percentile(times, 99), OURS),
    ]


# -- tasks that sleep ----------------------------------------------------------------


def _sleep(peers: list[Found], limits: Limits, failures: Failures) -> Case:
    guard = partial(failures.guard, "sleep")
    setting = sleep.Setting(limits.tasks or round(limits.seconds * HANDS / sleep.DURATION), HANDS)
    runs = [
        guard(OURS, lambda: sleep.measure_ours(setting)),
        *(guard(peer.name, partial(_naps, peer, limits, setting)) for peer in peers),
    ]
    return Case("sleep", f"{HANDS} at a time", tuple(runs))


def _naps(peer: Found, limits: Limits, setting: sleep.Setting) -> list[Reading]:
    arguments = {"tasks": setting.count, "seconds": sleep.DURATION, "workers": setting.hands}
    outcome = launch(peer.module, "sleep", limits.timeout, **arguments)
    return [Reading(peer.name, TIME, outcome["seconds"], IDEAL)]
