"""A distributor that is none: it answers those who watch a run with snapshots that a test makes up."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import zmq

from zmqpipeline.access import Access
from zmqpipeline.monitor.snapshot import (
    SNAPSHOT_VERSION,
    CollectorInfo,
    FailureInfo,
    MetaDataInfo,
    Process,
    Snapshot,
    TaskInfo,
    WorkerInfo,
)
from zmqpipeline.wire import binding, envelope, sockets

if TYPE_CHECKING:
    from typing_extensions import Self

    from zmqpipeline.keys import Keys

#: what a distributor waits for the next word of a client, in seconds
PATIENCE = 10.0
#: the moment of all snapshots that do not say another
NOW = 1_700_000_000.0


def make_process(**changes: Any) -> Process:
    """Make up what a process tells of itself."""
    made = {"host": "alpha", "pid": 4000, "memory": 48 << 20, "cpu": 0.25, "lag": 0.002}
    return cast("Process", {**made, **changes})


def make_task(**changes: Any) -> TaskInfo:
    """Make up a task type: 1000 tasks, 400 of them done."""
    made = {
        "type": "count",
        "phase": "running",
        "depends": [],
        "total": 1000,
        "handed_out": 416,
        "in_flight": 16,
        "queued": 2,
        "acknowledged": 400,
        "failed": 3,
        "redelivered": 5,
        "rate": 50.0,
        "workers": 2,
        "latency": 0.0123,
    }
    return cast("TaskInfo", {**made, **changes})


def make_worker(**changes: Any) -> WorkerInfo:
    """Make up a worker that works."""
    made = {
        **make_process(pid=4001, memory=32 << 20, cpu=0.9),
        "id": "a1b2c3",
        "task": "count",
        "name": "CountWorker",
        "state": "working",
        "hands": 1,
        "credit": 16,
        "in_flight": 8,
        "done": 200,
        "failed": 1,
        "rate": 25.0,
        "heard": 0.2,
        "since": NOW - 60,
    }
    return cast("WorkerInfo", {**made, **changes})


def make_collector(**changes: Any) -> CollectorInfo:
    """Make up a collector that works."""
    made = {
        **make_process(pid=4009),
        "id": "a life",
        "name": "CountCollector",
        "state": "working",
        "collected": 400,
        "queue": 0,
        "rate": 50.0,
    }
    return cast("CollectorInfo", {**made, **changes})


def make_metadata_worker(**changes: Any) -> MetaDataInfo:
    """Make up one that has given the metadata of the run."""
    made = {**make_process(pid=4010, memory=30 << 20, cpu=1.0, lag=None), "name": "Given", "since": NOW - 60}
    return cast("MetaDataInfo", {**made, **changes})


def make_failure(**changes: Any) -> FailureInfo:
    """Make up an attempt that failed."""
    made = {
        "time": NOW - 5,
        "task": "count",
        "id": 17,
        "attempt": 2,
        "final": False,
        "type": "ValueError",
        "text": "17 is not even",
        "traceback": 'Traceback (most recent call last):\n  File "count.py", line 7, in handle_execution\n',
        "worker": "alpha, pid 4001",
    }
    return cast("FailureInfo", {**made, **changes})


def make_snapshot(**changes: Any) -> Snapshot:
    """Make up a run with two task types, three workers on two hosts, a collector and a failure.

    Parameters
    ----------
    **changes
        what is to be another value, by its name

    """
    made = {
        "version": SNAPSHOT_VERSION,
        "run": "0123456789abcdef",
        "time": NOW,
        "uptime": 61.0,
        "phase": "running",
        "waits_for": [],
        "handed_out": 416,
        "in_flight": 16,
        "queued": 2,
        "acknowledged": 400,
        "failed": 3,
        "redelivered": 5,
        "rate": 50.0,
        "latency": 0.0123,
        "distributor": make_process(),
        "collector": make_collector(),
        "metadata_worker": None,
        "tasks": [
            make_task(),
            make_task(
                type="sum",
                phase="waiting",
                depends=["count"],
                total=None,
                handed_out=0,
                in_flight=0,
                queued=0,
                acknowledged=0,
                failed=0,
                redelivered=0,
                rate=0.0,
                workers=1,
                latency=None,
            ),
        ],
        "workers": [
            make_worker(),
            make_worker(id="d4e5f6", host="beta", pid=501, state="silent", heard=5.5),
            make_worker(
                id="g7h8i9",
                host="beta",
                pid=502,
                task="sum",
                name="SumWorker",
                state="starting",
                credit=0,
                in_flight=0,
                done=0,
                failed=0,
                rate=0.0,
            ),
        ],
        "failures": [make_failure()],
    }
    return cast("Snapshot", {**made, **changes})


@dataclass
class _Watcher:
    every: float
    until: float
    due: float


class FakeDistributor:
    """Answers MONITOR with the snapshot that it was given last, as the distributor would.

    Use it as a context manager. It sends a snapshot to each client that asked for one, and then again
    and again if the client said so, until the client has not said it for ten seconds.

    Parameters
    ----------
    endpoint
        where it binds
    snapshot
        what it answers at first; :meth:`show` changes it
    keys
        the keys of its pipeline; None for none

    Attributes
    ----------
    asked
        the data of each question that has come
    sent
        how many snapshots were sent

    """

    def __init__(self, endpoint: str, snapshot: Snapshot | None = None, keys: Keys | None = None) -> None:
        self.endpoint = endpoint
        self.asked: list[Any] = []
        self.sent = 0
        self._snapshot = snapshot or make_snapshot()
        self._keys = keys
        self._watchers: dict[bytes, _Watcher] = {}
        self._orders: deque[list[bytes] | Snapshot] = deque()
        self._bound = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake distributor")

    def show(self, snapshot: Snapshot) -> None:
        """Answer with another snapshot from now on, and send it to those who watch."""
        self._orders.append(snapshot)

    def babble(self, *frames: bytes) -> None:
        """Send something that is no snapshot to those who watch."""
        self._orders.append(list(frames))

    def start(self) -> None:
        """Bind and answer; an address that was bound before can be bound again."""
        self._thread.start()
        assert self._bound.wait(30)

    def close(self) -> None:
        """End, as a distributor that was killed would: without a word."""
        self._stopped.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        access = Access(self._keys, logging.getLogger("fake"), "fake distributor")
        with (
            zmq.Context() as context,
            contextlib.closing(access),
            sockets.make_socket(context, zmq.ROUTER) as router,
        ):
            router.linger = router.sndhwm = 0  # what a test says is not lost
            access.lock(router, self.endpoint, context)
            bound = binding.bind(router, self.endpoint)
            self._bound.set()
            while not self._stopped.is_set():
                self._turn(router)
        bound.close()

    def _turn(self, router: zmq.Socket[bytes]) -> None:
        if router.poll(10):
            self._take(router.recv_multipart())
        self._send_due(router)
        while self._orders:
            self._obey(router, self._orders.popleft())
            self._send_due(router)

    def _take(self, frames: list[bytes]) -> None:
        message = envelope.decode(frames[-1])
        if len(frames) != 3 or frames[1] or message is None or message.type != "MONITOR":
            return
        self.asked.append(message.data)
        now, every = time.monotonic(), message.data.get("every")
        known = self._watchers.get(frames[0])
        if every is None:
            self._watchers[frames[0]] = _Watcher(float("inf"), now + PATIENCE, now)
        elif known is None:
            self._watchers[frames[0]] = _Watcher(max(every, 0.1), now + PATIENCE, now)
        else:
            known.until = now + PATIENCE

    def _obey(self, router: zmq.Socket[bytes], order: list[bytes] | Snapshot) -> None:
        if isinstance(order, list):
            for identity in self._watchers:
                with contextlib.suppress(zmq.ZMQError):
                    router.send_multipart([identity, *order], zmq.NOBLOCK)
            return
        self._snapshot = order
        for watcher in self._watchers.values():
            watcher.due = 0.0

    def _send_due(self, router: zmq.Socket[bytes]) -> None:
        now = time.monotonic()
        for identity, watcher in list(self._watchers.items()):
            if now > watcher.until:
                del self._watchers[identity]
            elif now >= watcher.due:
                frame = envelope.encode(envelope.Message("SNAPSHOT", data=self._snapshot))
                watcher.due = now + watcher.every
                try:
                    router.send_multipart([identity, b"", frame], zmq.NOBLOCK)
                except zmq.ZMQError:  # it has gone
                    del self._watchers[identity]
                    continue
                self.sent += 1
                if watcher.every == float("inf") or self._snapshot.get("phase") == "ended":
                    del self._watchers[identity]
