"""Other endpoints than the file's, from the command line and the environment.

What stands on the command line goes before the environment, and that before
the file; so one file runs on several hosts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zmqpipeline import EndpointAddress, TaskType
from zmqpipeline.cli.exits import CommandError, Exit
from zmqpipeline.errors import EndpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zmqpipeline.cli.program import Found, Program


@dataclass(frozen=True)
class Override:
    """One kind of endpoint that can be given at start.

    Parameters
    ----------
    key
        what it is called here and, with dashes, on the command line
    qualifier
        what may stand before the address to say whose it is, or ``''``
    text
        what it is, for the help

    """

    key: str
    qualifier: str
    text: str

    @property
    def option(self) -> str:
        """The option of the command line."""
        return f"--{self.key.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"ZMQPIPELINE_{self.key.upper()}"

    @property
    def metavar(self) -> str:
        """What the help shows for the value."""
        return f"[{self.qualifier}=]ADDRESS" if self.qualifier else "ADDRESS"


OVERRIDES = {
    override.key: override
    for override in (
        Override(
            "endpoint",
            "TYPE",
            "where a task type is handed out: the distributor or service, as its workers see it",
        ),
        Override("collector_endpoint", "", "where the collector takes results"),
        Override("ack_endpoint", "", "where the collector sends acknowledgements"),
        Override("metadata_endpoint", "", "where the distributor takes metadata"),
        Override("monitor_endpoint", "", "where the distributor shows its run"),
        Override("frontend_endpoint", "NAME", "where a service takes requests"),
        Override("backend_endpoint", "NAME", "where a service's workers connect"),
    )
}

#: the command with which the supervisor finds out what a file declares
PLAN = "_plan"
#: the command with which ``doctor`` looks at what a file declares
EXAMINE = "_examine"

#: which of them each role's command takes
OF_ROLE = {
    "distributor": (
        "endpoint",
        "collector_endpoint",
        "ack_endpoint",
        "metadata_endpoint",
        "monitor_endpoint",
    ),
    "worker": ("endpoint", "collector_endpoint"),
    "collector": ("collector_endpoint", "ack_endpoint"),
    "metadata": ("metadata_endpoint",),
    "service": ("frontend_endpoint", "backend_endpoint"),
    "service-worker": ("endpoint",),
    PLAN: tuple(OVERRIDES),
    EXAMINE: tuple(OVERRIDES),
}


class Endpoints:
    """The addresses that were given at start.

    Parameters
    ----------
    options
        the values of the command line by key, each ``ADDRESS`` or ``QUALIFIER=ADDRESS``
    environ
        the environment

    """

    def __init__(self, options: Mapping[str, Sequence[str] | None], environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._options: dict[str, dict[str, str]] = defaultdict(dict)
        for key, values in options.items():
            for value in values or ():
                qualifier, address = split(value) if OVERRIDES[key].qualifier else ("", value)
                self._options[key][qualifier] = address

    def get(self, key: str, qualifier: str = "", *, alone: bool = True) -> EndpointAddress | None:
        """Look up an address; None if the file's own is to be used.

        Parameters
        ----------
        key
            which endpoint
        qualifier
            the task type or the name that it belongs to
        alone
            whether an address that names no owner can only mean this one

        Raises
        ------
        CommandError
            if what was given is not an address, or does not say whose it is

        """
        override = OVERRIDES[key]
        options = self._options.get(key, {})
        given = {
            f"{override.option} {qualifier}=": options.get(qualifier) if qualifier else None,
            override.option: options.get(""),
            _variable(override, qualifier): self._environ.get(_variable(override, qualifier))
            if qualifier
            else None,
            override.variable: self._environ.get(override.variable),
        }
        for source, address in given.items():
            if not address:
                continue
            if not alone and source in (override.option, override.variable):
                raise _usage(
                    f"{source} does not say whose address {address} is: there are several, "
                    f"so write {override.option} {override.qualifier}=ADDRESS for each"
                )
            return _checked(source, address)
        return None

    def arguments(self) -> list[str]:
        """List the options as they can stand on a command line."""
        return [
            f"{OVERRIDES[key].option}={qualifier}={address}"
            if qualifier
            else f"{OVERRIDES[key].option}={address}"
            for key, values in self._options.items()
            for qualifier, address in values.items()
        ]

    def check_owners(self, key: str, is_owner: Callable[[str], bool]) -> None:
        """Refuse an option that names an owner that does not exist.

        Raises
        ------
        CommandError
            names the option

        """
        for qualifier in self._options.get(key, {}):
            if qualifier and not is_owner(qualifier):
                override = OVERRIDES[key]
                raise _usage(
                    f"{override.option} {qualifier}=...: the file knows no such {override.qualifier}"
                )

    def environment(self) -> dict[str, str]:
        """Make an environment in which the options are said by variables, for the processes of a run."""
        environ = dict(self._environ)
        for key, values in self._options.items():
            override = OVERRIDES[key]
            if "" in values:
                # it goes before every variable of this kind, those of single types included
                for name in [
                    n for n in environ if n == override.variable or n.startswith(f"{override.variable}_")
                ]:
                    del environ[name]
            for qualifier, address in values.items():
                environ[_variable(override, qualifier)] = address
        return environ


def split(value: str) -> tuple[str, str]:
    """Take ``QUALIFIER=ADDRESS`` apart; an address may hold ``=``, but not before its ``://``."""
    head, separator, _ = value.partition("://")
    qualifier, equals, _ = head.rpartition("=")
    if separator and equals:
        return qualifier, value[len(qualifier) + 1 :]
    return "", value


