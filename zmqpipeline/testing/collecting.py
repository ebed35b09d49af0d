"""The collector of a simulated run, in all its lives."""

# ruff: noqa: SLF001 - it stands in for the loop of a Collector, and calls what that calls

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic

from zmqpipeline.collector import HEARTBEAT, HELLO_INTERVAL, Collector
from zmqpipeline.delivery.intervals import Intervals
from zmqpipeline.delivery.settlement import Settlement
from zmqpipeline.testing.faults import Kind
from zmqpipeline.testing.result import C, Failure
from zmqpipeline.testing.seats import RESTART_TIME
from zmqpipeline.wire import envelope, messages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zmqpipeline.testing.network import Network
    from zmqpipeline.testing.result import Result
    from zmqpipeline.testing.seats import Maker
    from zmqpipeline.wire.envelope import Message


class CollectorSeat(Generic[C]):
    """Where the collector works, until it is killed and another takes its place.

    Parameters
    ----------
    network
        the wires
    maker
        makes the collectors
    result
        where to write down what they get

    """

    def __init__(self, network: Network, maker: Maker[C], result: Result[C]) -> None:
        self._network = network
        self._maker = maker
        self._result = result
        self._restart_at: float | None = None
        self._lost = 0  #: how many distributors it has seen go
        self.ended = False
        self._start()

    @property
    def who(self) -> str:
        """What the history calls the collector."""
        lives, name = len(self._result.collectors), type(self._collector).__name__
        return name if lives == 1 else f"{name}, life {lives}"

    def step(self) -> bool:
        """Do what a collector's loop does once; tell whether anything happened."""
        now = self._network.clock.now
        if self.ended:
            return False
        if not self._network.collector_is_up:
            if self._restart_at is None or now < self._restart_at:
                return False
            self._start()
            return True
        moved = False
        if self._network.distributors_lost != self._lost:  # another one is to be told who is there
            self._lost = self._network.distributors_lost
            self._greeted, self._hello_at = False, now
        while self._network.to_collector and not self.ended:  # nothing is left there once it was killed
            moved = True
            self._receive(self._network.to_collector.popleft(), now)
        if self._restart_at is None:
            self._send_due(now)
        return moved

    def wake_at(self) -> float | None:
        """Tell when something is due next."""
        if self.ended or not self._network.collector_is_up:
            return self.certain_at()
        return self._beat_at if self._greeted else self._hello_at

    def certain_at(self) -> float | None:
        """Tell when it is started again, if it was killed."""
        return None if self._network.collector_is_up else self._restart_at

    def release(self) -> None:
        """Give the program its collector back, unless it was killed and had that before."""
        if self._restart_at is not None:
            return
        self._result.duplicates += self._settlement.duplicates
        for name in ("_settlement", "_has_ack_data", "_slice"):
            vars(self._collector).pop(name, None)

    # -- its lives ------------------------------------------------------------

    def _start(self) -> None:
        collector = self._maker.make()
        self._collector = collector
        self._result.collectors.append(collector)
        self._restart_at = None
        self._greeted = False
        self._hello_at = self._beat_at = self._network.clock.now
        self._settlement = Settlement(f"life {len(self._result.collectors)}")
        speaks = type(collector).get_ack_data is not Collector.get_ack_data
        vars(collector).update(_settlement=self._settlement, _has_ack_data=speaks)
        self._network.collector_is_up = True
        self._network.clock.note("started", "", None, self.who)

    def _die(self) -> None:
        self.release()
        self._network.collector_gone()
        self._restart_at = self._network.clock.now + RESTART_TIME

    # -- what comes -------------------------------------------------------------

    def _receive(self, frame: bytes, now: float) -> None:
        message, settlement = envelope.decode(frame), self._settlement
        if message is None:
            return
        if message.type == messages.MESSAGE_TYPE_META_DATA:
            answer = settlement.start(message)
            if answer is not None:
                self._collector.metadata = message.data
                self._greeted = True
                self._say(answer)
        elif not settlement.belongs(message):
            pass
        elif message.type == messages.MESSAGE_TYPE_DATA:
            self._collect(message, frame)
        elif message.type == messages.MESSAGE_TYPE_FAILURE:
            self._collect_failure(message, frame)
        elif message.type == messages.MESSAGE_TYPE_SUCCESS:
            settlement.confirm(message, now)
        elif message.type == messages.MESSAGE_TYPE_END and message.life == settlement.life:
            self._finish(now)

    def _collect(self, message: Message, frame: bytes) -> None:
        """Let the program handle what is new, up to where it is killed."""
        ids = [number for first, count in message.ranges for number in range(first, first + count)]
        new = Intervals(self._settlement.fresh(message.task, message.ranges))
        places: dict[int, int] = {}
        for place, number in enumerate(ids):
            if number in new:
                places.setdefault(number, place)
        last = self._last_of(message.task, places)
        if last is not None:
            handled = list(places)[: list(places).index(last) + 1]
            places = {number: places[number] for number in handled}
        copies = _data(envelope.decode(frame))  # the program may change what it gets
        for number, place in places.items():
            self._result.collected.append((message.task, copies[place]))
            self._result.result_ids.append(f"{message.run}-{message.task}-{number}")
            self._network.clock.note("collected", message.task, number, self.who)
        if last is None:
            self._collector._collect(message)
            return
        data = _data(message)
        ranges = [(number, 1) for number in places]
        part = replace(message, id=None, ids=ranges, data=[data[place] for place in places.values()])
        self._collector._collect(part)
        self._killed(message.task, last)

    def _last_of(self, task: str, numbers: Iterable[int]) -> int | None:
        """Find the result behind which a fault kills the collector, if there is one among these."""
        if self._network.faults.armed(Kind.RESTART_COLLECTOR):
            for number in numbers:
                if self._network.faults.handled(task, number) is not None:
                    return number
        return None

    def _collect_failure(self, message: Message, frame: bytes) -> None:
        number = message.id
        if number is None or not self._settlement.fresh(message.task, [(number, 1)]):
            self._collector._collect_failure(message)
            return
        (data,) = _data(envelope.decode(frame))
        self._result.failures.append(Failure(message.task, data, dict(message.error or {})))
        self._network.clock.note("failed", message.task, number, self.who)
        self._collector._collect_failure(message)
        if self._last_of(message.task, [number]) is not None:
            self._killed(message.task, number)

    def _killed(self, task: str, number: int) -> None:
        self._network.clock.note(Kind.RESTART_COLLECTOR.value, task, number, self.who)
        self._die()

    def _finish(self, now: float) -> None:
        self._network.clock.note("finished", "", None, self.who)
        self._result.finished = True
        self._collector.handle_finished("", "")
        self._send_due(now)
        self._say(self._settlement.goodbye(ended=True))
        self.ended = True

    # -- what is said -----------------------------------------------------------

    def _send_due(self, now: float) -> None:
        if not self._greeted and now >= self._hello_at:
            self._hello_at = now + HELLO_INTERVAL
            self._say(self._settlement.hello({"protocol": envelope.PROTOCOL_VERSION, "name": self.who}))
        if now >= self._beat_at:
            self._beat_at = now + HEARTBEAT
            self._settlement.repeat(now)
            if self._greeted:
                self._say(self._settlement.heartbeat())
        while (ack := self._settlement.next_unsent()) is not None:
            fault = self._network.faults.among(Kind.LOSE_ACKS, ack.task, ack.ranges)
            if fault is None:
                self._say(ack)
            else:
                self._network.clock.note_fault(fault, self.who)
            self._settlement.sent(now)

    def _say(self, message: Message) -> None:
        self._network.acks.append(envelope.encode(message))


def _data(message: Message | None) -> list[Any]:
    """List what a message brings, be it one or several."""
    assert message is not None  # noqa: S101 - it was opened before
    data: list[Any] = [message.data] if message.ids is None else message.data
    return data
