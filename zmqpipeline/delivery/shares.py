"""How much of a book one worker may hold, so that one that stands still leaves room for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zmqpipeline.wire.envelope import ENVELOPE_BYTES

if TYPE_CHECKING:
    from collections.abc import Hashable

    from zmqpipeline.delivery.batch import Batch
    from zmqpipeline.delivery.ledger import Ledger
    from zmqpipeline.delivery.ports import Options


class Shares:
    """Divides what may be open among the workers, with one share to spare.

    So all of them but one may stand still with their hands full, and there is
    room for the last one's batches. A worker that has nothing gets one batch in
    any case, however heavy.

    Parameters
    ----------
    ledger
        the book of the task type
    options
        limits

    """

    def __init__(self, ledger: Ledger, options: Options) -> None:
        self._ledger = ledger
        self._options = options
        self.tasks = options.max_open  #: how many one worker may hold
        self._bytes = options.max_held_bytes
        self.frame = options.max_message - ENVELOPE_BYTES  #: how large packed tasks in one frame may be

    def divide(self, workers: int) -> None:
        """Take in how many workers there are."""
        options = self._options
        self.tasks = max(1, options.max_open // (workers + 1))
        self._bytes = min(options.max_held_bytes, options.max_open_bytes // (workers + 1))

    def is_heavy(self, holder: Hashable) -> bool:
        """Tell whether what a worker holds and one more batch would weigh more than it may."""
        return self._ledger.weighs(holder) + self._ledger.mean_weight > self._bytes

    @property
    def is_full(self) -> bool:
        """Whether no more tasks may be made."""
        ledger, options = self._ledger, self._options
        return ledger.open_count >= options.max_open or ledger.open_bytes >= options.max_open_bytes

    def fitting(self, batch: Batch) -> Batch:
        """Make a batch small enough for a frame: the large tasks at its end wait for the next."""
        while batch.count > 1 and len(batch.body) > self.frame:
            batch = self._ledger.parts(batch.first, batch.count - 1)[0]
        return batch
