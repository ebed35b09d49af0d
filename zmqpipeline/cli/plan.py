"""What a run of a file consists of.

It is found out in a process of its own, so that the supervisor runs no code of users.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zmqpipeline.cli import build, endpoints
from zmqpipeline.cli.exits import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zmqpipeline import EndpointAddress
    from zmqpipeline.cli.endpoints import Endpoints
    from zmqpipeline.cli.program import Program

#: in this order they are started; any other would do as well
ORDER = ("collector", "distributor", "metadata", "service", "service-worker", "worker")


@dataclass
class Plan:
    """What a run starts, as it is told from one process to the other.

    Parameters
    ----------
    roles
        the command and the name of each role, in the order of starting
    ipc
        absolute paths of the socket files that these roles bind
    stop_timeout
        how long the most patient of them takes to stop, in seconds
    journal
        whether the file's own distributor has one
    warnings
        sentences about what may not be meant
    types
        the task types of the roles that have one, by their names
    bound
        the addresses that these roles bind
    files
        the files that concern nobody but some workers, with the names of these

    """

    roles: list[tuple[str, str]] = field(default_factory=list)
    ipc: list[str] = field(default_factory=list)
    stop_timeout: float = 10.0
    journal: bool = False
    warnings: list[str] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    bound: list[str] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)

    def dump(self) -> str:
        """Write it as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, line: str) -> Plan:
        """Read what :meth:`dump` wrote."""
        made = cls(**json.loads(line))
        made.roles = [(kind, name) for kind, name in made.roles]
        return made


def make(program: Program, given: Endpoints) -> Plan:
    """Plan the run of a file.

    Raises
    ------
    CommandError
        if its roles cannot work together

    """
    program.check()
    endpoints.apply_to_tasks(given, program)
    endpoints.apply_to_services(given, program)
    for found in (found for several in program.roles.values() for found in several):
        endpoints.apply(given, found)
    plan = Plan()
    bound = places(program, given)
    check_schemes(bound)
    plan.ipc = [
        str(Path(a.target).absolute()) for a, _ in bound if a.scheme == "ipc" and not a.target.startswith("@")
    ]
    plan.bound = [str(address) for address, _ in bound]
    plan.roles = [(kind, found.name) for kind in ORDER for found in program.roles[kind]]
    plan.types = {
        found.name: found.task_type
        for several in program.roles.values()
        for found in several
        if found.task_type
    }
    values: list[Any] = [found.value for several in program.roles.values() for found in several]
    plan.stop_timeout = max((float(value.stop_timeout) for value in values), default=plan.stop_timeout)
    plan.journal = any(getattr(found.value, "journal", None) for found in program.roles["distributor"])
    plan.warnings = list(missing(program))
    return plan


def places(program: Program, given: Endpoints) -> list[tuple[EndpointAddress, str]]:
    """List the addresses that the roles of the file bind, and what each is for.

    Raises
    ------
    CommandError
        if the file does not say where the collector is

    """
    found = list(_bound(program))
    distributor = program.one("distributor")
    if distributor is not None:
        settings = build.settings(program, distributor, given)
        if settings.metadata_endpoint is not None:
            found.append((settings.metadata_endpoint, "the distributor's metadata"))
        if settings.monitor_endpoint is not None:
            found.append((settings.monitor_endpoint, "the distributor's monitor"))
    return found


def _bound(program: Program) -> Iterable[tuple[EndpointAddress, str]]:
    for task in program.tasks:
        yield task.endpoint, f"the task type {str(task.task_type)!r}"
    for found in program.roles["collector"]:
        yield found.value.endpoint, f"{found.name}.endpoint"
        yield found.value.ack_endpoint, f"{found.name}.ack_endpoint"
    for found in program.roles["service"]:
        yield found.value.frontend_endpoint, f"{found.name}.frontend_endpoint"
        yield found.value.backend_endpoint, f"{found.name}.backend_endpoint"


def check_schemes(bound: list[tuple[EndpointAddress, str]]) -> None:
    """Refuse what could never work, and would only wait.

    Raises
    ------
    CommandError
        names the address

    """
    owners: dict[str, str] = {}
    for address, owner in bound:
        if address.scheme == "inproc":
            raise CommandError(
                f"{owner} is {str(address)!r}, which only one process can use, and each role is a process: "
                f"write ipc:// or tcp://",
                Exit.WRONG_DECLARATION,
            )
        other = owners.setdefault(str(address), owner)
        if other != owner:
            raise CommandError(
                f"{other} and {owner} have one address, {str(address)!r}: give each its own",
                Exit.WRONG_DECLARATION,
            )


def missing(program: Program) -> Iterable[str]:
    """Say which roles the file lacks, though others of it need them."""
    tasks = {str(task.task_type) for task in program.tasks}
    workers = {found.task_type for found in program.roles["worker"]}
    if tasks:
        for name in sorted(tasks - workers):
            yield f"no Worker for the task type {name!r} in the file: it waits for one from elsewhere"
        if not program.roles["collector"]:
            yield "no Collector in the file: the run waits for one that is started elsewhere"
    for name in sorted(workers - tasks):
        yield f"no Task for the task type {name!r} in the file: its workers wait for a distributor elsewhere"
