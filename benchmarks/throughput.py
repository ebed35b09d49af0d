"""How many no-op tasks a second pass through a whole pipeline, beside what bare sockets can do.

    python benchmarks/throughput.py [--tasks 300000] [--workers 2] [--transport ipc] [--repeat 5] [--journal]
        [--json F]

All contenders run in turns, each role as a process of its own, and are timed
in the collector's process: from the first result to the last. The bare one
hands out batches of 1000 over the same kinds of sockets, packs and unpacks
the dictionaries, and calls a function for each task in each role; it
guarantees nothing. With --journal there is a third one: ours, with the run
written down in a file of the folder for temporary files. Compare within one
run only: machines differ, and so do hours.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgpack
import zmq

import zmqpipeline
from zmqpipeline import EndpointAddress, TaskType

TaskType.register_type("NOOP")
BATCH = 1000


def addresses(transport: str) -> dict[str, str]:
    """Make addresses for the tasks, the results and the ACKs."""
    names = ("tasks", "results", "acks")
    if transport == "ipc":
        return {name: f"ipc://{name}.ipc" for name in names}
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    found = {
        name: f"tcp://127.0.0.1:{probe.getsockname()[1]}" for name, probe in zip(names, probes, strict=True)
    }
    for probe in probes:
        probe.close()
    return found


# -- ours ---------------------------------------------------------------------


def distributor(where: dict[str, str], count: int, journal: str | None) -> None:
    """Hand out ``count`` small dictionaries, and write the run down if there is a journal."""

    class Noop(zmqpipeline.Task):
        task_type = TaskType("NOOP")
        endpoint = EndpointAddress(where["tasks"])
        dependencies: list[TaskType] = []  # noqa: RUF012 - as the tutorial declares it
        n_count = 0

        def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:  # noqa: ARG002
            self.n_count += 1
            if self.n_count >= count:
                self.is_complete = True
            return {"i": self.n_count}

    results, acks = EndpointAddress(where["results"]), EndpointAddress(where["acks"])
    zmqpipeline.Distributor(results, acks, tasks=[Noop], journal=journal).run()


def worker(where: dict[str, str]) -> None:
    """Answer each dictionary with another."""

    class Answer(zmqpipeline.SingleThreadedWorker):
        task_type = TaskType("NOOP")
        endpoint = EndpointAddress(where["tasks"])
        collector_endpoint = EndpointAddress(where["results"])

        def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            return {"r": data["i"]}

    Answer().run()


def collector(where: dict[str, str], report: Any) -> None:
    """Count what comes, and report the time from the first to the last."""

    class Count(zmqpipeline.Collector):
        endpoint = EndpointAddress(where["results"])
        ack_endpoint = EndpointAddress(where["acks"])
        n_results = 0
        total = 0
        begun = 0.0

        def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> None:  # noqa: ARG002
            if not self.n_results:
                self.begun = time.perf_counter()
            self.n_results += 1
            self.total += data["r"]

        def handle_finished(self, data: Any, task_type: str) -> None:  # noqa: ARG002
            report.send((self.n_results, self.total, time.perf_counter() - self.begun))

    Count().run()


# -- bare sockets --------------------------------------------------------------


def bare_distributor(where: dict[str, str], count: int, expected: int) -> None:
    """Hand out batches to whoever says that it is free, until all workers were told the end."""

    def handle(number: int) -> dict[str, int]:
        return {"i": number}

    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.bind(where["tasks"])
        number, ended = 0, set()
        while len(ended) < expected:
            address = router.recv_multipart()[0]
            last = min(number + BATCH, count)
            router.send_multipart([address, msgpack.packb([handle(n) for n in range(number + 1, last + 1)])])
            if number == last:
                ended.add(address)
            number = last


def bare_worker(where: dict[str, str], done: Any) -> None:
    """Ask for batches, two ahead, until an empty one comes."""

    def execute(task: dict[str, int]) -> dict[str, int]:
        return {"r": task["i"]}

    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer, context.socket(zmq.PUSH) as push:
        dealer.connect(where["tasks"])
        push.connect(where["results"])
        for _ in range(3):
            dealer.send(b"")
        while tasks := msgpack.unpackb(dealer.recv()):
            dealer.send(b"")
            push.send(msgpack.packb([execute(task) for task in tasks]))
        done.wait()  # what a PUSH socket has not sent when it is closed may be lost


def bare_collector(where: dict[str, str], count: int, report: Any) -> None:
    """Count what comes."""
    seen = total = 0

    def collect(result: dict[str, int]) -> None:
        nonlocal seen, total
        seen += 1
        total += result["r"]

    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.bind(where["results"])
        begun = 0.0
        while seen < count:
            results = msgpack.unpackb(pull.recv())
            begun = begun or time.perf_counter()
            for result in results:
                collect(result)
        report.send((seen, total, time.perf_counter() - begun))


# -- measuring ------------------------------------------------------------------


def measure(contender: str, count: int, workers: int, transport: str) -> float:
    """Run one pipeline; return its tasks per second."""
    where = addresses(transport)
    receiving, sending = multiprocessing.Pipe(duplex=False)
    done = multiprocessing.Event()
    roles: list[tuple[Any, tuple[Any, ...]]]
    if contender != "bare":
        journal = None if contender == "zmqpipeline" else "journal"
        roles = [(collector, (where, sending)), (distributor, (where, count, journal))]
        roles += [(worker, (where,))] * workers
    else:
        roles = [(bare_collector, (where, count, sending)), (bare_distributor, (where, count, workers))]
        roles += [(bare_worker, (where, done))] * workers
    processes = [multiprocessing.Process(target=target, args=arguments) for target, arguments in roles]
    for process in processes:
        process.start()
    seen, total, seconds = receiving.recv()
    done.set()
    for process in processes[:2]:
        process.join()
    for process in processes[2:]:
        process.join(5.0)
        process.terminate()  # one that came when all was done already
    Path("journal").unlink(missing_ok=True)
    if (seen, total) != (count, count * (count + 1) // 2):
        raise SystemExit(f"{contender} lost or doubled results: {seen} of {count}")
    return float(count / seconds)


def compare(rates: dict[str, list[float]], contender: str, other: str) -> float:
    """Print how fast a contender is beside another, pair by pair; return the median."""
    ratios = [one / two for one, two in zip(rates[contender], rates[other], strict=True)]
    ratio = statistics.median(ratios)
    print(f"{contender:12} {ratio:12.2f} of {other}   ({min(ratios):.2f} to {max(ratios):.2f})")
    return ratio


def main() -> None:
    """Measure, and print medians with their spread, and the ratio pair by pair."""
    parser = argparse.ArgumentParser(description="no-op tasks per second, end to end")
    parser.add_argument("--tasks", type=int, default=300_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--transport", choices=["ipc", "tcp"], default="ipc")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--journal", action="store_true", help="measure with a journal as well")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"zmqpipeline": [], "bare": []}
    if options.journal:
        rates["with journal"] = []
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for _ in range(options.repeat):
            for contender, measured in rates.items():
                measured.append(measure(contender, options.tasks, options.workers, options.transport))
        os.chdir(here)
    for contender, measured in rates.items():
        low, middle, high = min(measured), statistics.median(measured), max(measured)
        print(f"{contender:12} {middle:12,.0f} tasks/s   ({low:,.0f} to {high:,.0f})")
    ratios = {"ratio": compare(rates, "zmqpipeline", "bare")}
    if options.journal:
        ratios["journal"] = compare(rates, "with journal", "zmqpipeline")
    if options.json:
        machine = {"python": sys.version.split()[0], "cores": os.cpu_count(), "system": platform.system()}
        found = {"workers": options.workers, "transport": options.transport, "tasks": options.tasks}
        options.json.write_text(json.dumps({**found, **machine, "rates": rates, **ratios}, indent=2))


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
