"""Plain log lines on stderr, for a program that has not set up its own."""

from __future__ import annotations

import logging
import os

#: what --log-level takes
LEVELS = ("debug", "info", "warning", "error", "critical")
#: the environment variable that --log-level goes before
VARIABLE = "ZMQPIPELINE_LOG_LEVEL"


def configure(level: str | None, role: str, *, prefixed: bool) -> None:
    """Log to stderr, with time, role and process id, unless the program has handlers already.

    Parameters
    ----------
    level
        the option's value; None for the environment's, or else ``info``
    role
        what the role's command is called
    prefixed
        whether whoever reads stderr puts role and process id before each line anyway

    """
    chosen = level or os.environ.get(VARIABLE, "").lower()
    number = getattr(logging, chosen.upper()) if chosen in LEVELS else logging.INFO
    root, library = logging.getLogger(), logging.getLogger("zmqpipeline")
    own = [handler for handler in library.handlers if not isinstance(handler, logging.NullHandler)]
    if root.handlers or own:
        if chosen in LEVELS:
            library.setLevel(number)
        return
    who = "" if prefixed else f"{role}[{os.getpid()}] "
    logging.basicConfig(
        level=number, format=f"%(asctime)s {who}%(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
