"""What was looked at, and whether it is as it should be: a sentence each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

#: it is as it should be; it may not be what is meant; it cannot work
OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    level
        :data:`OK`, :data:`WARNING` or :data:`PROBLEM`
    about
        what it belongs to: ``installation``, ``file``, ``roles``, ``endpoints``, ``keys``, ``versions`` or
        ``journal``
    sentence
        what was found and, if it is not as it should be, what to do
    code
        the exit code that says the same of a run; 0 if it is no problem

    """

    level: str
    about: str
    sentence: str
    code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Make what can be written as JSON."""
        return asdict(self)


def ok(about: str, sentence: str) -> Finding:
    """Find that something is as it should be."""
    return Finding(OK, about, sentence)


def warning(about: str, sentence: str) -> Finding:
    """Find what may not be meant."""
    return Finding(WARNING, about, sentence)


def problem(about: str, sentence: str, code: int) -> Finding:
    """Find what cannot work."""
    return Finding(PROBLEM, about, sentence, int(code))
