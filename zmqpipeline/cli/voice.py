"""Whose a line is: the role, its process, and its task type."""

from __future__ import annotations

import re
from typing import NamedTuple

#: the words of a name in camel case or with underscores
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")


class Voice(NamedTuple):
    """Who says something.

    Parameters
    ----------
    role
        what the file calls the role
    pid
        its process
    task
        its task type, ``''`` of a role that has none

    """

    role: str
    pid: int
    task: str = ""

    @property
    def label(self) -> str:
        """What stands in front of its lines: with the task type, unless the role's name says that anyway."""
        name = f"{self.role}/{self.task}" if self.task and not says(self.role, self.task) else self.role
        return f"{name}[{self.pid}]"


def says(name: str, task: str) -> bool:
    """Tell whether the task type stands in a name, at the beginning of a word, as in ``Sleeper``."""
    words = [word.casefold() for word in _WORDS.findall(name)]
    meant = re.sub(r"[\W_]+", "", task).casefold()
    ends = {0}
    for word in words:
        ends.add(max(ends) + len(word))
    whole = "".join(words)
    for start in sorted(ends):
        if whole.startswith(meant, start):
            end = start + len(meant)
            # not the first letters of something else, nor number 2 of 21
            if end in ends or (len(meant) > 2 and whole[end].isalpha()):
                return True
    return False
