"""What bare sockets do with tasks that do nothing.

They hand out batches of 1000 over the same kinds of sockets, pack and unpack
the dictionaries, and call a function for each task in each role. They
guarantee nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgpack
import zmq

if TYPE_CHECKING:
    from zmqpipeline.bench.seat import Post

BATCH = 1000
#: nothing has come for so long: it was lost, in milliseconds
PATIENCE = 60_000


def distributor(post: Post, where: dict[str, str], count: int, workers: int) -> None:
    """Hand out batches to whoever says that it is free, until all workers were told the end."""

    def handle(number: int) -> dict[str, int]:
        return {"i": number}

    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.bind(where["tasks"])
        post.tell("ready")
        number = 0
        ended: set[bytes] = set()
        while len(ended) < workers:
            address = router.recv_multipart()[0]
            last = min(number + BATCH, count)
            router.send_multipart([address, msgpack.packb([handle(n) for n in range(number + 1, last + 1)])])
            if number == last:
                ended.add(address)
            number = last


def worker(post: Post, where: dict[str, str]) -> None:
    """Ask for batches, two ahead, until an empty one comes."""

    def execute(task: dict[str, int]) -> dict[str, int]:
        return {"r": task["i"]}

    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer, context.socket(zmq.PUSH) as push:
        dealer.linger = 0  # requests that nobody answers any more
        dealer.connect(where["tasks"])
        push.connect(where["results"])
        post.meet()
        for _ in range(3):
            dealer.send(b"")
        while tasks := msgpack.unpackb(dealer.recv()):
            dealer.send(b"")
            push.send(msgpack.packb([execute(task) for task in tasks]))
        post.wait()  # what a PUSH socket has not sent when it is closed may be lost


def collector(post: Post, where: dict[str, str], count: int) -> None:
    """Count what comes, and tell the time from the first to the last."""
    seen = total = 0

    def collect(result: dict[str, int]) -> None:
        nonlocal seen, total
        seen += 1
        total += result["r"]

    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.rcvtimeo = PATIENCE
        pull.bind(where["results"])
        post.tell("ready")
        begun = 0.0
        while seen < count:
            results = msgpack.unpackb(pull.recv())
            begun = begun or time.perf_counter()
            for result in results:
                collect(result)
        post.tell("done", seen=seen, total=total, seconds=time.perf_counter() - begun)
