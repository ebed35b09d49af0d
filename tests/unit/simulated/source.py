"""Where simulated tasks come from: numbers, some of which fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zmqpipeline.wire import serializer

if TYPE_CHECKING:
    from collections.abc import Callable

#: the id of a run that has no other
RUN = "the run"
#: every fifth task fails whenever it is tried, the one before it the first time
ALWAYS_FAILS, FAILS_FIRST = 4, 3


class Numbers:
    """A source that hands out ``{"n": 0}``, ``{"n": 1}``, ... up to a total; a gated one, one at a time.

    With the number of a life of the distributor, each also says ``by`` which life it was made.
    """

    max_attempts = 3
    retry_delay = 1.0
    max_message = 64 * 1024 * 1024
    max_worker_deaths = 10**6  # who dies here, dies of other things

    def __init__(
        self, total: int, *, gated: bool = False, time_limit: float | None = None, by: int | None = None
    ) -> None:
        self.total = total
        self.gated = gated
        self.time_limit = time_limit
        self.by = by
        self.made = 0
        self.acked = 0
        self.metadata: dict[str, Any] | None = None
        self.acknowledgements: list[tuple[int, int, list[Any] | None, bool]] = []
        self.feedback: list[Any] = []
        self.workers: list[bytes] = []
        self.when_opened: Callable[[], None] = lambda: None

    @property
    def exhausted(self) -> bool:
        return self.made >= self.total

    def initialize(self, metadata: dict[str, Any]) -> None:
        assert self.metadata is None, "initialized twice"
        self.metadata = metadata
        self.when_opened()

    def available(self) -> bool:
        return self.acked == self.made

    def fill(self, limit: int, address: bytes) -> tuple[bytes, int]:
        assert limit >= 1
        assert not self.exhausted
        count = min(limit, self.total - self.made)
        said = {} if self.by is None else {"by": self.by}
        made = range(self.made, self.made + count)
        self.made += count
        return b"".join([serializer.serialize({"n": n, **said}) for n in made]), count

    def acknowledged(self, count: int, first: int, feedback: list[Any] | None, failed: bool) -> None:
        self.acknowledgements.append((count, first, feedback, failed))
        self.acked += count
        self.feedback += feedback or []

    def joined(self, address: bytes) -> None:
        self.workers.append(address)

    # -- for a journal ----------------------------------------------------------

    def counters(self) -> list[Any]:
        return [self.acked, list(self.feedback)]

    def checkpoint(self) -> bytes | None:
        return serializer.serialize({"made": self.made})

    def resume(self, counters: list[Any], checkpoint: dict[str, Any] | None) -> None:
        self.acked, feedback = counters
        self.feedback = list(feedback)
        if checkpoint is not None:
            self.made = checkpoint["made"]
