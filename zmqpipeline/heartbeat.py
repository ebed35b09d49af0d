"""The heartbeat of a worker: a thread that speaks for it while user code keeps its main thread busy.

It has connections of its own. About once a second it says what the worker has
not finished. When one call of user code takes long, it sends the results that
are done, gives back the tasks that were not begun, and tells which task is
running; so a slow task strands nothing. When a round of tasks takes much longer
than was thought, it ends that round early, so that the worker learns its pace.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import zmq

from zmqpipeline.access import is_keyed
from zmqpipeline.delivery.calls import GLANCE, Calls, Due
from zmqpipeline.failure import describe
from zmqpipeline.reporting import Reporter
from zmqpipeline.wire import sockets
from zmqpipeline.wire.watch import Watch

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from zmqpipeline.access import Access
    from zmqpipeline.delivery.assignment import Assignment, Work
    from zmqpipeline.execution import Execution
    from zmqpipeline.monitor.process import Vitals
    from zmqpipeline.monitor.snapshot import Report
    from zmqpipeline.role import Context, Socket

#: after so many looks without a call it looks less often, in seconds; nobody wakes it for the next one,
#: because that would cost more time than most calls take
_IDLE_GLANCES = 20
IDLE_GLANCE = 0.05
#: the exit code of a process that ended itself because its only thread passed the time limit
TIME_LIMIT_EXIT = 75
#: what was sent last gets so long to leave such a process, in seconds
_PARTING = 0.5


@dataclass
class Shared:
    """What a worker and its heartbeat both look at; the assignment is changed under the lock."""

    assignment: Assignment
    worker_id: bytes
    executions: list[Execution | None]
    #: lets tasks that were taken out of an execution be done by another hand of this worker, or later
    requeue: Callable[[Execution, Work], None]
    #: the figures of this process
    vitals: Vitals
    lock: threading.RLock = field(default_factory=threading.RLock)
    #: whether results wait for room to be sent
    backlog: bool = False
    #: attempts that were made, those that failed included
    done: int = 0
    #: whether everything was given back, and the worker has to say that it has room again
    paused: bool = False

    def report(self, longest: float) -> Report:
        """Say how this worker is; ``longest`` is for how long its calls of user code run, at the most."""
        vitals = self.vitals.look()
        vitals["lag"] = max(vitals["lag"] or 0.0, longest)
        return {**vitals, "done": self.done}


class Heartbeat(threading.Thread):
    """Speaks for one incarnation of a worker, as long as that lives.

    Parameters
    ----------
    context, endpoint, collector_endpoint
        where to connect
    shared
        what to look at
    liveness
        how often to beat, if the distributor does not want to hear more often, and when a peer is gone
    logger, subject
        for the log
    give_up
        tells, when a task has passed its time limit, whether the process has to end
    access
        the keys to show where it connects

    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that a worker has
        self,
        context: Context,
        endpoint: str,
        collector_endpoint: str,
        shared: Shared,
        liveness: sockets.Liveness,
        logger: logging.Logger,
        subject: str,
        give_up: Callable[[], bool],
        access: Access,
    ) -> None:
        super().__init__(name=f"{subject}-heartbeat", daemon=True)
        self._zmq_context = context
        self._endpoint = endpoint
        self._collector_endpoint = collector_endpoint
        self._shared = shared
        self._liveness = liveness
        wanted = shared.assignment.heartbeat_interval
        self._interval = liveness.interval if wanted is None else min(liveness.interval, wanted)
        self._logger = logger
        self._subject = subject
        self._give_up = give_up
        self._access = access
        self._watches: list[Watch] = []
        self._stopped = threading.Event()
        self._parting = False
        self._calls = Calls(len(shared.executions))

    def stop(self) -> None:
        """End the thread; may take as long as one of its turns."""
        self._stopped.set()
        self.join(2.0)

    def part(self) -> None:
        """Take leave for a process that ends without its main thread: its tasks have killed nobody."""
        self._parting = True
        self.stop()

    def run(self) -> None:
        """Watch and beat until it is stopped."""
        opened: list[Socket] = []
        try:
            self._reporter = Reporter(
                self._outbox(zmq.PUSH, self._collector_endpoint, opened),
                self._outbox(zmq.DEALER, self._endpoint, opened),
                self._logger,
                self._subject,
                self._shared.worker_id,
            )
            self._watch()
            if self._parting:
                self._say_goodbye()
        except zmq.ZMQError as error:
            if error.errno != zmq.ETERM and not self._zmq_context.closed:
                raise
            # the worker is gone, perhaps before this thread had begun
        finally:
            for watch in self._watches:
                self._unwatch(watch)
            for socket in opened:
                socket.close()

    def _outbox(self, kind: int, address: str, opened: list[Socket]) -> sockets.Outbox:
        identity = f"heartbeat-{uuid.uuid4().hex}".encode() if kind == zmq.DEALER else None
        made = sockets.make_socket(self._zmq_context, kind, identity=identity, liveness=self._liveness)
        opened.append(made)
        if kind == zmq.DEALER or is_keyed(address):
            self._watches.append(Watch(made, address))
        sockets.connect(made, address, self._access.credentials(address))
        return sockets.Outbox(made)

    @staticmethod
    def _unwatch(watch: Watch) -> None:
        """Stop watching; what a distributor was to hear that is not there is not waited for."""
        with contextlib.suppress(zmq.ContextTerminated):
            watch.drain()
            if watch.socket.type == zmq.DEALER and not watch.connections:
                watch.socket.linger = 0
        watch.close()

    def _watch(self) -> None:
        beat_at = time.monotonic()  # at once, so that the distributor knows this connection
        idle = 0
        while not self._stopped.is_set():
            now = time.monotonic()
            if now >= beat_at:
                beat_at = now + self._interval
                self._redial(now)
                self._beat()
            is_busy = self._look_at_all(now)
            self._reporter.results.flush()
            self._reporter.distributor.flush()
            # only now: a worker that is stopped before its first beat is found by nothing else
            idle = 0 if is_busy else idle + 1
            self._stopped.wait(GLANCE if idle < _IDLE_GLANCES else IDLE_GLANCE)

    def _redial(self, now: float) -> None:
        """Connect again where the key was refused: whoever has let this worker in may do so again."""
        for watch in self._watches:
            watch.drain()
            watch.redial(now)

    def _beat(self) -> None:
        if self._shared.backlog:
            return  # what is done has not left: nobody may think that it has
        with self._shared.lock:
            beat = self._shared.assignment.heartbeat()
        beat.data = self._shared.report(self._longest(time.monotonic()))
        if not self._reporter.distributor:  # an old one that waits says the same
            self._reporter.tell(beat)

    def _longest(self, now: float) -> float:
        """Tell for how long nothing else could be done, at the most, in seconds."""
        return self._calls.longest(now)

    def _look_at_all(self, now: float) -> bool:
        """Do what is due for all hands; tell whether to look again soon."""
        self._calls.glance(now)
        for hand, execution in enumerate(self._shared.executions):
            self._look(hand, execution, now)
        return any(self._shared.executions)

    def _look(self, hand: int, execution: Execution | None, now: float) -> None:
        """Do what is due for one hand."""
        due = self._calls.look(hand, execution, 0 if execution is None else execution.position, now)
        call = self._calls[hand]
        if execution is None or call is None:
            return
        if due is Due.RELIEVE:
            self._relieve(execution)
        elif due is Due.END:
            self._end(execution)
        elif due is Due.SEND:
            self._send_done(execution)
        limit = self._shared.assignment.time_limit
        if limit is not None and not call.over and now - call.since > limit and execution.running is not None:
            call.over = True
            self._over(execution, limit)

    def _end(self, execution: Execution) -> None:
        """Let a round end early: what it has left is done next, by whoever is free."""
        with self._shared.lock:
            self._shared.requeue(execution, execution.cut())

    def _relieve(self, execution: Execution) -> None:
        """Send what is done, let others do what was not begun, tell what is running."""
        shared = self._shared
        with shared.lock:
            self._end(execution)
            # whoever ends a round says that there is room again, so there must be one that has not ended
            stuck = self._calls.are_all_slow(shared.executions)
            message = shared.assignment.give_back() if stuck else None
            shared.paused = shared.paused or stuck
        self._send_done(execution)
        if message is not None:
            self._reporter.tell(message)
        self._beat()

    def _send_done(self, execution: Execution) -> None:
        shared = self._shared
        execution.sent += self._reporter.report(shared.assignment, execution, shared.assignment.largest)

    def _over(self, execution: Execution, limit: float) -> None:
        """Report that a task has passed its time limit: this attempt has failed."""
        execution.abandoned = True
        place = execution.position
        text = f"took longer than its time limit of {limit:g} s"
        self._reporter.fail(self._shared.assignment, execution.work, place, describe(TimeoutError(text)))
        if self._give_up():
            self._end_process()

    def _end_process(self) -> None:
        """End it: nothing can interrupt the thread that is stuck, and nothing else is left to do."""
        self._logger.error("%s: a task passed its time limit: the process ends", self._subject)
        self._say_goodbye()
        os._exit(TIME_LIMIT_EXIT)

    def _send_all_done(self) -> None:
        for execution in self._shared.executions:
            if execution is not None:
                self._send_done(execution)

    def _say_goodbye(self) -> None:
        """Send what is done, and give the rest back."""
        self._send_all_done()
        self._reporter.tell(self._shared.assignment.goodbye())
        time.sleep(_PARTING)
