"""SingleThreadedWorker: one task after the other, in one thread."""

from __future__ import annotations

import abc
import time
from typing import Any

from zmqpipeline.delivery.credit import MOST_BYTES
from zmqpipeline.execution import Execution
from zmqpipeline.stopping import NOW, StopNow
from zmqpipeline.typed import In, Out
from zmqpipeline.worker import Worker


class SingleThreadedWorker(Worker[In, Out]):
    """A worker that does one task after the other, in the thread that called :meth:`run`.

    Implement :meth:`handle_execution`; what it returns is what the collector gets.
    """

    @abc.abstractmethod
    def handle_execution(self, data: In, *args: Any, **kwargs: Any) -> Out | None:
        """Do one task: what it gets and returns is as in :meth:`Worker.handle_execution`."""

    def _work(self) -> None:
        with self._shared.lock:
            work = self._assignment.next(self._credit.round)
        if work is None:
            return
        self._executions[0] = execution = Execution(work)
        inside, begun = self._user_code, time.perf_counter()
        try:
            inside.runs = True
            if inside.stopper is not None and inside.stopper.level >= NOW:
                raise StopNow
            execution.run(self.handle_execution, self._call_name, self._packer, MOST_BYTES)
        finally:
            inside.runs = False
        self._executions[0] = None
        self._finished(execution, time.perf_counter() - begun)
