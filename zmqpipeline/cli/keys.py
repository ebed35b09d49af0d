"""``zmqpipeline keys``: makes keys, and says who may connect."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click

from zmqpipeline.access import VARIABLE
from zmqpipeline.cli import build
from zmqpipeline.cli.exits import CommandError, Exit
from zmqpipeline.errors import SecurityError
from zmqpipeline.keys import LOCAL, Keys


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; whatever is wrong with keys is one sentence."""
        try:
            return super().invoke(ctx)
        except SecurityError as error:
            raise CommandError(str(error), Exit.SECURITY) from error


@click.group(cls=_Group)
def keys() -> None:
    """Make keys for connections over tcp, and say who may connect.

    A pipeline has a folder with its keys. Whoever binds (distributor, collector, service) needs that
    folder; each other host has one of its own, whose public key is authorized in the pipeline's.
    """


_folder_option = click.option(
    "--keys", "folder", metavar="FOLDER", help=f"The folder with the keys (environment: {VARIABLE})."
)


@keys.command()
@click.argument("folder", metavar="FOLDER")
@click.option(
    "--pipeline",
    metavar="PUBLIC_KEY",
    help="Take part in the pipeline with this public key; without it, a new pipeline is made.",
)
def new(folder: str, pipeline: str | None) -> int:
    """Make a folder with new keys; nothing that is there is overwritten."""
    made = Keys.new(folder, pipeline)
    where = shlex.quote(str(made.folder))
    if pipeline is None:
        click.echo(
            f"{made.folder} has the keys of a new pipeline, and a key that may connect to it ({LOCAL})."
        )
        click.echo("Next, wherever this folder can be read:")
        _command(f"export {VARIABLE}={where}")
        click.echo("and on each other host, then what that says:")
        _command(f"zmqpipeline keys new FOLDER --pipeline {shlex.quote(made.pipeline_public)}")
    else:
        click.echo(f"{made.folder} has a new key to connect with.")
        click.echo("Next, where the folder of the pipeline is (NAME is yours to choose):")
        _command(f"zmqpipeline keys authorize NAME {shlex.quote(made.peer.public)} --keys FOLDER")
        click.echo("and here:")
        _command(f"export {VARIABLE}={where}")
    return Exit.DONE


@keys.command()
@click.argument("name", metavar="NAME")
@click.argument("public_key", metavar="PUBLIC_KEY")
@_folder_option
def authorize(name: str, public_key: str, folder: str | None) -> int:
    """Let the owner of PUBLIC_KEY connect, from now on, also to roles that run."""
    found = _keys(folder)
    found.authorize(name, public_key)
    click.echo(f"{name} may connect.")
    return Exit.DONE


@keys.command()
@click.argument("name", metavar="NAME")
@_folder_option
def revoke(name: str, folder: str | None) -> int:
    """Let NAME connect no more; a connection that is up stays until it ends."""
    _keys(folder).revoke(name)
    click.echo(f"{name} may connect no more; what is connected stays until its process or the run ends.")
    return Exit.DONE


@keys.command()
@_folder_option
def show(folder: str | None) -> int:
    """Show the public keys of a folder, and who may connect."""
    found = _keys(folder)
    lines = [("pipeline", found.pipeline_public), ("this folder", found.peer.public)]
    if found.binds:
        lines += [(f"authorized {name}", key) for name, key in found.authorized().items()]
    width = max(len(label) for label, _ in lines)
    for label, key in lines:
        click.echo(f"{label:{width}}  {key}")
    return Exit.DONE


def _keys(folder: str | None) -> Keys:
    environ = dict(os.environ)
    build.use_keys(folder, environ)
    chosen = environ.get(VARIABLE)
    if not chosen:
        raise CommandError(f"which folder? Give --keys FOLDER, or set {VARIABLE}=FOLDER", Exit.USAGE)
    return Keys(Path(chosen))


def _command(line: str) -> None:
    click.echo(f"    {line}")
