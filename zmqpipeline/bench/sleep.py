"""Tasks that sleep for 10 ms: how much longer than the ideal time all of them take.

From the first ``handle()`` to the last acknowledgement, in the distributor's
process, over the number of tasks times 10 ms by the hands that do them. Everybody
is connected before the first task is handed out. That a system
sleeps a little longer than it was asked to is in the figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from zmqpipeline.bench import addresses, schedule
from zmqpipeline.bench.case import Case, Run
from zmqpipeline.bench.crew import Crew
from zmqpipeline.bench.roles import sleeping
from zmqpipeline.bench.sample import IDEAL, OURS, TIME, Reading
from zmqpipeline.bench.throughput import check
from zmqpipeline.bench.workload import Workload

if TYPE_CHECKING:
    from zmqpipeline.bench.workload import Options

#: how long each task takes, in seconds
DURATION = 0.01


@dataclass(frozen=True)
class Setting:
    """How sleeping tasks are done.

    Parameters
    ----------
    count
        how many tasks
    hands
        how many can be done at a time
    threads
        whether these are the threads of one process, or processes with one each
    transport
        ``ipc`` or ``tcp``
    short, long
        how long 99 of 100 tasks take, and how long the others, in seconds

    """

    count: int = 2000
    hands: int = 10
    threads: bool = True
    transport: str = "ipc"
    short: float = DURATION
    long: float = DURATION

    def __str__(self) -> str:
        return f"{self.hands} {'threads' if self.threads else 'workers'}, {self.transport}"

    @property
    def ideal(self) -> float:
        """The time that it takes if no hand waits while there is something to do, in seconds."""
        if self.short == self.long:
            return self.count * self.short / self.hands
        return schedule.greedy(schedule.durations(self.count, self.short, self.long), self.hands)


def measure_ours(setting: Setting) -> list[Reading]:
    """Measure this library once; the ideal is among the readings."""
    where = addresses.choose(setting.transport)
    durations = {"count": setting.count, "short": setting.short, "long": setting.long}
    workers = 1 if setting.threads else setting.hands
    with Crew() as crew:
        crew.start("the collector", sleeping.collector, where=where)
        crew.start("the distributor", sleeping.distributor, where=where, **durations)
        crew.bound()
        for _ in range(workers):
            if setting.threads:
                crew.start("a worker", sleeping.threaded_worker, where=where, threads=setting.hands)
            else:
                crew.start("a worker", sleeping.worker, where=where)
        crew.gather(workers)
        (timed,), (done,) = crew.hear("timed"), crew.hear("done")
        crew.finish()
    check(OURS, done.values, setting.count)
    return [Reading(OURS, TIME, timed.values["seconds"], IDEAL), Reading(IDEAL, TIME, setting.ideal)]


def _cases(options: Options) -> list[Case]:
    count = options.count(2000, 200)
    settings = [
        Setting(count, hands, threads, transport)
        for transport in options.transports or ("ipc",)
        for hands, threads in ((10, True), (4, False))
    ]
    return [case(SLEEP.name, setting) for setting in settings]


def case(workload: str, setting: Setting) -> Case:
    """Make a case of a setting: only we have to be measured."""
    return Case(workload, str(setting), (Run(OURS, partial(measure_ours, setting)),))


SLEEP = Workload(
    "sleep",
    "tasks that sleep for 10 ms, beside the ideal time",
    _cases,
    frozenset({"transport", "tasks"}),
)
