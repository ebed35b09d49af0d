"""Small programs for the command to run."""

import textwrap

#: two tasks, the second depends on the first; what is done to it can be changed by replacing a line
TWO_TASKS = """
import os
import signal
import sys
import time
from pathlib import Path

from zmqpipeline import Collector, EndpointAddress, SingleThreadedWorker, Task, TaskType

FIRST = TaskType.register_type("first")
SECOND = TaskType.register_type("second")
N = int(os.environ.get("N", "40"))


class First(Task):
    task_type = FIRST
    endpoint = EndpointAddress("ipc://first.ipc")
    dependencies = []
    n = 0

    def handle(self, data, address, msgtype):
        self.n += 1
        self.is_complete = self.n >= N
        return {"n": self.n}


class Second(First):
    task_type = SECOND
    endpoint = EndpointAddress("ipc://second.ipc")
    dependencies = [FIRST]


class Does(SingleThreadedWorker):
    task_type = FIRST
    endpoint = EndpointAddress("ipc://first.ipc")
    collector_endpoint = EndpointAddress("ipc://collector.ipc")

    def init_worker(self):
        pass  # init_worker

    def handle_execution(self, data, *args, **kwargs):
        pass  # execution
        return {"n": data["n"]}


class DoesMore(Does):
    task_type = SECOND
    endpoint = EndpointAddress("ipc://second.ipc")


class Keeps(Collector):
    endpoint = EndpointAddress("ipc://collector.ipc")
    ack_endpoint = EndpointAddress("ipc://ack.ipc")

    def handle_collection(self, data, task_type, msgtype):
        with open("results", "a") as results:
            print(task_type, data["n"], file=results)
        pass  # collection

    def handle_finished(self, data, task_type):
        with open("results", "a") as results:
            print("finished", file=results)
        print("finished")
"""

#: waits for a signal; one that comes right before a sleep does not end it, so each is short
SLEEPS = "for _ in range(10_000): time.sleep(0.1)\n"
#: a worker that is busy until there is a file named go
BUSY = """
        print("busy", data["n"])
        while not os.path.exists("go"):
            time.sleep(0.01)
"""

#: signs of life are given often: by them a distributor finds what a collector has taken along
QUICK = """
import zmqpipeline.collector
import zmqpipeline.role

zmqpipeline.collector.HEARTBEAT = zmqpipeline.role.Role.heartbeat_interval = 0.1
"""

#: a service with one kind of worker
SERVICE = """
import os
import signal

from zmqpipeline import EndpointAddress, Service, ServiceWorker, TaskType

ADDS = TaskType.register_type("adds")
broker = Service(EndpointAddress("ipc://front.ipc"), EndpointAddress("ipc://back.ipc"))


class Adds(ServiceWorker):
    task_type = ADDS
    endpoint = EndpointAddress("ipc://back.ipc")

    def handle_message(self, data, task_type, msgtype):
        return {"sum": sum(data["numbers"])}
"""


def two_tasks(**replaced: str) -> str:
    """Make the program with two tasks do something else at a marked line.

    Parameters
    ----------
    **replaced
        the statements by the mark of the line that they replace

    """
    text = TWO_TASKS
    for mark, statements in replaced.items():
        line = f"        pass  # {mark}\n"
        assert line in text
        text = text.replace(
            line, "".join(f"        {part}\n" for part in textwrap.dedent(statements).strip().split("\n"))
        )
    return text


def line_of(text: str, part: str) -> int:
    """Tell the number of the first line that has a part."""
    return next(number for number, line in enumerate(text.split("\n"), 1) if part in line)
