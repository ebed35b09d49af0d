"""Asks a process of its own what a file declares, so that this one runs no code of users."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from zmqpipeline.cli.exits import CommandError, Exit, described, of_signal
from zmqpipeline.cli.herd import STATUS, STDERR, Herd
from zmqpipeline.cli.output import choose
from zmqpipeline.cli.process import Slot, start
from zmqpipeline.cli.starting import StoppedEarly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zmqpipeline.cli.process import Process


_TICK = 0.1


class OutdatedError(Exception):
    """Raised when nobody needs the answer any more."""


def ask(  # noqa: PLR0913, PLR0917 - what is asked, of whom, and who hears it
    command: str,
    target: str,
    options: list[str],
    environ: Mapping[str, str],
    on_event: Callable[[dict[str, Any]], bool],
    is_outdated: Callable[[], bool] = lambda: False,
) -> None:
    """Have a file loaded and looked at.

    Parameters
    ----------
    command
        what looks at it
    target
        path of a file, or dotted path of a module
    options
        the options that give endpoints
    environ
        the environment of the process
    on_event
        called with each event that the process tells; returns whether nothing more is needed
    is_outdated
        asked ten times a second: whether the answer is of no use any more

    Raises
    ------
    CommandError
        if the file cannot be loaded, or is not what the command needs
    OutdatedError
        if the answer is of no use any more
    StoppedEarly
        if a signal comes

    """
    output = choose(counts=False)
    answered = False

    def on_line(process: Process, kind: int, line: bytes) -> None:
        nonlocal answered
        if kind == STATUS:
            answered = on_event(process.note(line)) or answered
        elif kind == STDERR:
            # what is printed on stdout will be printed again by each role
            output.details(line)

    herd = Herd(on_line)
    stopped: list[int] = []
    outdated = False
    with herd.signals():
        try:
            process = start(Slot(command, target), options, [target], environ)
            herd.add(process)
            while herd.alive:
                herd.wait(_TICK)
                stopped = herd.take_signals()
                outdated = is_outdated()
                if stopped or outdated:
                    break
        finally:
            herd.end(time.monotonic())
    for number in (*stopped, *herd.take_signals()):  # one may have come behind the last look
        raise StoppedEarly(of_signal(number))
    if outdated:
        raise OutdatedError
    if answered:
        return
    if process.error is not None:
        code, sentence = process.error
        raise CommandError(sentence, Exit(code))
    how = described(process.popen.returncode)
    raise CommandError(f"{target} ends the process that loads it ({how})", Exit.WRONG_FILE)
