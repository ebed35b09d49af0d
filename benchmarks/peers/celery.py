"""Celery, with Redis for the tasks and the results."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import Celery

from . import redisserver, work
from .peer import Peer, Setting, System

if TYPE_CHECKING:
    from collections.abc import Iterator

#: tells the workers where the Redis is
VARIABLE = "ZMQPIPELINE_BENCHMARKS_REDIS"

#: tasks that a worker's process may have waiting, where it is tuned
PREFETCH = 64

app = Celery("peers")
TASKS: dict[work.Work, Any] = {function: app.task(function) for function in (work.noop, work.nap)}


def configure(path: str) -> None:
    """Say where the Redis is."""
    app.conf.update(broker_url=f"redis+socket://{path}", result_backend=f"redis+socket://{path}")


if VARIABLE in os.environ:  # this is a worker
    configure(os.environ[VARIABLE])


def many(function: work.Work, tasks: work.Tasks) -> Iterator[dict[str, Any]]:
    """Do the tasks one by one; a group of them takes longer."""
    results = [TASKS[function].delay(task) for task in tasks]
    return (result.get() for result in results)


def many_in_chunks(function: work.Work, tasks: work.Tasks) -> Iterator[dict[str, Any]]:
    """Do the tasks in chunks."""
    chunks = TASKS[function].chunks(((task,) for task in tasks), work.BATCH)
    return work.flat(chunks.apply_async().get())


@contextmanager
def start(setting: Setting) -> Iterator[System]:
    """Start a Redis and a worker with its processes, and end them."""
    pool = "threads" if setting.waiting else "prefork"
    command = [sys.executable, "-m", "celery", "-A", "peers.celery:app", "worker", "--loglevel", "WARNING"]
    command += ["--pool", pool, "--concurrency", str(setting.workers)]
    if setting.tuned:
        command += ["--prefetch-multiplier", str(PREFETCH)]
    with redisserver.server() as path, Path("celery.log").open("wb") as log:
        configure(str(path))
        environment = {**os.environ, VARIABLE: str(path)}
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield System(
                many=many_in_chunks if setting.tuned else many,
                one=lambda function, task: TASKS[function].delay(task).get(),
            )
        finally:
            redisserver.end(worker)
            app.close()


PEER = Peer(
    "Celery",
    "celery",
    start,
    tuning=f"chunks of {work.BATCH} and a prefetch multiplier of {PREFETCH}",
    missing=redisserver.missing,
)
