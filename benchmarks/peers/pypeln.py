"""Pypeln with its processes."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pypeln

from .peer import Peer, Setting, System

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .work import Tasks, Work


def call(item: tuple[Work, dict[str, Any]]) -> dict[str, Any]:
    """Do what the task is to be done with."""
    work, task = item
    return work(task)


@contextmanager
def start(setting: Setting) -> Iterator[System]:
    """Start one stage whose source goes on until the block is left, so that no start is measured."""
    source: SimpleQueue[Iterable[Any] | None] = SimpleQueue()
    stream = itertools.chain.from_iterable(iter(source.get, None))
    results = iter(pypeln.process.map(call, stream, workers=setting.workers))

    def many(work: Work, tasks: Tasks) -> Iterator[dict[str, Any]]:
        source.put((work, task) for task in tasks)
        return itertools.islice(results, len(tasks))

    def one(work: Work, task: dict[str, Any]) -> dict[str, Any]:
        source.put([(work, task)])
        return next(results)

    try:
        yield System(many, one)
    finally:
        source.put(None)
        for _ in results:  # the processes end when there is nothing more to read
            pass


PEER = Peer("Pypeln", "pypeln", start)
