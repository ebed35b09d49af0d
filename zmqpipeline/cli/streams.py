"""The three streams of a process, which whoever starts it may have closed."""

from __future__ import annotations

import os
import sys


def fill() -> None:
    """Let what is written to a closed stream go nowhere.

    Else the next socket or pipe takes its number, and gets what is written there.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest number that is free
        os.set_inheritable(opened, True)
    os.close(opened)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
