"""What bare sockets do with tasks that come one at a time, when nobody has anything to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgpack
import zmq

if TYPE_CHECKING:
    from zmqpipeline.bench.seat import Post

#: nothing has come for so long: it was lost, in milliseconds
PATIENCE = 60_000


def distributor(post: Post, where: dict[str, str], count: int, pause: float) -> None:
    """Hand out ``count`` tasks; each as long as ``pause`` after the one before it was collected."""

    def handle(number: int) -> dict[str, int]:
        if number > 1:
            post.wait()
        time.sleep(pause)
        return {"i": number, "t": time.perf_counter_ns()}

    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.bind(where["tasks"])
        post.tell("ready")
        for number in range(1, count + 1):
            address = router.recv_multipart()[0]
            router.send_multipart([address, msgpack.packb([handle(number)])])
        address = router.recv_multipart()[0]
        router.send_multipart([address, msgpack.packb([])])


def worker(post: Post, where: dict[str, str]) -> None:
    """Answer each, with its time, and ask for the next one; until an empty batch comes."""

    def execute(task: dict[str, int]) -> dict[str, int]:
        return {"r": task["i"], "t": task["t"]}

    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer, context.socket(zmq.PUSH) as push:
        dealer.connect(where["tasks"])
        push.connect(where["results"])
        post.meet()
        dealer.send(b"")
        while tasks := msgpack.unpackb(dealer.recv()):
            push.send(msgpack.packb([execute(task) for task in tasks]))
            dealer.send(b"")
        post.wait()  # what a PUSH socket has not sent when it is closed may be lost


def collector(post: Post, where: dict[str, str], count: int) -> None:
    """Note how long each was on its way, in nanoseconds, and say that it is here."""
    times: list[int] = []
    total = 0

    def collect(result: dict[str, int]) -> None:
        nonlocal total
        times.append(time.perf_counter_ns() - result["t"])
        total += result["r"]
        post.tell("collected")

    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.rcvtimeo = PATIENCE
        pull.bind(where["results"])
        post.tell("ready")
        while len(times) < count:
            for result in msgpack.unpackb(pull.recv()):
                collect(result)
        post.tell("done", seen=len(times), total=total, times=times)
