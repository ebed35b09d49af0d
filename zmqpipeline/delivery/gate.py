"""Asks a gated task whether it wants to hand out; each acknowledgement is a new question."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from zmqpipeline.delivery.intervals import Intervals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zmqpipeline.delivery.intervals import Range
    from zmqpipeline.delivery.ports import Journal, Source

#: the collector's number of an ACK, what travelled with it, whether the task failed
Feedback = tuple[int, Any, bool]


class Gate:
    """Tells a gated task of its acknowledgements, one by one, and asks it in between.

    Parameters
    ----------
    name
        the task type
    source
        the task
    interval
        how often it is asked without any news, in seconds
    journal
        told that the task was asked: it may have changed

    """

    def __init__(self, name: str, source: Source, interval: float, journal: Journal) -> None:
        self._name = name
        self._source = source
        self._interval = interval
        self._journal = journal
        self._ask_at = 0.0
        self.pending: deque[Feedback] = deque()  #: what the task has not heard yet

    def heard(
        self, number: int, ids: Iterator[int], feedback: list[Any] | None, failed: Iterable[Range]
    ) -> None:
        """Take in the acknowledgement of some ids, in their order."""
        failures = Intervals(failed)
        for index, task_id in enumerate(ids):
            extra = feedback[index] if feedback and index < len(feedback) else None
            self.pending.append((number + index, extra, task_id in failures))
        while self.pending and self._source.exhausted:
            self._tell()

    def may_ask(self, now: float) -> bool:
        """Tell whether the task makes another one now."""
        if not self.pending and (now < self._ask_at or self._source.exhausted):
            return False
        self._journal.changed(self._name)
        while self.pending:
            self._tell()
            if self._asked(now):
                return True
        return now >= self._ask_at and self._asked(now)

    def _asked(self, now: float) -> bool:
        self._ask_at = 0.0
        if not self._source.exhausted and self._source.available():
            return True
        self._ask_at = now + self._interval
        return False

    def _tell(self) -> None:
        number, feedback, failed = self.pending.popleft()
        self._source.acknowledged(1, number, None if feedback is None else [feedback], failed)
