"""A result as rows of text, for every kind of table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zmqpipeline.bench.spread import Spread
    from zmqpipeline.bench.summary import Summary

#: what stands above the columns
HEADINGS = ("workload", "variant", "figure", "contender", "median", "beside", "its median", "ratio")
#: how the columns are to be read
CAPTION = (
    "Medians. Each ratio is that of one turn, in which both were measured one after the other: the median "
    "of these, the lowest and the highest. Of what is counted in a second more is better, of all else less."
)


@dataclass(frozen=True)
class Row:
    """One line of a table, a text for each heading."""

    workload: str
    variant: str
    figure: str
    contender: str
    median: str
    beside: str
    its_median: str
    ratio: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts, in the order of the headings."""
        return (
            self.workload, self.variant, self.figure, self.contender, self.median, self.beside,
            self.its_median, self.ratio,
        )  # fmt: skip


def make(summaries: Iterable[Summary]) -> list[Row]:
    """Make a row for each summary, but for those that only stand beside others; what repeats is left out."""
    found = list(summaries)
    beside = {(s.workload, s.variant, s.figure, s.reference) for s in found}
    rows: list[Row] = []
    before = ("", "", "")
    for summary in _together(found):
        place = summary.workload, summary.variant, str(summary.figure)
        if summary.reference is None and (*place[:2], summary.figure, summary.contender) in beside:
            continue
        rows.append(Row(*_changed(place, before), *_values(summary)))
        before = place
    return rows


def _together(summaries: list[Summary]) -> list[Summary]:
    """Put together who was measured by the same figure, in the order in which the figures first come."""
    groups: dict[tuple[str, str, str], list[Summary]] = {}
    for summary in summaries:
        groups.setdefault((summary.workload, summary.variant, str(summary.figure)), []).append(summary)
    return [summary for group in groups.values() for summary in group]


def _changed(place: tuple[str, str, str], before: tuple[str, str, str]) -> tuple[str, str, str]:
    """Leave out what is the same as in the row above."""
    same = 0
    while same < 3 and place[same] == before[same]:
        same += 1
    workload, variant, figure = ("" if index < same else text for index, text in enumerate(place))
    return workload, variant, figure


def _values(summary: Summary) -> tuple[str, str, str, str, str]:
    return (
        summary.contender,
        number(summary.measured.median),
        summary.reference or "",
        number(summary.beside.median) if summary.beside else "",
        ratio(summary.ratio) if summary.ratio else "",
    )


def ratio(spread: Spread) -> str:
    """Write a ratio with its spread."""
    if spread.count == 1:
        return _two_digits(spread.median)
    return f"{_two_digits(spread.median)} ({_two_digits(spread.low)} to {_two_digits(spread.high)})"


def _two_digits(value: float) -> str:
    """Write a ratio with two digits, also one that is far below 1."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def number(value: float) -> str:
    """Write a value with three digits at least, and thousands apart."""
    for limit, digits in ((100.0, 0), (10.0, 1), (1.0, 2)):
        if abs(value) >= limit:
            return f"{value:,.{digits}f}"
    return f"{value:.3g}"
