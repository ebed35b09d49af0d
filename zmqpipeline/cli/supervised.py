"""A role's side of the pipes that tie it to the supervisor of a run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from zmqpipeline import Collector, Distributor
from zmqpipeline.cli.exits import Exit

if TYPE_CHECKING:
    from zmqpipeline.role import Role

#: how much longer than its stop_timeout a collector waits for the distributor to end it, in seconds
GRACE = 1.0
#: how long a role that was told to stop may take beyond its stop_timeout, in seconds
LAST_GRACE = 5.0


class Supervision:
    """Stops the role when the supervisor closes its pipe or dies, and tells it how far the role is.

    Parameters
    ----------
    stop
        file descriptor whose end of file means stop, with a byte before it if the supervisor lives to say so,
        and before that lines of JSON on how workers have ended; None without a supervisor
    status
        file descriptor that takes a line of JSON for each event

    """

    def __init__(self, stop: int | None, status: int | None) -> None:
        self.stopped = False
        self._status = status
        self._role: Role | None = None
        self._lock = threading.Lock()
        if status is not None:
            os.set_blocking(status, False)
        for descriptor in (stop, status):
            if descriptor is not None:
                # what the program starts must not hold the pipes open
                os.set_inheritable(descriptor, False)
        if stop is not None:
            threading.Thread(target=self._watch, args=(stop,), name="supervision", daemon=True).start()

    @property
    def active(self) -> bool:
        """Whether there is a supervisor."""
        return self._status is not None

    def tell(self, event: str, **details: Any) -> None:
        """Tell the supervisor something; without room it is lost, so that nobody is ever held up."""
        if self._status is not None:
            line = json.dumps({"event": event, **details}) + "\n"
            with contextlib.suppress(OSError):
                os.write(self._status, line.encode())

    def tell_all(self, event: str, **details: Any) -> None:
        """Tell the supervisor something of any length, however long it takes to read it."""
        if self._status is not None:
            os.set_blocking(self._status, True)
            with open(self._status, "w", encoding="utf-8", closefd=False) as stream:
                stream.write(json.dumps({"event": event, **details}) + "\n")

    def attach(self, role: Role) -> None:
        """Say which role is to be stopped, and pass its events on."""
        role.on_event = self.tell
        with self._lock:
            self._role = role
            if self.stopped:
                role._drain()  # noqa: SLF001 - this is no program's, but the library's own

    def _watch(self, stop: int) -> None:
        told = news = b""
        with contextlib.suppress(OSError):
            while said := os.read(stop, 1):
                if said == b"\n":
                    self._hear(json.loads(news))
                    news = b""
                elif news or said == b"{":
                    news += said
                else:
                    told = said
        if not told:
            _silence()
        with self._lock:
            self.stopped = True
            role = self._role
            if role is None:
                # nothing is open yet, and there is no other way to stop a file that is being loaded
                os._exit(Exit.TERMINATED)
            if told or not isinstance(role, Collector):
                role._drain()  # noqa: SLF001
        if told:
            return  # the supervisor sees to the rest
        time.sleep(min(role.stop_timeout + GRACE, threading.TIMEOUT_MAX))
        if isinstance(role, Collector):
            # it has taken what the others have finished, and the distributor has not ended it
            role._drain()  # noqa: SLF001
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_GRACE)
        role._abandon()  # noqa: SLF001
        os.kill(os.getpid(), signal.SIGKILL)

    def _hear(self, news: dict[str, Any]) -> None:
        """Pass on how a worker's process has ended."""
        with self._lock:
            if isinstance(self._role, Distributor):
                self._role.note_end(news["pid"], news["how"])


def _silence() -> None:
    """Let the program print on when its reader is dead: a broken pipe must not look like its error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
