"""A simulated run: who takes a step when, how time passes, and when it is over or stuck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol

from zmqpipeline.errors import FaultNotReachedError, SimulationLimitError, StalledError
from zmqpipeline.testing.collecting import CollectorSeat
from zmqpipeline.testing.distributing import DistributorSeat
from zmqpipeline.testing.faults import Injection
from zmqpipeline.testing.network import Network
from zmqpipeline.testing.result import C, Result
from zmqpipeline.testing.seats import Seat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zmqpipeline.task import Task
    from zmqpipeline.testing.faults import Fault
    from zmqpipeline.testing.seats import Maker
    from zmqpipeline.worker import Worker

#: a run in which nothing happens for so long is stuck, in simulated seconds: longer than any patience inside
PATIENCE = 60.0
#: the shortest step of time, in simulated seconds
_TICK = 0.0001


@dataclass(frozen=True)
class Plan(Generic[C]):
    """Who takes part, and how long it may take.

    Parameters
    ----------
    tasks
        the Task instances by task type
    again
        makes others, for another distributor
    metadata
        what everybody is told
    collector
        makes the collectors
    workers
        makes the workers, one entry for each seat
    check
        refuses a worker that would never meet the others
    max_steps, max_time
        turns of the loop, and simulated seconds

    """

    tasks: dict[str, Task[Any, Any]]
    again: Callable[[], dict[str, Task[Any, Any]]]
    metadata: dict[str, Any]
    collector: Maker[C]
    workers: Sequence[Maker[Worker[Any, Any]]]
    check: Callable[[Worker[Any, Any]], None]
    max_steps: int
    max_time: float


class _Actor(Protocol):
    def step(self) -> bool: ...
    def wake_at(self) -> float | None: ...


class Simulation(Generic[C]):
    """One run.

    Parameters
    ----------
    plan
        who takes part
    faults
        what is to go wrong

    """

    def __init__(self, plan: Plan[C], faults: Sequence[Fault]) -> None:
        self._plan = plan
        self._faults = Injection(faults)
        self._network = Network(self._faults)
        self._clock = self._network.clock
        self._result: Result[C] = Result(tasks=plan.tasks, history=self._clock.history)
        self._distributor = DistributorSeat(self._network, plan.tasks, plan.again, plan.metadata)
        self._collector: CollectorSeat[C] | None = None
        self._seats: list[Seat] = []
        self._steps = 0
        #: what was achieved when something was achieved last, and when that was
        self._achieved = (0, 0)
        self._since = self._clock.now

    def run(self) -> Result[C]:
        """Let everybody take steps until the run is over."""
        try:
            actors = self._set_up()
            while not self._distributor.finished():
                self._check_limits()
                self._turn(actors)
        finally:
            self._close()
        missed = self._faults.never_happened()
        if missed:
            raise FaultNotReachedError(
                f"{' and '.join(map(str, missed))} never happened: the run was over before. "
                f"It had {self._counted()}"
            )
        return self._result

    def _set_up(self) -> list[_Actor]:
        """Put everybody in place."""
        self._collector = CollectorSeat(self._network, self._plan.collector, self._result)
        for number, maker in enumerate(self._plan.workers, 1):
            self._seats.append(Seat(self._network, maker, number, self._plan.check))
        return [self._distributor, self._collector, *self._seats]

    def _turn(self, actors: list[_Actor]) -> None:
        """Let each take a step; when nobody has anything to do, let time pass."""
        moved = self._network.deliver_late()
        for actor in actors:
            moved = actor.step() or moved
        if moved:
            return
        now = self._clock.now
        due = [at for actor in actors if (at := actor.wake_at()) is not None]
        certain = self._certain()
        if not certain and now - self._since > PATIENCE:
            raise StalledError(self._stalled())
        self._clock.now = max(min([*due, *certain]), now + _TICK)

    def _certain(self) -> list[float]:
        """List when something is due that brings the run on."""
        assert self._collector is not None  # noqa: S101 - _set_up made it
        found = [self._network.next_late, self._distributor.certain_at(), self._collector.certain_at()]
        found += [seat.certain_at() for seat in self._seats]
        return [at for at in found if at is not None]

    # -- when it does not end -------------------------------------------------

    def _check_limits(self) -> None:
        self._steps += 1
        achieved = len(self._clock.history), self._distributor.hub.dispatch.acknowledged
        if achieved != self._achieved:
            self._achieved, self._since = achieved, self._clock.now
        if self._steps > self._plan.max_steps:
            self._give_up(f"{self._plan.max_steps} steps (max_steps)")
        if self._clock.elapsed > self._plan.max_time:
            self._give_up(f"{self._plan.max_time:g} simulated seconds (max_time)")

    def _give_up(self, limit: str) -> None:
        waiting = "; ".join(self._distributor.hub.waits_for())
        raise SimulationLimitError(
            f"the run has not ended after {limit}. It had {self._counted()}. {waiting}. "
            f"Does a task never set is_complete?"
        )

    def _stalled(self) -> str:
        workers = ", ".join(seat.state for seat in self._seats) or "none"
        waiting = (
            "; ".join(self._distributor.hub.waits_for())
            or "everything is done, and a peer does not say goodbye"
        )
        return (
            f"nothing has happened for {PATIENCE:g} simulated seconds: {waiting}. "
            f"Workers: {workers}. The run had {self._counted()}"
        )

    def _counted(self) -> str:
        count = self._distributor.hub.dispatch.statistics()
        return (
            f"{count.handed_out} tasks handed out, {count.acknowledged} acknowledged, {count.failed} failed"
        )

    def _close(self) -> None:
        """Give the program its objects back, and count."""
        for seat in self._seats:
            seat.hands.close()
            self._result.workers += seat.workers
        if self._collector is not None:
            self._collector.release()
        self._result.tasks = self._distributor.tasks
        count = self._distributor.hub.dispatch.statistics()
        self._result.handed_out, self._result.acknowledged = count.handed_out, count.acknowledged
        self._result.failed, self._result.redelivered = count.failed, count.redelivered
        self._result.duration = round(self._clock.elapsed, 6)
