"""Makes a role out of what a file declares and what was given at start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zmqpipeline import Distributor, access
from zmqpipeline.cli import endpoints
from zmqpipeline.cli.exits import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from zmqpipeline import EndpointAddress
    from zmqpipeline.cli.endpoints import Endpoints
    from zmqpipeline.cli.program import Found, Program
    from zmqpipeline.role import Role


#: the environment's ``--journal``
JOURNAL = "ZMQPIPELINE_JOURNAL"


@dataclass(frozen=True)
class Settings:
    """Where a distributor finds its collector and its metadata."""

    collector_endpoint: EndpointAddress
    collector_ack_endpoint: EndpointAddress
    metadata_endpoint: EndpointAddress | None
    monitor_endpoint: EndpointAddress | None


def role(program: Program, kind: str, name: str | None, given: Endpoints, journal: str | None = None) -> Role:
    """Make the role that a command is to run.

    Parameters
    ----------
    program
        what the file declares
    kind
        the command
    name
        which role of this kind, if it was said
    given
        the endpoints that were given at start
    journal
        where a distributor writes down its run, if that was given at start

    Raises
    ------
    CommandError
        if the file has none, or more than one can be meant, or an endpoint is missing

    """
    found = program.pick(kind, name)
    if kind == "distributor":
        distributor = _distributor(program, found, given)
        distributor.journal = journal or distributor.journal
        return distributor
    if kind == "service":
        endpoints.apply_to_services(given, program)
    endpoints.apply(given, found)
    made: Role = found.value if kind == "service" else found.value()
    return made


def use_keys(folder: str | None, environ: MutableMapping[str, str]) -> None:
    """Let ``--keys`` go before the environment.

    Parameters
    ----------
    folder
        what was given, or None
    environ
        where roles look it up

    Raises
    ------
    CommandError
        if it is empty: so is a shell's variable that is not set, and nobody means to have no keys by that

    """
    if folder == "":
        raise CommandError("--keys is empty, expected the path of a folder", Exit.USAGE)
    if folder is not None:
        environ[access.VARIABLE] = folder


def use_journal(path: str | None, environ: MutableMapping[str, str]) -> None:
    """Let ``--journal`` go before the environment.

    Parameters
    ----------
    path
        what was given, or None
    environ
        where the distributor looks it up

    Raises
    ------
    CommandError
        if it is empty, for the same reason as with keys: nobody would notice that nothing is written down

    """
    if path == "":
        raise CommandError("--journal is empty, expected the path of a file", Exit.USAGE)
    if path is not None:
        environ[JOURNAL] = path


def settings(program: Program, found: Found, given: Endpoints) -> Settings:
    """Find out a distributor's endpoints.

    Raises
    ------
    CommandError
        if the file does not say where the collector is

    """
    made = found.value if isinstance(found.value, Distributor) else None
    collector, metadata = program.one("collector"), program.one("metadata")
    return Settings(
        given.get("collector_endpoint")
        or (made and made.collector_endpoint)
        or (collector.value.endpoint if collector else _collector_of_workers(program)),
        given.get("ack_endpoint")
        or (made and made.collector_ack_endpoint)
        or (collector.value.ack_endpoint if collector else _missing(program, "ack_endpoint")),
        given.get("metadata_endpoint")
        or (made and made.metadata_endpoint)
        or (metadata.value.endpoint if metadata else None),
        given.get("monitor_endpoint") or (made.monitor_endpoint if made else None),
    )


def _distributor(program: Program, found: Found, given: Endpoints) -> Distributor:
    program.check()
    endpoints.apply_to_tasks(given, program)
    chosen = settings(program, found, given)
    if not isinstance(found.value, Distributor):
        made: Distributor = found.value(
            chosen.collector_endpoint,
            chosen.collector_ack_endpoint,
            chosen.metadata_endpoint is not None,
            chosen.metadata_endpoint,
            tasks=program.tasks,
            monitor_endpoint=chosen.monitor_endpoint,
        )
        return made
    # one that the file has made keeps what it was made with
    made = found.value
    made.collector_endpoint = chosen.collector_endpoint
    made.collector_ack_endpoint = chosen.collector_ack_endpoint
    made.metadata_endpoint = chosen.metadata_endpoint
    made.monitor_endpoint = chosen.monitor_endpoint
    if not made.registered_task_classes:
        for task in program.tasks:
            made.register_task(task)
    return made


def _collector_of_workers(program: Program) -> EndpointAddress:
    """Take the collector's endpoint from the workers, who send their results there."""
    named: dict[str, Any] = {found.value.collector_endpoint: found.name for found in program.roles["worker"]}
    if len(named) > 1:
        raise CommandError(
            f"the workers of {program.target} name different collectors: "
            f"{', '.join(f'{name} {address}' for address, name in named.items())}; "
            f"say which with --collector-endpoint",
            Exit.USAGE,
        )
    for address in named:
        return address  # type: ignore[return-value] # the keys are addresses
    return _missing(program, "collector_endpoint")


def _missing(program: Program, key: str) -> EndpointAddress:
    override = endpoints.OVERRIDES[key]
    raise CommandError(
        f"{program.target} declares no Collector, so it does not say {override.text}: give {override.option}",
        Exit.USAGE,
    )
