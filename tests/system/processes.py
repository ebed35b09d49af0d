"""Pipelines whose roles are processes of their own; run as a program, it starts them, a few at a time.

They are forked, because to start an interpreter takes longer than all that it does here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import zmqpipeline
from zmqpipeline import EndpointAddress, TaskType

if TYPE_CHECKING:
    from collections.abc import Sequence

GUARD = 120.0
COUNT = 60
AT_A_TIME = 4


class Job(NamedTuple):
    """A pipeline: where it runs, the order in which its roles are started, and where these meet."""

    folder: str
    order: Sequence[str]
    named: dict[str, str]


def run(jobs: Sequence[Job]) -> None:
    """Run pipelines; all their roles have ended well."""
    with subprocess.Popen([sys.executable, __file__, json.dumps(jobs)], start_new_session=True) as process:
        try:
            assert process.wait(GUARD) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):  # all have ended, as they should
                os.killpg(process.pid, signal.SIGKILL)


def say(event: str) -> None:
    """Tell whoever has started this process how far it is."""
    sys.stdout.write(f"{event}\n")
    sys.stdout.flush()


class Addresses:
    """Where a pipeline of two task types is.

    Parameters
    ----------
    named
        the addresses of FIRST, SECOND, the collector, its ACKs and the metadata

    """

    def __init__(self, named: dict[str, str]) -> None:
        self.first, self.second, self.collector, self.acks, self.metadata = (
            EndpointAddress(named[name]) for name in ("first", "second", "collector", "acks", "metadata")
        )
        TaskType.register_type("FIRST")
        TaskType.register_type("SECOND")


def distributor(named: dict[str, str], metadata: bool) -> None:
    """Run a distributor with two tasks, one after the other."""
    where = Addresses(named)

    class First(zmqpipeline.Task):
        task_type = TaskType("FIRST")
        endpoint = where.first
        dependencies: list[TaskType] = []  # noqa: RUF012 - as the tutorial declares it
        n_count = 0

        def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:
            self.n_count += 1
            self.is_complete = self.n_count == COUNT
            return {"i": self.n_count, "meta": data.get("meta")}

    class Second(First):
        task_type = TaskType("SECOND")
        endpoint = where.second
        dependencies = [TaskType("FIRST")]  # noqa: RUF012

    role = zmqpipeline.Distributor(
        where.collector, where.acks, metadata, where.metadata if metadata else None, tasks=[First, Second]
    )
    role.on_event = say
    role.run()


def worker(named: dict[str, str], _metadata: bool) -> None:
    """Run a worker with one thread."""
    where = Addresses(named)

    class One(zmqpipeline.SingleThreadedWorker):
        task_type = TaskType("FIRST")
        endpoint = where.first
        collector_endpoint = where.collector

        def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            return {"r": data["i"], "meta": data["meta"], "mine": self.metadata.get("meta")}

    role = One()
    role.on_event = say
    role.run()


def threads(named: dict[str, str], _metadata: bool) -> None:
    """Run a worker with threads."""
    where = Addresses(named)

    class Many(zmqpipeline.MultiThreadedWorker):
        task_type = TaskType("SECOND")
        endpoint = where.second
        collector_endpoint = where.collector
        n_threads = 3

        def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            return data

        def handle_thread_execution(self, data: dict[str, Any], index: int) -> dict[str, Any]:
            return {"r": data["i"], "thread": index, "mine": self.metadata.get("meta")}

    role = Many()
    role.on_event = say
    role.run()


def collector(named: dict[str, str], _metadata: bool) -> None:
    """Run a collector that writes what it gets to ``results``, and ``finished`` at the end."""
    where = Addresses(named)

    class Writing(zmqpipeline.Collector):
        endpoint = where.collector
        ack_endpoint = where.acks

        def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> None:
            with Path("results").open("a") as out:
                out.write(f"{task_type} {data['r']} {data['meta']} {data['mine']}\n")

        def handle_finished(self, data: Any, task_type: str) -> None:
            with Path("results").open("a") as out:
                out.write("finished\n")

    role = Writing()
    role.on_event = say
    role.run()


def metadata_worker(named: dict[str, str], _metadata: bool) -> None:
    """Run a metadata worker."""
    where = Addresses(named)

    class Meta(zmqpipeline.MetaDataWorker):
        endpoint = where.metadata

        def get_metadata(self) -> dict[str, Any]:
            return {"meta": "data"}

    role = Meta()
    role.on_event = say
    role.run()


ROLES = {
    "distributor": distributor,
    "collector": collector,
    "worker": worker,
    "threads": threads,
    "metadata": metadata_worker,
}


def fork(name: str, named: dict[str, str], metadata: bool) -> int:
    """Start a role, and wait until its sockets are open; return its process id."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.dup2(writer, 1)
        ROLES[name](named, metadata)
        sys.exit()
    os.close(writer)
    assert os.read(reader, 1), f"{name} has ended before it was ready"
    return pid  # the pipe stays open, because there is more that the role says


def run_one(job: Job) -> None:
    """Run a pipeline, each role when the sockets of the one before are open."""
    os.chdir(job.folder)
    pids = [fork(name, job.named, "metadata" in job.order) for name in job.order]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert not any(codes), f"{job.order} have ended with {codes}"


def main(jobs: list[Job]) -> None:
    """Run pipelines, a few at a time: they wait for each other as well."""
    for public in zmqpipeline.__all__:
        getattr(zmqpipeline, public)  # so that it is imported before it is needed
    failed = 0
    for number, job in enumerate(jobs):
        if number >= AT_A_TIME:
            failed += os.wait()[1] != 0
        if not os.fork():
            run_one(job)
            sys.exit()
    for _ in jobs[:AT_A_TIME]:
        failed += os.wait()[1] != 0
    assert not failed


if __name__ == "__main__":
    main([Job(*job) for job in json.loads(sys.argv[1])])
