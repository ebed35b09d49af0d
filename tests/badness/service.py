"""An attack on both sockets of a service, by a process of its own."""

from __future__ import annotations

import random
import sys
import uuid

import zmq

from tests.badness import frames, raw
from zmqpipeline.wire import messages

#: nobody is waited for longer than this, in milliseconds
GUARD = 60_000
#: messages that are sent over one connection
_BURST = 2500


def requests_of_nobody(chance: random.Random) -> list[bytes]:
    """A request for which there is no worker, and what a worker of no task says."""
    kind = chance.choice(["DATA", "RDY", "RTE", "BYE", "FAIL"])
    number = chance.choice([0, -1, 2**53 - 1, 2**64 - 1, None, "1"])
    return [
        frames.packed(type=kind, task=chance.choice(["", frames.NO_TASK, "x" * 1025]), id=number, data={})
    ]


def answers_of_nobody(chance: random.Random) -> list[bytes]:
    """An answer to a request that this peer was never given: it is free for what the route says."""
    route = messages.create_routing(frames.NO_TASK, {"address": b"somebody", "request": chance.randrange(10)})
    return [chance.choice([route, frames.valid(chance)]), b"", messages.create_data("adds", {"sum": -1})]


def main(front: str, back: str, count: int) -> None:
    """Send as many bad messages, half of them to each socket."""
    chance = random.Random(3)  # noqa: S311 - to be repeated
    kinds = [*frames.KINDS.values(), requests_of_nobody, requests_of_nobody]
    pools = {
        front: frames.pool(chance, kinds, 1500),
        back: frames.pool(chance, [*frames.KINDS.values(), answers_of_nobody], 1500),
    }
    sent = 0
    with zmq.Context() as context:
        while sent < count:
            for address, pool in pools.items():
                with context.socket(zmq.DEALER) as made:
                    made.linger = made.sndtimeo = GUARD
                    made.routing_id = uuid.uuid4().bytes.replace(b"\0", b"x")
                    made.connect(address)
                    for message in chance.choices(pool, k=_BURST):
                        made.send_multipart([b"", *message])
                sent += _BURST
                for data in raw.garbage(chance):
                    raw.throw(address, data)
    sys.stdout.write(f"sent {sent}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
