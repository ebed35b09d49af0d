"""What the pages are told: the last snapshot, the history, and whether anybody still answers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import math
import threading
import time
from typing import TYPE_CHECKING, Any

from zmqpipeline.monitor.dashboard.history import History

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from zmqpipeline.monitor.snapshot import Snapshot

#: a page that there is no news for hears so often that it is not forgotten, in seconds
KEEP_ALIVE = 10.0
#: a page whose connection breaks comes back after so many milliseconds
_RETRY = b"retry: 1000\n\n"


class Feed:
    """Takes snapshots from one thread, and tells them to any number of pages.

    A page that is slow misses snapshots; it never holds up another one, and nothing piles up for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._history = History()
        #: JSON of the last snapshot
        self._snapshot: bytes | None = None
        self._has_ended = False
        self._heard: float | None = None
        #: what pages were told last, and how many events there were
        self._event = _event("gone", _json({"since": None, "why": "", "snapshot": None}))
        self._number = 0
        self._is_closed = False
        self._wakers: set[Callable[[], Any]] = set()

    @property
    def snapshot(self) -> bytes | None:
        """The last snapshot as JSON; None if there was none yet."""
        with self._lock:
            return self._snapshot

    @property
    def history(self) -> bytes:
        """The points of the plots as JSON."""
        with self._lock:
            return _json(self._history.points)

    def tell(self, snapshot: Snapshot | None, why: str = "") -> None:
        """Take in what has come.

        Parameters
        ----------
        snapshot
            how the run is; None if nobody has answered for a while
        why
            why that may be, and what to do

        """
        packed = None if snapshot is None else _json(snapshot)
        with self._lock:
            if snapshot is not None and packed is not None:
                self._history.add(snapshot)
                self._snapshot, self._heard = packed, time.time()
                self._has_ended = snapshot["phase"] == "ended"
                self._event = _event("snapshot", packed)
            elif self._has_ended:
                return  # a run that has ended is not gone, it is done
            else:
                self._history.interrupt()
                self._event = _event("gone", self._gone(why))
            self._number += 1
            self._wake()

    def close(self) -> None:
        """Let every page go."""
        with self._lock:
            self._is_closed = True
            self._wake()

    async def events(self) -> AsyncIterator[bytes]:
        """Tell one page what comes, as server-sent events; the last one that there was at once.

        ``snapshot`` has a snapshot; ``gone`` tells that nobody answers any more: since when (Unix time,
        or null), why, and the last snapshot (or null).
        """
        news = asyncio.Event()
        waker = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, news.set)
        with self._lock:
            self._wakers.add(waker)
        seen = -1
        try:
            yield _RETRY
            while not self._is_closed:
                news.clear()
                with self._lock:
                    number, event = self._number, self._event
                if number != seen:
                    seen = number
                    yield event
                    continue
                try:
                    await asyncio.wait_for(news.wait(), KEEP_ALIVE)
                except asyncio.TimeoutError:
                    yield b": still here\n\n"
        finally:
            with self._lock:
                self._wakers.discard(waker)

    def _wake(self) -> None:
        for waker in self._wakers:
            with contextlib.suppress(RuntimeError):  # its loop is closed
                waker()

    def _gone(self, why: str) -> bytes:
        last = self._snapshot or b"null"
        return b'{"since": %b, "why": %b, "snapshot": %b}' % (_json(self._heard), _json(why), last)


def _event(name: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def _json(value: Any) -> bytes:
    """Write JSON that a browser reads, in ASCII and in one line."""
    try:
        return json.dumps(value, allow_nan=False).encode()
    except ValueError:
        return json.dumps(_finite(value)).encode()


def _finite(value: Any) -> Any:
    """Replace what is no number in JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
