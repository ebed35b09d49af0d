"""The distributor's seat in a simulated run: it may be killed there, and started again with its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zmqpipeline.testing.faults import Kind
from zmqpipeline.testing.hub import RUN, Hub, Killed
from zmqpipeline.testing.notebook import Notebook

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.task import Task
    from zmqpipeline.testing.network import Network

#: how long it takes until another distributor is there, in simulated seconds
RESTART_TIME = 0.5


class DistributorSeat:
    """Holds one distributor after the other; there is a journal if one of them is to be killed.

    Parameters
    ----------
    network
        the wires
    tasks
        the Task instances by task type, for the first distributor
    again
        makes others, for the next ones
    metadata
        what everybody is told

    """

    def __init__(
        self,
        network: Network,
        tasks: dict[str, Task[Any, Any]],
        again: Callable[[], dict[str, Task[Any, Any]]],
        metadata: dict[str, Any],
    ) -> None:
        self._network = network
        self._again = again
        self._metadata = metadata
        has_journal = network.faults.armed(Kind.RESTART_DISTRIBUTOR)
        self._journal = Notebook(RUN, tasks, due=True) if has_journal else None
        self._restart_at: float | None = None
        self.tasks = tasks  #: of the distributor that is there, or was there last
        self.hub = Hub(network, tasks, metadata, self._journal)

    def step(self) -> bool:
        """Let the distributor do what its loop does once; tell whether anything happened."""
        if self._restart_at is not None:
            if self._network.clock.now < self._restart_at:
                return False
            self._start()
        try:
            return self.hub.step()
        except Killed:
            self._restart_at = self._network.clock.now + RESTART_TIME
            self._network.distributor_gone()
            return True

    def finished(self) -> bool:
        """Tell whether everybody knows that the run is over."""
        return self._restart_at is None and self.hub.finished()

    def wake_at(self) -> float:
        """Tell when something is due next."""
        return self.hub.wake_at() if self._restart_at is None else self._restart_at

    def certain_at(self) -> float | None:
        """Tell when something is due that brings the run on."""
        return self.hub.retry_at() if self._restart_at is None else self._restart_at

    def _start(self) -> None:
        assert self._journal is not None  # noqa: S101 - nobody is killed without one
        self._restart_at = None
        self._journal.reopen()
        self.tasks = self._again()
        self.hub = Hub(self._network, self.tasks, self._metadata, self._journal)
        self._network.clock.note("started", "", None, "Distributor")
