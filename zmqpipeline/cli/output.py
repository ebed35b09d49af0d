"""The one writer of a run: the processes' lines, the supervisor's own, and how far the run is."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, BinaryIO

from zmqpipeline import Statistics
from zmqpipeline.cli import jsonlines
from zmqpipeline.cli.summary import progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType
    from rich.live import Live

    from zmqpipeline.cli.jsonlines import JsonLines
    from zmqpipeline.cli.voice import Voice

#: how often a line says how far the run is, where there is no terminal, in seconds
LINE_INTERVAL = 5.0
#: how often the bar is drawn, in seconds
BAR_INTERVAL = 0.1
#: the rate is that of so many past seconds
_WINDOW = 3.0

NOTHING = Statistics(0, 0, 0, 0, 0)


class Rate:
    """How many tasks are acknowledged in a second, of late."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def seen(self, now: float, acknowledged: int) -> None:
        """Note how many were acknowledged at a time."""
        if self._seen and acknowledged < self._seen[-1][1]:
            self._seen.clear()  # a distributor that goes on from its journal may know of less
        self._seen.append((now, acknowledged))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _WINDOW:
            self._seen.popleft()

    def per_second(self) -> float:
        """Tell the rate."""
        if len(self._seen) < 2:
            return 0.0
        (begun, before), (ended, after) = self._seen[0], self._seen[-1]
        return (after - before) / (ended - begun) if ended > begun else 0.0


class Output:
    """Writes plain lines; stdout's to stdout, all others to stderr."""

    def __init__(self) -> None:
        self._rate = Rate()
        self._statistics = NOTHING
        self._said = NOTHING
        self._total: int | None = None
        self._said_at = float("-inf")
        self._begun: float | None = None
        #: when the last worker was seen, if there is none: at the end of a run they go first
        self._staffed_at = float("-inf")
        self._ending = False
        self._broken: set[int] = set()

    def line(self, voice: Voice, line: bytes, *, error: bool) -> None:
        """Write a line of one of the processes."""
        self._write(sys.stderr.buffer if error else sys.stdout.buffer, voice.label.encode() + b" " + line)

    def say(self, sentence: str, level: str = "info") -> None:  # noqa: ARG002 - for those who write levels
        """Write a line of the supervisor's own."""
        self._write(sys.stderr.buffer, f"zmqpipeline: {sentence}".encode(errors="backslashreplace"))

    def details(self, line: bytes) -> None:
        """Write a line of what precedes a sentence of the supervisor's own."""
        self._write(sys.stderr.buffer, line)

    def last_lines(self, label: str, lines: Iterable[str]) -> None:
        """Write again what a process wrote last."""
        self.say(f"the last lines of {label}:")
        for line in lines:
            self.details(f"    {line}".encode())

    def counted(self, statistics: Statistics, now: float, total: int | None = None) -> None:
        """Take in how far the distributor is, and how many tasks there will be, if that is known."""
        self._total = total
        if statistics.workers:
            self._staffed_at = float("-inf")
        elif self._statistics.workers or statistics.acknowledged > self._statistics.acknowledged:
            self._staffed_at = now  # there were some until a moment ago, whether they were seen or not
        self._statistics = statistics
        self._rate.seen(now, statistics.acknowledged)

    def ending(self) -> None:
        """Say no more how far the run is: the summary will."""
        self._ending = True

    def tick(self, now: float) -> None:
        """Say how far the run is, if that is due and news."""
        if self._begun is None:
            self._begun = now
        if not self._statistics.handed_out and now - self._begun < LINE_INTERVAL:
            return  # that a run begins is no news
        if self._ending or now - self._staffed_at < LINE_INTERVAL:
            return
        if self._statistics != self._said and now - self._said_at >= LINE_INTERVAL:
            self._said, self._said_at = self._statistics, now
            self.say(self._progress())

    def close(self) -> None:
        """Leave the terminal as it was."""

    def _progress(self) -> str:
        return progress(self._statistics, self._rate.per_second(), self._total)

    def _write(self, stream: BinaryIO, line: bytes) -> None:
        if id(stream) in self._broken:
            return
        try:
            stream.write(line + b"\n")
            stream.flush()
        except OSError:  # whoever read it is gone; the work goes on
            self._broken.add(id(stream))


class BarOutput(Output):
    """Keeps a bar at the bottom of the terminal, below the lines."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only here
        from rich.live import Live  # noqa: PLC0415
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.spinner import Spinner  # noqa: PLC0415

        super().__init__()
        self._bar = ProgressBar(total=1, complete_style="green", finished_style="green")
        self._spinner = Spinner("dots")
        self._drawn_at = float("-inf")
        # no thread of its own: all writing is done by the one that reads the processes
        self._live: Live = Live(
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._started = False
        self._waiting: list[bytes] = []

    def tick(self, now: float) -> None:
        """Write the lines that have come, and draw the bar again, if that is due."""
        self._flush()
        if now - self._drawn_at >= BAR_INTERVAL:
            self._drawn_at = now
            if not self._started:
                self._live.start()
                self._started = True
            self._live.update(self._drawing(), refresh=True)

    def close(self) -> None:
        """Take the bar away."""
        self._flush()
        if self._started:
            self._started = False
            self._live.stop()

    def _drawing(self) -> RenderableType:
        from rich.table import Table  # noqa: PLC0415

        # without a total, what is handed out is all that there is to do for the time being
        total = self._statistics.handed_out if self._total is None else self._total
        self._bar.update(completed=min(self._statistics.acknowledged, total), total=max(total, 1))
        drawing = Table.grid(padding=(0, 1), expand=True)
        drawing.add_column()
        drawing.add_column(ratio=1)
        drawing.add_column(no_wrap=True)
        drawing.add_row(self._spinner, self._bar, self._progress())
        return drawing

    def _write(self, stream: BinaryIO, line: bytes) -> None:
        if self._started and stream.isatty():
            self._waiting.append(line)
        else:
            super()._write(stream, line)

    def _flush(self) -> None:
        """Write the lines through rich, so that the bar moves down; together, because each time draws it."""
        from rich.text import Text  # noqa: PLC0415

        if self._waiting:
            text = b"\n".join(self._waiting).decode("utf-8", "replace")
            self._waiting.clear()
            self._live.console.print(Text(text), soft_wrap=True)


class JsonOutput(Output):
    """Writes whatever goes to stderr as objects of JSON.

    Parameters
    ----------
    sink
        what writes them

    """

    def __init__(self, sink: JsonLines) -> None:
        super().__init__()
        self._sink = sink

    def line(self, voice: Voice, line: bytes, *, error: bool) -> None:
        """Write a line of one of the processes."""
        if error:
            self._sink.take(line, voice)
        else:
            super().line(voice, line, error=False)

    def say(self, sentence: str, level: str = "info") -> None:
        """Write a sentence of the supervisor's own."""
        self._sink.say(level, sentence)

    def details(self, line: bytes) -> None:
        """Write a line of the process that looks what there is to run."""
        self._sink.take(line, self._sink.voice)

    def last_lines(self, label: str, lines: Iterable[str]) -> None:
        """Write nothing: who reads objects finds those of a process by its id."""


def choose(*, counts: bool) -> Output:
    """Choose how to write: with a bar if there is something to count and stderr is a terminal."""
    sink = jsonlines.active()
    if sink is not None:
        return JsonOutput(sink)
    if counts and sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415

        if not Console(stderr=True).is_dumb_terminal:
            return BarOutput()
    return Output()
