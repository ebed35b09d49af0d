"""Large payloads, from the task to the worker and from there to the collector.

Timed in the collector's process, from the first result to the last. The
largest amount of memory that each process has had is compared as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from zmqpipeline.bench import addresses
from zmqpipeline.bench.case import Case, Run
from zmqpipeline.bench.crew import Crew
from zmqpipeline.bench.roles import barepayload, payload
from zmqpipeline.bench.sample import BARE, OURS, Figure, Reading
from zmqpipeline.bench.setting import Setting
from zmqpipeline.bench.throughput import check
from zmqpipeline.bench.workload import Workload

if TYPE_CHECKING:
    from zmqpipeline.bench.workload import Options

RATE = Figure("throughput", "MiB/s", more=True)
#: in bytes
_MIB = 1024 * 1024
_HUB, _WORKER, _COLLECTOR = "distributor", "worker", "collector"


@dataclass(frozen=True)
class Carriage(Setting):
    """How payloads are carried; each has so many bytes, at least 16."""

    size: int = _MIB


def measure_ours(setting: Carriage) -> list[Reading]:
    """Measure this library once."""
    where, size = addresses.choose(setting.transport), setting.size
    with Crew() as crew:
        crew.start(_COLLECTOR, payload.collector, where=where, size=size)
        crew.start(_HUB, payload.distributor, where=where, count=setting.count, size=size)
        crew.bound()
        for _ in range(setting.workers):
            crew.start(_WORKER, payload.worker, where=where)
        return _readings(crew, setting, OURS, BARE)


def measure_bare(setting: Carriage) -> list[Reading]:
    """Measure bare sockets once."""
    where = addresses.choose(setting.transport)
    sizes = {"count": setting.count, "size": setting.size}
    with Crew() as crew:
        crew.start(_COLLECTOR, barepayload.collector, where=where, **sizes)
        crew.start(_HUB, barepayload.distributor, where=where, workers=setting.workers, **sizes)
        crew.bound()
        for _ in range(setting.workers):
            crew.start(_WORKER, barepayload.worker, where=where)
        return _readings(crew, setting, BARE)


def _readings(crew: Crew, setting: Carriage, name: str, reference: str | None = None) -> list[Reading]:
    """Let everybody begin together; check what has come, and tell how fast it was and what it needed."""
    crew.gather(setting.workers)
    (done,) = crew.hear("done")
    crew.finish()
    check(name, done.values, setting.count)
    rate = setting.count * setting.size / _MIB / done.values["seconds"]
    found = [Reading(name, RATE, rate, reference)]
    for role in (_HUB, _WORKER, _COLLECTOR):
        peak = max(member.memory for member in crew.members if member.name == role)
        found.append(Reading(name, Figure(f"peak of the {role}", "MiB"), peak, reference))
    return found


def _cases(options: Options) -> list[Case]:
    found = []
    for transport in options.transports or ("ipc",):
        for workers in options.workers or (2,):
            setting = Carriage(options.count(1000, 200), workers, transport)
            runs = Run(BARE, partial(measure_bare, setting)), Run(OURS, partial(measure_ours, setting))
            found.append(Case(PAYLOAD.name, str(setting), runs))
    return found


PAYLOAD = Workload(
    "payload",
    "payloads of 1 MiB to a worker and on, beside bare sockets",
    _cases,
    frozenset({"workers", "transport", "tasks"}),
)
