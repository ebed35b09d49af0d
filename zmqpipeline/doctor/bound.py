"""The addresses that the roles of a file bind on this host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zmqpipeline.cli.exits import Exit
from zmqpipeline.doctor import network
from zmqpipeline.doctor.finding import ok, problem
from zmqpipeline.errors import BindError
from zmqpipeline.wire import bindable

if TYPE_CHECKING:
    from zmqpipeline import EndpointAddress
    from zmqpipeline.doctor.finding import Finding

_ABOUT = "endpoints"


def finding(address: EndpointAddress, owner: str) -> Finding:
    """See whether an address can be bound; it is not.

    Parameters
    ----------
    address
        an address of this host
    owner
        what it is for

    """
    try:
        bindable.check(address)
    except BindError as error:
        who = network.who_has(address) if "bound it" in str(error) or "in use" in str(error) else ""
        return problem(_ABOUT, f"{error}{f' ({who})' if who else ''}", Exit.CANNOT_BIND)
    left = address.scheme == "ipc" and not address.target.startswith("@") and Path(address.target).is_socket()
    more = "; the socket file there was left behind by a process that has ended, and is replaced"
    return ok(_ABOUT, f"{address} can be bound ({owner}){more if left else ''}")
