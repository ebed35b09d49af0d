"""What an exception in user code looks like to another process: type, text, traceback."""

from __future__ import annotations

import traceback
from typing import Any

#: longer texts are cut, in characters: a report has to fit into a message
_LONGEST = 20_000


def describe(error: BaseException, *, retry: bool = True) -> dict[str, Any]:
    """Describe an exception as plain text.

    Parameters
    ----------
    error
        what was raised
    retry
        whether another attempt may help

    Returns
    -------
    dict
        ``type``, ``text`` and ``traceback`` (str), ``retry`` (bool)

    """
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - an exception whose text cannot be had is still a failure
        text = f"(its text cannot be had: {type(broken).__name__})"
    lines = "".join(traceback.format_exception(error))
    return {
        "type": type(error).__qualname__,
        "text": _cut(text),
        "traceback": _cut(lines),
        "retry": retry,
    }


def size_of_error(error: dict[str, Any]) -> int:
    """Tell how many bytes an error takes, about."""
    return sum(len(text) for text in error.values() if isinstance(text, str))


def _cut(text: str) -> str:
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}\n[...]\n{text[-_LONGEST // 2 :]}"
    return text.encode("utf-8", "backslashreplace").decode()
