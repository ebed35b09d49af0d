"""Bad peers that do not even speak ZMTP: plain sockets, over tcp or ipc."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

#: the greeting of ZMTP 3.1 with mechanism NULL (rfc 37/ZMTP)
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL".ljust(23, b"\0") + bytes(32)
#: the same with mechanism CURVE, as one that connects
CURVE = GREETING[:12] + b"CURVE".ljust(20, b"\0") + GREETING[32:]
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: a browser\r\nAccept: */*\r\n\r\n"
TLS = bytes.fromhex("16030100c4010000c00303") + bytes(32)
#: nobody is waited for longer than this, in seconds
GUARD = 30.0
MIB = 1024 * 1024


def opened(address: str) -> socket.socket:
    """Connect to where a role has bound."""
    scheme, _, place = address.partition("://")
    if scheme == "ipc":
        made = socket.socket(socket.AF_UNIX)
        made.connect(place)  # without a timeout: with one, it would not wait for room in the backlog
        made.settimeout(GUARD)
        return made
    host, _, port = place.rpartition(":")
    return socket.create_connection((host, int(port)), GUARD)


def ready(kind: bytes, routing_id: bytes = b"") -> bytes:
    """Make the command that ends a NULL handshake."""
    body = b"\x05READY"
    for name, value in ((b"Socket-Type", kind), (b"Identity", routing_id)):
        body += bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value
    return b"\x04" + bytes([len(body)]) + body


def greeted(address: str, kind: bytes) -> socket.socket:
    """Connect, and do the handshake as a socket of some kind."""
    made = opened(address)
    made.sendall(GREETING + ready(kind))
    return made


def garbage(chance: random.Random) -> Iterator[bytes]:
    """Make what comes to a port that is open to the world."""
    yield HTTP
    yield TLS
    yield b"\r\n\r\n"
    yield chance.randbytes(1000)
    yield b"\xff" + chance.randbytes(200)
    yield GREETING[:12]
    yield GREETING[:40]
    yield GREETING
    yield CURVE
    yield GREETING + ready(b"SUB")
    yield GREETING + ready(b"no kind of socket")
    yield GREETING + b"\x04\x05\x03PIN"
    yield GREETING + b"\x06" + (2**63 - 1).to_bytes(8, "big")
    # ZMTP 1.0: a routing id of no bytes, and then frames
    yield b"\x01\x00" + b"\x01\x01" + b"\x05\x00junk"


def throw(address: str, data: bytes) -> None:
    """Connect, say something, and go."""
    with opened(address) as made, contextlib.suppress(OSError):
        made.sendall(data)


def send_a_gibibyte(address: str, kind: bytes) -> int:
    """Announce a frame of 1 GiB, and send it until the connection is cut; tell how many bytes were taken."""
    with greeted(address, kind) as made:
        sent = 0
        try:
            made.sendall(b"\x02" + (1024 * MIB).to_bytes(8, "big"))
            while sent < 1024 * MIB:
                made.sendall(bytes(MIB))
                sent += MIB
        except OSError:
            pass
        return sent
