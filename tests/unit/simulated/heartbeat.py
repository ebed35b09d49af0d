"""The heartbeat of a simulated worker, and what it looks at: the calls of user code."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, cast

from tests.unit.simulated.links import Outbox
from zmqpipeline.delivery.calls import SLOW
from zmqpipeline.failure import describe
from zmqpipeline.reporting import Reporter
from zmqpipeline.wire import envelope, serializer
from zmqpipeline.wire.sockets import LIVENESS

if TYPE_CHECKING:
    from tests.unit.simulated.creditworker import CreditWorker
    from tests.unit.simulated.world import World
    from zmqpipeline.delivery.assignment import Assignment, Work
    from zmqpipeline.execution import Execution

#: the largest frame that is sent, in bytes
MAX_MESSAGE = 1 << 20
_SILENT = logging.Logger("silent", logging.CRITICAL)  # noqa: LOG001 - nobody is to hear it


class Teller(Reporter):
    """A worker's own reporter; the accounts note which failures it tells of."""

    def __init__(self, world: World, results: Outbox, distributor: Outbox, worker: bytes = b"") -> None:
        super().__init__(cast("Any", results), cast("Any", distributor), _SILENT, "", worker)
        self._world = world

    def fail(self, assignment: Assignment, work: Work, place: int, error: dict[str, Any]) -> None:
        ((task_id, _),) = envelope.part(work.ids, place, 1)
        self._world.accounts_of(work.run).report(assignment.task, task_id)
        super().fail(assignment, work, place, error)


class Call:
    """Some work in the hands of one thread; one task of it may keep that thread busy for long."""

    def __init__(self, execution: Execution, slow: tuple[int, float] | None) -> None:
        self.execution = execution
        #: which of the tasks takes long, and how long, in seconds
        self._slow_place, self._seconds = slow or (-1, 0.0)
        self.since = self._until = math.inf
        self.relieved = self.over = False

    def is_stuck(self, now: float) -> bool:
        """Tell whether it is in the slow task, which it enters when it gets there."""
        if self.execution.position != self._slow_place:
            return False
        if self.since == math.inf:
            self.since, self._until = now, now + self._seconds
        return now < self._until

    def is_slow(self, now: float) -> bool:
        """Tell whether it has been in the slow task for long."""
        return self.is_stuck(now) and now - self.since >= SLOW

    def go_on(self, world: World, task: str, now: float) -> bool:
        """Do what can be done by now; tell whether everything is done."""
        execution, work = self.execution, self.execution.work
        while execution.position < len(work.tasks):
            if self.is_stuck(now):
                return False
            place = execution.position
            data = work.tasks[place]
            ((task_id, _),) = envelope.part(work.ids, place, 1)
            error = world.accounts_of(work.run).attempt(task, task_id, data)
            if error is None:
                execution.done.append(serializer.serialize({**data, "done": True}))
            else:
                execution.failed(error)
        return True


class Heartbeat:
    """Speaks for one incarnation of a worker, by connections of its own.

    It does what :class:`zmqpipeline.heartbeat.Heartbeat` does, when it is told to take a step.
    """

    def __init__(self, world: World, worker: CreditWorker) -> None:
        self._world = world
        self._worker = worker
        self._assignment = worker.assignment
        self.connection = world.connect(worker.task, worker.process, "heartbeat")
        self.results = world.link_to_collector(worker.process)
        self._results, self._told = Outbox(self.results), Outbox(self.connection.to_hub)
        self._reporter = Teller(world, self._results, self._told, worker.connection.address)
        self._beat_at = world.now + LIVENESS.interval

    def step(self) -> None:
        """Beat, look at the calls, and send what waits."""
        now = self._world.now
        if now >= self._beat_at:
            self._beat_at = now + LIVENESS.interval
            self._beat()
        for call in self._worker.calls:
            if call is not None and call.is_stuck(now):
                self._look(call, now)
        self._results.flush()
        self._told.flush()

    def close(self) -> None:
        """End it: what waits is lost, what was sent is not."""
        self.connection.close()

    def _beat(self) -> None:
        if not self._worker.backlog and not self._told:
            self._reporter.tell(self._assignment.heartbeat())

    def _look(self, call: Call, now: float) -> None:
        if not call.relieved and call.is_slow(now):
            call.relieved = True
            self._relieve(call.execution, now)
        limit = self._assignment.time_limit
        if limit is not None and not call.over and now - call.since > limit:
            call.over = call.execution.abandoned = True
            self._over(call.execution)

    def _relieve(self, execution: Execution, now: float) -> None:
        """Send what is done, let others do what was not begun, tell what is running."""
        worker = self._worker
        self._assignment.requeue(execution.work, execution.cut())
        message = None
        if all(call is not None and call.is_slow(now) for call in worker.calls):
            message = self._assignment.give_back()
            worker.paused = True
        self._reporter.report(self._assignment, execution, MAX_MESSAGE)
        if message is not None:
            self._reporter.tell(message)
        self._beat()

    def _over(self, execution: Execution) -> None:
        """Report that a task has passed its time limit; the process ends if nothing else is left to do."""
        error = describe(TimeoutError("too long"), retry=True)
        self._reporter.fail(self._assignment, execution.work, execution.position, error)
        if self._worker.gives_up():
            self._reporter.report(self._assignment, execution, MAX_MESSAGE)
            self._reporter.tell(self._assignment.goodbye())
            self._worker.end()
