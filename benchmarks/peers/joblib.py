"""joblib with its default backend, loky, which batches small tasks on its own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from .peer import Peer, Setting, System

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def start(setting: Setting) -> Iterator[System]:
    """Start the processes, and end them, which joblib would keep for the next use."""
    try:
        with Parallel(setting.workers, return_as="generator_unordered") as parallel:
            yield System(
                many=lambda work, tasks: parallel(delayed(work)(task) for task in tasks),
                one=lambda work, task: next(parallel([delayed(work)(task)])),
            )
    finally:
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


PEER = Peer("joblib", "joblib", start)
