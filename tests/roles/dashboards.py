"""A dashboard in a thread, on a port of its own, that a test tells what to show."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import TYPE_CHECKING, Any

from zmqpipeline.monitor.dashboard.feed import Feed
from zmqpipeline.monitor.dashboard.server import bind, serving

if TYPE_CHECKING:
    from typing_extensions import Self

    from zmqpipeline.monitor.snapshot import Snapshot

#: no test waits longer for an event, in seconds
GUARD = 40.0


class Dashboard:
    """Serves a feed; use it as a context manager.

    Attributes
    ----------
    feed
        what it tells
    port
        where it is

    """

    def __init__(self, port: int = 0) -> None:
        self.feed = Feed()
        self._socket = bind(port)
        self.port = int(self._socket.getsockname()[1])
        self._serving = contextlib.ExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def tell(self, snapshot: Snapshot | None, why: str = "") -> None:
        self.feed.tell(snapshot, why)

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Ask for something, by default under the address of the page."""
        return Answer(self.port, path, method, headers)

    def close(self) -> None:
        self._serving.close()
        self._socket.close()

    def __enter__(self) -> Self:
        goes_on = self._serving.enter_context(serving(self.feed, self._socket))
        assert goes_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Answer:
    """What the server answers; use it as a context manager, because some answers have no end."""

    def __init__(self, port: int, path: str, method: str, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GUARD)
        self._connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            if value:
                self._connection.putheader(name, value)
        self._connection.endheaders()
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.headers = self._response.headers

    def text(self) -> str:
        return self._response.read().decode()

    def json(self) -> Any:
        return json.loads(self._response.read())

    def event(self) -> tuple[str, Any]:
        """Read the next server-sent event: its name and its data."""
        found = {}
        while True:
            line = self._response.readline().decode()
            assert line, "the stream has ended"
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                found[name] = value
            elif "event" in found:
                return found["event"], json.loads(found["data"])

    def has_ended(self) -> bool:
        return not self._response.read()

    def close(self) -> None:
        self._response.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
