"""Addresses that are nobody else's."""

from __future__ import annotations

import socket

#: what a pipeline needs addresses for
NAMES = ("tasks", "results", "acks", "after")

TRANSPORTS = ("ipc", "tcp")


def choose(transport: str) -> dict[str, str]:
    """Choose an address for each name.

    Parameters
    ----------
    transport
        ``ipc``, for socket files in the working directory of the roles, or ``tcp``, for ports of the loopback
        interface that are free now

    """
    if transport == "ipc":
        return {name: f"ipc://{name}.ipc" for name in NAMES}
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in NAMES]
    try:
        found = [probe.getsockname()[1] for probe in probes]
        return {name: f"tcp://127.0.0.1:{port}" for name, port in zip(NAMES, found, strict=True)}
    finally:
        for probe in probes:
            probe.close()
