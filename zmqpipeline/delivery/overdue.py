"""What is finished and not acknowledged: its result may be lost, or the collector may only be slow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zmqpipeline.delivery.batch import NOBODY, Batch
from zmqpipeline.delivery.intervals import Intervals
from zmqpipeline.delivery.ledger import COLLECTOR, Ledger

if TYPE_CHECKING:
    from collections.abc import Hashable

    from zmqpipeline.delivery.intervals import Range
    from zmqpipeline.delivery.ports import Options

#: while a collector acknowledges other results, one is waited for so many times as long
_PATIENCE = 6
#: each time that one comes back it is waited for twice as long as before, so many times
_DOUBLINGS = 2
#: a collector that has said nothing for so many ping intervals is in the middle of a result, or stands still;
#: it says something every second, however often the distributor pings
_SILENCE = 3
_SPEAKS = 1.0


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
        self._heard_at = self._silent_until = -math.inf

    def heard(self, now: float) -> None:
        """Note a sign of life of the collector.

        Time passes only with these. What a collector got while it was silent is still in its socket; if it
        were sent again every now and then, one that hangs would be buried under it.
        """
        if now - self._heard_at > _SILENCE * max(self._options.ping_interval, _SPEAKS):
            self._silent_until = now
        self._heard_at = now

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
        self._heard_at += seconds
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
        given = [b for b in self._ledger.held_by(holder) if b.number <= number and b.finished_at is None]
        kept = Intervals(held if given else ())  # one that has nothing may claim whatever it likes
        for batch in given:
            for first, count in kept.missing(batch.first, batch.count):
                for part in self._ledger.parts(first, count):
                    part.finished_at = now

    def failed(self, batch: Batch, now: float) -> None:
        """Let a failure be reported to the collector."""
        batch.number, batch.given_at, batch.not_before = 0, now, now + self._options.ack_timeout

    def remind(self, now: float) -> None:
        """Let those failures be reported again whose report may be lost."""
        for batch in self._ledger.held_by(COLLECTOR):
            if self._heard_at > max(batch.not_before, self._silent_until + self._options.ack_timeout):
                waited = batch.not_before - batch.given_at
                self.failed(batch, now)
                batch.not_before = now + min(2 * waited, self._options.ack_timeout * 2**_DOUBLINGS)

    def due(self) -> list[Batch]:
        """List what is to be handed out again."""
        late = [
            batch
            for batch in self._ledger.batches
            if batch.finished_at is not None
            and batch.holder is not NOBODY
            and self._is_late(batch, batch.finished_at)
        ]
        for batch in late:
            batch.overdue += 1
        return late

    def _is_late(self, batch: Batch, finished_at: float) -> bool:
        patience = self._options.ack_timeout * float(2 ** min(batch.overdue, _DOUBLINGS))
        if batch.given_at < self._restarted_at:
            patience = min(patience, self._options.ping_interval)
        # a collector that is slow acknowledges something now and then; one that lost a result does not
        since = min(max(finished_at, self._acknowledged_at), finished_at + _PATIENCE * patience)
        return self._heard_at - max(since, self._silent_until) > patience
