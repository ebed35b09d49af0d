"""``zmqpipeline run``: first asks a process of its own what the file declares, then supervises the run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from zmqpipeline.cli import asking, build
from zmqpipeline.cli.endpoints import PLAN
from zmqpipeline.cli.herd import Herd
from zmqpipeline.cli.output import choose
from zmqpipeline.cli.plan import Plan
from zmqpipeline.cli.renewal import Renewal
from zmqpipeline.cli.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zmqpipeline.cli.process import Process
    from zmqpipeline.cli.renewal import Changes


class Ended(NamedTuple):
    """How a run has ended."""

    code: int  #: the exit code
    signal: int | None  #: the signal that has come, if one has
    is_outdated: bool  #: whether the program has changed since it was loaded, and not only to its harm


def run(
    target: str,
    workers: int | None,
    options: list[str],
    environ: Mapping[str, str],
    changes: Changes | None = None,
) -> Ended:
    """Run every role of a file.

    Parameters
    ----------
    target
        path of a file, or dotted path of a module
    workers
        how many processes of each worker class; None for one for each core
    options
        the options that give endpoints
    environ
        the environment of the processes, in which they are given as well
    changes
        tells which files of the program have changed; None if that does not count

    Raises
    ------
    CommandError
        if the file is not one that can be run
    OutdatedError
        if something changes while it is loaded
    StoppedEarly
        if a signal comes while it is loaded

    """
    plan = _inspect(target, options, environ, changes.has_changed if changes else lambda: False)
    plan.journal = plan.journal or bool(environ.get(build.JOURNAL))
    output = choose(counts=any(kind == "distributor" for kind, _ in plan.roles))
    for warning in plan.warnings:
        output.say(warning, "warning")
    count = usable_cores() if workers is None else workers
    renewal = Renewal(target, plan, options, environ, changes) if changes else None
    supervisors: list[Supervisor] = []

    def on_line(process: Process, kind: int, line: bytes) -> None:
        supervisors[0].on_line(process, kind, line)

    herd = Herd(on_line)
    supervisors.append(Supervisor(target, plan, count, environ, herd, output, renewal))
    with herd.signals():
        code = supervisors[0].run()
    late = herd.take_signals()  # those that came behind the last look
    is_new = renewal is not None and renewal.is_pending and not renewal.is_broken
    return Ended(code, next(iter(late), supervisors[0].signal), supervisors[0].is_outdated or is_new)


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def _inspect(
    target: str, options: list[str], environ: Mapping[str, str], is_outdated: Callable[[], bool]
) -> Plan:
    """Find out what a file declares."""
    plans: list[Plan] = []

    def on_event(event: dict[str, Any]) -> bool:
        if event["event"] == "plan":
            plans.append(Plan.parse(event["plan"]))
        return bool(plans)

    asking.ask(PLAN, target, options, environ, on_event, is_outdated)
    return plans[0]
