"""What becomes of a run when one of its processes has ended. Decides only; starts and ends nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zmqpipeline.cli.exits import Exit, described

if TYPE_CHECKING:
    from zmqpipeline.cli.process import Slot

#: a place whose processes end so often in a row before they are ready is given up
MAX_EARLY = 3
#: a collector or distributor that is lost so often in a row, with nothing collected in between, is given up
MAX_FRUITLESS = 5
#: how long a place stays empty whose process ended before it was ready, in seconds; each time twice as long
EARLY_DELAY = 0.2


@dataclass(frozen=True)
class Ended:
    """How a process has ended.

    Parameters
    ----------
    returncode
        as ``subprocess`` tells it
    ready
        whether it had been ready
    error
        exit code and sentence of an error that it has told
    stopped
        whether it was told to stop

    """

    returncode: int
    ready: bool
    error: tuple[int, str] | None = None
    stopped: bool = False


@dataclass(frozen=True)
class Fine:
    """It has done what it should."""


@dataclass(frozen=True)
class Restart:
    """Another process takes its place, after some seconds."""

    delay: float


@dataclass(frozen=True)
class Fail:
    """The run ends, with this exit code and for this reason."""

    code: int
    reason: str


def judge(
    slot: Slot, ended: Ended, *, finished: bool, acknowledged: int, journal: bool = False
) -> Fine | Restart | Fail:
    """Decide what becomes of a run.

    Parameters
    ----------
    slot
        the place whose process has ended; it keeps count
    ended
        how it has ended
    finished
        whether the distributor is done
    acknowledged
        how many tasks are acknowledged so far
    journal
        whether the distributor writes the run down, so that another one can go on with it

    """
    done = (0, Exit.TASKS_FAILED) if slot.kind == "distributor" else (0,)
    if ended.stopped:
        return Fine()
    if ended.error is not None:
        return Fail(*ended.error)
    if ended.returncode in done:
        return Fine()
    how = described(ended.returncode)
    if finished:
        return Fine()  # a collector too: the distributor ends when that has said that it has finished
    if slot.kind == "distributor" and ended.ready and not journal:
        return Fail(
            Exit.PROCESS_LOST,
            f"{slot.name} was lost ({how}), and with it what was handed out: run the file again, "
            f"with --journal if it is to survive this",
        )
    return _again(slot, ended, how, acknowledged)


def _again(slot: Slot, ended: Ended, how: str, acknowledged: int) -> Restart | Fail:
    """Start another process in a place, unless that has been of no use."""
    if not ended.ready:
        slot.early += 1
        if slot.early >= MAX_EARLY:
            return Fail(
                Exit.PROCESS_LOST, f"{slot.name} ended {slot.early} times before it was ready ({how})"
            )
        return Restart(EARLY_DELAY * 2 ** (slot.early - 1))
    slot.early = 0
    # a worker may die of one task again and again, until the distributor counts that task as failed
    slot.fruitless = slot.fruitless + 1 if acknowledged == slot.acknowledged else 1
    slot.acknowledged = acknowledged
    if slot.kind in {"collector", "distributor"} and slot.fruitless >= MAX_FRUITLESS:
        what = "collecting anything" if slot.kind == "collector" else "anything collected"
        return Fail(
            Exit.PROCESS_LOST,
            f"{slot.name} was lost {slot.fruitless} times without {what} in between ({how})",
        )
    return Restart(0.0)
