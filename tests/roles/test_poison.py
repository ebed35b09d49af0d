"""A task that kills its process fails in the end, and kills nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from .pipelines import GUARD, Pipeline, running

pytestmark = pytest.mark.usefixtures("folder")

WORKER = """
import os, signal, zmqpipeline as z
z.TaskType.register_type("DEADLY")
class W(z.SingleThreadedWorker):
    task_type = z.TaskType("DEADLY")
    endpoint = z.EndpointAddress("ipc://deadly.ipc")
    collector_endpoint = z.EndpointAddress("ipc://collector.ipc")
    def handle_execution(self, data, *args, **kwargs):
        if data["i"] == 33:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"r": data["i"]}
W().run()
"""


@pytest.mark.timeout(180)
def test_a_task_that_kills_its_workers_fails_with_an_error_that_says_so() -> None:
    pipeline = Pipeline()
    pipeline.task("DEADLY", 100, max_worker_deaths=2)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    codes: list[int] = []
    with running(keeper, distributor) as roles:
        while not codes or codes[-1] == -signal.SIGKILL:
            assert len(codes) < 12
            done = subprocess.run([sys.executable, "-c", WORKER], check=False, timeout=GUARD)
            codes.append(done.returncode)
        roles.join()
    assert codes[-1] == 0
    assert keeper.numbers("DEADLY") == [n for n in range(100) if n != 33]
    ((_, data, error),) = keeper.failures
    assert data == {"i": 33}
    assert error["type"] == "WorkerDeaths"
    assert "task 33 of DEADLY was the only one in the hands of 2 workers that died" in error["text"]
    assert distributor.failures == 1
