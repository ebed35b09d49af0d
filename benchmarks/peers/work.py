"""What is to be done, and what the workers do: functions that each peer can import by their names."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

Work = Callable[[dict[str, Any]], dict[str, Any]]

#: tasks in a chunk or a batch, where a peer is tuned by that
BATCH = 100


class Tasks:
    """So many tasks, each made when it is asked for, as a program would.

    Parameters
    ----------
    count
        The tasks are numbered from 1 to this.
    seconds
        How long each is to wait.
    """

    def __init__(self, count: int, seconds: float = 0.0) -> None:
        self.count = count
        self.seconds = seconds

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self.seconds:
            return ({"i": number, "s": self.seconds} for number in range(1, self.count + 1))
        return ({"i": number} for number in range(1, self.count + 1))

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        """Cut the tasks into lists."""
        remaining = iter(self)
        while batch := list(itertools.islice(remaining, BATCH)):
            yield batch


def noop(task: dict[str, Any]) -> dict[str, Any]:
    """Answer a dictionary with another."""
    return {"r": task["i"]}


def nap(task: dict[str, Any]) -> dict[str, Any]:
    """Wait, as one does for a disk or a server, then answer."""
    time.sleep(task["s"])
    return {"r": task["i"]}


def each(work: Work, batch: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Do a batch of tasks in one call, for peers that have no batches of their own."""
    return [work(task) for task in batch]


def flat(batches: Iterable[Sequence[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Take the results out of their batches."""
    return itertools.chain.from_iterable(batches)