def apply(endpoints: Endpoints, found: Found) -> None:
    """Give a role of the file the endpoints that were given at start.

    Raises
    ------
    CommandError
        if one is not an address

    """
    value, task_type = found.value, found.task_type
    if found.kind in ("worker", "service-worker"):
        endpoints.check_owners("endpoint", TaskType.IsValid)
        _set(value, "endpoint", endpoints.get("endpoint", task_type))
    if found.kind == "worker":
        _set(value, "collector_endpoint", endpoints.get("collector_endpoint"))
    if found.kind == "collector":
        _set(value, "endpoint", endpoints.get("collector_endpoint"))
        _set(value, "ack_endpoint", endpoints.get("ack_endpoint"))
    if found.kind == "metadata":
        _set(value, "endpoint", endpoints.get("metadata_endpoint"))


def apply_to_services(endpoints: Endpoints, program: Program) -> None:
    """Give the services of the file the endpoints that were given at start.

    Raises
    ------
    CommandError
        if one is not an address, or names no service

    """
    services = program.roles["service"]
    names = {found.name for found in services}
    for key in ("frontend_endpoint", "backend_endpoint"):
        endpoints.check_owners(key, names.__contains__)
        for found in services:
            _set(found.value, key, endpoints.get(key, found.name, alone=len(services) == 1))


def apply_to_tasks(endpoints: Endpoints, program: Program) -> None:
    """Give the tasks of the file the endpoints that were given at start.

    Raises
    ------
    CommandError
        if one is not an address, or names no task type

    """
    endpoints.check_owners("endpoint", TaskType.IsValid)
    for task in program.tasks:
        _set(task, "endpoint", endpoints.get("endpoint", str(task.task_type), alone=len(program.tasks) == 1))


def _set(owner: object, name: str, address: EndpointAddress | None) -> None:
    if address is not None:
        setattr(owner, name, address)


def _variable(override: Override, qualifier: str) -> str:
    """Name the environment variable; what a shell allows in no name becomes an underscore."""
    suffix = re.sub(r"\W", "_", qualifier, flags=re.ASCII).upper()
    return f"{override.variable}_{suffix}" if suffix else override.variable


def _checked(source: str, address: str) -> EndpointAddress:
    try:
        return EndpointAddress(address)
    except EndpointError as error:
        raise _usage(f"{source}: {error}") from None


def _usage(sentence: str) -> CommandError:
    return CommandError(sentence, Exit.USAGE)
