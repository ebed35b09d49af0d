"""How long it takes until something is there: the import, and each role from the start of its process.

The import is timed in fresh interpreters, ours and ``import zmq, msgpack`` in turns. A
distributor is up when everything is bound; a worker when the distributor, which
waits for it, asks its task for something to do: it has connected, was
greeted, and has said READY.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from zmqpipeline.bench import addresses
from zmqpipeline.bench.case import Case, Run
from zmqpipeline.bench.crew import Crew, search_path
from zmqpipeline.bench.failure import BenchError
from zmqpipeline.bench.roles import barestarting, starting
from zmqpipeline.bench.sample import BARE, OURS, Figure, Reading
from zmqpipeline.bench.throughput import check
from zmqpipeline.bench.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.bench.workload import Options

BARE_IMPORT = "import zmq, msgpack"
#: the package imports each name when it is asked for; what a program of all four roles asks for
ROLES = "zmqpipeline, four roles"
_STATEMENTS = {
    OURS: "import zmqpipeline",
    ROLES: "from zmqpipeline import Collector, Distributor, SingleThreadedWorker, Task, TaskType",
    BARE_IMPORT: BARE_IMPORT,
}
IMPORT = Figure("import", "ms")
DISTRIBUTOR = Figure("distributor bound", "ms")
WORKER = Figure("worker ready", "ms")


@dataclass(frozen=True)
class Parts:
    """The three roles of a contender."""

    distributor: Callable[..., None]
    worker: Callable[..., None]
    collector: Callable[..., None]


_OURS = Parts(starting.distributor, starting.worker, starting.collector)
_BARE = Parts(barestarting.distributor, barestarting.worker, barestarting.collector)


def measure_import(times: int) -> list[Reading]:
    """Import in fresh interpreters, in turns; the medians are the readings."""
    found: dict[str, list[float]] = {name: [] for name in _STATEMENTS}
    for _ in range(times):
        for name, seconds in found.items():
            seconds.append(_import(_STATEMENTS[name]))
    return [
        Reading(
            name,
            IMPORT,
            statistics.median(seconds) * 1000,
            None if name == BARE_IMPORT else BARE_IMPORT,
        )
        for name, seconds in found.items()
    ]


def _import(statement: str) -> float:
    """Tell how long an import takes, in seconds."""
    paths = search_path()
    code = (
        f"import sys; sys.path[:] = {paths!r}; from time import perf_counter; begun = perf_counter(); "
        f"{statement}; print(perf_counter() - begun)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise BenchError(f"{statement!r} fails in a fresh interpreter: {last[0]}")
    return float(done.stdout)


def measure_roles(name: str, transport: str, reference: str | None = None) -> list[Reading]:
    """Start the roles of a contender one after the other."""
    parts, where = _OURS if name == OURS else _BARE, addresses.choose(transport)
    with Crew() as crew:
        crew.start(f"the collector of {name}", parts.collector, where=where)
        hub = crew.start(f"the distributor of {name}", parts.distributor, where=where)
        (bound,) = crew.hear("bound")
        crew.hear("started")
        hand = crew.start(f"the worker of {name}", parts.worker, where=where)
        (asked,) = crew.hear("asked")
        (done,) = crew.hear("done")
        crew.finish()
    check(name, done.values, 1)
    return [
        Reading(name, DISTRIBUTOR, (bound.values["at"] - hub.begun) / 1e6, reference),
        Reading(name, WORKER, (asked.values["at"] - hand.begun) / 1e6, reference),
    ]


def _cases(options: Options) -> list[Case]:
    imports = Run(OURS, partial(measure_import, 3 if options.quick else 10))
    found = [Case(START.name, "fresh interpreter", (imports,))]
    for transport in options.transports or ("ipc",):
        runs = (
            Run(BARE, partial(measure_roles, BARE, transport)),
            Run(OURS, partial(measure_roles, OURS, transport, BARE)),
        )
        found.append(Case(START.name, f"process, {transport}", runs))
    return found


START = Workload(
    "start",
    "import, and the start of each role, beside bare sockets",
    _cases,
    frozenset({"transport"}),
)
