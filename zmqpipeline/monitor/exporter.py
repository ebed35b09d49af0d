"""Serves the metrics of a run over HTTP, for Prometheus to fetch."""

from __future__ import annotations

import contextlib
import socket
import threading
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.registry import Collector

from zmqpipeline.monitor.families import families
from zmqpipeline.monitor.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import HTTPServer

    from prometheus_client.core import Metric

    from zmqpipeline.monitor.snapshot import Snapshot

PATH = "/metrics"
#: how long somebody who has connected may say nothing, in seconds
_PATIENCE = 10.0


class Exporter(Collector):
    """Knows the last snapshot, and makes metrics of it when it is asked; any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._totals = Totals()
        self._tasks: dict[str, None] = {}

    def take(self, snapshot: Snapshot | None) -> None:
        """Take in how the run is now; None if nobody answers."""
        with self._lock:
            self._snapshot = snapshot
            if snapshot is not None:
                self._totals.take(snapshot)
                self._tasks.update(dict.fromkeys(task["type"] for task in snapshot["tasks"]))

    def collect(self) -> Iterator[Metric]:
        """Make the metrics."""
        with self._lock:
            made = list(families(self._snapshot, self._totals, list(self._tasks)))
        yield from made

    def describe(self) -> list[Metric]:
        """Name nothing in advance: what there is depends on the run."""
        return []


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind, without asking for this host's name, which can take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _ServerIPv6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE

    def log_message(self, *_: Any) -> None:
        """Say nothing: it is asked every few seconds."""


@contextlib.contextmanager
def serving(exporter: Exporter, host: str, port: int) -> Iterator[HTTPServer]:
    """Serve metrics while inside.

    Parameters
    ----------
    exporter
        makes them
    host, port
        where to listen; port 0 for one that is free

    Raises
    ------
    OSError
        if nobody can listen there

    """
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    kind = _ServerIPv6 if family == socket.AF_INET6 else _Server
    with kind((str(address[0]), port), _Handler) as server:
        server.set_app(_application(exporter))
        thread = threading.Thread(target=server.serve_forever, name="metrics")
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _application(exporter: Exporter) -> Callable[..., Any]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(exporter)
    metrics: Callable[..., Any] = make_wsgi_app(registry)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ["PATH_INFO"] == PATH:
            return metrics(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"The metrics are at {PATH}.\n".encode()]

    return application
