"""An attack on all sockets of a run, in waves, by a process of its own.

After each wave it waits until good tasks were collected, so that the run and the attack go on side by side
however slow the machine is, and what waits in a role's sockets is one wave at the most.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import resource
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import zmq

from tests.badness import frames, raw
from zmqpipeline.wire import messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Socket = zmq.Socket[bytes]

#: nobody is waited for longer than this, in seconds
GUARD = 60.0
#: how many different messages of strangers there are; they are said again and again
_POOL = 1500
#: what the buffers of a connection take before anybody reads, in bytes
_BUFFERS = 64 * raw.MIB


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is attacked, and how much."""

    tasks: str
    metadata: str
    results: str
    acks: str
    waves: int
    strangers: int  #: messages of strangers in a wave, to tasks and to results each
    greetings: int  #: HELLOs of one worker in a wave
    idle: int  #: connections on which nobody ever says anything
    progress: int  #: so many tasks are to be collected after each wave
    seed: int = 1

    @property
    def endpoints(self) -> list[str]:
        """All that is bound."""
        return [self.tasks, self.metadata, self.results, self.acks]


class Attack:
    """Everything that is sent, and what stays connected from the first wave to the last."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sent = 0  #: messages, over sockets of ZeroMQ or without
        self.chance = random.Random(plan.seed)  # noqa: S311 - an attack that can be repeated
        self.context = zmq.Context()
        self.pool = frames.pool(self.chance, frames.KINDS.values(), _POOL)
        self.greeted = frames.pool(self.chance, frames.GREETED, _POOL)

    def run(self) -> None:
        """Attack until all waves are over."""
        _raise_descriptor_limit(self.plan.idle + 1000)
        with contextlib.ExitStack() as stack:
            endpoints = self.plan.endpoints
            for number in range(self.plan.idle):
                idle = stack.enter_context(raw.opened(endpoints[number % len(endpoints)]))
                if number % 2:
                    idle.sendall(raw.GREETING[:12])
            self.send_what_is_too_large()
            thieves = [stack.enter_context(self.socket(zmq.PULL, self.plan.acks)) for _ in range(2)]
            stack.enter_context(self.socket(zmq.REQ, self.plan.metadata))  # it never asks
            for _ in range(self.plan.waves):
                before = collected()
                self.wave()
                while thieves[0].poll(0):  # the other one never reads
                    thieves[0].recv_multipart()
                wait_for(before + self.plan.progress)
        self.context.term()

    def wave(self) -> None:
        """Do all bad things once."""
        plan = self.plan
        self.say(zmq.DEALER, plan.tasks, self.some(self.pool, plan.strangers), [b""])
        self.say(zmq.PUSH, plan.results, self.some(self.pool, plan.strangers))
        self.say(zmq.DEALER, plan.metadata, self.some(self.pool, plan.strangers // 10), [b""])
        self.say(zmq.DEALER, plan.tasks, self.some(self.pool, 100))  # without a delimiter
        hellos = [frames.hello(self.chance) for _ in range(plan.greetings)]
        self.say(zmq.DEALER, plan.tasks, [*hellos, *self.some(self.greeted, plan.greetings)], [b""])
        self.hoard()
        self.take_ids()
        for address in plan.endpoints:
            for data in raw.garbage(self.chance):
                raw.throw(address, data)
                self.sent += 1

    def some(self, pool: list[list[bytes]], count: int) -> list[list[bytes]]:
        """Choose messages."""
        return self.chance.choices(pool, k=count)

    def say(
        self, kind: int, address: str, said: Iterable[list[bytes]], before: list[bytes] | None = None
    ) -> None:
        """Send messages over a connection of their own, and close it."""
        with self.socket(kind, address) as made:
            for message in said:
                made.send_multipart([*(before or []), *message])
                self.sent += 1

    def hoard(self) -> None:
        """Ask for more tasks than there are, and for one; do nothing with them, and go."""
        no_tasks = frames.packed(type="RDY", task="", credit=10**12, data={})
        greeting = frames.packed(type="HELLO", task="", data={"pid": self.chance.choice([1, "x", [1]])})
        one_task = messages.create_ready("")
        for said in ([greeting, no_tasks], [b"", one_task], [one_task] * 20):
            with self.socket(zmq.DEALER, self.plan.tasks) as made:
                for frame in said:
                    made.send_multipart([b"", frame])
                    self.sent += 1
                while made.poll(500):  # it gets some, or has come too late for that
                    if messages.get(made.recv_multipart())[2] == messages.MESSAGE_TYPE_DATA:
                        break

    def take_ids(self) -> None:
        """Connect under a routing id that somebody has: another bad peer, and a good worker that lives."""
        live = [line.encode() for line in Path("workers").read_text("utf-8").split()]
        kinds = [frames.random_bytes, frames.truncated, frames.nested]
        with contextlib.ExitStack() as stack:
            for routing_id in (b"twin", b"twin", *live, *live):
                made = stack.enter_context(self.socket(zmq.DEALER, self.plan.tasks, routing_id))
                for message in frames.pool(self.chance, kinds, 6):
                    made.send_multipart([b"", *message])
                    self.sent += 1

    def send_what_is_too_large(self) -> None:
        """Announce 1 GiB to each socket, which has to end the connection, and to take next to nothing."""
        plan = self.plan
        kinds = {plan.tasks: b"DEALER", plan.metadata: b"REQ", plan.results: b"PUSH", plan.acks: b"PULL"}
        for address, kind in kinds.items():
            taken = raw.send_a_gibibyte(address, kind)
            assert taken < _BUFFERS, f"{address} has taken {taken} bytes"

    @contextlib.contextmanager
    def socket(self, kind: int, address: str, routing_id: bytes = b"") -> Iterator[Socket]:
        """Open a socket that sends what it was given before it is closed."""
        with self.context.socket(kind) as made:
            made.linger = made.sndtimeo = int(GUARD * 1000)
            made.routing_id = routing_id or f"bad-{uuid.uuid4().hex}".encode()
            made.connect(address)
            yield made


def collected() -> int:
    """Tell how many results the good collector has said that it has."""
    try:
        return int(Path("progress").read_text("utf-8") or 0)
    except FileNotFoundError:
        return 0


def wait_for(count: int) -> None:
    """Wait until so many results were collected."""
    deadline = time.monotonic() + GUARD
    while collected() < count:
        assert time.monotonic() < deadline, f"the run stands still, with {collected()} results"
        time.sleep(0.01)


def _raise_descriptor_limit(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def main() -> None:
    """Attack as the argument says, and tell how many messages that were."""
    attack = Attack(Plan(**json.loads(sys.argv[1])))
    attack.run()
    sys.stdout.write(f"sent {attack.sent}\n")


if __name__ == "__main__":
    main()
