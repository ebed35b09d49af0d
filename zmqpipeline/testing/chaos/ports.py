"""Free ports, below those that the system gives to outgoing connections: nobody takes them in between."""

from __future__ import annotations

import random
import socket

_FIRST, _LAST = 15_000, 32_000


def free(count: int) -> list[int]:
    """Find ports of the loopback interface that nobody has."""
    found: list[int] = []
    candidates = random.sample(range(_FIRST, _LAST), 1000)
    while len(found) < count:
        with socket.socket() as probe:
            port = candidates.pop()
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    return found
