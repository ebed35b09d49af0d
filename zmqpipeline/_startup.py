"""Ends the command quietly at a signal, as long as it only imports; the first thing that the package does.

A program that uses the library is left alone: there, signals are its own matter until a role runs.
It imports as little as can be, because until its end Python shows a traceback.
"""

import os
import signal
import sys


def is_command() -> bool:
    """Tell whether this process is the command: its script, or ``python -m zmqpipeline``."""
    name = sys.argv[0] if sys.argv else ""
    if name != "-m":
        return os.path.basename(name) == "zmqpipeline"  # noqa: PTH119 - importing pathlib takes its time
    # runpy imports a package before it knows its file
    return ("-m", "zmqpipeline") in zip(sys.orig_argv, sys.orig_argv[1:], strict=False)


def end(number: int, _frame: object) -> None:
    """End this process: nothing is open that would have to be closed."""
    os._exit(128 + number)


if is_command():
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
