"""The workloads: what can be measured, and with which options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.bench.case import Case


@dataclass(frozen=True)
class Options:
    """What was chosen; None for the default of the workload.

    Parameters
    ----------
    workers
        how many processes of workers; several numbers are measured one after the other
    transports
        ``ipc``, ``tcp``, or both
    tasks
        how many tasks a run has
    quick
        whether to do as little as shows that everything works
    full
        whether to measure all numbers of workers and transports where none are chosen

    """

    workers: tuple[int, ...] = ()
    transports: tuple[str, ...] = ()
    tasks: int | None = None
    quick: bool = False
    full: bool = False

    def count(self, usual: int, quick: int) -> int:
        """Tell how many tasks a run has."""
        return self.tasks or (quick if self.quick else usual)


@dataclass(frozen=True)
class Workload:
    """Something that can be measured.

    Parameters
    ----------
    name
        as it stands on the command line
    text
        what is measured, in a sentence
    cases
        makes its cases
    takes
        which options have a meaning for it

    """

    name: str
    text: str
    cases: Callable[[Options], list[Case]]
    takes: frozenset[str]
