"""Reads the snapshots of a distributor, for all pages together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.monitor.client import MonitorClient
    from zmqpipeline.monitor.dashboard.feed import Feed

#: snapshots are asked for so often, in seconds
EVERY = 1.0


def read(client: MonitorClient, feed: Feed, goes_on: Callable[[], bool]) -> None:
    """Tell a feed how the run is, and after its end how the next one is at the same address.

    Parameters
    ----------
    client
        who asks
    feed
        who is told
    goes_on
        whether somebody wants to know; asked whenever something was heard, or nothing for a while

    """
    while goes_on():
        for snapshot in client.stream(EVERY):
            feed.tell(snapshot, "" if snapshot else client.problem())
            if not goes_on():
                return
        time.sleep(EVERY)  # a distributor that is about to end would tell it again at once
