"""dask.distributed: a scheduler and worker processes with their nannies, on this machine."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import dask.bag
from distributed import Client, LocalCluster, as_completed

from .peer import Peer, Setting, System
from .work import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .work import Tasks, Work


def many(client: Client, work: Work, tasks: Tasks) -> Iterator[dict[str, Any]]:
    """Do the tasks one by one; the same arguments would otherwise be the same task."""
    futures = client.map(work, list(tasks), pure=False)
    return (result for _, result in as_completed(futures, with_results=True))


def many_in_a_bag(client: Client, work: Work, tasks: Tasks) -> list[dict[str, Any]]:
    """Do the tasks in partitions."""
    bag = dask.bag.from_sequence(tasks, partition_size=BATCH)
    found: list[dict[str, Any]] = bag.map(work).compute(scheduler=client)
    return found


@contextmanager
def start(setting: Setting) -> Iterator[System]:
    """Start scheduler and workers; leaving the block ends them."""
    processes, threads = setting.split() if setting.waiting else (setting.workers, 1)
    with (
        LocalCluster(
            n_workers=processes,
            threads_per_worker=threads,
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield System(
            many=partial(many_in_a_bag if setting.tuned else many, client),
            one=lambda work, task: client.submit(work, task, pure=False).result(),
        )


PEER = Peer("dask.distributed", "distributed", start, tuning=f"dask.bag with partition_size={BATCH}")
