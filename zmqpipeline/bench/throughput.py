"""Tasks that do nothing: how many go through the whole pipeline in a second.

Timed in the collector's process, from the first result to the last. Everybody
is connected before the first task is handed out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from zmqpipeline.bench import addresses
from zmqpipeline.bench.case import Case, Run
from zmqpipeline.bench.crew import Crew
from zmqpipeline.bench.failure import BenchError
from zmqpipeline.bench.roles import barenoop, noop, parts
from zmqpipeline.bench.sample import BARE, MEMORY, OURS, RATE, Reading
from zmqpipeline.bench.setting import Setting
from zmqpipeline.bench.workload import Workload
from zmqpipeline.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.bench.workload import Options

ACK_DATA = f"{OURS}, ack data"
JOURNAL = f"{OURS}, journal"
THREADS = f"{OURS}, 2 threads"
CURVE = f"{OURS}, CURVE"
WATCHED = f"{OURS}, watched"
_N_THREADS = 2


@dataclass(frozen=True)
class Pace(Setting):
    """How no-op tasks are done, and whether to tell how much memory that needs as well."""

    memory: bool = False


def measure_ours(setting: Pace, name: str = OURS, reference: str | None = BARE) -> list[Reading]:
    """Measure this library once.

    Parameters
    ----------
    setting
        what is to be done
    name
        the contender: ours, or :data:`ACK_DATA`, :data:`JOURNAL`, :data:`THREADS`, :data:`CURVE`,
        :data:`WATCHED`
    reference
        with whom it is compared

    """
    where = addresses.choose(setting.transport)
    journal = "journal" if name == JOURNAL else None
    threads = {"threads": _N_THREADS} if name == THREADS else {}
    with Crew() as crew:
        if name == CURVE:
            where["keys"] = "keys"
            Keys.new(crew.folder / where["keys"])
        if name == WATCHED:
            where["monitor"] = "ipc://monitor.ipc"
        crew.start(
            "the collector", noop.answering_collector if name == ACK_DATA else noop.collector, where=where
        )
        crew.start("the distributor", noop.distributor, where=where, count=setting.count, journal=journal)
        crew.bound()
        if name == WATCHED:
            crew.start("a viewer", parts.watch, where=where)
            crew.hear("watching")
        for _ in range(setting.workers):
            crew.start("a worker", noop.threaded_worker if threads else noop.worker, where=where, **threads)
        return _readings(crew, setting, name, reference)


def measure_bare(setting: Pace) -> list[Reading]:
    """Measure bare sockets once."""
    where = addresses.choose(setting.transport)
    with Crew() as crew:
        crew.start("the bare collector", barenoop.collector, where=where, count=setting.count)
        crew.start(
            "the bare distributor",
            barenoop.distributor,
            where=where,
            count=setting.count,
            workers=setting.workers,
        )
        crew.bound()
        for _ in range(setting.workers):
            crew.start("a bare worker", barenoop.worker, where=where)
        return _readings(crew, setting, BARE)


def _readings(crew: Crew, setting: Pace, name: str, reference: str | None = None) -> list[Reading]:
    """Let everybody begin together; check what has come, and tell how many tasks a second it was."""
    crew.gather(setting.workers)
    (done,) = crew.hear("done")
    crew.finish()
    check(name, done.values, setting.count)
    found = [Reading(name, RATE, setting.count / done.values["seconds"], reference)]
    if setting.memory:
        found.append(Reading(name, MEMORY, sum(member.memory for member in crew.members), reference))
    return found


def check(name: str, found: dict[str, Any], count: int) -> None:
    """Check that each of the numbers from 1 to ``count`` has come once.

    Raises
    ------
    BenchError
        if something is missing or came twice

    """
    expected = count * (count + 1) // 2
    if (found["seen"], found["total"]) != (count, expected):
        raise BenchError(
            f"{name} has lost, doubled or mixed up results: {found['seen']} came of {count}, "
            f"their numbers add up to {found['total']}, expected {expected}; please report it"
        )


def _cases(options: Options) -> list[Case]:
    count = options.count(1_000_000, 50_000)
    workers = options.workers or ((1, 2, 8) if options.full else (2,))
    transports = options.transports or (addresses.TRANSPORTS if options.full else ("ipc",))
    return [_case(Pace(count, number, transport)) for transport in transports for number in workers]


def _case(setting: Pace) -> Case:
    ours: list[tuple[str, Callable[[], list[Reading]]]] = [
        (OURS, partial(measure_ours, setting)),
        (ACK_DATA, partial(measure_ours, setting, ACK_DATA)),
        (JOURNAL, partial(measure_ours, setting, JOURNAL, OURS)),
        (THREADS, partial(measure_ours, setting, THREADS)),
        (WATCHED, partial(measure_ours, setting, WATCHED, OURS)),
    ]
    if setting.transport == "tcp":  # keys are for the network
        ours.append((CURVE, partial(measure_ours, setting, CURVE, OURS)))
    runs = (Run(BARE, partial(measure_bare, setting)), *(Run(name, measure) for name, measure in ours))
    return Case(THROUGHPUT.name, str(setting), runs)


THROUGHPUT = Workload(
    "throughput",
    "tasks that do nothing, beside bare sockets with batches of 1000",
    _cases,
    frozenset({"workers", "transport", "tasks"}),
)
