"""multiprocessing.Pool of the standard library."""

from __future__ import annotations

from contextlib import contextmanager
from multiprocessing import Pool
from typing import TYPE_CHECKING

from .peer import Peer, Setting, System
from .work import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def start(setting: Setting) -> Iterator[System]:
    """Start the processes; leaving the block ends them."""
    chunk = BATCH if setting.tuned else 1
    with Pool(setting.workers) as pool:
        yield System(
            many=lambda work, tasks: pool.imap_unordered(work, tasks, chunksize=chunk),
            one=lambda work, task: pool.apply(work, (task,)),
        )


PEER = Peer("multiprocessing.Pool", None, start, tuning=f"imap_unordered(chunksize={BATCH})")
