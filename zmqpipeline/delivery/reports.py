"""What the books keep for those who watch: what peers say of themselves, and the last failures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zmqpipeline.delivery.batch import Batch
    from zmqpipeline.delivery.peer import Peer

#: so many failed attempts of a task type are kept
MOST_FAILURES = 50
#: what a peer may report: figures, nothing else, because anybody may say it; and which of them are whole
_FIGURES = ("memory", "cpu", "lag", "done", "collected", "queue")
_WHOLE = frozenset(_FIGURES) - {"cpu", "lag"}
#: and none is larger, so that it can be added to others
_LARGEST = 2**53


@dataclass(frozen=True)
class FailedAttempt:
    """An attempt of one task that failed.

    Parameters
    ----------
    at
        when it was heard of, on the monotonic clock
    task, id
        which task
    attempt
        which failure of this task it is, from 1; the death of a worker with nothing else in its hands is one
    final
        whether the task has failed for good
    error
        what was said of it: ``type``, ``text`` and ``traceback``, where there is one
    who
        with whom, in words; empty if that one has gone

    """

    at: float
    task: str
    id: int
    attempt: int
    final: bool
    error: dict[str, Any]
    who: str


def failed_attempt(  # noqa: PLR0913 - which, why, when, with whom
    task: str,
    batch: Batch,
    error: dict[str, Any],
    now: float,
    peers: Mapping[bytes, Peer],
    *,
    final: bool = False,
) -> FailedAttempt:
    """Describe the failure of the one task of a batch, and count it for the worker that still has it."""
    peer = peers.get(batch.holder) if isinstance(batch.holder, bytes) else None
    who = ""
    if peer is not None:
        peer.failed, who = peer.failed + 1, peer.who
    # not how often it was handed out: who had it may not have begun it
    attempt = batch.failures + batch.deaths
    return FailedAttempt(now, task, batch.first, attempt, final, error, who)


def reported(said: Any) -> dict[str, Any]:
    """Take what a peer says of itself, as far as it is figures."""
    if not isinstance(said, dict):
        return {}
    found: dict[str, Any] = {name: said.get(name) for name in _FIGURES}
    return {
        name: int(value) if name in _WHOLE else value for name, value in found.items() if _is_figure(value)
    }


def _is_figure(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 <= value < _LARGEST
