"""A worker that asks, gets one answer, and asks again, like one with a REQ socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.simulated.links import Outbox
from zmqpipeline.wire import envelope, messages
from zmqpipeline.wire.envelope import Message

if TYPE_CHECKING:
    from tests.unit.simulated.links import Link
    from tests.unit.simulated.world import World


class LockstepWorker:
    """A worker in lock step; a process of its own.

    Parameters
    ----------
    world
        where it is
    process
        its number there
    task
        the task type

    """

    heartbeat = None

    def __init__(self, world: World, process: int, task: str) -> None:
        self._world = world
        self.process = process
        self._task = task
        self.ended = False
        self.results = world.link_to_collector(process)
        self._results = Outbox(self.results)
        self._join()

    def links(self) -> list[Link]:
        """List all links to and from it."""
        return [self.results, self.connection.to_hub, self.connection.to_worker]

    def slow_down(self, place: int, seconds: float) -> None:
        """Do nothing: it is as slow as its steps are rare."""

    def stop(self, *, at_once: bool) -> None:
        """Leave: it has nothing to give back, and nobody to tell."""
        if at_once or not self._results:
            self.end()

    def end(self) -> None:
        """End the process."""
        self.ended = True
        self.connection.close()

    def step(self, limit: int) -> None:
        """Take the answer, if it is there; do the task, and ask for the next one."""
        if self.ended or not self._results.flush():
            return
        if self.connection.seen_gone():
            self.connection.close()
            self._join()
        for answer in self.connection.to_worker.take(1):
            assert answer.type in {"METADATA", "DATA", "END", "RESET"}
            if answer.type == messages.MESSAGE_TYPE_END:
                self.end()
            else:
                self.connection.to_hub.put(envelope.encode(self._answer(answer)))

    def _join(self) -> None:
        self.connection = self._world.connect(self._task, self.process, "lockstep")
        self.connection.to_hub.put(b"")

    def _answer(self, answer: Message) -> Message:
        request = Message(messages.MESSAGE_TYPE_READY, self._task)
        if answer.type == messages.MESSAGE_TYPE_DATA:
            assert answer.id is not None
            assert answer.run is not None
            accounts = self._world.accounts_of(answer.run)
            echo: dict[str, Any] = {"run": answer.run, "id": answer.id, "attempt": answer.attempt}
            error = accounts.attempt(self._task, answer.id, answer.data)
            if error is not None:
                accounts.report(self._task, answer.id)
                return Message(messages.MESSAGE_TYPE_FAILURE, self._task, **echo, error=error)
            result = {**answer.data, "done": True}
            message = Message(messages.MESSAGE_TYPE_DATA, self._task, result, **echo)
            self._results.put([envelope.encode(message)])
        return request
