"""A result as a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zmqpipeline.bench import rows
from zmqpipeline.bench.machine import sentence

if TYPE_CHECKING:
    from rich.console import Console

    from zmqpipeline.bench.result import Result

#: wide enough for all columns, where there is no terminal to fit into
WIDTH = 170


def show(result: Result, console: Console | None = None) -> None:
    """Print a result.

    Parameters
    ----------
    result
        any number of workloads and contenders
    console
        where to; stdout if omitted

    """
    from rich import box  # noqa: PLC0415 - only here, so that the rest needs the core alone
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in rows.HEADINGS:
        right = heading in {"median", "its median"}
        table.add_column(heading, justify="right" if right else "left", no_wrap=right)
    for row in rows.make(result.summaries):
        table.add_row(*map(Text, row.cells))  # a name is no markup
    console.print(table)
    console.print(rows.CAPTION, style="dim", markup=False)
    console.print(f"{sentence(result.machine)}; {result.date}", style="dim", markup=False)
