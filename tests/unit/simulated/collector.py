"""The collector's part of the roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.simulated.accounts import each
from tests.unit.simulated.hub import METADATA
from zmqpipeline.delivery.intervals import Intervals
from zmqpipeline.delivery.settlement import Settlement
from zmqpipeline.wire import envelope, messages, serializer

if TYPE_CHECKING:
    from tests.unit.simulated.accounts import Accounts
    from tests.unit.simulated.links import Link
    from zmqpipeline.delivery.intervals import Range
    from zmqpipeline.wire.envelope import Message

#: it gives a sign of life so often, and says HELLO so often, in seconds
HEARTBEAT, HELLO_INTERVAL = 1.0, 0.25


class Collector:
    """One life of the collector.

    Parameters
    ----------
    life
        its number
    runs
        the accounts of all runs, the latest one last

    """

    def __init__(self, life: int, runs: list[Accounts]) -> None:
        self.life = f"life {life}"
        self.ended = False
        self.greeted = False
        #: whether the connection to a distributor is new
        self.came = True
        self._runs = runs
        self._accounts: Accounts | None = None
        self._settlement = Settlement(self.life)
        self._hello_at = self._beat_at = 0.0
        self._handled: set[tuple[str, str, int]] = set()
        self._turns = 0

    def step(self, sources: list[Link], acks: Link, limit: int, now: float) -> None:
        """Read up to so many messages from each link, and send what is due."""
        if self.came and not acks.severed:
            self.came = self.greeted = False
            self._settlement.connected()
            self._hello_at = now
        self._turns += 1
        turn = self._turns % len(sources)
        for link in (*sources[turn:], *sources[:turn]):
            for message in link.take(limit):
                if not self.ended:
                    self._receive(message, acks, now)
        if not self.ended:
            self._send(acks, now)

    def _receive(self, message: Message, acks: Link, now: float) -> None:
        if message.type == messages.MESSAGE_TYPE_META_DATA:
            answer = self._settlement.start(message)
            if answer is not None:
                self._start(message)
                self.greeted = acks.put(envelope.encode(answer))
        elif not self._settlement.belongs(message):
            pass
        elif message.type == messages.MESSAGE_TYPE_DATA:
            self._collect(message, failed=False)
        elif message.type == messages.MESSAGE_TYPE_FAILURE:
            self._collect(message, failed=True)
        elif message.type == messages.MESSAGE_TYPE_SUCCESS:
            self._settlement.confirm(message, now)
        elif message.type == messages.MESSAGE_TYPE_END and message.life == self.life:
            self._end(message)
            acks.put(envelope.encode(self._settlement.goodbye(ended=True)))

    def _start(self, message: Message) -> None:
        assert message.data == METADATA
        (accounts,) = (accounts for accounts in self._runs if accounts.run == message.run)
        if self._accounts is not None and self._runs.index(accounts) < self._runs.index(self._accounts):
            accounts.refuse(f"the collector goes from {self._accounts.run} back to {accounts.run}")
        self._accounts = accounts

    def _collect(self, message: Message, *, failed: bool) -> None:
        data = [message.data] if message.ids is None else message.data
        assert len(data) == envelope.total(message.ranges) > 0
        new = Intervals(self._settlement.fresh(message.task, message.ranges))
        for task_id, item in zip(each(message.ranges), data, strict=True):
            if task_id in new:
                self._handle(message, task_id, item, failed=failed)
        again = [part for ids in message.ranges for part in new.missing(*ids)]
        feedback = [serializer.serialize({"id": task_id}) for task_id in new]
        self._settle(message.task, new.ranges(), feedback=feedback, failed=failed)
        self._settle(message.task, again, again=True)

    def _handle(self, message: Message, task_id: int, data: Any, *, failed: bool) -> None:
        accounts = self._accounts
        assert accounts is not None, "handled before START"
        key = accounts.run, message.task, task_id
        if message.run != accounts.run:
            accounts.refuse(f"{message.task} {task_id} of {message.run} is collected in {accounts.run}")
        error = (message.error or {}).get("type", "") if failed else None
        accounts.collect(message.task, task_id, data, error=error, again=key in self._handled)
        self._handled.add(key)

    def _settle(self, task: str, ranges: list[Range], **how: Any) -> None:
        if not ranges:
            return
        assert self._accounts is not None
        if "again" in how:
            self._accounts.late += envelope.total(ranges)
        self._settlement.settle(task, ranges, **how)
        number = self._settlement._number
        self._accounts.acknowledge(self.life, number, task, ranges)

    def _end(self, message: Message) -> None:
        self.ended = True
        assert message.data == {}
        assert self._accounts is not None
        self._accounts.check_complete()

    def _send(self, acks: Link, now: float) -> None:
        if not self.greeted and now >= self._hello_at:
            self._hello_at = now + HELLO_INTERVAL
            acks.put(envelope.encode(self._settlement.hello({})))
        if now >= self._beat_at:
            self._beat_at = now + HEARTBEAT
            self._settlement.repeat(now)
            if self.greeted:
                acks.put(envelope.encode(self._settlement.heartbeat()))
        while (ack := self._settlement.next_unsent()) is not None:
            if not acks.put(envelope.encode(ack)):
                break
            self._settlement.sent(now)
