"""Looks at a distributor's books, and tells what it sees: makes snapshots, decides nothing."""

from __future__ import annotations

import math
import os
import platform
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from zmqpipeline._version import __version__
from zmqpipeline.delivery.batch import NOBODY
from zmqpipeline.delivery.news import Fate
from zmqpipeline.delivery.peer import introduced
from zmqpipeline.delivery.reports import reported
from zmqpipeline.delivery.taskbook import Phase as BookPhase
from zmqpipeline.monitor.pace import Pace
from zmqpipeline.monitor.snapshot import SNAPSHOT_VERSION
from zmqpipeline.wire.envelope import PROTOCOL_VERSION

if TYPE_CHECKING:
    from zmqpipeline.delivery.dispatch import Dispatch
    from zmqpipeline.delivery.news import News
    from zmqpipeline.delivery.peer import Peer
    from zmqpipeline.delivery.reports import FailedAttempt
    from zmqpipeline.delivery.taskbook import TaskBook
    from zmqpipeline.monitor.snapshot import (
        CollectorInfo,
        Counts,
        FailureInfo,
        Figures,
        MetaDataInfo,
        Phase,
        Report,
        Snapshot,
        Software,
        State,
        TaskInfo,
        WorkerInfo,
    )

#: how often it looks, in seconds
INTERVAL = 1.0
#: of those that have gone, so many are shown, and so many failures
MOST_GONE = MOST_SHOWN = 50
#: of the texts of a failure, so many characters: a snapshot is for a screen
_MOST_TEXT, _MOST_TRACEBACK = 1000, 4000

#: a worker: its task type and its address there. A stranger may have the same one at several tasks
_Key = tuple[str, bytes]

_PHASES: dict[BookPhase, Phase] = {
    BookPhase.WAITING: "waiting",
    BookPhase.OPEN: "running",
    BookPhase.COMPLETE: "complete",
}

#: what this process runs
_OWN = {"version": __version__, "protocol": PROTOCOL_VERSION}


