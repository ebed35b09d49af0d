"""Under ``run``, the error of a task that kills workers says how they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Command

APP = """
import os, signal, zmqpipeline
zmqpipeline.TaskType.register_type("DEADLY")
class Deadly(zmqpipeline.Task):
    task_type = zmqpipeline.TaskType("DEADLY")
    endpoint = zmqpipeline.EndpointAddress("ipc://deadly.ipc")
    dependencies = []
    number = 0
    def handle(self, data, address, msgtype):
        self.number += 1
        self.is_complete = self.number == 24
        return {"n": self.number}
class Dies(zmqpipeline.SingleThreadedWorker):
    task_type = Deadly.task_type
    endpoint = Deadly.endpoint
    collector_endpoint = zmqpipeline.EndpointAddress("ipc://results.ipc")
    def handle_execution(self, data, *args, **kwargs):
        if data["n"] == 20:
            os.kill(os.getpid(), signal.SIGSEGV)
        return data
class Prints(zmqpipeline.Collector):
    endpoint = Dies.collector_endpoint
    ack_endpoint = zmqpipeline.EndpointAddress("ipc://acks.ipc")
    total = 0
    def handle_collection(self, data, task_type, msgtype):
        self.total += 1
    def handle_failure(self, data, task_type, error):
        print("failed", data, error["text"])
    def handle_finished(self, data, task_type):
        print("collected", self.total)
"""


@pytest.mark.timeout(180)
def test_a_task_that_kills_its_workers_is_named_with_how_they_ended(command: Command) -> None:
    command.write("app.py", APP)
    code, run = command.run("run", "app.py", "-w", "2")
    assert code == 1, run.output
    out = "\n".join(run.out)
    assert "collected 23" in out
    assert "failed {'n': 20} task 19 of DEADLY was the only one in the hands of 3 workers that died" in out
    assert out.count("killed by SIGSEGV") == 3
    assert "1 failed" in run.err[-1]
