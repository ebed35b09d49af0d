"""Who may ask for the page, and what a browser may do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: the names of this machine for itself. A page of somewhere else whose name was made to lead here still asks
#: under its own name (DNS rebinding), and finds nothing
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Answers only GET, only under a name of the loopback interface, and with the headers for both.

    Parameters
    ----------
    app
        what is guarded

    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        app = _refusal(scope) or self._app
        await app(scope, receive, guarded)


def _refusal(scope: Scope) -> PlainTextResponse | None:
    hosts = Headers(scope=scope).getlist("host")
    if len(hosts) != 1 or _name(hosts[0]) not in LOOPBACK:
        text = "This page is only there under http://127.0.0.1 or http://localhost, with the port.\n"
        return PlainTextResponse(text, 421)
    if scope["method"] != "GET":
        text = "This page can only be read: there is only GET.\n"
        return PlainTextResponse(text, 405, {"Allow": "GET"})
    return None


def _name(host: str) -> str:
    """Take the port off."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()
