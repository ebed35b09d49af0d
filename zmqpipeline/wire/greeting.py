"""Finds out who is bound somewhere, by the beginning of ZMTP's greeting (RFC 23/ZMTP).

Only the signature and the first byte of the version are sent, behind which
libzmq sends its own greeting as a whole. A handshake that goes on would count:
a collector would take whoever finishes one for its distributor, and a role with
keys would warn of one that shows none.
"""

from __future__ import annotations

import socket as plain
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from zmqpipeline.descriptors import EndpointAddress

#: how long a connection, and then an answer, may take, in seconds
TIMEOUT = 3.0

_BEGINNING = b"\xff" + bytes(8) + b"\x7f\x03"
_LENGTH = 64
#: where the version stands, and the mechanism
_MAJOR, _MINOR, _MECHANISM = 10, 11, slice(12, 32)


class Greeting(NamedTuple):
    """What a ZeroMQ socket tells of itself."""

    version: tuple[int, int]  #: of ZMTP
    mechanism: str  #: ``NULL`` without keys, ``CURVE`` with keys

    @property
    def has_keys(self) -> bool:
        """Whether it lets in only who shows a key."""
        return self.mechanism == "CURVE"

    @property
    def keyed(self) -> str:
        """The same in words."""
        return "with keys" if self.has_keys else "without keys"


class SilentError(TimeoutError):
    """Raised when a connection was accepted, and then nothing came."""


def ask(address: EndpointAddress, timeout: float = TIMEOUT) -> Greeting | None:
    """Connect, and read the greeting.

    Parameters
    ----------
    address
        a tcp or an ipc address
    timeout
        how long to wait for the connection, and then for the answer, in seconds

    Returns
    -------
    Greeting or None
        None if what answers is no ZeroMQ socket

    Raises
    ------
    SilentError
        nobody answers, though the connection is there
    OSError
        there is no connection

    """
    with _connected(address, timeout) as stream:
        try:
            stream.sendall(_BEGINNING)
            return _parsed(_read(stream, time.monotonic() + timeout))
        except TimeoutError as error:
            raise SilentError from error
        except (ConnectionError, BrokenPipeError):
            return None  # it has ended the connection at what it was sent


def resolved(address: EndpointAddress) -> tuple[str, int]:
    """Find the host of a tcp address in numbers, and its port, as libzmq does that.

    Raises
    ------
    OSError
        there is no such host

    """
    host, _, port = address.target.rpartition(":")
    try:
        # IPv6 is only for those that are written in numbers, as roles connect
        family = plain.AF_INET6 if host.startswith("[") else plain.AF_INET
        name = "127.0.0.1" if host == "*" else host.strip("[]")
        found = plain.getaddrinfo(name, int(port), family, plain.SOCK_STREAM)[0][4]
    except UnicodeError as error:
        raise plain.gaierror(plain.EAI_NONAME, "no host can have this name") from error
    return str(found[0]), int(port)


def _connected(address: EndpointAddress, timeout: float) -> plain.socket:
    if address.scheme == "tcp":
        return plain.create_connection(resolved(address), timeout)
    stream = plain.socket(plain.AF_UNIX, plain.SOCK_STREAM)
    try:
        stream.settimeout(timeout)
        stream.connect("\0" + address.target[1:] if address.target.startswith("@") else address.target)
    except BaseException:
        stream.close()
        raise
    return stream


def _read(stream: plain.socket, until: float) -> bytes:
    """Read a greeting, or what is there instead of one."""
    read = b""
    while len(read) < _LENGTH and not _is_other(read):
        stream.settimeout(max(0.001, until - time.monotonic()))
        more = stream.recv(_LENGTH - len(read))
        if not more:
            break
        read += more
    return read


def _is_other(read: bytes) -> bool:
    """Tell whether what was read is no greeting, or one of a version that ends earlier."""
    if len(read) > _MAJOR:
        return read[0] != 0xFF or not read[9] & 1 or read[_MAJOR] < 3
    return bool(read) and read[0] != 0xFF


def _parsed(read: bytes) -> Greeting | None:
    if len(read) <= _MAJOR or read[0] != 0xFF or not read[9] & 1:
        return None
    if read[_MAJOR] < 3:
        return Greeting((2, 0), "NULL")
    if len(read) < _LENGTH:
        return None
    return Greeting(
        (read[_MAJOR], read[_MINOR]), read[_MECHANISM].rstrip(b"\0").decode("ascii", "backslashreplace")
    )
