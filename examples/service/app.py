"""A service: workers that answer requests, and a client that asks them."""

import subprocess
import sys

import zmqpipeline
from zmqpipeline.errors import RemoteError

zmqpipeline.TaskType.register_type("FACTOR")
FACTOR = zmqpipeline.TaskType("FACTOR")

CLIENTS = zmqpipeline.EndpointAddress("ipc://clients.ipc")
WORKERS = zmqpipeline.EndpointAddress("ipc://workers.ipc")

# stands between clients and workers
broker = zmqpipeline.Service(CLIENTS, WORKERS)


class Factorizer(zmqpipeline.ServiceWorker):
    """Finds the prime factors of a number."""

    task_type = FACTOR
    endpoint = WORKERS

    def handle_message(self, data: dict, task_type: str, msgtype: str) -> dict:
        rest = data["number"]
        if rest < 1:
            raise ValueError(f"{rest} has no prime factors")
        factors = []
        divisor = 2
        while divisor * divisor <= rest:
            if rest % divisor:
                divisor += 1
            else:
                factors.append(divisor)
                rest //= divisor
        if rest > 1:
            factors.append(rest)
        return {"factors": factors}


def ask() -> None:
    with zmqpipeline.ServiceClient(CLIENTS, FACTOR) as client:
        # one request
        print(client.request({"number": 1001}, timeout=30)["factors"])
        # several at once are spread over the workers; the answers come in the order of the requests
        for answer in client.request([{"number": number} for number in (1999, 2024, 2025)], timeout=30):
            print(answer["factors"])
        # an exception of the worker is raised here; worker and client go on
        try:
            client.request({"number": -1}, timeout=30)
        except RemoteError as error:
            print(error)


def main() -> None:
    """Start broker and workers, as ``zmqpipeline run`` with this file does, and ask."""
    run = [sys.executable, "-m", "zmqpipeline", "run", __file__, "--workers", "2", "--log-level", "error"]
    with subprocess.Popen(run) as servers:  # noqa: S603
        try:
            ask()
        finally:
            servers.terminate()


if __name__ == "__main__":
    main()
