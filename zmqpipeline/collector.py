"""Collector: what becomes of the results."""

from __future__ import annotations

import abc
import contextlib
import logging
import time
import uuid
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar

import zmq

from zmqpipeline import feedback
from zmqpipeline.declarations import Method
from zmqpipeline.delivery.settlement import Settlement, divided
from zmqpipeline.results import NO_RESULTS, Results
from zmqpipeline.role import STRAYS_INTERVAL, DeclaredRole
from zmqpipeline.stopping import NOW, RUNNING, StopNow
from zmqpipeline.task import ACK_ENDPOINT, ENDPOINT
from zmqpipeline.typed import Generic, In
from zmqpipeline.wire import envelope, messages, sockets
from zmqpipeline.wire.inbox import Inbox
from zmqpipeline.wire.limits import UNOPENED

if TYPE_CHECKING:
    from zmqpipeline.delivery.intervals import Range
    from zmqpipeline.descriptors import EndpointAddress
    from zmqpipeline.role import Socket
    from zmqpipeline.wire.envelope import Message

#: a collector says HELLO so often until it is answered, and then so often that it is there, in seconds
HELLO_INTERVAL, HEARTBEAT = 0.25, 1.0
#: a collector that was asked to stop leaves when nothing has come for so long, in seconds
QUIET = 1.0
#: one that leaves waits so long for the distributor's answer to its goodbye, in seconds
PARTING = 2.0
#: results are handled for so long before they are acknowledged, in seconds: little is to be done again
SLICE = 0.01
#: the most copies of what is said, to be heard by the distributor among strangers: a PUSH takes turns
_COPIES = 8
_DRAIN = 16
_DATA = messages.MESSAGE_TYPE_DATA


