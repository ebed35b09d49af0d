"""Serves the page on the loopback interface."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from zmqpipeline.monitor.dashboard import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zmqpipeline.monitor.dashboard.feed import Feed

#: the page is for who sits at this machine; there is no option for another address
HOST = "127.0.0.1"
#: a page that does not take what is sent to it is cut off after so many seconds at the end
_GRACE = 2


def bind(port: int) -> socket.socket:
    """Bind a port of the loopback interface; 0 for any that is free.

    Raises
    ------
    OSError
        if it cannot be bound

    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound


@contextlib.contextmanager
def serving(feed: Feed, bound: socket.socket) -> Iterator[Callable[[], bool]]:
    """Serve the page in a thread as long as the context is open.

    Parameters
    ----------
    feed
        what pages are told
    bound
        where they find it, from :func:`bind`

    Yields
    ------
    callable
        tells whether it still serves

    """
    started = threading.Event()
    server = _Server(feed, started)
    thread = threading.Thread(target=server.run, args=([bound],), name="dashboard", daemon=True)
    thread.start()
    try:
        while thread.is_alive() and not started.wait(0.1):
            pass
        yield thread.is_alive
    finally:
        server.should_exit = True
        thread.join()


class _Server(uvicorn.Server):
    """Says when pages can be opened, and lets them go at its end.

    Parameters
    ----------
    feed
        what pages are told
    started
        set when they can be opened

    """

    def __init__(self, feed: Feed, started: threading.Event) -> None:
        config = uvicorn.Config(
            app.make(feed),
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=_GRACE,
        )
        super().__init__(config)
        self._feed = feed
        self._has_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin."""
        await super().startup(sockets)
        self._has_started.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; pages that are open would keep it up otherwise."""
        self._feed.close()
        await super().shutdown(sockets)
