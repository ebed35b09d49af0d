"""What was done, in a line for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zmqpipeline import Statistics


def progress(done: Statistics, rate: float) -> str:
    """Say how far a run is.

    Parameters
    ----------
    done
        what was done
    rate
        how many tasks are acknowledged in a second

    """
    return (
        f"{done.handed_out} handed out, {done.acknowledged} acknowledged, {done.failed} failed, "
        f"{rate:.0f}/s, {_count(done.workers, 'worker')}"
    )


def summary(done: Statistics, seconds: float, *, stopped: bool, restarts: int | None = None) -> str:
    """Say what a run has done.

    Parameters
    ----------
    done
        what was done
    seconds
        how long it took
    stopped
        whether it ended before the work was done
    restarts
        how many processes were started again; None if nobody counts

    """
    rate = done.acknowledged / seconds if seconds > 0 else 0.0
    again = "" if restarts is None else f", {_count(restarts, 'restart')}"
    return (
        f"{'stopped' if stopped else 'done'}: {done.handed_out} handed out, "
        f"{done.acknowledged} acknowledged, {done.failed} failed, {done.redelivered} redelivered "
        f"in {seconds:.1f} s ({rate:.0f}/s){again}"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
