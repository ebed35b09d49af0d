"""What was done, in a line for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zmqpipeline.monitor import words

if TYPE_CHECKING:
    from zmqpipeline import Statistics


def progress(done: Statistics, rate: float, total: int | None = None) -> str:
    """Say how far a run is.

    Parameters
    ----------
    done
        what was done
    rate
        how many tasks are acknowledged in a second
    total
        how many tasks there will be; None if that is not known

    """
    if total is None:
        far = f"{done.handed_out} handed out, {done.acknowledged} acknowledged"
    else:
        time_left = words.left(done.acknowledged, total, rate)
        far = f"{done.acknowledged} of {total} ({words.percent(done.acknowledged, total)}%)" + (
            f", {time_left} left" if time_left else ""
        )
    return f"{far}, {done.failed} failed, {rate:.0f}/s, {_count(done.workers, 'worker')}"


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
