"""The page and what it reads, as a web application."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from zmqpipeline.monitor.dashboard.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from zmqpipeline.monitor.dashboard.feed import Feed

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
#: the file that is shown at ``/``
_PAGE = "page.html"


def make(feed: Feed) -> Starlette:
    """Make the application.

    ``/`` is the page, ``/events`` are server-sent events (see :meth:`Feed.events`), ``/snapshot.json`` is the
    last snapshot, ``/history.json`` the points of the plots.

    Parameters
    ----------
    feed
        what it tells

    """

    async def events(_request: Request) -> Response:
        return StreamingResponse(feed.events(), media_type="text/event-stream")

    async def snapshot(_request: Request) -> Response:
        if (packed := feed.snapshot) is None:
            return JSONResponse({"error": "no distributor has answered yet"}, 503)
        return Response(packed, media_type="application/json")

    async def history(_request: Request) -> Response:
        return Response(feed.history, media_type="application/json")

    read = {"/events": events, "/snapshot.json": snapshot, "/history.json": history}
    routes = [Route(path, endpoint) for path, endpoint in (read | _files()).items()]
    return Starlette(routes=routes, middleware=[Middleware(Guard)])


def _files() -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """Load the files of the page: they are few, and nothing else of the disk can be asked for."""
    found = {}
    for file in resources.files(__package__).joinpath("static").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in _TYPES:
            path = "/" if file.name == _PAGE else f"/{file.name}"
            found[path] = _file(file.read_bytes(), _TYPES[suffix])
    return found


def _file(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        return Response(content, media_type=media_type)

    return answer
