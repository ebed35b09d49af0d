"""``zmqpipeline run``: first asks a process of its own what the file declares, then supervises the run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from zmqpipeline.cli import asking, build, supervisor
from zmqpipeline.cli.endpoints import PLAN
from zmqpipeline.cli.output import choose
from zmqpipeline.cli.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zmqpipeline.cli.supervisor import Ended


def run(
    target: str,
    workers: int | None,
    options: list[str],
    environ: Mapping[str, str],
    has_changed: Callable[[], str] = lambda: "",
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
    has_changed
        asked ten times a second: what has changed, so that the run is to be finished; ``""`` if nothing has

    Raises
    ------
    CommandError
        if the file is not one that can be run
    OutdatedError
        if something changes while it is loaded
    StoppedEarly
        if a signal comes while it is loaded

    """
    plan = _inspect(target, options, environ, lambda: bool(has_changed()))
    plan.journal = plan.journal or bool(environ.get(build.JOURNAL))
    output = choose(counts=any(kind == "distributor" for kind, _ in plan.roles))
    for warning in plan.warnings:
        output.say(warning, "warning")
    count = usable_cores() if workers is None else workers
    return supervisor.run(target, plan, count, environ, output, has_changed)


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
