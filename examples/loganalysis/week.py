"""Counts the requests of a week; a task is the log of a day."""

import gzip
from pathlib import Path

import chart
import counting

import zmqpipeline

COUNT = zmqpipeline.TaskType.register_type("COUNT")
RESULTS = zmqpipeline.EndpointAddress("ipc://results.ipc")


class Days(zmqpipeline.Task):
    task_type = COUNT
    endpoint = zmqpipeline.EndpointAddress("ipc://count.ipc")
    dependencies = []

    def initialize(self, metadata):
        self.files = sorted(Path("logs").glob("*.gz"))
        self.is_complete = not self.files

    def handle(self, data, address, msgtype):
        path = self.files.pop(0)
        self.is_complete = not self.files
        return {"path": str(path)}


class DayCounter(zmqpipeline.SingleThreadedWorker):
    task_type = COUNT
    endpoint = Days.endpoint
    collector_endpoint = RESULTS

    def handle_execution(self, data, *args, **kwargs):
        with gzip.open(data["path"], "rt", encoding="utf-8") as lines:
            return counting.count(lines)


class Report(zmqpipeline.Collector):
    endpoint = RESULTS
    ack_endpoint = zmqpipeline.EndpointAddress("ipc://acks.ipc")

    def __init__(self):
        self.counts = []

    def handle_collection(self, data, task_type, msgtype):
        self.counts.append(data)

    def handle_finished(self, data, task_type):
        total = counting.add_up(self.counts)
        chart.draw(total, Path("week.svg"))
        print(*counting.summary(total), sep="\n")
