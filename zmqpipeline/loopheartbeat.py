"""The heartbeat of an asyncio worker: it looks after the event loop instead of after single tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zmqpipeline.eventloop import overdue, report
from zmqpipeline.heartbeat import IDLE_GLANCE, Heartbeat

if TYPE_CHECKING:
    from zmqpipeline.eventloop import EventLoop

#: tasks that wait for so long while none is begun and none ends are given back, in seconds
STUCK = 0.1
#: a loop that stands still for so long is worth a line in the log, in seconds
BLOCKED = 1.0
#: coroutines that were cancelled may take so long to end, in seconds, if no other can be begun meanwhile
GRACE = 1.0
#: from one look to the next no more than this counts, in seconds: the whole process may have stood still
_NOTICED = 1.5 * IDLE_GLANCE


class LoopHeartbeat(Heartbeat):
    """Speaks for one incarnation of an asyncio worker; how many tasks that does at a time costs nothing here.

    Parameters
    ----------
    loop
        the worker's event loop
    *parts
        what every heartbeat gets

    """

    def __init__(self, loop: EventLoop, *parts: Any) -> None:
        super().__init__(*parts)
        self._loop = loop
        self._moves = 0
        self._looked = 0.0
        #: for how long nothing was begun though something waits, the loop has said nothing, and all that runs
        #: has passed its time limit, in seconds
        self._stuck = self._silent = self._lost = 0.0
        self._is_said = False

    def _look_at_all(self, now: float) -> bool:
        loop, limit = self._loop, self._shared.assignment.time_limit
        passed, self._looked = min(now - self._looked, _NOTICED), now
        self._silent = self._silent + passed if loop.is_silent else 0.0
        self._lost = self._lost + passed if len(loop.over) >= loop.size else 0.0
        self._say_silence()
        if limit is not None:
            self._look_at_limit(limit)
        has_moved, self._moves = loop.moves != self._moves, loop.moves
        waits = bool(self._shared.assignment.work) and not self._shared.backlog
        self._stuck = self._stuck + passed if waits and not has_moved else 0.0
        if self._stuck >= STUCK:
            self._stuck = 0.0
            self._relieve_loop()
        if loop.running:
            loop.ask(limit)
        return bool(loop.running) and limit is not None and limit < 2 * STUCK

    def _say_silence(self) -> None:
        """Say that the loop stands still, once each time."""
        if self._silent < BLOCKED:
            self._is_said = False
        elif not self._is_said:
            self._is_said = True
            self._logger.warning(
                "%s: the event loop has stood still for %g s: a coroutine has to await whatever takes time, "
                "or hand it to a thread with asyncio.to_thread()",
                self._subject, BLOCKED,
            )  # fmt: skip

    def _look_at_limit(self, limit: float) -> None:
        """End what does not let the loop cancel it, and with it the process, if that is the worker's own."""
        has_failed = False
        if self._silent > limit:
            for one in self._loop.culprits(limit):
                has_failed = True
                self._reporter.fail(self._shared.assignment, one.work, 0, overdue(limit))
        if (has_failed or self._lost >= GRACE) and self._give_up():
            self._end_process()

    def _relieve_loop(self) -> None:
        """Give back what waits: nothing is about to end, so others can have it."""
        shared = self._shared
        with shared.lock:
            if not self._loop.running:
                return  # whoever ends says that there is room again, so there must be one
            message = shared.assignment.give_back()
            shared.paused = True
        self._reporter.tell(message)
        self._beat()

    def _longest(self, _now: float) -> float:
        return self._silent

    def _send_all_done(self) -> None:
        report(self._reporter, self._shared.assignment, self._loop.made())
