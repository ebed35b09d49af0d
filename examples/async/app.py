"""Fetches two hundred slow pages at a time, with asyncio in one process."""

import asyncio
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import zmqpipeline

FETCH = zmqpipeline.TaskType.register_type("FETCH")

PAGES = zmqpipeline.EndpointAddress("ipc://pages.ipc")
RESULTS = zmqpipeline.EndpointAddress("ipc://results.ipc")
RESULTS_ACK = zmqpipeline.EndpointAddress("ipc://results-ack.ipc")


class SlowPage(BaseHTTPRequestHandler):
    """Takes a tenth of a second for each page, as a server far away would."""

    def do_GET(self) -> None:
        time.sleep(0.1)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"This is the page {self.path}".encode())

    def log_message(self, *args: object) -> None:
        """Say nothing for each page."""


class SlowServer(ThreadingHTTPServer):
    """Serves them, in this process, so that the example needs nothing else."""

    daemon_threads = True
    request_queue_size = 200


class Pages(zmqpipeline.IterableTask):
    """Says where the pages are, two hundred times."""

    task_type = FETCH
    endpoint = PAGES
    dependencies = []

    def items(self) -> Iterator[dict]:
        server = SlowServer(("127.0.0.1", 0), SlowPage)
        Thread(target=server.serve_forever, daemon=True).start()
        for number in range(200):
            yield {"port": server.server_port, "path": f"/{number}"}


class Reader(zmqpipeline.AsyncWorker):
    """Fetches all of them at a time."""

    task_type = FETCH
    endpoint = PAGES
    collector_endpoint = RESULTS
    n_concurrent = 200

    async def handle_execution(self, data: dict, *args: object, **kwargs: object) -> dict:
        began = time.time()
        reader, writer = await asyncio.open_connection("127.0.0.1", data["port"])
        writer.write(f"GET {data['path']} HTTP/1.0\r\n\r\n".encode())
        head, _, page = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        if not head.split()[1:2] == [b"200"]:
            raise OSError(f"no page {data['path']}: {head[:40]!r}")  # it is tried again
        return {"page": page.decode(), "began": began, "seconds": time.time() - began}


class Clock(zmqpipeline.Collector):
    """Measures from the beginning of the first page to the end of the last."""

    endpoint = RESULTS
    ack_endpoint = RESULTS_ACK

    count = 0
    characters = 0
    seconds = 0.0
    began = float("inf")

    def handle_collection(self, data: dict, task_type: str, msgtype: str) -> None:
        self.count += 1
        self.characters += len(data["page"])
        self.seconds += data["seconds"]
        self.began = min(self.began, data["began"])

    def handle_finished(self, data: object, task_type: str) -> None:
        took = time.time() - self.began
        print(f"{self.count} pages, {self.characters} characters")
        print(f"{self.seconds:.1f} s of waiting in {took:.1f} s")
