"""``zmqpipeline dashboard``: shows how a run is as a page in the browser."""

from __future__ import annotations

import threading
import webbrowser
from typing import TYPE_CHECKING

import click

from zmqpipeline.cli import watching
from zmqpipeline.cli.exits import CommandError, Exit
from zmqpipeline.cli.starting import StoppedEarly

if TYPE_CHECKING:
    import socket

    from zmqpipeline.monitor.client import MonitorClient

#: the modules of the extra; only if one of these is missing does installing it help
_EXTRA = {"starlette", "uvicorn"}
_PORT = 8765


@click.command()
@watching.watches
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=_PORT,
    show_default=True,
    help="Where the page is, on this machine alone; 0 for any port that is free.",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
def dashboard(
    *, address: str | None, monitor_endpoint: str | None, keys: str | None, port: int, opens: bool
) -> int:
    """Show how the run at ADDRESS is as a page in the browser, until you press Ctrl-C.

    ADDRESS is what the run was started with as --monitor-endpoint. The page is on this machine alone,
    and can only be looked at.
    """
    _check_extra()
    with watching.connected(address, monitor_endpoint, keys) as client, _bound(port) as bound:
        return _serve(client, bound, opens=opens)


def _check_extra() -> None:
    try:
        import starlette  # noqa: F401, PLC0415 - only this command needs the extra
        import uvicorn  # noqa: F401, PLC0415
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sentence = 'the dashboard needs starlette and uvicorn: pip install "zmqpipeline[dashboard]"'
        raise CommandError(sentence, Exit.MISSING_EXTRA) from error


def _bound(port: int) -> socket.socket:
    from zmqpipeline.monitor.dashboard.server import HOST, bind  # noqa: PLC0415 - it needs the extra

    try:
        return bind(port)
    except OSError as error:
        raise CommandError(
            f"the page cannot be at {HOST}:{port} ({(error.strerror or str(error)).lower()}): "
            f"give another port with --port, or --port 0 for any that is free",
            Exit.CANNOT_BIND,
        ) from error


def _serve(client: MonitorClient, bound: socket.socket, *, opens: bool) -> int:
    """Serve the page until a signal comes; return the exit code."""
    from zmqpipeline.monitor.dashboard import reader  # noqa: PLC0415 - it needs the extra
    from zmqpipeline.monitor.dashboard.feed import Feed  # noqa: PLC0415
    from zmqpipeline.monitor.dashboard.server import HOST, serving  # noqa: PLC0415

    url = f"http://{HOST}:{bound.getsockname()[1]}/"
    feed = Feed()
    try:
        with serving(feed, bound) as goes_on:
            click.echo(f"{url} shows the run at {client.endpoint}, until Ctrl-C")
            if opens:  # some browsers return when they are closed
                threading.Thread(target=webbrowser.open, args=[url], daemon=True).start()
            reader.read(client, feed, goes_on)
    except StoppedEarly as stopped:  # this is how it ends
        return int(stopped.code or 0)
    raise CommandError("the server of the page has ended by itself: please report it", Exit.INTERNAL)
