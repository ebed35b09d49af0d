"""Looks at everything that a file needs on this host. It runs in the process that has loaded the file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from zmqpipeline.cli import build, endpoints, plan
from zmqpipeline.cli.exits import CommandError, Exit
from zmqpipeline.doctor import bound, declared, keyring, network, reach, versions, wiring
from zmqpipeline.doctor.finding import ok, problem
from zmqpipeline.errors import JournalError, SecurityError, ZmqPipelineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zmqpipeline import EndpointAddress
    from zmqpipeline.cli.endpoints import Endpoints
    from zmqpipeline.cli.program import Program
    from zmqpipeline.doctor.finding import Finding
    from zmqpipeline.doctor.wiring import Use


def findings(program: Program, given: Endpoints) -> Iterator[Finding]:
    """Look at a program.

    Parameters
    ----------
    program
        what the file declares
    given
        the endpoints that were given at start

    """
    yield from _guarded("endpoints", lambda: _apply(program, given))
    yield from declared.findings(program)
    connections = wiring.uses(program, given)
    yield from wiring.findings(connections)
    here: list[tuple[EndpointAddress, Any]] = []
    yield from _places(program, given, connections, here)
    roles = [found.value for several in program.roles.values() for found in several]
    try:
        yield from keyring.findings(roles, here)
    except ZmqPipelineError as error:  # what is no path, or a variable that says nonsense
        code = Exit.SECURITY if isinstance(error, SecurityError) else Exit.WRONG_DECLARATION
        yield problem("keys", str(error), code)
    else:
        yield from versions.findings(program, given)
    yield from _journal(program)


def _apply(program: Program, given: Endpoints) -> None:
    endpoints.apply_to_tasks(given, program)
    endpoints.apply_to_services(given, program)
    for found in (found for several in program.roles.values() for found in several):
        endpoints.apply(given, found)


def _guarded(about: str, check: Callable[[], object]) -> Iterator[Finding]:
    """Turn what a run would end with into a finding."""
    try:
        check()
    except CommandError as error:
        yield problem(about, error.sentence, error.code)


def _places(
    program: Program, given: Endpoints, connections: list[Use], here: list[tuple[EndpointAddress, Any]]
) -> Iterator[Finding]:
    """Look at all addresses: whether those of this host can be bound, and the others reached.

    Parameters
    ----------
    here
        gets the addresses that are bound on this host, and by which role

    """
    places: list[tuple[EndpointAddress, str]] = []
    yield from _guarded("endpoints", lambda: places.extend(plan.places(program, given)))
    yield from _guarded("endpoints", lambda: plan.check_schemes(places))
    elsewhere: dict[EndpointAddress, str] = {}
    for address, owner in places:
        if address.scheme == "inproc":
            continue
        try:
            is_here = network.is_here(address)
        except OSError as error:
            yield problem("endpoints", reach.unresolved(address, error), Exit.PEER_TIMEOUT)
            continue
        if is_here:
            here.append((address, _binder(program, address)))
            yield bound.finding(address, owner)
        else:
            named = [use.peer for use in connections if use.address == address]
            elsewhere.setdefault(address, named[0] if named else f"the role that binds it ({owner})")
    for use in connections:
        if any(wiring.meets(address, use.address) for address, _ in places):
            continue
        if use.address.scheme == "inproc":
            sentence = (
                f"{use.user} connects to {str(use.address)!r}, which only one process can use, and each role "
                f"is a process: write ipc:// or tcp://"
            )
            yield problem("endpoints", sentence, Exit.WRONG_DECLARATION)
        else:
            elsewhere.setdefault(use.address, use.peer)
    for address, peer in elsewhere.items():
        yield from reach.findings(address, peer, [use for use in connections if use.address == address])


def _binder(program: Program, address: EndpointAddress) -> Any:
    """Find the role that binds an address."""
    for found in program.roles["collector"]:
        if address in {found.value.endpoint, found.value.ack_endpoint}:
            return found.value
    for found in program.roles["service"]:
        if address in {found.value.frontend_endpoint, found.value.backend_endpoint}:
            return found.value
    return program.roles["distributor"][0].value


def _journal(program: Program) -> Iterator[Finding]:
    """Look at the journal, if the distributor is to have one."""
    distributors = program.roles["distributor"]
    path = os.environ.get(build.JOURNAL) or (distributors and getattr(distributors[0].value, "journal", None))
    if not path or not distributors:
        return
    from zmqpipeline.journal import look  # noqa: PLC0415 - who needs none need not load SQLite

    names = {str(task.task_type): task.__qualname__ for task in program.tasks}
    try:
        goes_on = look(path, names)
    except JournalError as error:
        yield problem("journal", str(error), Exit.JOURNAL)
    else:
        what = "has a run that is not finished, which goes on" if goes_on else "can be written, for a new run"
        yield ok("journal", f"the journal {str(path)!r} {what}")
