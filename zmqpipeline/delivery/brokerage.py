"""Which request goes to which worker, and what a client is told instead: the broker's decisions.

A request waits in the line of its task type, runs on a worker, and is over
once it was answered, failed or no longer wanted. A worker is idle or has one
request; the most recently freed one is chosen first, so that a few requests
keep a few workers warm. A request whose worker dies goes first in line again.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol

from zmqpipeline.delivery.admission import Admission
from zmqpipeline.delivery.line import Line
from zmqpipeline.delivery.ports import Outcome
from zmqpipeline.wire.limits import MAX_HELLOS, MAX_PEERS

#: task types that are remembered after their last worker has gone, so that junk cannot fill the memory
_MAX_SEEN = 10_000


class Refusal(enum.Enum):
    """Why a client gets no answer; the values go over the wire."""

    UNKNOWN_TASK = "unknown task"  #: no worker of this type was ever seen, and none came in time
    NO_WORKER = "no worker"  #: none was free in time
    WORKER_LOST = "worker lost"  #: it was lost with each worker that it was given to
    FULL = "full"  #: the broker has as many open requests as it may
    CLIENT_FULL = "client full"  #: the client has as many open requests as it may
    STOPPED = "stopped"  #: the broker ends


@dataclass(slots=True, eq=False)
class Request:
    """What a client wants."""

    number: int  #: the broker's, unique in its life
    client: bytes
    id: int | None  #: the client's, which tells the answer's request
    task: str
    body: bytes  #: goes to the worker as it came
    deadline: float = 0.0  #: until when it waits for a worker
    tried: int = 0  #: how many workers it was given to
    worker: Worker | None = None


@dataclass(slots=True, eq=False)
class Worker:
    """Who answers requests of one task type."""

    identity: bytes
    task: str
    heard: float  #: when it said something last
    request: Request | None = None  #: what it is busy with, wanted or not
    suspect: bool = False  #: its connection is gone, but what it has sent before may not be read yet


@dataclass(frozen=True)
class Limits:
    """How long and how much."""

    worker_timeout: float = 30.0  #: how long a request waits for a worker, in seconds
    max_tries: int = 3  #: on how many workers a request is tried
    max_requests: int = 10_000  #: open requests, waiting or running, of all clients
    max_client_requests: int = 1000  #: the same, of one client
    max_bytes: int = 256 * 1024 * 1024  #: what all open requests may take, in bytes
    probe_interval: float = 1.0  #: how often connections are probed, in seconds
    max_peers: int = MAX_PEERS  #: workers that are known; others wait
    max_hellos: float = MAX_HELLOS  #: workers that are met in a second; others wait


class Transport(Protocol):
    """How decisions become messages; never blocks."""

    def work(self, worker: bytes, request: Request) -> Outcome:
        """Give a request to a worker."""

    def end(self, worker: bytes) -> Outcome:
        """Tell a worker to end."""

    def probe_worker(self, worker: bytes) -> Outcome:
        """Find out whether a worker is still connected."""

    def probe_client(self, client: bytes) -> Outcome:
        """Find out whether a client is still connected."""

    def answer(self, request: Request, answer: bytes) -> Outcome:
        """Give a worker's answer to the client."""

    def refuse(self, request: Request, why: Refusal) -> Outcome:
        """Tell the client why there is no answer."""


@dataclass(slots=True)
class _Desk:
    """Who can do one type of task, and what waits for it."""

    idle: dict[bytes, Worker] = field(default_factory=dict)  #: the most recently freed one is last
    line: Line = field(default_factory=Line)


