"""``zmqpipeline run``: first asks a process of its own what the file declares, then supervises the run."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from zmqpipeline.cli import build, supervisor
from zmqpipeline.cli.endpoints import PLAN
from zmqpipeline.cli.exits import CommandError, Exit, described, of_signal
from zmqpipeline.cli.herd import STATUS, STDERR, Herd
from zmqpipeline.cli.output import choose
from zmqpipeline.cli.plan import Plan
from zmqpipeline.cli.process import Slot, start
from zmqpipeline.cli.starting import StoppedEarly

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zmqpipeline.cli.process import Process


def run(target: str, workers: int | None, options: list[str], environ: Mapping[str, str]) -> int:
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

    Returns
    -------
    int
        the exit code

    Raises
    ------
    CommandError
        if the file is not one that can be run
    StoppedEarly
        if a signal comes while it is loaded

    """
    plan = _inspect(target, options, environ)
    plan.journal = plan.journal or bool(environ.get(build.JOURNAL))
    output = choose(counts=any(kind == "distributor" for kind, _ in plan.roles))
    for warning in plan.warnings:
        output.say(warning, "warning")
    return supervisor.run(target, plan, usable_cores() if workers is None else workers, environ, output)


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def _inspect(target: str, options: list[str], environ: Mapping[str, str]) -> Plan:
    """Find out what a file declares."""
    output = choose(counts=False)
    plans: list[Plan] = []

    def on_line(process: Process, kind: int, line: bytes) -> None:
        if kind == STATUS:
            event = process.note(line)
            if event["event"] == "plan":
                plans.append(Plan.parse(event["plan"]))
        elif kind == STDERR:
            # what is printed on stdout will be printed again by each role
            output.details(line)

    herd = Herd(on_line)
    with herd.signals():
        try:
            process = start(Slot(PLAN, target), options, [target], environ)
            herd.add(process)
            while herd.alive:
                herd.wait(1.0)
                for number in herd.take_signals():
                    raise StoppedEarly(of_signal(number))
        finally:
            herd.end(time.monotonic())
    for number in herd.take_signals():  # one that came behind the last look
        raise StoppedEarly(of_signal(number))
    if plans:
        return plans[0]
    if process.error is not None:
        code, sentence = process.error
        raise CommandError(sentence, Exit(code))
    how = described(process.popen.returncode)
    raise CommandError(f"{target} ends the process that loads it ({how})", Exit.WRONG_FILE)
