"""What bare sockets do with tasks that carry a large payload there and back.

Each dictionary is packed and unpacked, payload and all, as a program would do
it. What is packed is sent and received without a copy, which is faster than
with one. A few messages may wait on each way.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgpack
import zmq

if TYPE_CHECKING:
    from zmqpipeline.bench.seat import Post

#: nothing has come for so long: it was lost, in milliseconds
PATIENCE = 60_000
#: so many messages may wait on each side of a connection
WAITING = 8


def unpack(frame: zmq.Frame) -> dict[str, Any]:
    """Unpack a dictionary where libzmq has it."""
    data: dict[str, Any] = msgpack.unpackb(frame.buffer)
    return data


def distributor(
    post: Post,
    where: dict[str, str],
    count: int,
    workers: int,
    size: int,
) -> None:
    """Hand out ``count`` payloads; each begins and ends with its number."""
    filler = bytes(size - 16)

    def handle(number: int) -> dict[str, Any]:
        mark = number.to_bytes(8, "big")
        return {"i": number, "p": mark + filler + mark}

    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.hwm = WAITING
        router.bind(where["tasks"])
        post.tell("ready")
        for number in range(1, count + 1):
            address = router.recv_multipart()[0]
            router.send_multipart([address, msgpack.packb(handle(number))], copy=False)
        ended: set[bytes] = set()
        while len(ended) < workers:
            address = router.recv_multipart()[0]
            router.send_multipart([address, msgpack.packb({})])
            ended.add(address)


def worker(post: Post, where: dict[str, str]) -> None:
    """Ask for payloads, two ahead, and send each on, until none comes."""

    def execute(task: dict[str, Any]) -> dict[str, Any]:
        return {"r": task["i"], "p": task["p"]}

    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer, context.socket(zmq.PUSH) as push:
        dealer.hwm = push.hwm = WAITING
        dealer.linger = 0  # requests that nobody answers any more
        dealer.connect(where["tasks"])
        push.connect(where["results"])
        post.meet()
        for _ in range(3):
            dealer.send(b"")
        while task := unpack(dealer.recv(copy=False)):
            dealer.send(b"")
            push.send(msgpack.packb(execute(task)), copy=False)
        post.wait()  # what a PUSH socket has not sent when it is closed may be lost


def collector(post: Post, where: dict[str, str], count: int, size: int) -> None:
    """Count the payloads that are whole, and tell the time from the first to the last."""
    seen = total = 0

    def collect(result: dict[str, Any]) -> None:
        nonlocal seen, total
        seen += 1
        payload, mark = result["p"], result["r"].to_bytes(8, "big")
        if len(payload) == size and payload[:8] == payload[-8:] == mark:
            total += result["r"]

    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.hwm = WAITING
        pull.rcvtimeo = PATIENCE
        pull.bind(where["results"])
        post.tell("ready")
        begun = 0.0
        while seen < count:
            result = unpack(pull.recv(copy=False))
            begun = begun or time.perf_counter()
            collect(result)
        post.tell("done", seen=seen, total=total, seconds=time.perf_counter() - begun)
