"""What libzmq would end the whole process for must not happen."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys

import pytest

PING = b"\x04\x07\x04PING\0\x0a"
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)

ROUTER = """
import sys, zmq
from zmqpipeline.wire import sockets
from zmqpipeline.wire.watch import Watch
with zmq.Context() as context:
    router = sockets.make_socket(context, zmq.ROUTER)
    router.linger = 0
    watch = Watch(router)
    router.bind("ipc://router.ipc")
    print("bound", flush=True)
    while not watch.drain().gone:
        watch.monitor.poll(1000)
    read = 0
    while router.poll(200):
        router.recv_multipart()
        read += 1
    print(read, flush=True)
    watch.close()
    router.close()
"""


@pytest.mark.usefixtures("folder")
def test_a_peer_that_goes_behind_a_full_queue_and_a_ping_does_not_abort_us() -> None:
    """libzmq 4.3.5 aborts when it answers a PING behind messages without room, if nobody is there."""
    with subprocess.Popen([sys.executable, "-c", ROUTER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "bound\n"
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect("router.ipc")
            peer.sendall(GREETING)
            ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity" + struct.pack(">I", 1) + b"p"
            peer.sendall(b"\x04" + bytes([len(ready)]) + ready)
            answers = b""
            while b"ROUTER" not in answers:  # the last that it says in the handshake
                answers += peer.recv(1000)
            peer.sendall(b"\0\1x" * 20 + PING + b"\0\1y" * 3)
        assert process.communicate(timeout=30)[0] == "23\n"
        assert process.returncode == 0
