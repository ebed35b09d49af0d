"""The results of one message, while a collector handles them."""

from __future__ import annotations

from operator import length_hint
from typing import TYPE_CHECKING, Any, NamedTuple

from zmqpipeline.wire import envelope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline.delivery.intervals import Range


class Results(NamedTuple):
    """Knows which of them is being handled when it is asked, so that nothing is noted for each."""

    run: str | None  #: that they belong to
    task: str  #: their task type
    ranges: list[Range]  #: their ids
    total: int  #: how many there are
    items: Iterator[
        Any
    ]  #: what the workers returned, in the order of the ids, to be taken one after the other

    @property
    def taken(self) -> int:
        """How many were taken."""
        return self.total - length_hint(self.items)

    @property
    def current_id(self) -> str:
        """The id of the one that was taken last: run, task type and number, joined by ``-``."""
        ((number, _),) = envelope.part(self.ranges, max(0, self.taken - 1), 1)
        return f"{self.run or ''}-{self.task}-{number}"


#: before the first message
NO_RESULTS = Results("", "", [(0, 1)], 0, iter(()))
