"""How strong gravity is on each planet: a task for each line of a file."""

import csv
from collections.abc import Iterator
from pathlib import Path

import zmqpipeline

GRAVITY = zmqpipeline.TaskType.register_type("GRAVITY")

PLANETS = zmqpipeline.EndpointAddress("ipc://planets.ipc")
RESULTS = zmqpipeline.EndpointAddress("ipc://results.ipc")
RESULTS_ACK = zmqpipeline.EndpointAddress("ipc://results-ack.ipc")

#: Newton's constant, in m3 / (kg s2)
G = 6.674e-11


def read_planets() -> Iterator[dict]:
    """Read a line whenever a worker has room: the file could be as long as it likes."""
    with Path(__file__).with_name("planets.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


class Planets(zmqpipeline.IterableTask):
    """Hands out each line as a dictionary; complete behind the last one."""

    task_type = GRAVITY
    endpoint = PLANETS
    dependencies = []
    items = read_planets


class Scales(zmqpipeline.SingleThreadedWorker):
    """Computes what an apple feels."""

    task_type = GRAVITY
    endpoint = PLANETS
    collector_endpoint = RESULTS

    def handle_execution(self, data: dict, *args: object, **kwargs: object) -> dict:
        return {"name": data["name"], "gravity": G * float(data["mass"]) / float(data["radius"]) ** 2}


class Table(zmqpipeline.Collector):
    """Prints the planets, the strongest first."""

    endpoint = RESULTS
    ack_endpoint = RESULTS_ACK

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    def handle_collection(self, data: dict, task_type: str, msgtype: str) -> None:
        self.found[data["name"]] = data["gravity"]

    def handle_finished(self, data: object, task_type: str) -> None:
        for name, gravity in sorted(self.found.items(), key=lambda entry: -entry[1]):
            print(f"{name:8} {gravity:5.1f} m/s2")
