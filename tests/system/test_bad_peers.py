"""Live roles that bad peers work on: no bytes that come over a socket bring one down."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq

from tests.badness import frames
from tests.badness.attack import Plan
from zmqpipeline import ServiceClient, TaskType, messages
from zmqpipeline.wire import envelope
from zmqpipeline.wire.envelope import Message

from .apps import SERVICE
from .besieged import COUNT, PIPELINE, processor_time
from .conftest import GUARD, needs_linux
from .flowing import MIB, peak

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Command, Running

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(200), needs_linux]

#: what a role may need more than before the attack, in MiB, however much was sent
MEMORY = 150.0
#: a role logs no more lines, though thousands of messages for each were dropped
LINES = 250
#: where the package ``tests`` is
ROOT = str(Path(__file__).parents[2])
DROPPED = "has dropped messages that make no sense"


def bad_peers(command: Command, program: str, *arguments: str) -> Running:
    """Start a process of bad peers."""
    path = os.pathsep.join([command.environ["PYTHONPATH"], ROOT])
    return command.start_python("-m", f"tests.badness.{program}", *arguments, env={"PYTHONPATH": path})


class Siege:
    """A run of all roles, each a process, and what they needed so far."""

    def __init__(self, command: Command, addresses: list[str]) -> None:
        command.write("app.py", PIPELINE)
        environ = {"ADDRESSES": " ".join(addresses), "COUNT": str(COUNT)}
        names = ("distributor", "collector", "worker", "worker", "metadata")
        started = [command.start(name, "app.py", env=environ) for name in names]
        self.roles, self.metadata = started[:-1], started[-1]
        self.distributor, self.collector, *self.workers = self.roles
        self.folder = command.folder

    def collected(self) -> int:
        """Tell how many results there are."""
        return int(self.collector.wait_for(r"^collected (\d+)$")[-1][1])

    def wait_for(self, count: int) -> None:
        """Wait until there are so many results."""
        self.collector.wait_for(f"^collected {count}$")

    def processor_time(self, count: int) -> list[float]:
        """Tell how much time of a processor each role needs for so many further tasks, in seconds."""
        begun = self.collected()
        before = [processor_time(role.popen.pid) for role in self.roles]
        self.wait_for(begun + count)
        return [processor_time(role.popen.pid) - then for role, then in zip(self.roles, before, strict=True)]

    def peaks(self) -> list[float]:
        """Tell the largest memory that each role ever had, in MiB."""
        return [peak(role.popen.pid) for role in self.roles]

    def finish(self) -> None:
        """Let the run end; everybody has ended well, and every good task was collected once."""
        self.folder.joinpath("over").touch()
        codes = [role.finish() for role in (*self.roles, self.metadata)]
        assert codes == [0] * 5, "\n".join(role.output for role in self.roles if role.popen.returncode)
        numbers = json.loads(self.folder.joinpath("results").read_text("utf-8"))
        total = int(self.folder.joinpath("total").read_text("utf-8"))
        assert total >= COUNT
        assert len(numbers) == total, f"{total - len(set(numbers))} of {total} tasks are missing"
        assert set(numbers) == set(range(1, total + 1))
        summary = self.distributor.err[-1]
        assert f"{total} handed out, {total} acknowledged, 0 failed" in summary


def over_ipc(_port: Callable[[], int]) -> list[str]:
    return [f"ipc://{name}.ipc" for name in ("tasks", "metadata", "results", "acks")]


def over_tcp(port: Callable[[], int]) -> list[str]:
    return [f"tcp://127.0.0.1:{port()}" for _ in range(4)]


@pytest.mark.parametrize("transport", [over_ipc, over_tcp])
def test_a_run_goes_on_whatever_is_sent_to_its_sockets(
    command: Command, free_port: Callable[[], int], transport: Callable[[Callable[[], int]], list[str]]
) -> None:
    addresses = transport(free_port)
    siege = Siege(command, addresses)
    siege.wait_for(1000)
    assert siege.metadata.finish() == 0
    peaks, calm = siege.peaks(), siege.processor_time(1000)
    tasks, metadata, results, acks = addresses
    plan = Plan(
        tasks, metadata, results, acks, waves=10, strangers=4500, greetings=1000, idle=1000, progress=1000
    )
    attackers = bad_peers(command, "attack", json.dumps(dataclasses.asdict(plan)))
    assert attackers.finish() == 0, attackers.output
    assert int(attackers.wait_for(r"^sent (\d+)$")[0][1]) >= 100_000
    siege.wait_for(siege.collected() + 250)  # what was still in the sockets is read by now
    afterwards, grown = siege.processor_time(1000), siege.peaks()
    siege.finish()
    # who spins uses the processor for as long as this takes, and who grew has more to look through
    assert all(now < 2 * then + 0.6 for now, then in zip(afterwards, calm, strict=True)), (calm, afterwards)
    assert all(now < then + MEMORY for now, then in zip(grown, peaks, strict=True)), (peaks, grown)
    for role in siege.roles:
        assert len(role.err) < LINES, role.output
    for role in (siege.distributor, siege.collector):
        assert 1 <= sum(DROPPED in line for line in role.err) <= 3, role.output  # once a minute
    command.assert_clean()


# -- a worker among bad roles -----------------------------------------------------


@contextlib.contextmanager
def bound(kind: int, address: str) -> Iterator[zmq.Socket[bytes]]:
    """Be where a role is expected."""
    with zmq.Context() as context, context.socket(kind) as made:
        made.linger = made.sndhwm = 0
        made.rcvhwm = 1
        made.rcvtimeo = made.sndtimeo = int(GUARD * 1000)
        made.bind(address)
        yield made


def until(router: zmq.Socket[bytes], kind: str) -> tuple[bytes, Message]:
    """Read what a worker says until it is something of a kind."""
    while True:
        address, _, frame, *_ = router.recv_multipart()
        message = envelope.decode(frame)
        if message is not None and message.type == kind:
            return address, message


def absurd_orders(run: str) -> list[Message]:
    """What a distributor may say to a worker that knows it, and no distributor would."""
    huge = envelope.MAX_NUMBER - 1
    return [
        Message("WELCOME", "good", {"max_message": -1, "heartbeat": -1.0}, run=run),
        Message("WELCOME", "good", {"max_message": [1], "heartbeat": float("nan")}, run=run),
        Message("END", "good", run="another run"),
        Message("END", "good"),
        Message("DATA", "good", [{"n": 1}], "another run", [(0, 1)], 1, number=1),
        Message("DATA", "good", [{"n": 1}], run, [(0, huge)], 1, number=1),
        Message("DATA", "good", {"n": 1}, run, [(0, 1)], 1, number=1),
        Message("DATA", "good", [], run, [(huge, huge)], 1, number=huge),
        Message("DATA", "good", [1, None], run, [(huge, 1), (huge, 1)], 0, number=huge),
        Message("DATA", "good", "text", run, id=huge, attempt=huge),
        Message("METADATA", "good", "text", run=run),
        Message("METADATA", "good", {"what": "is known"}, run=run),
    ]


def test_a_worker_survives_a_bad_distributor_and_does_its_work_for_a_good_one(command: Command) -> None:
    chance = random.Random(2)  # noqa: S311 - to be repeated
    command.write("app.py", PIPELINE)
    addresses = over_ipc(lambda: 0)
    environ = {"ADDRESSES": " ".join(addresses), "COUNT": "500"}
    folder = command.folder
    with (
        bound(zmq.ROUTER, f"ipc://{folder}/tasks.ipc") as router,
        bound(zmq.PULL, f"ipc://{folder}/results.ipc"),
    ):
        worker = command.start("worker", "app.py", env=environ)
        address, _ = until(router, "HELLO")
        for message in frames.pool(chance, frames.KINDS.values(), 5000):
            if messages.get(message)[2] in {messages.MESSAGE_TYPE_RESET, messages.MESSAGE_TYPE_WELCOME}:
                continue  # with the one the worker begins again, and of the other the first counts
            router.send_multipart([address, *message])
            router.send_multipart([address, b"", *message])
        router.send_multipart([address, b"", envelope.encode(Message("WELCOME", "good", {}, run="bad"))])
        start = Message("METADATA", "good", {"what": "is known"}, run="bad")
        router.send_multipart([address, b"", envelope.encode(start)])
        assert until(router, "RDY")[1].run == "bad"
        for order in absurd_orders("bad"):
            router.send_multipart([address, b"", envelope.encode(order)])
        assert until(router, "FAIL")[1].id == envelope.MAX_NUMBER - 1
        router.send_multipart([address, b"", envelope.encode(Message("RESET", "good"))])
        again, _ = until(router, "HELLO")
        assert again != address
    assert worker.popen.poll() is None, worker.output
    command.write("over", "")
    names = ("distributor", "collector", "metadata")
    others = [command.start(name, "app.py", env=environ) for name in names]
    assert [role.finish() for role in (worker, *others)] == [0] * 4, [r.output for r in (worker, *others)]
    assert sorted(json.loads(folder.joinpath("results").read_text("utf-8"))) == list(range(1, 501))
    assert len(worker.err) < LINES, worker.output
    command.assert_clean()


def test_a_worker_whose_collector_reads_nothing_does_not_end_with_success(command: Command) -> None:
    command.write("app.py", PIPELINE + "\n\nDoes.stop_timeout = 1.0\n")
    folder = command.folder
    with (
        bound(zmq.ROUTER, f"ipc://{folder}/tasks.ipc") as router,
        bound(zmq.PULL, f"ipc://{folder}/results.ipc") as results,
    ):
        worker = command.start("worker", "app.py", env={"ADDRESSES": " ".join(over_ipc(lambda: 0))})
        address, _ = until(router, "HELLO")
        orders = [Message("WELCOME", "good", {}, run="bad")]
        orders.append(Message("METADATA", "good", {"what": "is known"}, run="bad"))
        large = {"n": bytes(MIB)}  # it comes back as the result, and there is room for a few of them
        orders += [Message("DATA", "good", [large], "bad", [(n, 1)], 1, number=n + 1) for n in range(40)]
        for order in orders:
            router.send_multipart([address, b"", envelope.encode(order)])
        assert results.poll(int(GUARD * 1000))
        worker.signal(signal.SIGTERM)
        until(router, "BYE")
        assert worker.finish() == 128 + signal.SIGTERM, worker.output
    assert command.survivors() == []


# -- a service --------------------------------------------------------------------


def test_a_service_answers_whatever_is_sent_to_its_sockets(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(command.folder)
    command.write("app.py", SERVICE)
    service, worker = command.start("service", "app.py"), command.start("service-worker", "app.py")
    adds = TaskType.register_type("adds")
    with ServiceClient("ipc://front.ipc", adds) as client:
        assert client.request({"numbers": [1, 2]}) == {"sum": 3}
        before = peak(service.popen.pid)
        attackers = bad_peers(command, "service", "ipc://front.ipc", "ipc://back.ipc", "50000")
        answered = 1
        while attackers.popen.poll() is None:
            asked = [{"numbers": [n, n]} for n in range(200)]
            assert client.request(asked) == [{"sum": 2 * n} for n in range(200)]
            answered += 200
        assert attackers.finish() == 0, attackers.output
        assert client.request({"numbers": [2, 2]}) == {"sum": 4}
    assert peak(service.popen.pid) < before + MEMORY
    service.signal(signal.SIGTERM)
    assert service.finish() == 128 + signal.SIGTERM, service.output
    assert worker.finish() == 0, worker.output
    assert answered > 1
    assert len(service.err) < LINES, service.output
    assert 1 <= sum("makes no sense" in line for line in service.err) <= 3, service.output  # once a minute
    command.assert_clean()
