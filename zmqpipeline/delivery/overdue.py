"""What is finished and not acknowledged: its result may be lost, or the collector may only be slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zmqpipeline.delivery.intervals import Intervals
from zmqpipeline.delivery.ledger import NOBODY, Batch, Ledger

if TYPE_CHECKING:
    from collections.abc import Hashable

    from zmqpipeline.delivery.intervals import Range
    from zmqpipeline.delivery.ports import Options

#: while a collector acknowledges other results, one is waited for so many times as long
_PATIENCE = 6


class Overdue:
    """Notes what workers have finished, and finds what stays unacknowledged for too long.

    Parameters
    ----------
    ledger
        the book of the task type
    options
        times

    """

    def __init__(self, ledger: Ledger, options: Options) -> None:
        self._ledger = ledger
        self._options = options
        self._restarted_at = self._acknowledged_at = 0.0

    def acknowledged(self, now: float) -> None:
        """Note that the collector acknowledges something."""
        self._acknowledged_at = now

    def restarted(self, now: float) -> list[Batch]:
        """Note that a new collector is there; list what the one before may have taken along."""
        self._restarted_at = now
        return [batch for batch in self._ledger.batches if batch.finished_at is not None]

    def stalled(self, seconds: float) -> None:
        """Leave out a time in which no ACK could be taken in."""
        self._restarted_at += seconds
        self._acknowledged_at += seconds
        for batch in self._ledger.batches:
            batch.given_at += seconds
            if batch.finished_at is not None:
                batch.finished_at += seconds

    def finished(self, holder: Hashable, now: float) -> None:
        """Note that a worker has finished all that it was sent."""
        for batch in self._ledger.held_by(holder):
            if batch.finished_at is None:
                batch.finished_at = now

    def unheld(self, holder: Hashable, number: int, held: list[Range], now: float) -> None:
        """Note that a worker has finished what it was sent up to a batch, and does not hold."""
        kept = Intervals(held)
        for batch in self._ledger.held_by(holder):
            if batch.number > number or batch.finished_at is not None:
                continue
            for first, count in kept.missing(batch.first, batch.count):
                for part in self._ledger.parts(first, count):
                    part.finished_at = now

    def due(self, now: float) -> list[Batch]:
        """List what is to be handed out again."""
        return [
            batch
            for batch in self._ledger.batches
            if batch.finished_at is not None
            and batch.holder is not NOBODY
            and self._is_late(batch, batch.finished_at, now)
        ]

    def _is_late(self, batch: Batch, finished_at: float, now: float) -> bool:
        patience = self._options.ack_timeout
        if batch.given_at < self._restarted_at:
            patience = min(patience, self._options.ping_interval)
        # a collector that is slow acknowledges something now and then; one that lost a result does not
        since = min(max(finished_at, self._acknowledged_at), finished_at + _PATIENCE * patience)
        return now - since > patience
