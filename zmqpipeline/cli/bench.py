"""``zmqpipeline bench``: measures, shows what is being measured, and writes what came out."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from zmqpipeline.bench import plot, rst, table
from zmqpipeline.bench.addresses import TRANSPORTS
from zmqpipeline.bench.failure import BenchError
from zmqpipeline.bench.result import Result
from zmqpipeline.bench.tour import ALL, TOUR, WORKLOADS
from zmqpipeline.bench.workload import Options
from zmqpipeline.cli.exits import CommandError, Exit, say
from zmqpipeline.cli.starting import StoppedEarly

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from rich.console import Console

    from zmqpipeline.bench.case import Case, Run

#: turns where nothing else is said: of workloads that are named, of the tour, and of a quick run
_REPEAT, _TOUR_REPEAT, _QUICK_REPEAT = 5, 3, 1
_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True)
class Outputs:
    """The files that are to be written."""

    json: Path | None
    rst: Path | None
    plot: Path | None

    def check(self) -> None:
        """See that they can be written, before much time is spent.

        Raises
        ------
        CommandError
            if not, or if there is no matplotlib and a plot is wanted

        """
        for path in filter(None, (self.json, self.rst, self.plot)):
            folder = path.absolute().parent
            if not os.access(path if path.exists() else folder, os.W_OK):
                what = "is missing" if not folder.exists() else "or the file itself is not writable"
                raise CommandError(f"{path} cannot be written: the folder {folder} {what}", Exit.USAGE)
        if self.plot is not None:
            try:
                plot.check()
            except BenchError as error:
                raise CommandError(str(error), Exit.MISSING_EXTRA) from error

    def write(self, result: Result) -> None:
        """Write all but the JSON, which is there already."""
        for path, made in ((self.rst, rst.write), (self.plot, plot.draw)):
            if path is not None:
                text = made(result)
                try:
                    path.write_text(text, encoding="utf-8")
                except OSError as error:
                    raise BenchError(f"{path} cannot be written: {error.strerror}") from error


@click.command()
@click.argument("workloads", metavar="[WORKLOAD]...", nargs=-1, type=click.Choice([*WORKLOADS, ALL]))
@click.option(
    "-w",
    "--workers",
    type=click.IntRange(min=1),
    multiple=True,
    help="Processes of workers, by default 2; may be given several times.",
)
@click.option(
    "--transport",
    "transports",
    type=click.Choice(TRANSPORTS),
    multiple=True,
    help="By default ipc; may be given twice.",
)
@click.option("--tasks", type=click.IntRange(min=1), help="Tasks of each run, for one WORKLOAD.")
@click.option("--repeat", type=click.IntRange(min=1), help="Turns, by default 5.")
@click.option("--quick", is_flag=True, help="Few tasks and one turn, to see that it works.")
@click.option("--json", "json_path", type=_FILE, metavar="FILE", help="Write everything that was measured.")
@click.option("--rst", "rst_path", type=_FILE, metavar="FILE", help="Write a table for documentation.")
@click.option(
    "--plot", "plot_path", type=_FILE, metavar="FILE.svg", help="Write a bar chart (needs matplotlib)."
)
@click.option(
    "--from",
    "source",
    type=_FILE,
    metavar="FILE",
    help="Measure nothing: show what --json has written.",
)
def bench(  # noqa: PLR0913 - one for each option
    *,
    workloads: tuple[str, ...],
    workers: tuple[int, ...],
    transports: tuple[str, ...],
    tasks: int | None,
    repeat: int | None,
    quick: bool,
    json_path: Path | None,
    rst_path: Path | None,
    plot_path: Path | None,
    source: Path | None,
) -> int:
    """Measure this library on this machine, beside bare ZeroMQ sockets.

    Both are measured in turns, each role as a process. Without a WORKLOAD, throughput and latency are,
    which takes about a minute; "all" takes about a quarter of an hour.
    """
    outputs = Outputs(json_path, rst_path, plot_path)
    options = Options(workers, transports, tasks, quick, full=ALL in workloads)
    chosen = _chosen(workloads)
    if source is not None:
        if workloads or quick or any((workers, transports, tasks, repeat, json_path)):
            raise click.UsageError(
                "--from shows what was measured before: give only --rst and --plot with it."
            )
        outputs.check()
        result = _load(source)
    else:
        _check(chosen, options)
        outputs.check()
        usual = _REPEAT if workloads else _TOUR_REPEAT
        result = _measured(chosen, options, repeat or (_QUICK_REPEAT if quick else usual), outputs)
    table.show(result)
    try:
        outputs.write(result)
    except BenchError as error:
        raise CommandError(str(error), Exit.USAGE) from error
    return Exit.DONE


def _chosen(workloads: tuple[str, ...]) -> list[str]:
    """List the workloads that are to be measured, each once, in their own order."""
    if ALL in workloads:
        return list(WORKLOADS)
    return [name for name in WORKLOADS if name in (workloads or TOUR)]


def _check(chosen: list[str], options: Options) -> None:
    """Refuse options that would change nothing, or mean something else for each workload."""
    if options.tasks is not None and len(chosen) > 1:
        raise click.UsageError(
            f"--tasks needs one WORKLOAD, and there are {len(chosen)} ({', '.join(chosen)}): "
            f"their tasks take from a microsecond to half a second."
        )
    given = {"workers": options.workers, "transport": options.transports, "tasks": options.tasks}
    for option, value in given.items():
        if value and not any(option in WORKLOADS[name].takes for name in chosen):
            raise click.UsageError(f"--{option} changes nothing in {' and '.join(chosen)}: leave it out.")


def _load(source: Path) -> Result:
    try:
        return Result.load(source)
    except BenchError as error:
        raise CommandError(str(error), Exit.USAGE) from error


def _measured(chosen: list[str], options: Options, repeat: int, outputs: Outputs) -> Result:
    """Measure; what is done is kept as JSON case by case."""
    result = Result()
    cases = [case for name in chosen for case in WORKLOADS[name].cases(options)]
    try:
        with _stoppable(outputs.json), _progress(cases, repeat) as progress:
            for case in cases:
                result.samples += case.measure(repeat, progress.starting)
                if outputs.json is not None:
                    result.save(outputs.json)
    except BenchError as error:
        raise CommandError(str(error), Exit.PROCESS_LOST) from error
    return result


# -- what is being measured ---------------------------------------------------


class Progress:
    """Says who is being measured, in a line each."""

    def __init__(self, repeat: int) -> None:
        self._repeat = repeat

    def starting(self, case: Case, run: Run, turn: int) -> None:
        """Take in that a run begins."""
        say(self._sentence(case, run, turn))

    def _sentence(self, case: Case, run: Run, turn: int) -> str:
        return f"{case.workload}, {case.variant}: {run.name}, turn {turn + 1} of {self._repeat}"


class BarProgress(Progress):
    """Keeps a bar on the terminal, which is drawn only between two runs: it must not take part in them."""

    def __init__(self, console: Console, repeat: int, runs: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn  # noqa: PLC0415 - on a terminal
        from rich.progress import Progress as Bar  # noqa: PLC0415

        super().__init__(repeat)
        columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False)
        self.bar = Bar(*columns, console=console, auto_refresh=False, transient=True)
        self._task = self.bar.add_task("", total=runs)
        self._begun = 0

    def starting(self, case: Case, run: Run, turn: int) -> None:
        """Draw the bar."""
        text = self._sentence(case, run, turn)
        self.bar.update(self._task, completed=self._begun, description=text, refresh=True)
        self._begun += 1


@contextlib.contextmanager
def _progress(cases: list[Case], repeat: int) -> Iterator[Progress]:
    """Choose how to show what is being measured."""
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        shown = BarProgress(console, repeat, repeat * sum(len(case.runs) for case in cases))
        with shown.bar:
            yield shown
    else:
        yield Progress(repeat)


# -- signals ------------------------------------------------------------------


class StoppedMeasuring(StoppedEarly):
    """Raised by a signal while something is measured."""

    kept: Path | None = None

    @property
    def sentence(self) -> str:
        """What a person is told."""
        name = signal.Signals(int(self.code or 0) - 128).name
        kept = f"; the cases that were done are in {self.kept}" if self.kept and self.kept.exists() else ""
        return f"stopped by {name} while it was measuring{kept}"


@contextlib.contextmanager
def _stoppable(kept: Path | None) -> Iterator[None]:
    """Let the first signal end what is measured; its processes are killed then, so others change nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, _frame: FrameType | None) -> NoReturn:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        stopped = StoppedMeasuring(128 + number)
        stopped.kept = kept
        raise stopped

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
