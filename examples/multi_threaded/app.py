"""A hundred tasks of 10 ms, done by ten threads in each worker."""

import time

import zmqpipeline

zmqpipeline.TaskType.register_type("SLEEP")
SLEEP = zmqpipeline.TaskType("SLEEP")

WORK = zmqpipeline.EndpointAddress("ipc://work.ipc")
RESULTS = zmqpipeline.EndpointAddress("ipc://results.ipc")
RESULTS_ACK = zmqpipeline.EndpointAddress("ipc://results-ack.ipc")


class Naps(zmqpipeline.Task):
    """Says how long to sleep, a hundred times."""

    task_type = SLEEP
    endpoint = WORK
    dependencies = []

    count = 0

    def handle(self, data: dict, address: bytes, msgtype: str) -> dict:
        self.count += 1
        self.is_complete = self.count == 100
        return {"workload": 0.01}


class Sleepers(zmqpipeline.MultiThreadedWorker):
    """Sleeps in ten threads at a time."""

    task_type = SLEEP
    endpoint = WORK
    collector_endpoint = RESULTS
    n_threads = 10

    def handle_execution(self, data: dict, *args: object, **kwargs: object) -> dict:
        # in the main thread: this is what a thread gets
        return data

    def handle_thread_execution(self, data: dict, index: int) -> dict:
        # in one of the threads: the collector gets the data, and this in addition
        began = time.time()
        time.sleep(data["workload"])
        return {"began": began}


class Clock(zmqpipeline.Collector):
    """Measures from the beginning of the first task to the result of the last."""

    endpoint = RESULTS
    ack_endpoint = RESULTS_ACK

    count = 0
    workload = 0.0
    began = float("inf")

    def handle_collection(self, data: dict, task_type: str, msgtype: str) -> None:
        self.count += 1
        self.workload += data["workload"]
        self.began = min(self.began, data["began"])

    def handle_finished(self, data: object, task_type: str) -> None:
        print(f"{self.count} tasks, {self.workload:.2f} s of work, in {time.time() - self.began:.2f} s")
