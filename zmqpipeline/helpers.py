"""Small functions about addresses."""

from __future__ import annotations

import ipaddress

from zmqpipeline.descriptors import EndpointAddress


def valid_endpoint(addr: str) -> bool:
    """Check an address; the answer is never False, because an invalid one raises.

    Parameters
    ----------
    addr
        what :class:`~zmqpipeline.EndpointAddress` takes

    Raises
    ------
    EndpointError
        the address is not valid; the text says why

    """
    EndpointAddress(addr)
    return True


def endpoint_binding(addr: str) -> str:
    """Say what a role binds for an address that its peers connect to.

    Peers name the machine; the machine itself binds all of its interfaces, so
    that one declaration serves both sides. Loopback stays loopback: who writes
    ``localhost`` does not ask for a port that is open to the network.

    Parameters
    ----------
    addr
        what :class:`~zmqpipeline.EndpointAddress` takes

    Returns
    -------
    str
        ``tcp://*:port``, or ``tcp://[::]:port`` for IPv6, or the loopback
        address; ipc and inproc unchanged

    Raises
    ------
    EndpointError
        the address is not valid; the text says why

    """
    address = EndpointAddress(addr)
    if address.scheme != "tcp":
        return str(address)
    host, _, port = address.target.rpartition(":")
    return f"tcp://{_interface(host)}:{port}"


def _interface(host: str) -> str:
    """Say which interface is bound for a host."""
    if host.lower() in {"localhost", "localhost."}:
        return "127.0.0.1"
    try:
        ip = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return "*"
    if isinstance(ip, ipaddress.IPv4Address):
        return host if ip.is_loopback else "*"
    # ::ffff:127.0.0.1 is loopback too, and Python up to 3.12 does not say so.
    if ip.is_loopback or (ip.ipv4_mapped is not None and ip.ipv4_mapped.is_loopback):
        return host
    return "[::]"
