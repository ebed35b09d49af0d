"""How long one task is on its way through an idle pipeline.

From the return of ``handle()`` to the entry of ``handle_collection()``, with
the clock that all processes of a machine share. A program with an occasional
task waits for it in ``handle()``, so that is what is done here: ``handle()``
waits until the task before was collected, which the collector says by a way of its own,
then another 2 ms, in which everybody goes to sleep, and returns. A gate
(``is_available_for_handling``) is for tasks that need the answer to the one
before; it is asked every 50 ms, or by an acknowledgement that has just kept the whole
pipeline awake. Bare sockets do the same: ROUTER to DEALER to
PUSH to PULL, with batches of one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from zmqpipeline.bench import addresses
from zmqpipeline.bench.case import Case, Run
from zmqpipeline.bench.crew import Crew
from zmqpipeline.bench.roles import bareoccasional, occasional
from zmqpipeline.bench.sample import BARE, OURS, P50, P99, Reading
from zmqpipeline.bench.setting import Setting
from zmqpipeline.bench.spread import percentile
from zmqpipeline.bench.throughput import check
from zmqpipeline.bench.workload import Workload

if TYPE_CHECKING:
    from zmqpipeline.bench.crew import Member
    from zmqpipeline.bench.workload import Options

#: how long a pipeline is left alone before the next task, in seconds
PAUSE = 0.002
#: so many tasks before the first one that counts: nobody has done anything yet
WARM_UP = 50


def measure_ours(setting: Setting) -> list[Reading]:
    """Measure this library once."""
    where, count = addresses.choose(setting.transport), setting.count + WARM_UP
    with Crew() as crew:
        crew.start("the collector", occasional.collector, where=where)
        hub = crew.start("the distributor", occasional.distributor, where=where, count=count, pause=PAUSE)
        crew.bound()
        crew.start("a worker", occasional.worker, where=where)
        return readings(OURS, _times(crew, hub, count, OURS), BARE)


def measure_bare(setting: Setting) -> list[Reading]:
    """Measure bare sockets once."""
    where, count = addresses.choose(setting.transport), setting.count + WARM_UP
    with Crew() as crew:
        crew.start("the bare collector", bareoccasional.collector, where=where, count=count)
        hub = crew.start(
            "the bare distributor", bareoccasional.distributor, where=where, count=count, pause=PAUSE
        )
        crew.bound()
        crew.start("a bare worker", bareoccasional.worker, where=where)
        return readings(BARE, _times(crew, hub, count, BARE))


def readings(contender: str, times: list[int], reference: str | None = None) -> list[Reading]:
    """Take the percentiles of times.

    Parameters
    ----------
    contender
        whose times they are
    times
        in nanoseconds
    reference
        with whom it is compared

    """
    return [
        Reading(contender, P50, percentile(times, 50) / 1000, reference),
        Reading(contender, P99, percentile(times, 99) / 1000, reference),
    ]


def _times(crew: Crew, hub: Member, count: int, name: str) -> list[int]:
    """Let task after task go its way; return how long each took, in nanoseconds."""
    crew.gather(1)
    for _ in range(count - 1):
        crew.hear("collected")
        hub.release()
    (done,) = crew.hear("done")
    crew.finish()
    check(name, done.values, count)
    return list(done.values["times"][WARM_UP:])


def _cases(options: Options) -> list[Case]:
    count = options.count(1000, 200)
    transports = options.transports or (addresses.TRANSPORTS if options.full else ("ipc",))
    found = []
    for transport in transports:
        setting = Setting(count, 1, transport)
        runs = Run(BARE, partial(measure_bare, setting)), Run(OURS, partial(measure_ours, setting))
        found.append(Case(LATENCY.name, str(setting), runs))
    return found


LATENCY = Workload(
    "latency",
    "one task at a time through an idle pipeline, beside bare sockets with batches of one",
    _cases,
    frozenset({"transport", "tasks"}),
)
