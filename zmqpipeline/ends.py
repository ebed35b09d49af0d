"""How processes of workers have ended, as whoever started them has seen it."""

from __future__ import annotations

import platform
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: so many are kept, for an error that may need them
_REMEMBERED = 1000
#: what a process has sent before its end arrives within this time, in seconds
_LAST_WORDS = 0.2


class Ends:
    """The ends that were told; they may be told from any thread."""

    def __init__(self) -> None:
        #: in words, by host and process id
        self.how: dict[tuple[str, int], str] = {}
        self._coming: deque[tuple[float, str, int]] = deque()

    def note(self, pid: int, how: str, host: str | None) -> None:
        """Take in one; without a host it was on this one."""
        host = host or platform.node()
        self.how[host, pid] = how
        while len(self.how) > _REMEMBERED:
            del self.how[next(iter(self.how))]
        self._coming.append((time.monotonic() + _LAST_WORDS, host, pid))

    @property
    def due_at(self) -> float:
        """When the last words of the next one must have arrived, on the monotonic clock."""
        return self._coming[0][0] if self._coming else float("inf")

    def due(self, now: float) -> Iterator[tuple[str, int]]:
        """Take the host and process id of those whose last words must have arrived."""
        while now >= self.due_at:
            _, host, pid = self._coming.popleft()
            yield host, pid
