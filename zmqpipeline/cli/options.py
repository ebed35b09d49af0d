"""Options that several commands have."""

from __future__ import annotations

from typing import Any

import click

from zmqpipeline import access
from zmqpipeline.cli import build
from zmqpipeline.cli.endpoints import OVERRIDES

journal = click.option(
    "--journal",
    metavar="PATH",
    help=f"Write the run down there, or go on with the one there (environment: {build.JOURNAL}).",
)
keys = click.option(
    "--keys",
    metavar="FOLDER",
    help=f"The folder with the keys for connections over tcp (environment: {access.VARIABLE}).",
)


def endpoints(command: Any) -> Any:
    """Add the options that give endpoints."""
    for override in reversed(OVERRIDES.values()):
        command = click.option(
            override.option,
            override.key,
            multiple=True,
            metavar=override.metavar,
            help=f"{override.text} (environment: {override.variable})",
        )(command)
    return command
