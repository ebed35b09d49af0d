"""Tasks that sleep for 10 or 100 ms: how much longer than the ideal time all of them take.

From the first ``handle()`` to the last acknowledgement, in the distributor's
process, over the number of tasks times their duration by the hands that do them. Everybody
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
#: how many coroutines sleep at a time, and for how long, in seconds
COROUTINES, NAP = 1000, 0.1


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
    coroutines
        whether they are done by coroutines of one process instead

    """

    count: int = 2000
    hands: int = 10
    threads: bool = True
    transport: str = "ipc"
    short: float = DURATION
    long: float = DURATION
    coroutines: bool = False

    def __str__(self) -> str:
        if self.coroutines:
            return f"{self.hands} coroutines, {self.transport}"
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
    workers = 1 if setting.threads or setting.coroutines else setting.hands
    with Crew() as crew:
        crew.start("the collector", sleeping.collector, where=where)
        crew.start("the distributor", sleeping.distributor, where=where, **durations)
        crew.bound()
        for _ in range(workers):
            if setting.coroutines:
                crew.start("a worker", sleeping.async_worker, where=where, coroutines=setting.hands)
            elif setting.threads:
                crew.start("a worker", sleeping.threaded_worker, where=where, threads=setting.hands)
            else:
                crew.start("a worker", sleeping.worker, where=where)
        crew.gather(workers)
        (timed,), (done,) = crew.hear("timed"), crew.hear("done")
        crew.finish()
    check(OURS, done.values, setting.count)
    return [Reading(OURS, TIME, timed.values["seconds"], IDEAL), Reading(IDEAL, TIME, setting.ideal)]


def _cases(options: Options) -> list[Case]:
    count, naps = options.count(2000, 200), options.count(20_000, 2000)
    settings = [
        setting
        for transport in options.transports or ("ipc",)
        for setting in (
            Setting(count, 10, threads=True, transport=transport),
            Setting(count, 4, threads=False, transport=transport),
            Setting(naps, COROUTINES, transport=transport, short=NAP, long=NAP, coroutines=True),
        )
    ]
    return [case(SLEEP.name, setting) for setting in settings]


def case(workload: str, setting: Setting) -> Case:
    """Make a case of a setting: only we have to be measured."""
    return Case(workload, str(setting), (Run(OURS, partial(measure_ours, setting)),))


SLEEP = Workload(
    "sleep",
    "tasks that sleep for 10 or 100 ms, beside the ideal time",
    _cases,
    frozenset({"transport", "tasks"}),
)
