"""``zmqpipeline status``: shows once how a run is."""

from __future__ import annotations

import json

import click

from zmqpipeline.cli import watching
from zmqpipeline.cli.exits import Exit


@click.command()
@watching.watches
@click.option("--json", "as_json", is_flag=True, help="Print everything that is known, as JSON.")
def status(*, address: str | None, monitor_endpoint: str | None, keys: str | None, as_json: bool) -> int:
    """Show how the run at ADDRESS is: its tasks, its processes by host, what has failed last.

    ADDRESS is what the run was started with as --monitor-endpoint.
    """
    with watching.connected(address, monitor_endpoint, keys) as client:
        snapshot = client.snapshot()
    watching.write_anything()
    if as_json:
        click.echo(json.dumps(snapshot, indent=2))
        return Exit.DONE
    from rich.console import Console  # noqa: PLC0415 - JSON needs none of it

    from zmqpipeline.monitor.terminal import picture  # noqa: PLC0415

    console = Console(highlight=False)
    console.print(picture(snapshot, console.width))
    return Exit.DONE