class Collector(DeclaredRole, abc.ABC, Generic[In]):
    """Takes the results of all workers, each exactly once in its life.

    Attributes
    ----------
    endpoint
        where it binds for results, an :class:`~zmqpipeline.EndpointAddress`
    ack_endpoint
        where it binds for the distributor, to which it sends acknowledgements
    metadata
        the metadata of the run, ``{}`` without
    result_id
        the id of the result that is being handled: the same if it is collected again after a restart. It is
        acknowledged after the method has returned, so what is committed under this id before that is
        written once, whoever is killed

    """

    _declares = (ENDPOINT, ACK_ENDPOINT)
    _calls = (
        Method("handle_collection", ("data", "task_type", "msgtype")),
        Method("handle_failure", ("data", "task_type", "error")),
        Method("handle_finished", ("data", "task_type")),
        Method("get_ack_data"),
    )

    endpoint: EndpointAddress
    ack_endpoint: EndpointAddress

    metadata: dict[str, Any] = {}  # noqa: RUF012 - replaced on the instance, never changed
    receiver: Socket | None = None
    ack_sender: Socket | None = None

    logger: ClassVar[logging.Logger] = logging.getLogger("zmqpipeline.collector")
    _finishes: ClassVar[str] = "the results that are on their way"

    _current: tuple[Any, ...] = NO_RESULTS  #: what :class:`Results` consist of
    _slice = 16

    @property
    def result_id(self) -> str:
        """The id of the result that is being handled: run, task type and number, joined by ``-``.

        It is the same when the result is collected again because this process, or the one before it, was
        killed before the distributor had the acknowledgement. That leaves after :meth:`handle_collection`
        or :meth:`handle_failure` has returned: commit before, and let the id be the key of what is written,
        as in ``INSERT ... ON CONFLICT (result_id) DO NOTHING``; then each result is written once.
        """
        return Results(*self._current).current_id

    @abc.abstractmethod
    def handle_collection(self, data: In, task_type: str, msgtype: str) -> dict[str, Any] | None:
        """Take one result.

        Parameters
        ----------
        data
            what the worker returned, ``{}`` if that was None
        task_type
            the type of its task
        msgtype
            :data:`zmqpipeline.messages.MESSAGE_TYPE_DATA`

        Returns
        -------
        dict or None
            what the task is told beside the acknowledgement, see :meth:`get_ack_data`

        """

    def handle_failure(self, data: dict[str, Any], task_type: str, error: dict[str, Any]) -> None:
        """Take a task that has failed for good; by default, log it.

        Parameters
        ----------
        data
            what the task's ``handle()`` returned
        task_type
            the type of the task
        error
            why: ``type``, ``text`` and ``traceback`` (str) of the last attempt

        """
        self.logger.error(
            "a task of %s failed for good: %s: %s\ndata: %r\n%s",
            task_type, error.get("type"), error.get("text"), data, error.get("traceback", ""),
            extra={"task": task_type},
        )  # fmt: skip

    def handle_finished(self, data: Any, task_type: str) -> None:
        """Finish, once, after the last result; not called when the run was stopped.

        Parameters
        ----------
        data, task_type
            ``''``, as in the original

        """

    def get_ack_data(self) -> dict[str, Any]:
        """Tell the task something with each acknowledgement, beside ``_id`` and ``_task_type``."""
        return {}

    # -- the loop -----------------------------------------------------------

    def _open(self) -> None:
        self._access.may_bind(self.endpoint, self.ack_endpoint)
        self._settlement = Settlement(uuid.uuid4().hex)
        self._distributor = self._peer_clock(f"the distributor behind {self.ack_endpoint}")
        self._has_ack_data = type(self).get_ack_data is not Collector.get_ack_data
        self.receiver = self._bound(zmq.PULL, self.endpoint)
        self._inbox = Inbox(self.receiver)
        self.ack_sender = self._bound(zmq.PUSH, self.ack_endpoint, watch=True)
        self._greeted = self._met = False
        self._ended: bool | None = None
        self._hello_at = self._beat_at = self._stop_at = self._heard = self._refused_at = 0.0

    def _serve(self) -> None:
        assert self.receiver is not None  # noqa: S101 - _open made it
        poller = self._poller(self.receiver)
        self._follow(time.monotonic())
        try:
            while self._ended is None and not self._drained(time.monotonic()):
                ready = self._poll(poller, self._wake_at())
                if self._watches[0].monitor in ready or self.receiver not in ready:
                    self._follow(time.monotonic())
                if self.receiver in ready:
                    self._heard = self._polled_at
                    for _ in range(_DRAIN):
                        if (frames := self._inbox.take()) is None:
                            break
                        self._receive(frames)
                        self._send_due(time.monotonic())
                self._send_due(time.monotonic())
                self._announce(self._waits_for, self._settlement.strays)
        except StopNow:
            pass
        self._finish()

    def _drained(self, now: float) -> bool:
        """Tell whether it was asked to stop, and what was under way has come or takes too long."""
        if self._level == RUNNING:
            return False
        if not self._stop_at:
            self._stop_at, self._heard = now + self.stop_timeout, now
        quiet = now - self._heard > QUIET or not self._watches[0].connections
        return quiet or self._level >= NOW or now > self._stop_at

    def _receive(self, frames: list[sockets.Frame]) -> None:
        """Take in one message, of a worker or of the distributor."""
        if (len(frames) > 1 or len(frames[0]) > UNOPENED) and not self._settlement.expects(frames):
            return
        message = envelope.decode(*frames)
        if message is None:
            self._settlement.strays += 1
        elif message.type == _DATA:
            self._collect(message)
        elif message.type == messages.MESSAGE_TYPE_META_DATA:
            if (answer := self._settlement.start(message)) is not None:
                self.metadata = message.data if isinstance(message.data, dict) else {}
                self._greeted = self._say(answer)  # without room for it, HELLO is said again
                if not self._met:
                    self._met = True
                    self._event("started")
        elif self._settlement.belongs(message):
            self._heed(message)

    def _heed(self, message: Message) -> None:
        """Do what a message of the present run says."""
        if message.type == messages.MESSAGE_TYPE_FAILURE:
            self._collect_failure(message)
        elif message.type == messages.MESSAGE_TYPE_SUCCESS:
            self._settlement.confirm(message, time.monotonic())
        elif message.type == messages.MESSAGE_TYPE_END and message.life == self._settlement.life:
            self._ended = isinstance(message.data, dict) and bool(message.data.get("stopped"))
        else:
            self._settlement.strays += 1

    def _collect(self, message: Message) -> None:
        """Handle the results that are new, and acknowledge them all."""
        ranges, data = message.ids or message.ranges, message.data
        if self._settlement.is_news(message):
            fresh = ranges
        elif not self._settlement.belongs(message):
            self._refuse(message)
            return
        else:
            data = [data] if message.ids is None else data
            if not ranges or not isinstance(data, list) or len(data) != envelope.total(ranges):
                self._settlement.strays += 1
                return
            fresh = self._settlement.fresh(message.task, ranges)
        if fresh == ranges:
            handle = self._handle if len(data) == 1 else self._handle_slices
            handle(message.task, ranges, data)
            return
        chosen, again = divided(ranges, data, fresh)
        if chosen:
            self._handle(message.task, [(task_id, 1) for task_id in chosen], list(chosen.values()))
        self._settlement.settle(message.task, again, again=True)

    def _handle_slices(self, task: str, ranges: list[Range], data: list[Any]) -> None:
        """Handle results, and acknowledge some of them before all are handled if that takes long."""
        place, most = 0, len(data)
        while place < most:
            begun, count = time.monotonic(), min(self._slice, most - place)
            if count == most:
                self._handle(task, ranges, data)
            else:
                self._handle(task, envelope.part(ranges, place, count), data[place : place + count])
            place += count
            quick = time.monotonic() - begun < SLICE
            self._slice = max(16, 2 * count) if quick else max(1, count // 2)
            if not quick and self.ack_sender is not None:
                self._send_due(time.monotonic())

    def _handle(self, task: str, ranges: list[Range], data: list[Any]) -> None:
        """Call handle_collection() for each result; what was handled is acknowledged, whatever happens."""
        said: list[bytes] = []
        # an object of its own would take as long as all else that happens before the first
        items, handled, inside = iter(data), 0, self._user_code
        self._current = self._settlement.run, task, ranges, len(data), items
        try:
            inside.runs = True
            if inside.stopper is not None and inside.stopper.level >= NOW:
                raise StopNow  # noqa: TRY301 - as `with inside` does it
            if self._has_ack_data:
                feedback.speak(self, items, task, said)
            else:
                for answer in map(self.handle_collection, items, repeat(task), repeat(_DATA)):
                    if answer is not None:
                        self._note(said, answer)
            handled = len(data)
        except BaseException:
            # the last one that was taken has an answer, or is the one that raised
            taken = Results(*self._current).taken
            handled = max(0, taken - (len(said) < taken))
            raise
        finally:
            inside.runs = False
            if said:
                said.extend([feedback.NOTHING] * (handled - len(said)))
            done = ranges if handled == len(data) else envelope.part(ranges, 0, handled)
            self._settlement.settle(task, done, feedback=said or None)

    def _note(self, said: list[bytes], answer: Any) -> None:
        """Note what the program has to say to the result that was taken last; to the ones before, nothing."""
        said.extend([feedback.NOTHING] * (Results(*self._current).taken - 1 - len(said)))
        said.append(feedback.packed(self, feedback.together(type(self), {}, answer)))

    def _collect_failure(self, message: Message) -> None:
        if message.id is None:
            self._settlement.strays += 1
            return
        ranges = [(message.id, 1)]
        if not self._settlement.fresh(message.task, ranges):
            self._settlement.settle(message.task, ranges, again=True)
            return
        self._current = self._settlement.run, message.task, ranges, 0, iter(())
        data = message.data if isinstance(message.data, dict) else {}
        with self._user_code:
            self.handle_failure(data, message.task, message.error or {})
        self._settlement.settle(message.task, ranges, failed=True)

    # -- the distributor ------------------------------------------------------

    def _follow(self, now: float) -> None:
        """Find out whether the distributor is there."""
        watch = self._watches[0]
        came, gone, _ = watch.drain()
        if came:
            self._distributor.came()
            self._settlement.connected()
            self._greeted = False
            self._hello_at = now
        if gone and not watch.connections:
            self._distributor.went(now)
        self._distributor.check(now)

    def _send_due(self, now: float) -> None:
        """Send what is due and finds room: HELLO, signs of life, ACKs."""
        if not self._watches[0].connections:
            return
        if not self._greeted and now >= self._hello_at:
            self._hello_at = now + HELLO_INTERVAL
            self._say(self._settlement.hello(self._info()))
        if now >= self._beat_at:
            self._beat_at = now + HEARTBEAT
            self._settlement.repeat(now)
            if self._greeted:
                self._say(self._settlement.heartbeat(self._vitals.look()))
        while (ack := self._settlement.next_unsent()) is not None and self._say(ack):
            self._settlement.sent(now)

    def _wake_at(self) -> float:
        now = time.monotonic()
        if self._stop_at:
            return min(self._heard + QUIET, self._stop_at)
        if self._settlement.has_unsent:
            return now + 0.005  # the distributor has no room: look again soon
        if not self._watches[0].connections:
            return now + HEARTBEAT
        return self._beat_at if self._greeted else max(self._hello_at, now + 0.01)

    def _say(self, message: Message) -> bool:
        """Send to each of those that are connected: what only one gets may be with a stranger."""
        assert self.ack_sender is not None  # noqa: S101 - _open made it
        packed, sent = envelope.encode(message), 0
        with contextlib.suppress(zmq.Again):
            while sent < max(1, min(self._watches[0].connections, _COPIES)):
                self.ack_sender.send(packed, zmq.NOBLOCK)
                sent += 1
        return sent > 0

    def _refuse(self, message: Message) -> None:
        """Say once in a while, for a result without ids or of another run, that it is dropped."""
        if message.run is None and self._polled_at >= self._refused_at:
            self._refused_at = self._polled_at + STRAYS_INTERVAL
            self.logger.error(  # the name may be a stranger's: quoted, it makes no lines of its own
                "a worker of %.99r sends results without run, id and attempt of their DATA: they are dropped",
                message.task,
            )

    def _finish(self) -> None:
        """End: tell the program and the distributor."""
        if self._ended is False:
            with contextlib.suppress(StopNow), self._user_code:
                self.handle_finished("", "")
        self._send_due(time.monotonic())
        self._take_leave()

    def _take_leave(self) -> None:
        """Say goodbye until the distributor answers: what a closing socket has not sent may be lost."""
        assert self.receiver is not None and self.ack_sender is not None  # noqa: S101, PT018
        goodbye = self._settlement.goodbye(ended=self._ended is not None)
        poller = self._poller(self.receiver)
        until = time.monotonic() + PARTING
        answered = self._settlement.run is None  # whom it has not met it need not tell
        while not answered and time.monotonic() < until and self._watches[0].connections:
            self._say(goodbye)
            self._poll(poller, min(until, time.monotonic() + HELLO_INTERVAL))
            self._watches[0].drain()
            frames = [came[0] for came in sockets.receive(self.receiver, _DRAIN) if len(came[0]) <= UNOPENED]
            answered = any(m and self._settlement.is_goodbye(m) for m in map(envelope.decode, frames))
            if self._level >= NOW:
                return
        if answered:
            self.ack_sender.linger = 0  # nobody needs what is still on its way

    def _waits_for(self) -> list[str]:
        if not self._distributor.met or self._distributor.away:
            return [f"the distributor, at {self.ack_endpoint}"]
        return [] if self._greeted else ["the distributor's answer"]