class Observer:
    """Watches one run.

    Parameters
    ----------
    run
        its id
    dispatch
        the books
    now
        when the distributor began, on the clock of :meth:`look`

    """

    def __init__(self, run: str, dispatch: Dispatch, now: float) -> None:
        self._run = run
        self._dispatch = dispatch
        self._began = now
        self._looked_at = -math.inf
        self._run_pace, self._collector_pace = Pace(), Pace()
        self._paces: defaultdict[str, Pace] = defaultdict(Pace)  #: of the tasks
        self._worker_paces: dict[_Key, Pace] = {}
        self._known: dict[_Key, tuple[TaskBook, Peer]] = {}
        self._lost: set[_Key] = set()
        self._metadata_worker: MetaDataInfo | None = None
        self._gone: deque[WorkerInfo] = deque(maxlen=MOST_GONE)

    def note(self, news: News) -> None:
        """Take in what has become of a worker."""
        if news.fate is Fate.LOST:
            key = news.task, news.peer.address
            self._lost.add(key)
            # it may have come and gone since the last look
            self._known.setdefault(key, (self._dispatch.books[news.task], news.peer))

    def note_metadata(self, info: Any, wall: float) -> None:
        """Take in what was said of who gives the metadata, and when; one of the original says nothing."""
        known, said = introduced(info), reported(info)
        self._metadata_worker = {
            "name": known.get("name", ""),
            "since": wall,
            "host": known.get("host", "?"),
            "pid": known.get("pid"),
            **_software(known),
            **_figures(said),
        }

    def look(self, now: float, wall: float) -> None:
        """Look at the counters, if that is due, and if all news were noted: who is gone may be lost.

        Parameters
        ----------
        now
            on the monotonic clock, in seconds
        wall
            the same as a Unix time

        """
        has_news = any(book.news for book in self._dispatch.books.values())
        if now - self._looked_at >= INTERVAL and not has_news:
            self._look(now, wall)

    def _look(self, now: float, wall: float) -> None:
        self._looked_at = now
        self._run_pace.look(now, self._dispatch.acknowledged)
        collected = self._dispatch.collector_report.get("collected")
        if collected is None:
            self._collector_pace = Pace()  # what it has collected before it first says so is no pace
        else:
            self._collector_pace.look(now, collected)
        there: dict[_Key, tuple[TaskBook, Peer]] = {}
        for book in self._dispatch.books.values():
            self._paces[book.name].look(now, len(book.ledger.settled), *book.latencies)
            for peer in book.peers.values():
                key = book.name, peer.address
                there[key] = book, peer
                self._worker_paces.setdefault(key, Pace()).look(now, _done(book, peer))
        for key, (book, peer) in self._known.items():
            if key in there:
                continue
            gone = self._worker(book, peer, now, wall)
            gone["state"], gone["since"] = "lost" if key in self._lost else "left", wall
            gone["credit"] = gone["in_flight"] = 0
            gone["rate"] = 0.0
            self._gone.appendleft(gone)
            self._worker_paces.pop(key, None)
        self._known = there
        self._lost.clear()

    def snapshot(self, now: float, wall: float, own: Report, *, ended: bool = False) -> Snapshot:
        """Tell how the run is.

        Parameters
        ----------
        now, wall
            as for :meth:`look`
        own
            the figures of this process
        ended
            whether this is the last snapshot

        """
        dispatch = self._dispatch
        if ended:
            self._look(now, wall)  # whoever has left since the last time is to be seen once more
        else:
            self.look(now, wall)
        books = list(dispatch.books.values())
        tasks = [self._task(book) for book in books]
        pid, host = os.getpid(), platform.node()
        failures = sorted((f for book in books for f in book.failures), key=lambda f: f.at, reverse=True)
        return {
            "version": SNAPSHOT_VERSION,
            "run": self._run,
            "time": wall,
            "uptime": now - self._began,
            "phase": "ended" if ended else self._phase(),
            "waits_for": [] if dispatch.ended_at is not None else dispatch.waits_for(),
            "latency": self._latency(*(book.name for book in books)),
            "distributor": {"host": host, "pid": pid, **_software(_OWN), **_figures(own)},
            "collector": self._collector(),
            "metadata_worker": self._metadata_worker,
            "tasks": tasks,
            "workers": [
                *(self._worker(book, peer, now, wall) for book in books for peer in book.peers.values()),
                *self._gone,
            ],
            "failures": [_failure(failed, now, wall) for failed in failures[:MOST_SHOWN]],
            **_sum(tasks),
            "rate": self._run_pace.rate,
        }

    def _phase(self) -> Phase:
        dispatch = self._dispatch
        if dispatch.ended_at is not None and not dispatch.stopping:
            return "complete"
        if dispatch.stopping:
            return "stopping"
        return "running" if dispatch.collector_ready and dispatch.metadata is not None else "waiting"

    def _latency(self, *names: str) -> float | None:
        seconds = sum(self._paces[name].grown(2) for name in names)
        count = sum(self._paces[name].grown(3) for name in names)
        return seconds / count if count else None

    def _task(self, book: TaskBook) -> TaskInfo:
        ledger = book.ledger
        stopping = self._dispatch.stopping and book.phase is BookPhase.OPEN
        return {
            "type": book.name,
            "phase": "stopping" if stopping else _PHASES[book.phase],
            "depends": list(book.depends),
            "total": book.source.total,
            "workers": len(book.peers),
            "latency": self._latency(book.name),
            "handed_out": ledger.handed_out,
            "in_flight": ledger.open_count,
            "queued": ledger.holds(NOBODY),
            "acknowledged": len(ledger.settled),
            "failed": book.failed,
            "redelivered": book.handout.redelivered,
            "rate": self._paces[book.name].rate,
        }

    def _worker(self, book: TaskBook, peer: Peer, now: float, wall: float) -> WorkerInfo:
        info, held = peer.info, book.ledger.holds(peer.address)
        pace = self._worker_paces.get((book.name, peer.address))
        state: State = "working" if held else "idle"
        if peer.suspect:
            state = "silent"
        elif not peer.started or not (peer.order or peer.credit or peer.lockstep):
            state = "starting"
        return {
            "id": peer.address.decode("ascii", "backslashreplace"),
            "task": book.name,
            "name": info.get("name", ""),
            "host": info.get("host", "?"),
            "pid": info.get("pid"),
            "state": state,
            "hands": info.get("hands", 1),
            **_software(info),
            "credit": peer.credit,
            "in_flight": held,
            "done": _done(book, peer),
            "failed": peer.failed,
            "rate": pace.rate if pace else 0.0,
            "heard": max(0.0, now - peer.heard),
            "since": wall - (now - peer.came),
            **_figures(peer.report),
        }

    def _collector(self) -> CollectorInfo | None:
        dispatch = self._dispatch
        if dispatch.life is None:
            return None
        info, report = dispatch.collector_info, dispatch.collector_report
        state: State = "working" if dispatch.open_count else "idle"
        if dispatch.collector_ended:
            state = "left"
        elif not dispatch.collector_ready:
            state = "lost" if dispatch.collector_away else "starting"
        return {
            "id": dispatch.life[:_MOST_TEXT],
            "name": info.get("name", ""),
            "host": info.get("host", "?"),
            "pid": info.get("pid"),
            "state": state,
            "collected": report.get("collected", 0),
            **_software(info),
            "queue": report.get("queue", 0),
            "rate": self._collector_pace.rate,
            **_figures(report),
        }


def _done(book: TaskBook, peer: Peer) -> int:
    """Tell how many tasks a worker has finished; one in lock step does not say, but gets one at a time."""
    if peer.lockstep:
        return max(0, peer.number - book.ledger.holds(peer.address))
    done: int = peer.report.get("done", 0)
    return done


def _figures(said: Report | dict[str, Any]) -> Figures:
    return {"memory": said.get("memory"), "cpu": said.get("cpu"), "lag": said.get("lag")}


def _sum(tasks: list[TaskInfo]) -> Counts:
    names = ("handed_out", "in_flight", "queued", "acknowledged", "failed", "redelivered", "rate")
    return {name: sum(task[name] for task in tasks) for name in names}  # type: ignore[return-value, literal-required]


def _software(info: dict[str, Any]) -> Software:
    return {name: info[name] for name in _OWN if name in info}  # type: ignore[return-value]


def _failure(failed: FailedAttempt, now: float, wall: float) -> FailureInfo:
    error = failed.error
    return {
        "time": wall - (now - failed.at),
        "task": failed.task,
        "id": failed.id,
        "attempt": failed.attempt,
        "final": failed.final,
        "type": str(error.get("type", ""))[:_MOST_TEXT],
        "text": str(error.get("text", ""))[:_MOST_TEXT],
        "traceback": str(error.get("traceback", ""))[-_MOST_TRACEBACK:],
        "worker": failed.who,
    }
