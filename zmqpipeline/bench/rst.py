"""A result as a table for documentation, in reStructuredText."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from zmqpipeline.bench import rows
from zmqpipeline.bench.machine import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zmqpipeline.bench.result import Result


def write(result: Result) -> str:
    """Write a result as a ``list-table`` and what belongs below it; to be had by ``.. include::``."""
    lines = [".. list-table::", "    :header-rows: 1", "", *_line(rows.HEADINGS)]
    for row in rows.make(result.summaries):
        lines += _line(row.cells)
    below = f"{sentence(result.machine)}; {result.date}."
    return "\n".join([*lines, "", rows.CAPTION, "", escaped(below), ""])


def _line(cells: Iterable[str]) -> list[str]:
    first, *others = (escaped(cell) for cell in cells)
    return [f"    * - {first}".rstrip(), *(f"      - {other}".rstrip() for other in others)]


def escaped(text: str) -> str:
    """Keep what has a meaning in reStructuredText from having it."""
    return re.sub(r"([\\*`|_])", r"\\\1", text)
