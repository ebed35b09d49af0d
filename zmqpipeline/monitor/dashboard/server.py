"""Serves the page on the loopback interface until a signal comes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import uvicorn

from zmqpipeline.monitor.dashboard import app

if TYPE_CHECKING:
    from collections.abc import Callable

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


class Server(uvicorn.Server):
    """Tells a feed to pages.

    Parameters
    ----------
    feed
        what is told
    on_start
        called when pages can be opened

    """

    def __init__(self, feed: Feed, on_start: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app.make(feed),
                log_config=None,
                access_log=False,
                server_header=False,
                ws="none",
                lifespan="off",
                timeout_graceful_shutdown=_GRACE,
            )
        )
        self._feed = feed
        self._on_start = on_start

    def end(self) -> None:
        """End soon; from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin."""
        await super().startup(sockets)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; pages that are open would keep it up otherwise."""
        self._feed.close()
        await super().shutdown(sockets)
