"""How ``zmqpipeline top`` writes: on the whole terminal, or lines where there is none."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from zmqpipeline.monitor import words

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from zmqpipeline.monitor.snapshot import Snapshot


class Lines:
    """Writes a plain line for each snapshot."""

    def __init__(self) -> None:
        self._is_missing = False

    def show(self, snapshot: Snapshot) -> None:
        """Take in how the run is."""
        self._is_missing = False
        self._write(words.line(snapshot))

    def miss(self, problem: str) -> None:
        """Take in that nothing comes; it is said once."""
        if not self._is_missing:
            self._write(problem)
        self._is_missing = True

    def draw(self) -> None:
        """Lines stay what they are."""

    def close(self) -> None:
        """Leave what is written."""

    def _write(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class Screen(Lines):
    """Draws on the terminal's other screen; leaves the last picture on the one that was there before."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - lines need none of it
        from rich.live import Live  # noqa: PLC0415

        super().__init__()
        self._console = Console(highlight=False)
        self._snapshot: Snapshot | None = None
        self._seen_at = 0.0
        self._problem = ""
        # no thread of its own: it is drawn when something has come
        self._live: Live = Live(
            get_renderable=self._drawing,
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    @property
    def is_possible(self) -> bool:
        """Whether the terminal can do it."""
        return not self._console.is_dumb_terminal

    def show(self, snapshot: Snapshot) -> None:
        """Draw how the run is."""
        self._snapshot, self._seen_at, self._problem = snapshot, time.monotonic(), ""
        if not self._live.is_started:
            self._live.start()
        self.draw()

    def miss(self, problem: str) -> None:
        """Draw again what was seen last, and say that nothing comes."""
        self._problem = f"nothing new for {words.ago(time.monotonic() - self._seen_at)}: {problem}"
        self.draw()

    def draw(self) -> None:
        """Draw for the size that the terminal has now."""
        if self._live.is_started:
            self._live.refresh()

    def close(self) -> None:
        """Leave the terminal as it was, with the last picture on it."""
        if self._live.is_started:
            self._live.stop()
            self._console.print(self._drawing())

    def _drawing(self) -> RenderableType:
        from zmqpipeline.monitor.terminal import picture  # noqa: PLC0415

        if self._snapshot is None:
            return ""
        # the last line stays free for the cursor
        return picture(self._snapshot, self._console.width, self._console.height - 1, self._problem)


def choose() -> Lines:
    """Choose how to write."""
    if sys.stdout.isatty():
        screen = Screen()
        if screen.is_possible:
            return screen
    return Lines()
