"""zmqpipeline beside bare sockets, and beside what people would pick instead.

    python benchmarks/compare.py [--repeat 5] [--workers 2] [--tasks N] [--only NAME ...]
        [--json FILE] [--rst FILE] [--plot FILE.svg]

README.rst says what is measured, and what cannot be compared.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from contenders import Failures, Limits, cases, look
from findings import Findings
from peers import PEERS
from peers.launch import adopt_orphans

from zmqpipeline.bench import plot, table
from zmqpipeline.bench.sample import BARE, OURS
from zmqpipeline.cli.bench import Outputs
from zmqpipeline.cli.exits import CommandError

if TYPE_CHECKING:
    from types import FrameType

    from zmqpipeline.bench.case import Case, Run


def positive(text: str) -> int:
    """Read a number of something."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="zmqpipeline beside what people would pick instead")
    parser.add_argument("--repeat", type=positive, default=5, help="turns that everybody takes (5)")
    parser.add_argument("--workers", type=positive, default=2, help="processes for tasks that do nothing (2)")
    parser.add_argument(
        "--tasks", type=positive, help="tasks of each measurement (as many as take two or three seconds)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME", help=", ".join(PEERS)
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample")
    parser.add_argument("--rst", type=Path, metavar="FILE", help="write the tables")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the throughput")
    return parser.parse_args(arguments)


#: the signal that has come, if one has
ended: list[int] = []


def end(number: int, _frame: FrameType | None) -> NoReturn:
    """End at the first signal; what was started is ended on the way out, which no other signal disturbs."""
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    ended.append(number)
    raise SystemExit(128 + number)


def say(case: Case, run: Run, turn: int) -> None:
    """Tell what goes on, unless it is to end: what is raised while a process is forked, Python ignores."""
    for number in ended:
        raise SystemExit(128 + number)
    print(f"turn {turn + 1}, {case.workload}: {run.name}", file=sys.stderr)


def main() -> int:
    """Measure everybody in turns, and tell what came out."""
    chosen = options()
    try:
        Outputs(chosen.json, chosen.rst, chosen.plot).check()
    except CommandError as error:
        print(error, file=sys.stderr)
        return error.code
    adopt_orphans()
    # a signal may come when a measurement has just made a folder: all of them are in this one
    with tempfile.TemporaryDirectory(prefix="zp", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, end)
        findings = compare(chosen)
    table.show(findings.result)
    print("\n".join(findings.notes()))
    if chosen.rst:
        chosen.rst.write_text(findings.rst(), "utf-8")
    if chosen.plot:
        chosen.plot.write_text(plot.draw(findings.result), "utf-8")
    return int(any(name in (OURS, BARE) for _, name in findings.failures.sentences))


def compare(chosen: argparse.Namespace) -> Findings:
    """Measure everybody in turns; what there is, is kept as JSON case by case."""
    limits, failures = Limits(chosen.workers, chosen.tasks), Failures()
    peers, skipped = look(chosen.only)
    findings = Findings(peers, skipped, failures)
    for case in cases(peers, limits, failures):
        findings.result.samples.extend(case.measure(chosen.repeat, say))
        if chosen.json:
            chosen.json.write_text(findings.to_json(), "utf-8")
    return findings


if __name__ == "__main__":
    sys.exit(main())
