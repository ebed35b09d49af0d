"""What the commands that watch a run have in common: an address, keys, what is said without an answer."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from zmqpipeline import access
from zmqpipeline.cli.endpoints import OVERRIDES
from zmqpipeline.cli.exits import CommandError, Exit
from zmqpipeline.errors import EndpointError, MonitorError, SecurityError
from zmqpipeline.monitor.client import MonitorClient

if TYPE_CHECKING:
    from collections.abc import Iterator

#: the option of a run, by which the run is found as well, and the environment variable that it goes before
OPTION, VARIABLE = OVERRIDES["monitor_endpoint"].option, OVERRIDES["monitor_endpoint"].variable


def watches(command: Any) -> Any:
    """Let a command take where a run can be watched, and keys."""
    command = click.option(
        "--keys",
        metavar="FOLDER",
        help=f"The folder with the keys for connections over tcp (environment: {access.VARIABLE}).",
    )(command)
    command = click.option(OPTION, metavar="ADDRESS", help=f"The same as ADDRESS (environment: {VARIABLE}).")(
        command
    )
    return click.argument("address", metavar="[ADDRESS]", required=False)(command)


@contextlib.contextmanager
def connected(address: str | None, monitor_endpoint: str | None, keys: str | None) -> Iterator[MonitorClient]:
    """Make a client for what was given on the command line or in the environment.

    Raises
    ------
    CommandError
        if nothing was given or it is no address; and inside, if nobody answers or the keys cannot be used

    """
    given = {"ADDRESS": address, OPTION: monitor_endpoint, VARIABLE: os.environ.get(VARIABLE)}
    source, chosen = next(((name, value) for name, value in given.items() if value), ("", None))
    if not chosen:
        raise CommandError(
            f"which run? Give the ADDRESS that it was started with as {OPTION}, or set {VARIABLE}=ADDRESS",
            Exit.USAGE,
        )
    try:
        with MonitorClient(chosen, keys=keys) as client:
            yield client
    except EndpointError as error:
        raise CommandError(f"{source}: {error}", Exit.USAGE) from error
    except MonitorError as error:
        raise CommandError(str(error), Exit.PEER_TIMEOUT) from error
    except SecurityError as error:
        raise CommandError(str(error), Exit.SECURITY) from error


def write_anything() -> None:
    """Let stdout take what its encoding has no sign for: bars, and what the program calls its tasks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
