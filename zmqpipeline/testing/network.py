"""The wires of a simulated run: queues of packed frames, the clock beside them, and what breaks."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, Any

from zmqpipeline.testing.faults import Kind
from zmqpipeline.testing.result import Event
from zmqpipeline.wire import envelope

if TYPE_CHECKING:
    from zmqpipeline.testing.faults import Fault, Injection
    from zmqpipeline.wire.envelope import Message

#: where all processes seem to run
HOST = "simulated"
#: where the clock begins; zero would look like "never" to the machinery
_BEGIN = 1.0
_RESULT_FAULTS = (Kind.LOSE_RESULTS, Kind.DUPLICATE_RESULTS, Kind.DELAY_RESULTS)


class Clock:
    """Simulated time, and what happened in it."""

    def __init__(self) -> None:
        self.now = _BEGIN
        self.history: list[Event] = []

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.now - _BEGIN

    def note(self, what: str, task: str = "", number: int | None = None, who: str = "") -> None:
        """Write down that something happened."""
        self.history.append(Event(round(self.now - _BEGIN, 6), what, task, number, who))

    def note_fault(self, fault: Fault, who: str) -> None:
        """Write down that a fault happened at its task."""
        task, number = fault.at or ("", None)
        self.note(fault.kind.value, task, number, who)


class Connection:
    """Between the distributor and one incarnation of a worker.

    Parameters
    ----------
    address
        the worker's routing id
    who
        what the history calls the worker

    """

    def __init__(self, address: bytes, who: str) -> None:
        self.address = address
        self.who = who
        self.to_distributor: deque[bytes] = deque()
        self.to_worker: deque[bytes] = deque()
        self.is_cut = False

    def cut(self) -> None:
        """Break, for both ends; what the distributor has received by now it can still read."""
        self.is_cut = True
        self.to_worker.clear()

    def put(self, message: Message) -> None:
        """Send to the distributor."""
        self.put_frame(envelope.encode(message))

    def put_frame(self, frame: bytes) -> None:
        """Send a packed message to the distributor; a broken connection swallows it."""
        if not self.is_cut:
            self.to_distributor.append(frame)


class Network:
    """All wires of a run.

    Parameters
    ----------
    faults
        what breaks

    """

    def __init__(self, faults: Injection) -> None:
        self.clock = Clock()
        self.faults = faults
        #: by task type and address
        self.connections: dict[str, dict[bytes, Connection]] = {}
        self.to_collector: deque[bytes] = deque()
        self.acks: deque[bytes] = deque()
        self.collector_is_up = False
        #: how often a distributor has died
        self.distributors_lost = 0
        #: how the processes of workers ended, by host and pid, as a supervisor would tell
        self.ends: dict[tuple[Any, Any], str] = {}
        self._processes = 0
        self._late: list[tuple[float, int, bytes]] = []
        self._delayed = 0

    def connect(self, task: str, address: bytes, who: str) -> Connection:
        """Connect a worker to where the tasks of its type come from."""
        connection = Connection(address, who)
        self.connections.setdefault(task, {})[address] = connection
        return connection

    def new_process(self) -> int:
        """Make the pid of a process that starts."""
        self._processes += 1
        return self._processes

    def collector_gone(self) -> None:
        """Lose what was under way to the collector and what it has said."""
        self.collector_is_up = False
        self.to_collector.clear()
        self.acks.clear()

    def distributor_gone(self) -> None:
        """Break all its connections; what was said to it is lost."""
        self.distributors_lost += 1
        self.acks.clear()
        for connections in self.connections.values():
            for connection in connections.values():
                connection.cut()
            connections.clear()

    def send_results(self, frame: bytes, who: str) -> None:
        """Carry results to the collector, or do to them what a fault says."""
        if self.faults.armed(*_RESULT_FAULTS):
            message = envelope.decode(frame)
            if message is not None and self._broken(message, frame, who):
                return
        self.to_collector.append(frame)

    def deliver_late(self) -> bool:
        """Deliver what was delayed and is due; tell whether there was something."""
        delivered = False
        while self._late and self._late[0][0] <= self.clock.now:
            frame = heapq.heappop(self._late)[2]
            if self.collector_is_up:
                self.to_collector.append(frame)
                delivered = True
        return delivered

    @property
    def next_late(self) -> float | None:
        """When the next delayed message is due."""
        return self._late[0][0] if self._late else None

    def _broken(self, message: Message, frame: bytes, who: str) -> bool:
        """Let happen what happens to this message; tell whether it does not arrive now."""
        for kind in _RESULT_FAULTS:
            fault = self.faults.among(kind, message.task, message.ranges)
            if fault is None:
                continue
            self.clock.note_fault(fault, who)
            if kind is Kind.DUPLICATE_RESULTS:
                self.to_collector.append(frame)
                continue
            if kind is Kind.DELAY_RESULTS:
                self._delayed += 1
                heapq.heappush(self._late, (self.clock.now + fault.seconds, self._delayed, frame))
            return True
        return False
