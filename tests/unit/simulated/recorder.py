"""What stands for the network where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.simulated.links import reopened
from zmqpipeline.delivery.ports import Outcome
from zmqpipeline.wire import envelope

if TYPE_CHECKING:
    from zmqpipeline.wire.envelope import Message


class Recorder:
    """What a book or a dispatch sends to, where there is no network: as a peer would read it."""

    def __init__(self) -> None:
        self._sent: list[tuple[bytes, Message]] = []
        self._told: list[Message] = []
        self.outcomes: dict[bytes, Outcome] = {}  #: of those that cannot be sent to
        self.room = True  #: whether the collector has some

    def to_worker(self, task: str, address: bytes, message: Message) -> Outcome:
        outcome = self.outcomes.get(address, Outcome.SENT)
        if outcome is Outcome.SENT:
            self._sent.append((address, reopened(envelope.encode(message))))
        return outcome

    def to_collector(self, message: Message) -> bool:
        if self.room:
            self._told.append(reopened(envelope.encode(message)))
        return self.room

    def to(self, address: bytes) -> list[Message]:
        """Take what was sent to a worker."""
        found = [message for receiver, message in self._sent if receiver == address]
        self._sent = [(receiver, message) for receiver, message in self._sent if receiver != address]
        return found

    def told(self) -> list[Message]:
        """Take what was sent to the collector."""
        told, self._told = self._told, []
        return told
