"""What a distributor has done so far, in numbers."""

from __future__ import annotations

from typing import NamedTuple


class Statistics(NamedTuple):
    """What a distributor has done so far; all but the last count tasks."""

    handed_out: int  #: given to a worker for the first time
    acknowledged: int  #: collected, or failed for good
    failed: int  #: failed for good
    redelivered: int  #: handed out again after a failure, or because who had them was lost
    workers: int  #: connected now
