"""Which addresses are this host's, and who is at them."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zmqpipeline.errors import BindError
from zmqpipeline.helpers import endpoint_binding
from zmqpipeline.security import is_open
from zmqpipeline.wire import bindable, greeting

if TYPE_CHECKING:
    from zmqpipeline import EndpointAddress

#: the state of a socket that listens, in /proc/net/tcp
_LISTENS = "0A"
_LONGEST_COMMAND = 100


def is_here(address: EndpointAddress) -> bool:
    """Tell whether an address is one of this host.

    Raises
    ------
    OSError
        if its name cannot be resolved

    """
    host = address.target.rpartition(":")[0].strip("[]")
    if address.scheme != "tcp" or host in {"*", "::"} or not is_open(address):
        return True
    number, _ = greeting.resolved(address)
    try:
        with socket.socket(socket.AF_INET6 if ":" in number else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((number, 0))
    except OSError:  # it is another one's, or of a kind that this host does not have
        return False
    return True


def who_has(address: EndpointAddress) -> str:
    """Say what is known of who has bound an address here."""
    parts: list[str] = []
    pid = _owner(address)
    if pid:
        parts.append(f"process {pid} is {command}" if (command := _command(pid)) else f"it is process {pid}")
    try:
        found = greeting.ask(address)
    except OSError:
        parts.append("nobody answers there")
    else:
        what = "no ZeroMQ socket" if found is None else f"a ZeroMQ socket {found.keyed}"
        parts.append(f"what answers there is {what}")
    return "; ".join(parts)


def _owner(address: EndpointAddress) -> int:
    """Find the process that has bound an address; 0 if that cannot be told."""
    with suppress(OSError, BindError):
        if address.scheme == "tcp":
            host, _, port = endpoint_binding(address).removeprefix("tcp://").rpartition(":")
            return _listener("" if host in {"*", "[::]"} else host.strip("[]"), int(port))
        if not address.target.startswith("@"):
            return bindable.holder_of(address) or 0
    return 0


def _listener(host: str, port: int) -> int:
    """Find the process that listens on a port, as far as the system shows it to this user (Linux).

    Others may have the same port at other addresses; without a host, any of them is in the way.
    """
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    links = {f"socket:[{inode}]" for table in tables for inode in _inodes(table, host, port)}
    for folder in Path("/proc").iterdir() if links else ():
        if folder.name.isdigit():
            with suppress(OSError):
                if any(os.readlink(entry) in links for entry in folder.joinpath("fd").iterdir()):  # noqa: PTH115
                    return int(folder.name)
    return 0


def _inodes(table: Path, host: str, port: int) -> list[str]:
    with suppress(OSError):
        rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()[1:]]
        return [row[9] for row in rows if row[3] == _LISTENS and _has(row[1], host, port)]
    return []


def _has(place: str, host: str, port: int) -> bool:
    """Tell whether a place, as the system writes it, takes what is meant for a host and a port."""
    address, _, number = place.partition(":")
    words = [int(address[start : start + 8], 16) for start in range(0, len(address), 8)]
    ip = ipaddress.ip_address(b"".join(word.to_bytes(4, sys.byteorder) for word in words))
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return int(number, 16) == port and (ip.is_unspecified or not host or host in {str(ip), str(mapped)})


def _command(pid: int) -> str:
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        text = b" ".join(words).decode("utf-8", "backslashreplace")
        if text:
            return text if len(text) <= _LONGEST_COMMAND else f"{text[:_LONGEST_COMMAND]}..."
    return ""
