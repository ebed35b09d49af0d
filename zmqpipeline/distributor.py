"""Distributor: hands the tasks out, and keeps each until its result is acknowledged."""

from __future__ import annotations

import logging
import os
import time
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

import zmq

from zmqpipeline import registry
from zmqpipeline.connections import Connections
from zmqpipeline.declarations import check_addresses
from zmqpipeline.delivery.dispatch import Dispatch
from zmqpipeline.delivery.ledger import Ledger
from zmqpipeline.delivery.news import Digest
from zmqpipeline.delivery.ports import NO_JOURNAL, Options
from zmqpipeline.delivery.statistics import Statistics
from zmqpipeline.delivery.taskbook import Phase, TaskBook
from zmqpipeline.ends import Ends
from zmqpipeline.errors import DeclarationError
from zmqpipeline.link import SocketLink
from zmqpipeline.reception import take_metadata
from zmqpipeline.registration import Registration
from zmqpipeline.resumption import open_journal, resume_and_tell
from zmqpipeline.role import Role
from zmqpipeline.source import TaskSource
from zmqpipeline.stopping import NOW, RUNNING, StopNow
from zmqpipeline.wire import envelope, limits, sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zmqpipeline.descriptors import EndpointAddress
    from zmqpipeline.journal import Journal
    from zmqpipeline.monitor.desk import Desk
    from zmqpipeline.role import Socket
    from zmqpipeline.task import Task

#: messages read from one socket before the others get their turn
_DRAIN = 64


