"""``zmqpipeline metrics``: tells Prometheus how a run is."""

from __future__ import annotations

import contextlib
import ipaddress
import time
from typing import TYPE_CHECKING, Any, NoReturn

import click

from zmqpipeline.cli import exits, watching
from zmqpipeline.cli.exits import CommandError, Exit
from zmqpipeline.cli.starting import StoppedEarly

if TYPE_CHECKING:
    from zmqpipeline.monitor.client import MonitorClient
    from zmqpipeline.monitor.exporter import Exporter

#: where metrics are served if nobody says anything else
HOST, PORT = "127.0.0.1", 9109
#: how often the distributor is to say how it is, in seconds
EVERY = 1.0


@click.command()
@watching.watches
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="Where to listen; 0 for a port that is free.",
)
@click.option(
    "--bind",
    "host",
    metavar="HOST",
    default=HOST,
    show_default=True,
    help="The address of this machine to listen at.",
)
def metrics(
    *, address: str | None, monitor_endpoint: str | None, keys: str | None, port: int, host: str
) -> int:
    """Serve metrics of the run at ADDRESS for Prometheus, until it is stopped.

    ADDRESS is what the run was started with as --monitor-endpoint. Runs may end there, and others begin.
    """
    try:
        from zmqpipeline.monitor.exporter import Exporter, serving  # noqa: PLC0415 - an extra
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "prometheus_client":
            raise
        raise CommandError(
            'metrics needs prometheus-client: pip install "zmqpipeline[metrics]"', Exit.MISSING_EXTRA
        ) from None
    exporter = Exporter()
    with watching.connected(address, monitor_endpoint, keys) as client, contextlib.ExitStack() as stack:
        try:
            try:
                server = stack.enter_context(serving(exporter, host, port))
            except OSError as error:
                raise CommandError(
                    f"cannot listen at {host}, port {port} ({error.strerror or error}): "
                    f"choose others with --bind and --port",
                    Exit.CANNOT_BIND,
                ) from error
            _introduce(client, *server.server_address[:2])
            watch(client, exporter)
        except StoppedEarly as stopped:
            return int(stopped.code or 0)


def _introduce(client: MonitorClient, host: Any, port: Any) -> None:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    exits.say(f"the metrics of the run at {client.endpoint} are at http://{where}/metrics")
    if not ipaddress.ip_address(host).is_loopback:
        exits.say(f"whoever can connect to {where} reads them: let nobody else reach it, or leave out --bind")


def watch(client: MonitorClient, exporter: Exporter) -> NoReturn:
    """Pass on how the run is; say when nobody answers, when somebody does again, and when a run has ended."""
    answers, ended = True, ""
    while True:
        for snapshot in client.stream(EVERY):
            exporter.take(snapshot)
            if snapshot is None:
                if answers:
                    exits.say(client.problem())
            elif snapshot["phase"] == "ended" and snapshot["run"] != ended:
                ended = snapshot["run"]
                exits.say("the run has ended; if another one begins there, its metrics follow")
            elif not answers:
                exits.say(f"the distributor at {client.endpoint} answers")
            answers = snapshot is not None
        # one that still says the same again and again is not asked more often
        time.sleep(EVERY)
