"""The command ``python -m zmqpipeline.testing.chaos``."""

from __future__ import annotations

import argparse
import json
import os
import resource
import secrets
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from zmqpipeline.testing.chaos.soak import Soak, summary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

#: exit codes: no guarantee was broken; one was; the command line is wrong; it was stopped
_FINE, _BROKEN, _USAGE, _INTERRUPTED, _TERMINATED = 0, 1, 2, 130, 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    if not hasattr(os, "pidfd_open") or not hasattr(resource, "prlimit"):
        sys.stderr.write("zmqpipeline chaos: this needs Linux, with process descriptors (5.3 or later)\n")
        return _USAGE
    stopped: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        stopped.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    # a thousand core files would fill the disk
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))
    try:
        seed = secrets.randbelow(10**6) if options.seed is None else options.seed
        if not options.json:
            sys.stdout.write(f"seed {seed}\n")
        minutes = options.minutes
        if minutes is None:
            minutes = float("inf") if options.faults else 1.0
        total = Soak(seed, minutes, options.faults, quiet=options.json).run()
    finally:
        signal.signal(signal.SIGTERM, before)
        resource.setrlimit(resource.RLIMIT_CORE, limits)
    lines = [json.dumps(total.figures())] if options.json else summary(total)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    if total.broken:
        return _BROKEN
    if total.interrupted:
        return _TERMINATED if stopped else _INTERRUPTED
    return _FINE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m zmqpipeline.testing.chaos",
        description="Run pipelines of real processes, hurt these, and check that nothing is lost.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--minutes", type=_positive, metavar="M", help="how long, by default 1 (see --faults)"
    )
    parser.add_argument(
        "--faults", type=_count, metavar="N", help="end after so many faults, however long it takes"
    )
    parser.add_argument("--seed", type=int, metavar="S", help="repeat the schedule of an earlier run")
    parser.add_argument("--json", action="store_true", help="print figures, and nothing else, at the end")
    return parser


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes: give one above 0, such as 20")
    return value


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of faults: give a whole one from 1, such as 100"
        )
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
