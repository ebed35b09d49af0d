"""Free ports, below those that the system gives to outgoing connections: nobody takes them in between."""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _LAST = 15_000, 32_000
_numbers = itertools.cycle(range(_FIRST, _LAST))
# two test runs at a time begin at places far from each other, though their process ids are neighbours
for _ in range(os.getpid() * 10_507 % (_LAST - _FIRST)):
    next(_numbers)


def free_port() -> int:
    """Find a port of the loopback interface that nobody has, and that this program was not given before."""
    for port in _numbers:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("there is no free port")
