"""What bare sockets do with tasks that carry a large payload there and back.

The payload is a frame of its own, which is sent without a copy and never
packed: that is faster than one frame for everything. A few messages may wait on each way.
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


def pack(data: dict[str, Any]) -> list[Any]:
    """Pack a dictionary; its payload goes beside it as it is."""
    payload = data.pop("p", b"")
    return [msgpack.packb(data), payload]


def unpack(frames: list[Any]) -> dict[str, Any]:
    """Put a dictionary together again."""
    packed, payload = frames
    data: dict[str, Any] = msgpack.unpackb(packed.buffer)
    if len(payload):
        data["p"] = payload.bytes
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
            router.send_multipart([address, *pack(handle(number))], copy=False)
        ended: set[bytes] = set()
        while len(ended) < workers:
            address = router.recv_multipart()[0]
            router.send_multipart([address, *pack({})])
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
        while task := unpack(dealer.recv_multipart(copy=False)):
            dealer.send(b"")
            push.send_multipart(pack(execute(task)), copy=False)
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
            result = unpack(pull.recv_multipart(copy=False))
            begun = begun or time.perf_counter()
            collect(result)
        post.tell("done", seen=seen, total=total, seconds=time.perf_counter() - begun)
