"""The same work three times: in a plain loop, with one worker, and with two."""

import subprocess
import sys
import time

import zmqpipeline

zmqpipeline.TaskType.register_type("SLEEP")
SLEEP = zmqpipeline.TaskType("SLEEP")

WORK = zmqpipeline.EndpointAddress("ipc://work.ipc")
RESULTS = zmqpipeline.EndpointAddress("ipc://results.ipc")
RESULTS_ACK = zmqpipeline.EndpointAddress("ipc://results-ack.ipc")

TASKS = 100


def work() -> None:
    """Do what is to be done a hundred times."""
    time.sleep(0.01)


class Naps(zmqpipeline.Task):
    """Asks for the work, and has nothing to tell about it."""

    task_type = SLEEP
    endpoint = WORK
    dependencies = []

    count = 0

    def handle(self, data: dict, address: bytes, msgtype: str) -> None:
        self.count += 1
        self.is_complete = self.count == TASKS


class Sleeper(zmqpipeline.SingleThreadedWorker):
    """Does the work, and says when it began."""

    task_type = SLEEP
    endpoint = WORK
    collector_endpoint = RESULTS

    def handle_execution(self, data: dict, *args: object, **kwargs: object) -> dict:
        began = time.time()
        work()
        return {"began": began}


class Clock(zmqpipeline.Collector):
    """Measures from the beginning of the first task to the result of the last."""

    endpoint = RESULTS
    ack_endpoint = RESULTS_ACK

    count = 0
    began = float("inf")

    def handle_collection(self, data: dict, task_type: str, msgtype: str) -> None:
        self.count += 1
        self.began = min(self.began, data["began"])

    def handle_finished(self, data: object, task_type: str) -> None:
        print(f"{self.count} tasks in {time.time() - self.began:.2f} s")


def main() -> None:
    print("in a plain loop:", flush=True)
    began = time.time()
    for _ in range(TASKS):
        work()
    print(f"{TASKS} tasks in {time.time() - began:.2f} s")
    for workers in ("1", "2"):
        print(f"with --workers {workers}:", flush=True)
        command = [sys.executable, "-m", "zmqpipeline", "run", __file__, "--workers", workers]
        subprocess.run(command, check=True)  # noqa: S603


if __name__ == "__main__":
    main()