class Distributor(Registration, Role):
    """Hands out tasks to workers, in the order of their dependencies, until all are acknowledged.

    Parameters
    ----------
    collector_endpoint
        where the collector takes results, an :class:`~zmqpipeline.EndpointAddress`
    collector_ack_endpoint
        where the collector sends its acknowledgements
    receive_metadata
        whether to wait for a :class:`~zmqpipeline.MetaDataWorker` before anything is handed out
    metadata_endpoint
        where to bind for it
    tasks
        the Task classes (or instances) of this distributor alone; by default those that
        :meth:`register_task` was given
    journal
        the path of a file in which the run is written down, so that it survives this process; if there
        is an unfinished run in it, that one is resumed. None to keep it in memory only
    monitor_endpoint
        where to bind for those who want to see the run; None for nobody
    on_progress
        called with :class:`Statistics` about five times a second while it runs, and at the end

    Raises
    ------
    EndpointError
        if an address is missing or is not an EndpointAddress
    DeclarationError
        if two tasks have one type, dependencies go round in a circle, or the collector's addresses are one

    """

    logger = logging.getLogger("zmqpipeline.distributor")
    _finishes = "the tasks that are under way"
    _takes_less: ClassVar[dict[int, int]] = {zmq.ROUTER: limits.MAX_CONTROL}  # workers send no data

    #: how often ``on_progress`` is called, in seconds
    progress_interval: float = 0.2
    #: the most workers of one task type that are there at a time; others wait
    max_peers: int = limits.MAX_PEERS
    #: the most workers of one task type that are met in a second; others wait
    max_hellos: int = limits.MAX_HELLOS

    def __init__(  # noqa: PLR0913 - the tutorial's four, and two by keyword
        self,
        collector_endpoint: EndpointAddress,
        collector_ack_endpoint: EndpointAddress,
        receive_metadata: bool = False,
        metadata_endpoint: EndpointAddress | None = None,
        *,
        tasks: Iterable[type[Task[Any, Any]] | Task[Any, Any]] | None = None,
        journal: str | os.PathLike[str] | None = None,
        monitor_endpoint: EndpointAddress | None = None,
        on_progress: Callable[[Statistics], None] | None = None,
    ) -> None:
        self.collector_endpoint = collector_endpoint
        self.collector_ack_endpoint = collector_ack_endpoint
        self.receive_metadata = receive_metadata
        self.metadata_endpoint = metadata_endpoint
        self.monitor_endpoint = monitor_endpoint
        check_addresses(self)
        if not (journal is None or isinstance(journal, str | os.PathLike)):
            raise DeclarationError(f"Distributor: journal is {journal!r}, expected a path or None")
        self.journal = journal
        self.on_progress = on_progress
        self.metadata: dict[str, Any] = {}
        self.tasks: dict[str, Task[Any, Any]] = {}
        self._ends = Ends()
        if isinstance(tasks, type):
            raise DeclarationError(f"Distributor: tasks is {tasks!r}, expected a list of Tasks")
        self._own_tasks = None if tasks is None else list(tasks)
        self._is_open = False
        self._journal: Journal | None = None
        self._final = Statistics(0, 0, 0, 0, 0)
        self._instantiate()

    @property
    def registered_task_classes(self) -> list[type[Task[Any, Any]]]:
        """The Task classes that this distributor hands out."""
        if self._own_tasks is None:
            return list(self.task_classes.values())
        return [task if isinstance(task, type) else type(task) for task in self._own_tasks]

    @property
    def failures(self) -> int:
        """How many tasks have failed for good."""
        return self.statistics().failed

    def statistics(self) -> Statistics:
        """Count what was done so far."""
        return self._dispatch.statistics() if self._is_open else self._final

    def note_end(self, pid: int, how: str, host: str | None = None) -> None:
        """Tell how the process of a worker has ended.

        What it had is handed out again, whatever its connection looks like, and an error of a task that
        kills workers says how. Whoever supervises workers may call it, from any thread.

        Parameters
        ----------
        pid
            the process id
        how
            in words: ``signal SIGSEGV``, ``exit code 1``
        host
            where it ran; this host if omitted

        """
        self._ends.note(pid, how, host)
        if self._stopper is not None:
            self._stopper.wake()

    def shutdown(self) -> None:
        """Stop early: hand out nothing more, wait for what is under way, and let everybody end."""
        self.stop()

    # -- the loop -----------------------------------------------------------

    def _open(self) -> None:
        check_addresses(self)
        self._instantiate()
        registry.warn_of_missing(self.tasks)
        metadata = self.metadata_endpoint if self.receive_metadata else None
        self._access.may_bind(
            *(task.endpoint for task in self.tasks.values()), metadata, self.monitor_endpoint
        )
        self._journal = journal = open_journal(self.journal, self.tasks)
        kept = NO_JOURNAL if journal is None else journal
        run = uuid.uuid4().hex if journal is None else journal.past.run
        self._options = Options(
            ping_interval=self.heartbeat_interval,
            patience=self.heartbeat_timeout,
            max_message=self.max_message_size,
            max_peers=self.max_peers,
            max_hellos=self.max_hellos,
            jitter=lambda: 0.5 + os.urandom(1)[0] / 255,  # the module random takes its time to import
        )
        self._link = SocketLink(self._is_stalled)
        sources: dict[str, TaskSource] = {}
        books = []
        for name, task in self.tasks.items():
            task.client = self._link.routers[name] = self._bound(zmq.ROUTER, task.endpoint, watch=True)
            depends = [str(other) for other in task.dependencies]
            sources[name] = source = TaskSource(task, self._options.max_message, self._user_code)
            book = TaskBook(name, source, depends, self._link, run, Ledger(envelope.cut), self._options, kept)
            book.ends = self._ends.how
            books.append(book)
        self._connect(metadata)
        self._dispatch = Dispatch(run, books, self._link, self._options, kept)
        if journal is not None:
            resume_and_tell(journal, self._dispatch, sources, self.logger)
            self.metadata = self._dispatch.metadata or {}
        self._desk = self._make_desk(run)
        self._is_open = True
        if not self.receive_metadata and self._dispatch.metadata is None:
            self._dispatch.set_metadata({})
        self._collector = self._peer_clock(f"the collector at {self.collector_ack_endpoint}")
        self._workers = {book.name: self._peer_clock(f"each worker of {book.name}") for book in books}
        self._digest = Digest()
        self._progress_at = self._stop_at = 0.0

    def _connect(self, metadata: EndpointAddress | None) -> None:
        """Make the sockets for the collector and the metadata worker."""
        self._metadata_socket = self._bound(zmq.REP, metadata) if metadata else None
        self._link.sink = self._connected(zmq.PUSH, self.collector_endpoint)
        self._acks = self._connected(zmq.PULL, self.collector_ack_endpoint, watch=True)
        *router_watches, self._ack_watch = self._watches
        self._connections = Connections(dict(zip(self.tasks, router_watches, strict=True)))

    def _make_desk(self, run: str) -> Desk | None:
        """Bind for those who want to see the run, if they may."""
        if self.monitor_endpoint is None:
            return None
        from zmqpipeline.monitor.desk import Desk  # noqa: PLC0415 - who shows nothing need not load it
        from zmqpipeline.monitor.observer import Observer  # noqa: PLC0415

        socket = self._make(zmq.ROUTER)
        socket.maxmsgsize = limits.MAX_QUESTION
        self._bind(socket, self.monitor_endpoint)
        return Desk(socket, Observer(run, self._dispatch, time.monotonic()), self._vitals)

    def _serve(self) -> None:
        dispatch, desk = self._dispatch, self._desk
        others = [self._metadata_socket, None if desk is None else desk.socket]
        poller = self._poller(*self._link.routers.values(), self._acks, *filter(None, others))
        busy = True
        while True:
            now = time.monotonic()
            if dispatch.finished(now):
                break
            ready = self._poll(poller, now if busy else self._wake_at(now))
            now = time.monotonic()
            while self._read(ready, now) and dispatch.judges(now):
                ready = dict(poller.poll(0))  # nobody is late whose word has arrived
            self._check_stop(now)
            try:
                busy = dispatch.advance(now)
            except StopNow:
                self._cut_short(now)
                return
            if desk is not None:
                desk.turn(now, asked=desk.socket in ready)
            if self._is_time(ready, now):
                self._check_peers(now)
                self._report(now)
                self._announce(dispatch.waits_for, dispatch.dropped)
        # the collector's last words came before the end of its connection, but perhaps behind our last poll
        self._read({self._acks: zmq.POLLIN}, time.monotonic())
        if self._journal is not None:
            self._journal.commit()
        self._report(None)

    def _wake_at(self, now: float) -> float:
        """Tell when something is due next."""
        due = min(self._dispatch.wake_at(now), self._ends.due_at, self._connections.due_at)
        return due if self._desk is None else min(due, self._desk.due_at)

    def _cut_short(self, now: float) -> None:
        """End although a method of a Task was interrupted: what that has left half done is not kept."""
        if self._journal is not None:
            self._journal.abandon()
        self._dispatch.end(now)
        self._dispatch.advance(now)
        self._report(None)

    def _read(self, ready: dict[Any, int], now: float) -> bool:
        """Take in what has arrived; tell whether there may be more."""
        most = 0
        if self._acks in ready:
            for frames in sockets.receive(self._acks, _DRAIN):
                most += 1
                message = envelope.decode(frames[-1]) if len(frames) == 1 else None
                if message is None:
                    self._dispatch.strays += 1
                else:
                    self._dispatch.from_collector(message, now)
        for name, router in self._link.routers.items():
            if router in ready:
                most = max(most, self._read_workers(name, router, now))
        if self._metadata_socket is not None and self._metadata_socket in ready:
            self._receive_metadata(self._metadata_socket)
        return most == _DRAIN

    def _read_workers(self, name: str, router: Socket, now: float) -> int:
        received = sockets.receive_from(router, _DRAIN)
        for descriptor, frames in received:
            # [address, delimiter, envelope], as a REQ socket sends it
            message = envelope.decode(frames[2]) if len(frames) == 3 and not frames[1] else None
            if message is None or not self._connections.is_watched(name, descriptor):
                self._dispatch.strays += 1
            else:
                self._connections.came_by(name, descriptor, frames[0])
                self._dispatch.from_worker(name, frames[0], message, now)
        return len(received)

    def _receive_metadata(self, socket: Socket) -> None:
        """Take the first metadata that come."""
        found = take_metadata(socket, self.max_message_size)
        if found is None:
            self._dispatch.strays += 1
        elif self._dispatch.metadata is None:
            self.metadata, info = found
            self._dispatch.set_metadata(self.metadata)
            if self._desk is not None:
                self._desk.observer.note_metadata(info, time.time())

    def _check_stop(self, now: float) -> None:
        """Begin to drain when asked to, and end the drain when it takes too long."""
        if self._level == RUNNING:
            return
        if not self._stop_at:
            self._stop_at = now + self.stop_timeout
            self._dispatch.stop()
            if self._dispatch.under_way:
                self.logger.info(
                    "Distributor: waiting for %d tasks that are under way", self._dispatch.under_way
                )
        if self._level >= NOW:
            self._stop_at = min(self._stop_at, now)
        if self._level >= NOW or now > self._stop_at:
            self._dispatch.end(now)
            if now > self._stop_at + 1.0 or self._dispatch.life is None:
                self._dispatch.give_up()

    def _check_peers(self, now: float) -> None:
        """Find out who is gone, and end if somebody who is needed stays away."""
        came, gone, _ = self._ack_watch.drain()
        if came:
            self._collector.came()
        if gone and not self._ack_watch.connections:
            self._collector.went(now)
            self._dispatch.collector_lost()
        if self._dispatch.ended_at is not None and self._dispatch.stopping and self._collector.away:
            self._dispatch.give_up()
        if not self._dispatch.collector_ended:
            self._collector.check(now)  # one that died before it had finished may be started again
        self._check_workers(now)
        for name, book in self._dispatch.books.items():
            clock = self._workers[name]
            if book.peers or book.phase is not Phase.OPEN:
                clock.came()
            elif book.roster.met:
                clock.went(now)
            if self._dispatch.ended_at is None:
                clock.check(now)

    def _check_workers(self, now: float) -> None:
        """Take back the tasks of the workers whose connection has ended."""
        books, ended = self._dispatch.books, list(dict.fromkeys(self._connections.ended()))
        for name, address in ended:
            self._dispatch.connection_gone(name, address)
        unsure = {name for name, address in ended if address in books[name].peers}
        for name in self._connections.to_ask_again(unsure, now):
            books[name].probe()
        for host, pid in self._ends.due(now):
            self._dispatch.process_ended(host, pid)
        found = self._dispatch.news()
        for news in self._digest.of(found, now):
            level = logging.WARNING if news.fate.is_trouble else logging.INFO
            self.logger.log(level, "%s", news, extra={"task": news.task})
        if self._desk is not None:
            for news in found:
                self._desk.observer.note(news)

    def _forgive(self, seconds: float) -> None:
        super()._forgive(seconds)
        self._dispatch.stalled(seconds, time.monotonic())

    def _report(self, now: float | None) -> None:
        """Tell the program how far it is."""
        if now is None:
            self._final = self.statistics()
            if self._desk is not None:
                self._desk.close(time.monotonic())
        if self.on_progress is not None and (now is None or now >= self._progress_at):
            self._progress_at = (now or 0) + self.progress_interval
            self.on_progress(self.statistics())

    def _closing(self) -> None:
        self._final = self.statistics()
        if self._is_open:
            self._link.part(self._ack_watch, leaves=self._dispatch.collector_left)
        self._is_open = False
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _instantiate(self) -> None:
        """Make an instance of each task that has none yet."""
        registry.add(self.tasks, self.task_classes.values() if self._own_tasks is None else self._own_tasks)

    def _subject(self) -> str:
        return "Distributor"
