"""Helpers for looking at sockets and naming them, for debugging and for examples."""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, Any

import zmq

if TYPE_CHECKING:
    from collections.abc import Iterable


def dump(msg_or_socket: zmq.Socket[bytes] | Iterable[bytes | zmq.Frame]) -> str:
    """Print the frames of a message, one a line, and return what was printed.

    Parameters
    ----------
    msg_or_socket
        frames, or a socket from which one message is received, waiting for it

    Returns
    -------
    str
        for each frame its length and its text, or hexadecimal digits if it is
        not printable ASCII

    """
    frames: Iterable[bytes | zmq.Frame]
    frames = msg_or_socket.recv_multipart() if isinstance(msg_or_socket, zmq.Socket) else msg_or_socket
    lines = ["-" * 40]
    for frame in frames:
        body = bytes(frame.buffer) if isinstance(frame, zmq.Frame) else bytes(frame)
        text = body.decode("ascii", "replace")
        shown = text if text.isascii() and text.isprintable() else f"0x{body.hex()}"
        lines.append(f"[{len(body):03d}] {shown}")
    printed = "\n".join(lines) + "\n"
    sys.stdout.write(printed)
    return printed


def set_id(socket: zmq.Socket[Any], prefix: str = "") -> bytes:
    """Give a socket an identity that no other socket has, before it connects.

    Parameters
    ----------
    socket
        the socket
    prefix
        text that the identity begins with, so that a log tells who it is; at
        most 223 bytes

    Returns
    -------
    bytes
        the identity

    Raises
    ------
    ValueError
        the prefix is too long for an identity

    """
    identity = prefix.encode() + uuid.uuid4().hex.encode()
    if len(identity) > 255:
        raise ValueError("an identity has at most 255 bytes, so its prefix has at most 223")
    socket.setsockopt(zmq.IDENTITY, identity)
    return identity


def zpipe(ctx: zmq.Context[zmq.Socket[bytes]]) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
    """Make two connected PAIR sockets, for two threads to talk over.

    Parameters
    ----------
    ctx
        the context of both

    Returns
    -------
    tuple
        the two ends; whoever uses one closes it. Each holds at most one
        message that the other has not taken, and closing does not wait

    """
    near, far = ctx.socket(zmq.PAIR), ctx.socket(zmq.PAIR)
    address = f"inproc://{uuid.uuid4().hex}"
    for end in (near, far):
        end.linger = 0
        end.set_hwm(1)
    near.bind(address)
    far.connect(address)
    return near, far
