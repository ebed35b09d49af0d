"""Who connects to which address, and whether the file binds what is meant."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zmq

from zmqpipeline.cli import build
from zmqpipeline.cli.exits import CommandError, Exit
from zmqpipeline.doctor.finding import problem
from zmqpipeline.helpers import endpoint_binding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline import EndpointAddress
    from zmqpipeline.cli.endpoints import Endpoints
    from zmqpipeline.cli.program import Found, Program
    from zmqpipeline.doctor.finding import Finding


@dataclass(frozen=True)
class Use:
    """A connection of a role.

    Parameters
    ----------
    user
        what the file calls the role
    address
        where it connects
    peer
        who is meant to be there, in words
    kind
        the type of its socket
    role
        its class, or itself
    binds
        where the file says that the peer is; nothing if the peer is not in the file

    """

    user: str
    address: EndpointAddress
    peer: str
    kind: int
    role: Any
    binds: tuple[EndpointAddress, ...] = ()


def uses(program: Program, given: Endpoints) -> list[Use]:
    """List the connections of all roles of a file."""
    found = [use for worker in program.roles["worker"] for use in _of_worker(program, worker)]
    backends = tuple(service.value.backend_endpoint for service in program.roles["service"])
    for worker in program.roles["service-worker"]:
        value = worker.value
        found.append(Use(worker.name, value.endpoint, "the service", zmq.DEALER, value, backends))
    return found + _of_distributor(program, given)


def _of_worker(program: Program, worker: Found) -> Iterator[Use]:
    value, name = worker.value, worker.task_type
    tasks = tuple(task.endpoint for task in program.tasks if str(task.task_type) == name)
    yield Use(worker.name, value.endpoint, f"the distributor of {name!r}", zmq.DEALER, value, tasks)
    collectors = tuple(collector.value.endpoint for collector in program.roles["collector"])
    yield Use(worker.name, value.collector_endpoint, "the collector", zmq.PUSH, value, collectors)


def _of_distributor(program: Program, given: Endpoints) -> list[Use]:
    metadata, collectors = program.roles["metadata"], program.roles["collector"]
    if len(program.roles["distributor"]) != 1:
        return [Use(m.name, m.value.endpoint, "the distributor", zmq.REQ, m.value) for m in metadata]
    distributor = program.roles["distributor"][0]
    try:
        settings = build.settings(program, distributor, given)
    except CommandError:
        return []  # told where the addresses that are bound are looked for
    name, value = distributor.name, distributor.value
    results = tuple(found.value.endpoint for found in collectors)
    acks = tuple(found.value.ack_endpoint for found in collectors)
    bound = () if settings.metadata_endpoint is None else (settings.metadata_endpoint,)
    return [
        Use(name, settings.collector_endpoint, "the collector", zmq.PUSH, value, results),
        Use(name, settings.collector_ack_endpoint, "the collector", zmq.PULL, value, acks),
        *(Use(m.name, m.value.endpoint, "the distributor", zmq.REQ, m.value, bound) for m in metadata),
    ]


def findings(connections: list[Use]) -> Iterator[Finding]:
    """Look for roles of one file that miss each other."""
    for use in connections:
        if use.binds and not any(meets(bound, use.address) for bound in use.binds):
            places = " or ".join(dict.fromkeys(map(str, use.binds)))
            yield problem(
                "roles",
                f"{use.user} connects to {use.address}, and {use.peer} binds {places}: give both one address",
                Exit.WRONG_DECLARATION,
            )


def meets(bound: EndpointAddress, connected: EndpointAddress) -> bool:
    """Tell whether who connects to an address gets to who binds another one, as far as they can say it."""
    if bound.scheme != connected.scheme:
        return False
    if bound.scheme != "tcp":
        return bound == connected or _path(bound) == _path(connected)
    interface, _, port = endpoint_binding(bound).removeprefix("tcp://").rpartition(":")
    host, _, other = connected.target.rpartition(":")
    if port != other:
        return False
    if interface == "[::]":
        return True
    if interface.startswith("[") != host.startswith("["):
        return False
    # a name may be that of this host; an address of its own that is not loopback is never bound alone
    return (
        interface == "*"
        or host == "*"
        or not endpoint_binding(connected).startswith(("tcp://*", "tcp://[::]"))
    )


def _path(address: EndpointAddress) -> str:
    return address.target if address.target.startswith("@") else os.path.abspath(address.target)  # noqa: PTH100
