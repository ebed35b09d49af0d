"""A snapshot as a person sees it on a terminal: nothing here asks, waits or writes."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from zmqpipeline.monitor import hosts, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import JustifyMethod, RenderableType

    from zmqpipeline.monitor.snapshot import FailureInfo, Snapshot, TaskInfo

#: the most failures that are shown, and how many lines of the terminal there have to be for each
FAILURES, _LINES_EACH = 5, 8
#: how wide a bar is, and from which width of the terminal on
_BAR_WIDTHS = ((120, 24), (0, 12))
#: how each phase and state looks
_STYLES = {
    "running": "green",
    "working": "green",
    "complete": "green",
    "ended": "green",
    "waiting": "dim",
    "idle": "dim",
    "left": "dim",
    "starting": "cyan",
    "stopping": "yellow",
    "silent": "yellow",
    "lost": "red",
}
#: of the tasks of a list that is too long, those stay in which something happens
_RANKS = {"running": 0, "stopping": 0, "waiting": 1}


@dataclass(frozen=True)
class _Column:
    """A column of a table, and from which width of the terminal on it is there."""

    name: str
    title: str
    least: int = 0
    justify: JustifyMethod = "right"
    ratio: int | None = None


_TASKS = (
    _Column("task", "task", justify="left", ratio=1),
    _Column("phase", "phase", 100, "left"),
    _Column("progress", "progress", 60, "left"),
    _Column("percent", ""),
    _Column("left", "left", 70),
    _Column("done", "done"),
    _Column("flight", "in flight", 100),
    _Column("failed", "failed"),
    _Column("again", "again", 110),
    _Column("rate", "rate", 50),
    _Column("latency", "latency", 75),
    _Column("workers", "workers", 80),
)
_PROCESSES = (
    _Column("process", "host, process", justify="left", ratio=2),
    _Column("task", "task", 100, "left", 1),
    _Column("pid", "pid", 60),
    _Column("state", "state", justify="left"),
    _Column("hand", "in hand", 70),
    _Column("done", "done"),
    _Column("failed", "failed", 50),
    _Column("rate", "rate"),
    _Column("memory", "memory", 60),
    _Column("cpu", "cpu", 75),
    _Column("lag", "lag", 100),
)
_FAILURES = (
    _Column("ago", "ago"),
    _Column("task", "failure", justify="left", ratio=1),
    _Column("attempt", "attempt", 60, "left"),
    _Column("text", "error", justify="left", ratio=3),
    _Column("worker", "worker", 100, "left", 1),
)


def picture(snapshot: Snapshot, width: int, height: int | None = None, notice: str = "") -> RenderableType:
    """Draw a run.

    Parameters
    ----------
    snapshot
        how it is
    width, height
        the size of the terminal, in characters and lines; without a height, everything is shown
    notice
        what has to be said of the connection

    """
    head = [*_head(snapshot), *_wrapped(notice, "bold yellow", width)]
    if snapshot["waits_for"]:
        head += _wrapped(f"waits for {', '.join(snapshot['waits_for'])}", "yellow", width)
    processes, most = hosts.lines(snapshot), FAILURES if height is None else height // _LINES_EACH
    failures = snapshot["failures"][: min(most, FAILURES)]
    needs = [len(snapshot["tasks"]), len(processes), len(failures)]
    for_tasks, for_processes, for_failures = needs if height is None else _room(height - len(head), needs)
    parts: list[RenderableType] = [*head]
    if for_tasks:
        parts += [Text(), _tasks(snapshot["tasks"], width, for_tasks)]
    if for_processes:
        parts += [Text(), _processes(processes, width, for_processes)]
    if for_failures:
        parts += [Text(), _failures(failures, snapshot["time"], width, for_failures)]
    return Group(*parts)


def _room(lines: int, needs: Sequence[int]) -> list[int]:
    """Tell how long each table may be; if that would be nothing worth it, the last ones are left out."""
    for tables in range(len(needs), 0, -1):
        wanted = [*needs[:tables], *(0 for _ in needs[tables:])]
        # each table has an empty line and its titles above it
        given = shares(lines - 2 * sum(map(bool, wanted)), wanted)
        if all(has >= min(need, 2) for has, need in zip(given, wanted, strict=True)):
            break
    return given


def shares(room: int, needs: Sequence[int]) -> list[int]:
    """Share lines among those who need some; what one does not need is left to the others."""
    given = [0] * len(needs)
    places = sorted(range(len(needs)), key=needs.__getitem__)
    for others, place in zip(range(len(needs), 0, -1), places, strict=True):
        given[place] = max(0, min(needs[place], room // others))
        room -= given[place]
    return given


def kept(ranks: Sequence[int], most: int) -> list[int]:
    """Choose which lines are shown: those of low rank, and in place of the others one that counts them."""
    if len(ranks) <= most:
        return list(range(len(ranks)))
    return sorted(sorted(range(len(ranks)), key=ranks.__getitem__)[: most - 1])


# -- the parts ----------------------------------------------------------------


def _head(snapshot: Snapshot) -> list[Text]:
    """Say how the run is as a whole."""
    phase = snapshot["phase"]
    first = Text.assemble(
        (f"run {words.clean(snapshot['run'][:8])}", "bold"),
        "  ",
        (words.clean(phase), _style(phase)),
        f" {words.clock(snapshot['uptime'])}  ",
        (words.rate(snapshot["rate"]), "bold"),
        "" if snapshot["latency"] is None else f"  latency {words.span(snapshot['latency'])}",
        f"  {words.workers(snapshot)}",
    )
    totals = [task["total"] for task in snapshot["tasks"]]
    known = [total for total in totals if total is not None]
    time_left = words.left(snapshot["acknowledged"], sum(known), snapshot["rate"])
    if time_left and len(known) == len(totals):
        first.append(f"  {time_left} left")
    failed = snapshot["failed"]
    second = Text.assemble(
        f"{snapshot['acknowledged']} acknowledged, {snapshot['in_flight']} in flight, "
        f"{snapshot['queued']} queued, ",
        (f"{failed} failed", "bold red" if failed else ""),
        f", {snapshot['redelivered']} handed out again",
    )
    for line in (first, second):
        line.no_wrap, line.overflow = True, "ellipsis"
    return [first, second]


def _tasks(tasks: Sequence[TaskInfo], width: int, most: int) -> Table:
    table, columns = _table(_TASKS, width)
    named = any(column.name == "phase" for column in columns)
    bar_width = next(bar for least, bar in _BAR_WIDTHS if width >= least)
    shown = kept([_RANKS.get(task["phase"], 2) for task in tasks], most)
    for place in shown:
        task = tasks[place]
        cells: dict[str, RenderableType] = {name: _cell(text) for name, text in _words(task).items()}
        cells["phase"] = _cell(task["phase"], _style(task["phase"]))
        cells["progress"] = _progress(task, bar_width, named=named)
        cells["failed"] = _cell(words.count(task["failed"]), "red" if task["failed"] else "")
        _add(table, columns, cells)
    _count_rest(table, len(tasks) - len(shown))
    return table


def _words(task: TaskInfo) -> dict[str, str]:
    done, total = task["acknowledged"], task["total"]
    return {
        "task": task["type"],
        "percent": "" if total is None else f"{words.percent(done, total)}%",
        "left": words.left(done, total, task["rate"]),
        "done": words.count(done) + ("" if total is None else f"/{words.count(total)}"),
        "flight": words.count(task["in_flight"]),
        "again": words.count(task["redelivered"]),
        "rate": words.rate(task["rate"]),
        "latency": words.span(task["latency"]),
        "workers": words.count(task["workers"]),
    }


def _progress(task: TaskInfo, width: int, *, named: bool) -> RenderableType:
    """Draw a bar, or say why there is none; the phase only if nobody else has named it."""
    done, total, phase = task["acknowledged"], task["total"], task["phase"]
    if phase == "waiting" and task["depends"] and not task["handed_out"]:
        text = _cell(f"after {', '.join(task['depends'])}", _style(phase))
        text.truncate(width, overflow="ellipsis")
        return text
    if total is None:
        return "" if named else _cell(phase, _style(phase))
    return ProgressBar(
        max(total, 1),
        min(done, total) if total else 1,
        width=width,
        complete_style="green",
        finished_style="green",
    )


def _processes(lines: Sequence[hosts.Line], width: int, most: int) -> Table:
    table, columns = _table(_PROCESSES, width)
    shown = kept([line.rank for line in lines], most)
    for place in shown:
        line, style = lines[place], _style(lines[place].state)
        whole = "bold" if line.is_host else style if line.state in hosts.GONE else ""
        cells: dict[str, RenderableType] = {name: _cell(text, whole) for name, text in line.cells.items()}
        cells["process"] = _cell(("" if line.is_host else "  ") + line.cells["process"], whole)
        cells["state"] = _cell(line.cells.get("state", ""), f"{whole} {style}".strip())
        _add(table, columns, cells)
    _count_rest(table, len(lines) - len(shown))
    return table


def _failures(failures: Sequence[FailureInfo], now: float, width: int, most: int) -> Table:
    table, columns = _table(_FAILURES, width)
    for failure in failures[:most]:
        style = "red" if failure["final"] else ""
        text = f"{failure['type']}: {failure['text']}"
        attempt = str(failure["attempt"])
        cells: dict[str, RenderableType] = {
            "ago": _cell(words.ago(now - failure["time"])),
            "task": _cell(f"{failure['task']} {failure['id']}"),
            "attempt": _cell(f"{attempt}, last" if failure["final"] else attempt, style),
            "text": _cell(text, style),
            "worker": _cell(failure["worker"]),
        }
        _add(table, columns, cells)
    return table


# -- tables -------------------------------------------------------------------


def _table(columns: Sequence[_Column], width: int) -> tuple[Table, list[_Column]]:
    """Make an empty table of those columns for which there is room."""
    table = Table(box=None, width=width, pad_edge=False, padding=(0, 1), collapse_padding=True)
    shown = [column for column in columns if width >= column.least]
    for column in shown:
        title = Text(column.title, "bold cyan", no_wrap=True)
        table.add_column(title, justify=column.justify, ratio=column.ratio, no_wrap=True, overflow="ellipsis")
    return table, shown


def _add(table: Table, columns: Sequence[_Column], cells: Mapping[str, RenderableType]) -> None:
    table.add_row(*(cells.get(column.name, "") for column in columns))


def _count_rest(table: Table, rest: int) -> None:
    if rest > 0:
        table.add_row(_cell(f"and {rest} more", "dim"))


def _cell(text: str, style: str = "") -> Text:
    return Text(words.clean(text), style)


def _style(state: str) -> str:
    return _STYLES.get(state, "")


def _wrapped(text: str, style: str, width: int) -> list[Text]:
    return [Text(line, style) for line in textwrap.wrap(words.clean(text), max(width, 20))]
