"""Attempts that have passed their time limit, of workers that cannot say so themselves.

A worker of this library watches its own tasks. A lock-step worker does not, and
one whose threads do not run (a C call that keeps the interpreter's lock, a
process that was stopped) cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zmqpipeline.delivery.batch import Batch
    from zmqpipeline.delivery.ledger import Ledger
    from zmqpipeline.delivery.peer import Peer
    from zmqpipeline.delivery.ports import Options, Source


class Overtime:
    """Finds them.

    Parameters
    ----------
    ledger
        the book of the task type
    source
        knows the time limit
    options
        times

    """

    def __init__(self, ledger: Ledger, source: Source, options: Options) -> None:
        self._ledger = ledger
        self._source = source
        self._options = options

    def due(self, peers: Iterable[Peer], now: float) -> list[tuple[Peer, list[Batch]]]:
        """List the workers that have been at it for too long, each with what it has not finished.

        If that is more than one task, nobody knows which of them it is.
        """
        limit = self._source.time_limit
        if limit is None:
            return []
        found = []
        for peer in peers:
            if not self._may_be_late(peer, limit, now):
                continue
            unfinished = [b for b in self._ledger.held_by(peer.address) if b.finished_at is None]
            if unfinished and now - min(batch.given_at for batch in unfinished) > self._grace(peer, limit):
                found.append((peer, unfinished))
        return found

    def error(self) -> dict[str, Any]:
        """Say what is wrong with such an attempt."""
        text = f"took longer than its time limit of {self._source.time_limit:g} s, and its worker was silent"
        return {"type": "TimeoutError", "text": text, "traceback": ""}

    def _may_be_late(self, peer: Peer, limit: float, now: float) -> bool:
        return peer.lockstep or (peer.suspect and now - peer.heard > self._grace(peer, limit))

    def _grace(self, peer: Peer, limit: float) -> float:
        # what a message needs to get there, and the answer back; or how long a worker may be silent anyway
        return limit + (self._options.ping_interval if peer.lockstep else self._options.patience)
