"""Bare sockets, which say when they are up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgpack
import zmq

if TYPE_CHECKING:
    from zmqpipeline.bench.seat import Post

#: nothing has come for so long: it was lost, in milliseconds
PATIENCE = 60_000


def distributor(post: Post, where: dict[str, str]) -> None:
    """Say when it is bound, and when a worker has asked for the only task."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.bind(where["tasks"])
        post.tell("bound", at=time.perf_counter_ns())
        address = router.recv_multipart()[0]
        post.tell("asked", at=time.perf_counter_ns())
        router.send_multipart([address, msgpack.packb({"i": 1})])


def worker(post: Post, where: dict[str, str]) -> None:
    """Do it."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer, context.socket(zmq.PUSH) as push:
        dealer.connect(where["tasks"])
        push.connect(where["results"])
        dealer.send(b"")
        push.send(msgpack.packb({"r": msgpack.unpackb(dealer.recv())["i"]}))
        post.wait()  # what a PUSH socket has not sent when it is closed may be lost


def collector(post: Post, where: dict[str, str]) -> None:
    """Say when it is bound."""
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.rcvtimeo = PATIENCE
        pull.bind(where["results"])
        post.tell("started")
        post.tell("done", seen=1, total=msgpack.unpackb(pull.recv())["r"])
