"""What libzmq tells of connections, without any."""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any, cast

from zmqpipeline.wire.watch import Watch


def watching(events: list[tuple[int, int]]) -> Watch:
    """Make a watch that reads these events, each with the descriptor of a connection."""

    class Monitor:
        def poll(self, _timeout: int) -> bool:
            return bool(events)

        def recv_multipart(self) -> list[bytes]:
            return [struct.pack("=hi", *events.pop(0)), b"tcp://127.0.0.1:1"]

    watch = Watch.__new__(Watch)
    watch._is_inproc, watch.connections, watch._has_failed = False, 0, False
    watch._opened, watch._live, watch.refusals = {}, set(), Counter()
    watch.most, watch._turned = None, set()
    watch.is_refused, watch._given_up_at = False, None
    watch.monitor = cast("Any", Monitor())
    return watch
