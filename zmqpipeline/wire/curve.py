"""Encrypted connections: who binds proves who it is, who connects shows its key (RFC 26/CurveZMQ)."""

from __future__ import annotations

import re
from typing import NamedTuple

import zmq

from zmqpipeline.errors import SecurityError

#: a key as text: 32 bytes in Z85 (rfc 32/Z85)
_KEY = re.compile(r"[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")
#: the largest number that five characters of Z85 may stand for
_MOST = 2**32 - 1
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


class Pair(NamedTuple):
    """A key pair, as text."""

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"Pair({self.public!r}, ...)"  # what is logged by mistake tells no secret


class Credentials(NamedTuple):
    """What a socket needs to connect."""

    pipeline: str  #: the public key of whoever binds
    own: Pair  #: the key pair of this side


def make_pair() -> Pair:
    """Make a key pair, whose public key can stand on a command line: none begins like an option."""
    check()
    while True:
        public, secret = zmq.curve_keypair()
        if not public.startswith(b"-"):
            return Pair(public.decode("ascii"), secret.decode("ascii"))


def is_key(text: str) -> bool:
    """Tell whether a text can be a public or secret key."""
    if not _KEY.fullmatch(text):
        return False
    groups = [text[at : at + 5] for at in range(0, 40, 5)]
    return all(_number(group) <= _MOST for group in groups)


def _number(group: str) -> int:
    number = 0
    for digit in group:
        number = number * 85 + _DIGITS.index(digit)
    return number


def is_pair(pair: Pair) -> bool:
    """Tell whether the two keys belong together."""
    return zmq.curve_public(pair.secret.encode()) == pair.public.encode()


def check() -> None:
    """See that this build of libzmq can encrypt.

    Raises
    ------
    SecurityError
        if it cannot

    """
    if not zmq.has("curve"):
        raise SecurityError(
            "this build of libzmq has no CURVE: install pyzmq from its wheel, or libzmq with libsodium"
        )


def lock(socket: zmq.Socket[bytes], pair: Pair, domain: str) -> None:
    """Let nobody connect whom the ZAP handler does not know; call it before the socket is bound.

    Parameters
    ----------
    socket
        what will be bound
    pair
        the pipeline's keys
    domain
        whose list of keys counts, as :func:`zmqpipeline.wire.zap.enter` has named it

    """
    check()
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret.encode())
    socket.setsockopt(zmq.ZAP_DOMAIN, domain.encode())
    # without it, libzmq lets everybody in who knows the public key, whenever no ZAP handler is there
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


def show(socket: zmq.Socket[bytes], credentials: Credentials) -> None:
    """Show a key to whoever has bound, and let that one prove who it is; call it before connecting."""
    check()
    socket.setsockopt(zmq.CURVE_SERVERKEY, credentials.pipeline.encode())
    socket.setsockopt(zmq.CURVE_PUBLICKEY, credentials.own.public.encode())
    socket.setsockopt(zmq.CURVE_SECRETKEY, credentials.own.secret.encode())
