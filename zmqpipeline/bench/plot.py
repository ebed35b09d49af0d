"""A result as a bar chart, in SVG; it needs matplotlib, the extra ``[bench]``."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from zmqpipeline.bench.failure import BenchError
from zmqpipeline.bench.rows import number
from zmqpipeline.bench.sample import BARE, IDEAL, OURS

if TYPE_CHECKING:
    from zmqpipeline.bench.result import Result
    from zmqpipeline.bench.summary import Summary

#: grey of the middle: it can be read on white and on black
TEXT = "#7a7a7a"
_COLOURS = {OURS: "#2f81c7", BARE: "#8c8c8c", IDEAL: "#8c8c8c"}
_OTHERS = ("#c77d2f", "#3f9a6d", "#a065b8", "#c2554f", "#2c9aa0", "#93872f", "#6f74c9", "#b5588a")
#: in inches
_WIDTH, _BAR, _HEAD = 9.0, 0.26, 0.75


def check() -> None:
    """See that there is matplotlib.

    Raises
    ------
    MissingPlotError
        if there is not

    """
    try:
        import matplotlib as mpl  # noqa: F401, PLC0415 - only where a plot is wanted
    except ImportError as error:
        raise MissingPlotError('a plot needs matplotlib: pip install "zmqpipeline[bench]"') from error


class MissingPlotError(BenchError):
    """Raised when a plot is wanted, and matplotlib is not there."""


def draw(result: Result) -> str:
    """Draw a result as SVG: a panel for each workload and unit, with the median and the spread of everybody.

    The background is transparent, so that it can stand on a light page and on a dark one.

    Raises
    ------
    MissingPlotError
        without matplotlib

    """
    check()
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    panels = _panels(result.summaries)
    if not panels:
        raise BenchError("there is nothing to plot: the result has no samples")
    heights = [_HEAD + _BAR * len(bars) for bars in panels.values()]
    colours = _colours(result.summaries)
    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "zmqpipeline",
        "font.size": 9,
        "font.family": "sans-serif",
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        # the same thickness for the bars of all panels
        thickness = [len(bars) for bars in panels.values()]
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=thickness)
        for (place, bars), (axis,) in zip(panels.items(), axes, strict=True):
            _panel(axis, place, bars, colours)
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return written.getvalue()


def _panels(summaries: list[Summary]) -> dict[tuple[str, str], list[Summary]]:
    """Put together what has the same workload and unit."""
    panels: dict[tuple[str, str], list[Summary]] = {}
    for summary in summaries:
        panels.setdefault((summary.workload, summary.figure.unit), []).append(summary)
    for bars in panels.values():
        order = list(dict.fromkeys((bar.variant, bar.figure) for bar in bars))
        bars.sort(key=lambda bar: order.index((bar.variant, bar.figure)))
    return panels


def _colours(summaries: list[Summary]) -> dict[str, str]:
    """Give each contender a colour, the same in all panels."""
    others = [name for name in dict.fromkeys(s.contender for s in summaries) if name not in _COLOURS]
    return _COLOURS | {name: _OTHERS[index % len(_OTHERS)] for index, name in enumerate(others)}


def _panel(axis: Any, place: tuple[str, str], bars: list[Summary], colours: dict[str, str]) -> None:
    """Draw the bars of one panel."""
    workload, unit = place
    variants, figures = (list(dict.fromkeys(names)) for names in zip(*map(_names, bars), strict=True))
    positions = range(len(bars))
    medians = [bar.measured.median for bar in bars]
    below = [bar.measured.median - bar.measured.low for bar in bars]
    above = [bar.measured.high - bar.measured.median for bar in bars]
    axis.barh(positions, medians, height=0.7, color=[colours[bar.contender] for bar in bars])
    axis.errorbar(medians, positions, xerr=[below, above], fmt="none", ecolor=TEXT, elinewidth=1, capsize=2)
    for position, bar in zip(positions, bars, strict=True):
        axis.annotate(
            number(bar.measured.median), (bar.measured.high, position), (4, 0),
            textcoords="offset points", va="center", color=TEXT,
        )  # fmt: skip
    axis.set_yticks(positions, [_label(bar, variants, figures) for bar in bars])
    axis.set_ylim(len(bars) - 0.5, -0.5)  # the first at the top
    # room for the number behind the longest bar
    axis.set_xlim(0, max(bar.measured.high for bar in bars) * 1.15)
    axis.locator_params(axis="x", nbins=6)
    axis.xaxis.set_major_formatter("{x:,.10g}")
    better = "more is better" if bars[0].figure.more else "less is better"
    same = [names[0] for names in (variants, figures) if len(names) == 1 and names[0] != workload]
    title = f"{', '.join([workload, *same])} ({unit}, {better})"
    axis.set_title(title, color=TEXT, loc="left", fontsize=10)
    axis.tick_params(colors=TEXT)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(TEXT)


def _names(bar: Summary) -> tuple[str, str]:
    return bar.variant, bar.figure.name


def _label(bar: Summary, variants: list[str], figures: list[str]) -> str:
    """Say at a bar what is not the same for the whole panel."""
    parts = [name for name, all_of in zip(_names(bar), (variants, figures), strict=True) if len(all_of) > 1]
    return ", ".join([*parts, bar.contender])
