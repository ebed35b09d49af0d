"""Programs that go on while bad peers work, and what is measured of their processes."""

from __future__ import annotations

import os
from pathlib import Path

#: how many good tasks there are at the least; there are more as long as the attack lasts
COUNT = 20_000

#: the run that is attacked: it ends when it has done what it has to, and there is a file named ``over``
PIPELINE = """
import json
import os
import time
from pathlib import Path

from zmqpipeline import Collector, EndpointAddress, MetaDataWorker, SingleThreadedWorker, Task, TaskType

GOOD = TaskType.register_type("good")
TASKS, METADATA, RESULTS, ACKS = (EndpointAddress(address) for address in os.environ["ADDRESSES"].split())


class Good(Task):
    task_type = GOOD
    endpoint = TASKS
    dependencies = []
    # a stranger that says it is a worker is taken for one: what it got has not killed it
    max_worker_deaths = 10**6
    n = 0

    def handle(self, data, address, msgtype):
        self.n += 1
        if self.n >= int(os.environ["COUNT"]) and Path("over").exists():
            self.is_complete = True
            Path("total").write_text(str(self.n))
        return {"n": self.n}


class Knows(MetaDataWorker):
    endpoint = METADATA

    def get_metadata(self):
        return {"what": "is known"}


class Does(SingleThreadedWorker):
    task_type = GOOD
    endpoint = TASKS
    collector_endpoint = RESULTS

    def init_worker(self):
        assert self.metadata == {"what": "is known"}, self.metadata
        with open("workers", "a") as workers:
            print(self.worker_id.decode(), file=workers)

    def handle_execution(self, data, *args, **kwargs):
        time.sleep(0.0004)
        return {"n": data["n"]}


class Keeps(Collector):
    endpoint = RESULTS
    ack_endpoint = ACKS

    def __init__(self):
        self.numbers = []

    def handle_collection(self, data, task_type, msgtype):
        self.numbers.append(data["n"])
        if len(self.numbers) % 250 == 0:
            Path("progress").write_text(str(len(self.numbers)))
            print("collected", len(self.numbers))

    def handle_finished(self, data, task_type):
        Path("results").write_text(json.dumps(self.numbers))
        print("finished")
"""


def processor_time(pid: int) -> float:
    """Tell how much time of a processor a living process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
