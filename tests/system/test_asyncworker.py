"""An asyncio worker in processes of its own: killed with thousands under way, and stopped by signals."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Command

APP = """
import asyncio, os, signal
from pathlib import Path
import zmqpipeline
WAIT = zmqpipeline.TaskType.register_type("WAIT")
def dies(number):
    died = Path(f"died.{{number}}")
    if not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
def numbers():
    for number in range(4000):
        {item}
        yield number
class Waits(zmqpipeline.IterableTask):
    task_type = WAIT
    endpoint = zmqpipeline.EndpointAddress("ipc://waits.ipc")
    dependencies = []
    items = numbers
class Coroutines(zmqpipeline.AsyncWorker):
    task_type = WAIT
    endpoint = Waits.endpoint
    collector_endpoint = zmqpipeline.EndpointAddress("ipc://results.ipc")
    n_concurrent = 300
    async def handle_execution(self, data, *args, **kwargs):
        number = data["item"]
        try:
            {body}
        except asyncio.CancelledError:
            print("cancelled", number, flush=True)
            raise
        return {{"r": number}}
class Keeps(zmqpipeline.Collector):
    endpoint = Coroutines.collector_endpoint
    ack_endpoint = zmqpipeline.EndpointAddress("ipc://acks.ipc")
    def handle_collection(self, data, task_type, msgtype):
        with open("results", "a") as file:
            print(data["r"], file=file)
    def handle_finished(self, data, task_type):
        print("finished")
"""
DIES = """
            await asyncio.sleep(number % 7 / 200)
            if number in (700, 2100):
                dies(number)
"""
WAITS = "await asyncio.sleep(number % 7 / 200)"
BUSY = """
            if number < 3:
                print("busy", number, flush=True)
                while not Path("go").exists():
                    await asyncio.sleep(0.01)
"""


def program(body: str, item: str = "pass") -> str:
    return APP.format(body=body.strip(), item=item)


@pytest.mark.timeout(180)
def test_what_a_killed_worker_had_under_way_is_done_by_another(command: Command) -> None:
    command.write("app.py", program(DIES))
    code, run = command.run("run", "app.py", "-w", "2")
    assert code == 0, run.output
    found = [int(line) for line in command.folder.joinpath("results").read_text().split()]
    assert sorted(found) == list(range(4000))
    assert len(list(command.folder.glob("died.*"))) == 2
    assert "finished" in "\n".join(run.out)
    assert re.search(r"4000 acknowledged, 0 failed, [1-9]\d* redelivered .* 2 restarts", run.err[-1])
    command.assert_clean()


@pytest.mark.timeout(180)
def test_a_distributor_that_is_killed_goes_on_and_finds_the_coroutines_at_work(command: Command) -> None:
    command.write("app.py", program(WAITS, "number in (500, 2500) and dies(number)"))
    code, run = command.run("run", "app.py", "-w", "2", "--journal", "run.journal")
    assert code == 0, run.output
    found = [int(line) for line in command.folder.joinpath("results").read_text().split()]
    assert sorted(found) == list(range(4000))
    assert len(list(command.folder.glob("died.*"))) == 2
    assert "4000 acknowledged, 0 failed" in run.err[-1]
    command.assert_clean()


def test_the_first_signal_waits_for_what_is_under_way(command: Command) -> None:
    command.write("app.py", program(BUSY))
    run = command.start("run", "app.py", "-w", "1")
    run.wait_for(r"busy \d+$", times=3)
    run.signal(signal.SIGTERM)
    run.wait_for("SIGTERM: finishing what is under way")
    command.write("go", "")
    assert run.finish() == 143, run.output
    found = {int(line) for line in command.folder.joinpath("results").read_text().split()}
    assert {0, 1, 2} <= found
    assert "cancelled" not in "\n".join(run.out)
    command.assert_clean()


def test_the_second_signal_cancels_it(command: Command) -> None:
    command.write("app.py", program(BUSY))
    run = command.start("run", "app.py", "-w", "1")
    run.wait_for(r"busy \d+$", times=3)
    run.signal(signal.SIGINT)
    run.wait_for("SIGINT: finishing")
    run.signal(signal.SIGINT)
    assert run.finish() == 130, run.output
    assert {number for number in range(3) if f"cancelled {number}" in "\n".join(run.out)} == {0, 1, 2}
    command.assert_clean()
