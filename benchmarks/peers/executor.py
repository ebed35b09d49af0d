"""concurrent.futures.ProcessPoolExecutor of the standard library."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .peer import Peer, Setting, System
from .work import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def start(setting: Setting) -> Iterator[System]:
    """Start the processes; leaving the block ends them."""
    chunk = BATCH if setting.tuned else 1
    with ProcessPoolExecutor(setting.workers) as executor:
        yield System(
            many=lambda work, tasks: executor.map(work, tasks, chunksize=chunk),
            one=lambda work, task: executor.submit(work, task).result(),
        )


PEER = Peer("ProcessPoolExecutor", None, start, tuning=f"map(chunksize={BATCH})")
