"""Dramatiq, with Redis for the tasks and the results."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends.redis import RedisBackend

from . import redisserver, work
from .peer import Peer, Setting, System

if TYPE_CHECKING:
    from collections.abc import Iterator

#: tells the workers where the Redis is
VARIABLE = "ZMQPIPELINE_BENCHMARKS_REDIS"

#: the threads of a process, unless the command line says otherwise
THREADS = 8

#: milliseconds that a result may take
PATIENCE = 120_000


def actors(url: str) -> dict[work.Work, Any]:
    """Declare what can be done, through the Redis of this address."""
    broker = RedisBroker(url=url)
    broker.add_middleware(Results(backend=RedisBackend(url=url)))
    dramatiq.set_broker(broker)
    return {function: dramatiq.actor(function, store_results=True) for function in (work.noop, work.nap)}


if VARIABLE in os.environ:  # this is a worker
    actors(os.environ[VARIABLE])


@contextmanager
def start(setting: Setting) -> Iterator[System]:
    """Start a Redis and the worker processes with their threads, and end them."""
    processes, threads = setting.split() if setting.waiting else (setting.workers, THREADS)
    command = [sys.executable, "-m", "dramatiq", "peers.dramatiq"]
    command += ["--processes", str(processes), "--threads", str(threads)]
    with redisserver.server() as path, Path("dramatiq.log").open("wb") as log:
        url = f"unix://{path}"
        declared = actors(url)
        workers = subprocess.Popen(command, env={**os.environ, VARIABLE: url}, stdout=log, stderr=log)

        def many(function: work.Work, tasks: work.Tasks) -> Iterator[dict[str, Any]]:
            actor = declared[function]
            group = dramatiq.group(actor.message(task) for task in tasks).run()
            results: Iterator[dict[str, Any]] = group.get_results(block=True, timeout=PATIENCE)
            return results

        def one(function: work.Work, task: dict[str, Any]) -> dict[str, Any]:
            result: dict[str, Any] = declared[function].send(task).get_result(block=True, timeout=PATIENCE)
            return result

        try:
            yield System(many, one)
        finally:
            redisserver.end(workers)


PEER = Peer("Dramatiq", "dramatiq", start, missing=redisserver.missing)
