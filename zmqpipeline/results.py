"""The results of one message, while a collector handles them."""

from __future__ import annotations

from operator import length_hint
from typing import TYPE_CHECKING, Any

from zmqpipeline.wire import envelope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zmqpipeline.delivery.intervals import Range


class Results:
    """Knows which of them is being handled when it is asked, so that nothing is noted for each.

    Parameters
    ----------
    run, task
        the run and the task type that they belong to
    ranges
        their ids
    data
        what the workers returned, in the order of the ids

    """

    def __init__(self, run: str, task: str, ranges: list[Range], data: Sequence[Any]) -> None:
        self._run = run
        self._task = task
        self._ranges = ranges
        self._count = len(data)
        #: to be taken one after the other
        self.items = iter(data)

    @property
    def taken(self) -> int:
        """How many were taken."""
        return self._count - length_hint(self.items)

    @property
    def current_id(self) -> str:
        """The id of the one that was taken last: run, task type and number, joined by ``-``."""
        ((number, _),) = envelope.part(self._ranges, max(0, self.taken - 1), 1)
        return f"{self._run}-{self._task}-{number}"


#: before the first message
NO_RESULTS = Results("", "", [(0, 1)], ())