class Brokerage:
    """Decides what becomes of requests and workers.

    Parameters
    ----------
    transport
        sends what is decided
    limits
        how long and how much

    """

    def __init__(self, transport: Transport, limits: Limits) -> None:
        self._transport = transport
        self._limits = limits
        self._workers: dict[bytes, Worker] = {}
        #: who has come and was not let in yet, with its task type
        self._admission: Admission[str] = Admission(limits.max_peers, limits.max_hellos)
        self._desks: dict[str, _Desk] = {}
        self._clients: dict[bytes, dict[int, Request]] = {}
        self._seen: set[str] = set()
        self._numbers = 0
        self._next_probe = 0.0
        self.open_count = 0
        self.open_bytes = 0
        self.draining = False

    @property
    def workers(self) -> list[Worker]:
        """All workers that are known."""
        return list(self._workers.values())

    def is_crowded(self, now: float) -> bool:
        """Tell, once in a while, that workers wait because there are as many as there may be."""
        return self._admission.is_crowded(len(self._workers), now)

    @property
    def settled(self) -> bool:
        """Whether no client waits for anything."""
        return not self.open_count

    def running(self, worker: bytes) -> Request | None:
        """Tell what a worker is busy with."""
        known = self._workers.get(worker)
        return None if known is None else known.request

    def ready(self, worker: bytes, task: str, now: float) -> None:
        """Take in that a worker is free; if it had a request, it has forgotten it."""
        if self.draining:
            self.left(worker, now)
            self._transport.end(worker)
            return
        known = self._workers.get(worker)
        if known is None and not self._admission.comes(worker, task, len(self._workers), now):
            return
        if known is not None and known.request is None and known.task == task:
            known.heard = now
            known.suspect = False
            return
        if known is not None:
            self._lose(known, now, counted=True)
        if len(self._seen) < _MAX_SEEN:
            self._seen.add(task)
        self._workers[worker] = known = Worker(worker, task, now)
        self._free(known)

    def answered(self, worker: bytes, answer: bytes, now: float) -> None:
        """Take in the answer to the request that a worker is busy with."""
        known = self._workers.get(worker)
        if known is None or known.request is None:
            return
        request, known.request = known.request, None
        known.heard = now
        known.suspect = False
        if request.worker is known:  # else nobody wants the answer any more
            self._close(request)
            if self._transport.answer(request, answer) is Outcome.GONE:
                self.cancel(request.client)
        if self.draining:
            self._end(known)
        else:
            self._free(known)

    def left(self, worker: bytes, now: float) -> None:
        """Take in that a worker says goodbye; what it has not answered, it gives back."""
        known = self._workers.get(worker)
        if known is None:
            self._admission.forget(worker)
        else:
            self._lose(known, now, counted=False)

    def request(self, client: bytes, identity: int | None, task: str, body: bytes, now: float) -> None:
        """Take in a request, under the id that its client gave it, if it gave one."""
        self._numbers += 1
        request = Request(self._numbers, client, identity, task, body)
        refusal = self._refusal(request)
        if refusal is not None:
            self._transport.refuse(request, refusal)
            return
        self._clients.setdefault(client, {})[request.number] = request
        self.open_count += 1
        self.open_bytes += len(body)
        self._wait(request, now)

    def cancel(self, client: bytes, identity: int | None = None) -> None:
        """Take in that a client no longer wants one of its requests, or any of them.

        What runs already runs on; its answer is dropped.
        """
        for request in list(self._clients.get(client, {}).values()):
            if identity is None or request.id == identity:
                self._close(request)

    def expire(self, now: float) -> float | None:
        """Fail what has waited too long; tell when the next request will have."""
        due = None
        for task, desk in list(self._desks.items()):
            while desk.line:
                request = desk.line.earliest()
                if request.deadline > now:
                    due = request.deadline if due is None else min(due, request.deadline)
                    break
                self._refuse(request, Refusal.NO_WORKER if task in self._seen else Refusal.UNKNOWN_TASK)
            self._clear(task)
        return due

    def probe(self, now: float) -> float:
        """Find out, if it is time, who is gone; tell when it will be time again.

        A busy worker is lost when it was gone twice in a row: between both, all
        that it had sent before it went was read.
        """
        if now < self._next_probe:
            return self._next_probe
        self._next_probe = now + self._limits.probe_interval
        for identity, kind in self._admission.due(len(self._workers), now):
            self.ready(identity, kind, now)
        for client in list(self._clients):
            if self._transport.probe_client(client) is Outcome.GONE:
                self.cancel(client)
        for worker in list(self._workers.values()):
            gone = self._transport.probe_worker(worker.identity) is Outcome.GONE
            if gone and (worker.suspect or worker.request is None):
                self._lose(worker, now, counted=True)
            worker.suspect = gone
        for task in list(self._desks):  # a worker that had no room may have some now
            self._dispatch(task)
        return self._next_probe

    def drain(self) -> None:
        """Refuse what waits and what comes, end who is idle; what runs is still answered."""
        self.draining = True
        for request in [request for desk in self._desks.values() for request in desk.line]:
            self._refuse(request, Refusal.STOPPED)
        for worker in self.workers:
            if worker.request is None:
                self._end(worker)
        for identity, _ in self._admission.everybody():
            self._transport.end(identity)

    def finish(self) -> None:
        """Refuse what still runs, and end all workers."""
        self.draining = True
        for request in [request for opened in self._clients.values() for request in opened.values()]:
            self._refuse(request, Refusal.STOPPED)
        for worker in self.workers:
            self._end(worker)

    def _refusal(self, request: Request) -> Refusal | None:
        limits = self._limits
        if self.draining:
            return Refusal.STOPPED
        if len(self._clients.get(request.client, ())) >= limits.max_client_requests:
            return Refusal.CLIENT_FULL
        full = (
            self.open_count >= limits.max_requests or self.open_bytes + len(request.body) > limits.max_bytes
        )
        return Refusal.FULL if full else None

    def _wait(self, request: Request, now: float) -> None:
        request.deadline = now + self._limits.worker_timeout
        self._desks.setdefault(request.task, _Desk()).line.add(request)
        self._dispatch(request.task)

    def _dispatch(self, task: str) -> None:
        """Give what waits to who is idle."""
        desk = self._desks.get(task)
        if desk is None:
            return
        without_room = []
        while desk.line and desk.idle:
            request, (_, worker) = desk.line.first(), desk.idle.popitem()
            outcome = self._transport.work(worker.identity, request)
            if outcome is Outcome.SENT:
                desk.line.remove(request)
                request.tried += 1
                request.worker, worker.request = worker, request
            elif outcome is Outcome.GONE:
                del self._workers[worker.identity]
            else:
                without_room.append(worker)
        for worker in reversed(without_room):
            desk.idle[worker.identity] = worker
        self._clear(task)

    def _free(self, worker: Worker) -> None:
        desk = self._desks.setdefault(worker.task, _Desk())
        desk.idle.pop(worker.identity, None)  # so that it becomes the last
        desk.idle[worker.identity] = worker
        self._dispatch(worker.task)

    def _end(self, worker: Worker) -> None:
        self._transport.end(worker.identity)
        self._forget(worker)

    def _forget(self, worker: Worker) -> None:
        self._workers.pop(worker.identity, None)
        desk = self._desks.get(worker.task)
        if desk is not None:
            desk.idle.pop(worker.identity, None)
            self._clear(worker.task)

    def _lose(self, worker: Worker, now: float, *, counted: bool) -> None:
        """Forget a worker, and let what it had wait for another.

        A worker that gives its request back does not count as one of those that were tried.
        """
        self._forget(worker)
        request, worker.request = worker.request, None
        if request is None or request.worker is not worker:
            return
        request.worker = None
        if self.draining:
            self._refuse(request, Refusal.STOPPED)
        elif counted and request.tried >= self._limits.max_tries:
            self._refuse(request, Refusal.WORKER_LOST)
        else:
            self._wait(request, now)
            # only now, so that it goes first in line all the same
            request.tried -= not counted

    def _refuse(self, request: Request, why: Refusal) -> None:
        if self._close(request) and self._transport.refuse(request, why) is Outcome.GONE:
            self.cancel(request.client)

    def _close(self, request: Request) -> bool:
        """Forget a request, if it is open; a worker that is busy with it stays so."""
        opened = self._clients.get(request.client, {})
        if opened.pop(request.number, None) is None:
            return False
        if not opened:
            del self._clients[request.client]
        self.open_count -= 1
        self.open_bytes -= len(request.body)
        request.worker = None
        desk = self._desks.get(request.task)
        if desk is not None:
            desk.line.remove(request)
            self._clear(request.task)
        return True

    def _clear(self, task: str) -> None:
        """Forget a type that nobody can do and nobody wants."""
        desk = self._desks.get(task)
        if desk is not None and not desk.line and not desk.idle:
            del self._desks[task]
