"""A run of many tasks that do nothing: does it get slower, or larger, as time goes by.

The last tenth is compared with the first: throughput in the collector's
process, and the memory that each process holds, which is looked at every tenth of a second. How
the memory went over time is in the JSON.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from zmqpipeline.bench import addresses, memory
from zmqpipeline.bench.case import Case, Run
from zmqpipeline.bench.crew import Crew
from zmqpipeline.bench.roles import landmarks, noop
from zmqpipeline.bench.sample import OURS, RATE, Figure, Reading
from zmqpipeline.bench.setting import Setting
from zmqpipeline.bench.throughput import check
from zmqpipeline.bench.workload import Workload

if TYPE_CHECKING:
    from zmqpipeline.bench.crew import Word
    from zmqpipeline.bench.workload import Options

FIRST, LAST = f"{OURS}, first tenth", f"{OURS}, last tenth"
#: how often the memory is looked at, in seconds
INTERVAL = 0.1
#: the smallest run that has tenths
LEAST = 10


@dataclass(frozen=True)
class Distance(Setting):
    """How many no-op tasks are done: at least 10."""

    def __str__(self) -> str:
        return f"{self.count:,} tasks, {super().__str__()}"

    @property
    def marks(self) -> list[int]:
        """After how many results the first tenth is over, the last one begins, and all is done."""
        return [self.count // 10, self.count - self.count // 10, self.count]


#: seconds since the beginning, and what each process had, in MiB
Look = tuple[float, dict[str, float]]


def measure_ours(setting: Distance) -> list[Reading]:
    """Measure this library once."""
    where = addresses.choose(setting.transport)
    with Crew() as crew:
        crew.start("collector", landmarks.collector, where=where, marks=setting.marks)
        crew.start("distributor", noop.distributor, where=where, count=setting.count)
        crew.bound()
        for number in range(1, setting.workers + 1):
            crew.start(f"worker {number}", noop.worker, where=where)
        looks, marks = _watch(crew, setting.workers)
        (done,) = crew.hear("done")
        crew.finish()
    check(OURS, done.values, setting.count)
    return [*_rates(setting, marks), *_memory(looks, marks)]


def _watch(crew: Crew, workers: int) -> tuple[list[Look], list[Word]]:
    """Let everybody begin, and look at the memory until all results have come; return this and the marks."""
    crew.prepared(workers)
    looks = [_look(crew)]
    crew.release()
    marks: list[Word] = []
    while len(marks) < 3:
        crew.listen(INTERVAL)
        marks += crew.taken("mark")
        looks.append(_look(crew))
    return looks, marks


def _look(crew: Crew) -> Look:
    return time.perf_counter(), {member.name: memory.resident(member.popen.pid) for member in crew.members}


def _rates(setting: Distance, marks: list[Word]) -> list[Reading]:
    first, begun, ended = (mark.values["seconds"] for mark in marks)
    tenth = setting.count // 10
    return [
        Reading(FIRST, RATE, tenth / first),
        Reading(LAST, RATE, tenth / (ended - begun), FIRST),
    ]


def _memory(looks: list[Look], marks: list[Word]) -> list[Reading]:
    """Compare what each process had at most in the last tenth with what it had in the first."""
    found = []
    origin = looks[0][0]
    first_over, last_begun = marks[0].heard - origin, marks[1].heard - origin
    for name in looks[0][1]:
        figure = Figure(f"memory of {name}", "MiB")
        series = tuple((at - origin, sizes[name]) for at, sizes in looks if sizes[name])
        first = [size for at, size in series if at <= first_over]
        # a short run may be over, and a process gone, before anybody looks again
        last = [size for at, size in series if at >= last_begun] or [series[-1][1]]
        found += [Reading(FIRST, figure, max(first)), Reading(LAST, figure, max(last), FIRST, series)]
    return found


def _cases(options: Options) -> list[Case]:
    count = max(LEAST, options.count(10_000_000, 300_000))
    settings = [
        Distance(count, workers, transport)
        for transport in options.transports or ("ipc",)
        for workers in options.workers or (2,)
    ]
    return [
        Case(LONG.name, str(setting), (Run(OURS, partial(measure_ours, setting)),)) for setting in settings
    ]


LONG = Workload(
    "long",
    "ten million tasks that do nothing: throughput and memory of the last tenth, beside the first",
    _cases,
    frozenset({"workers", "transport", "tasks"}),
)
