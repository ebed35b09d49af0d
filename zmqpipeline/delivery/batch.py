"""Tasks that were handed out together, as long as they stay together."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from zmqpipeline.failure import size_of_error

if TYPE_CHECKING:
    from collections.abc import Hashable

#: the holder of a batch that waits to be handed out (again)
NOBODY: Hashable = None
#: what a batch takes beside its packed dictionaries and its error, in bytes
BATCH_COST = 512


class Batch:
    """Tasks of contiguous ids that are in one place.

    Parameters
    ----------
    first, count
        the first id, and how many there are
    body
        the packed dictionaries, one after another
    holder
        who has them

    """

    # not set for each batch, because few are ever different
    is_booked: bool = False  #: whether it is in the ledger
    attempt: int = 0  #: how often it was handed out, and not given back untouched
    failures: int = 0  #: how often its execution failed (a batch with failures has one task)
    deaths: int = 0  #: how many workers died while this was the only task in their hands
    killed: tuple[tuple[Any, Any], ...] = ()  #: host and pid of each of them
    suspects: int = 0  #: hand out no more than so many of these at a time, to a worker that has nothing else
    number: int = 0  #: the number of the message to this holder that carried it
    order: int = 0  #: the credit of this holder that it answers
    not_before: float = 0.0  #: when it may be handed out again, in seconds of the caller's clock
    shunned: Hashable = NOBODY  #: the worker on which it failed last
    finished_at: float | None = None  #: when its holder said that it is done with it
    given_at: float = 0.0  #: when its holder got it
    overdue: int = 0  #: how often its result did not come
    error: dict[str, Any] = {}  # noqa: RUF012 #: what the last failure said; replaced, never changed

    def __init__(self, first: int, count: int, body: bytes, holder: Hashable = NOBODY) -> None:
        self.first = first
        self.count = count
        self.body = body
        self.holder = holder
        self.left = count  #: how many are not acknowledged

    def part(self, first: int, count: int, body: bytes) -> Batch:
        """Make a batch of some of its tasks."""
        made = copy(self)
        made.first, made.count, made.body = first, count, body
        return made

    @property
    def end(self) -> int:
        """The id behind its last."""
        return self.first + self.count

    @property
    def weight(self) -> int:
        """How much memory it takes, about, in bytes."""
        return BATCH_COST + len(self.body) + (size_of_error(self.error) if self.error else 0)
