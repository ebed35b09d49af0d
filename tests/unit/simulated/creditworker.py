"""A worker that asks for several tasks at a time: its main thread, and the threads that do them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.simulated.heartbeat import MAX_MESSAGE, Call, Heartbeat, Teller
from tests.unit.simulated.hub import METADATA
from tests.unit.simulated.links import Outbox
from zmqpipeline.delivery.assignment import Assignment
from zmqpipeline.execution import Execution

if TYPE_CHECKING:
    from tests.unit.simulated.links import Link
    from tests.unit.simulated.world import World

#: where all processes are
HOST = "simulated"


class CreditWorker:
    """A worker that asks for several tasks at a time.

    Parameters
    ----------
    world
        where it is
    process
        its number there
    task
        the task type
    credit
        for how many tasks it asks
    threads
        how many do the tasks, beside the main thread; 0 if the main thread does them
    ends_itself
        whether its process ends when all its threads have passed the time limit

    """

    def __init__(
        self,
        world: World,
        process: int,
        task: str,
        credit: int,
        *,
        threads: int = 0,
        ends_itself: bool = False,
    ) -> None:
        self._world = world
        self.process = process
        self.task = task
        self.ended = False
        self.paused = False
        self.calls: list[Call | None] = [None] * max(1, threads)
        self.heartbeat: Heartbeat | None = None
        #: what tells its process from the one that comes after it
        pid = world.new_pid()
        self.info: dict[str, Any] = {"host": HOST, "pid": pid, "process": f"process {pid}"}
        self.results = world.link_to_collector(process)
        self._results = Outbox(self.results)
        self._credit = credit
        self._is_threaded = threads > 0
        self._ends_itself = ends_itself
        self._stopping = False
        self._slow: tuple[int, float] | None = None
        self._join()

    @property
    def backlog(self) -> bool:
        """Whether results wait for room to be sent."""
        return bool(self._results)

    def links(self) -> list[Link]:
        """List all links to and from it."""
        connections = [self.connection, self.heartbeat.connection] if self.heartbeat else [self.connection]
        results = [self.results, self.heartbeat.results] if self.heartbeat else [self.results]
        return [*results, *(link for c in connections for link in (c.to_hub, c.to_worker))]

    def slow_down(self, place: int, seconds: float) -> None:
        """Let one task of the next ones that are begun together take so long."""
        self._slow = place, seconds

    def stop(self, *, at_once: bool) -> None:
        """Ask it to leave: it gives back what it has not begun, and does the rest if there is time."""
        if self.ended:
            return
        if not self._stopping:
            self._stopping = True
            self._reporter.tell(self.assignment.give_back())
        if at_once:
            self._leave()

    def gives_up(self) -> bool:
        """Tell whether the process ends, because all its threads have passed the time limit."""
        return self._ends_itself and all(call is not None and call.over for call in self.calls)

    def end(self) -> None:
        """End the process: what was sent arrives, what waits to be sent is lost."""
        self.ended = True
        self.connection.close()
        if self.heartbeat is not None:
            self.heartbeat.close()

    def step(self, limit: int) -> None:
        """Go on with what was begun, read up to so many messages, begin with up to so many tasks."""
        now = self._world.now
        if self.ended or not self._go_on(now):
            return
        for message in self.connection.to_worker.take(limit):
            self.assignment.receive(message)
        if self.assignment.ended:
            self._leave()
            return
        if self.connection.seen_gone() or self.assignment.reset:
            self._part()
            self._join()
        if self._stopping and self._drain():
            return
        if self.assignment.started and not self._greeted:
            self._greet()
        self._results.flush()
        self._told.flush()
        if self._greeted and not self._stopping:
            self._begin(limit)
            self._go_on(now)

    def _part(self) -> None:
        """Forget the distributor and whatever it has said."""
        self.connection.close()
        if self.heartbeat is not None:
            self._world.leave_behind(self.heartbeat.results)
            self.heartbeat.close()
            self.heartbeat = None

    def _join(self) -> None:
        """Begin as a new incarnation."""
        self.connection = self._world.connect(self.task, self.process, "worker")
        self.assignment = Assignment(self.task)
        self.paused = self._greeted = False
        self._told = Outbox(self.connection.to_hub)
        self._reporter = Teller(self._world, self._results, self._told)
        self._reporter.tell(self.assignment.hello(self.info))

    def _greet(self) -> None:
        assert self.assignment.metadata == METADATA
        self._greeted = True
        self.heartbeat = Heartbeat(self._world, self)
        self._reporter.tell(self.assignment.ready(self._credit))

    def _begin(self, limit: int) -> None:
        """Give each thread that has nothing up to so many tasks."""
        for hand, call in enumerate(self.calls):
            if call is None and not self._results:
                work = self.assignment.next(limit)
                if work is not None:
                    self.calls[hand] = Call(Execution(work), self._slow)
                    self._slow = None

    def _go_on(self, now: float) -> bool:
        """Go on with what was begun; tell whether the main thread has nothing of that to do."""
        for hand, call in enumerate(self.calls):
            if call is None:
                continue
            if not call.go_on(self._world, self.task, now):
                if not self._is_threaded:
                    return False
                continue
            self.calls[hand] = None
            self._reporter.report(self.assignment, call.execution, MAX_MESSAGE)
            self.assignment.done(call.execution.work)
            if self.paused and not self._stopping:
                self.paused = False
                self._reporter.tell(self.assignment.ready(self._credit))
        return True

    def _drain(self) -> bool:
        """Leave when what was begun is done; tell whether it has left."""
        if self.assignment.has_work:
            self._reporter.tell(self.assignment.give_back())
        self._results.flush()
        self._told.flush()
        if any(self.calls) or self._results:
            return False
        self._leave()
        return True

    def _leave(self) -> None:
        """End: the distributor waits for the ACKs of what is done, and takes back only the rest."""
        if self._greeted:
            self._reporter.tell(self.assignment.heartbeat())
        self._reporter.tell(self.assignment.goodbye())
        self.end()
