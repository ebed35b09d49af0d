"""Worker: who does the tasks; here what all kinds have in common."""

from __future__ import annotations

import abc
import logging
import time
import uuid
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

import zmq

from zmqpipeline.access import is_keyed
from zmqpipeline.declarations import Attribute, Method
from zmqpipeline.delivery.assignment import Assignment
from zmqpipeline.delivery.credit import Credit
from zmqpipeline.descriptors import EndpointAddress, TaskType
from zmqpipeline.errors import DeclarationError
from zmqpipeline.heartbeat import Heartbeat, Shared
from zmqpipeline.reporting import Reporter
from zmqpipeline.role import DeclaredRole
from zmqpipeline.stopping import NOW, RUNNING, StopNow
from zmqpipeline.task import ENDPOINT, TASK_TYPE
from zmqpipeline.typed import Generic, In, Out
from zmqpipeline.wire import envelope, messages, serializer, sockets
from zmqpipeline.wire.inbox import Inbox

if TYPE_CHECKING:
    from zmqpipeline.delivery.assignment import Work
    from zmqpipeline.execution import Execution
    from zmqpipeline.role import Socket
    from zmqpipeline.wire.envelope import Message

#: a HELLO that finds no answer is said again after so long, in seconds, then after twice that, and so on
HELLO_PAUSE, HELLO_LONGEST = 3.0, 60.0
_DRAIN = 16
_ALL = 100_000
#: a worker that has waited for so long, in seconds, begins with the first task that comes; another one reads
#: what has come in the meantime
_REST = 0.001
#: a worker that the collector has refused looks so often whether it is let in, in seconds
_RETRY = 0.05

_COLLECTOR_ENDPOINT = Attribute(
    "collector_endpoint",
    "the collector's address: zmqpipeline.EndpointAddress('...')",
    lambda value: isinstance(value, EndpointAddress),
)
_classes: weakref.WeakValueDictionary[str, type[Worker[Any, Any]]] = weakref.WeakValueDictionary()


class Worker(DeclaredRole, abc.ABC, Generic[In, Out]):
    """Who does the tasks of one type; the base of all kinds of workers.

    For type checkers, a ``Worker[In, Out]`` gets an ``In``, as a task returns it, and returns an ``Out``.

    Attributes
    ----------
    task_type
        the type of its tasks, a :class:`~zmqpipeline.TaskType`; one Task class and one Worker class have it
    endpoint
        where the distributor binds for this type, an :class:`~zmqpipeline.EndpointAddress`
    collector_endpoint
        where the collector takes results
    metadata
        the metadata of the run, ``{}`` without; there when :meth:`init_worker` is called
    worker_id
        this worker's routing id; another one after each reconnection

    """

    _declares: tuple[Attribute, ...] = (TASK_TYPE, ENDPOINT, _COLLECTOR_ENDPOINT)
    _calls: tuple[Method, ...] = (Method("handle_execution", ("data",)), Method("init_worker"))

    task_type: TaskType
    endpoint: EndpointAddress
    collector_endpoint: EndpointAddress

    metadata: dict[str, Any] = {}  # noqa: RUF012 - replaced on the instance, never changed
    worker_id: bytes = b""
    worker: Socket | None = None
    sender: Socket | None = None
    _heartbeat: Heartbeat | None = None

    logger: ClassVar[logging.Logger] = logging.getLogger("zmqpipeline.worker")
    _finishes: ClassVar[str] = "the tasks that it has begun"
    _second_stop: ClassVar[str] = "stops at once and gives its tasks back"

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Refuse a second class for a task type."""
        instance = super().__new__(cls, *args, **kwargs)
        known = _classes.setdefault(cls.task_type, cls)
        if known is not cls:
            raise DeclarationError(
                f"task type {str(cls.task_type)!r} belongs to worker "
                f"{known.__module__}.{known.__qualname__}; "
                f"{cls.__module__}.{cls.__qualname__} needs another one"
            )
        return instance

    @classmethod
    def clear_workers(cls) -> None:
        """Forget which worker class each task type belongs to."""
        _classes.clear()

    @abc.abstractmethod
    def handle_execution(self, data: In, *args: Any, **kwargs: Any) -> Any:
        """Do one task; in an :class:`AsyncWorker` this is a coroutine function.

        An exception is not the end of the worker: the task is tried again, and
        handed to the collector's ``handle_failure`` when its attempts are used up.

        Parameters
        ----------
        data
            what the task's ``handle()`` returned
        *args, **kwargs
            room for what later versions may pass

        Returns
        -------
        dict or None
            what the collector gets; ``{}`` for None

        """

    def init_worker(self) -> None:
        """Prepare, once, before the first task; for a dependent task, after its dependencies are complete."""

    # -- the loop -----------------------------------------------------------

    def _open(self) -> None:
        self.sender = self._connected(zmq.PUSH, self.collector_endpoint)
        self._may_refuse = is_keyed(self.collector_endpoint)
        self._results = sockets.Outbox(self.sender)
        self._distributor = self._peer_clock(f"the distributor at {self.endpoint}")
        self._initialized = False
        self._packer = serializer.make_packer()
        self._stop_at, self._has_rested = 0.0, False
        self._process = uuid.uuid4().hex
        self._call_name = f"{type(self).__qualname__}.handle_execution"
        self.worker = None
        self._prepare_hands()
        self._join()

    def _join(self) -> None:
        """Connect to the distributor as a new incarnation: what was said to an earlier one is void."""
        if self.worker is not None:
            self._drop(self.worker)
        self.worker_id = f"worker-{uuid.uuid4().hex}".encode()
        self.worker = self._connected(zmq.DEALER, self.endpoint, identity=self.worker_id, watch=True)
        self._watch = self._watches[-1]
        self._stop_heartbeat()
        self._to_distributor = sockets.Outbox(self.worker)
        self._inbox = Inbox(self.worker, delimited=True)
        self._reporter = Reporter(self._results, self._to_distributor, self.logger, self._subject())
        self._assignment = Assignment(str(self.task_type))
        self._shared = Shared(self._assignment, self.worker_id, self._executions, self._requeue, self._vitals)
        self._greeted = False
        self._hello_pause = HELLO_PAUSE
        self._hello_at = time.monotonic() + HELLO_PAUSE
        self._tell(self._assignment.hello(self._info()))
        self._poll_set = self._poller(self.worker, *self._inner_sockets())
        self._writing = (False, False)

    def _serve(self) -> None:
        try:
            while not self._assignment.ended:
                now = time.monotonic()
                ready = self._poll(self._pollers(), self._wake_at(now))
                self._has_rested = self._polled_at - now > _REST
                if self._read(ready):
                    self._work()
                now = time.monotonic()
                self._follow(now)
                if self._stopping(now):
                    break
                if not self._greeted:
                    self._get_on(now)
                self._shared.backlog = not self._results.flush()
                self._to_distributor.flush()
                self._announce(self._waits_for, self._assignment.strays)
        except StopNow:
            with self._shared.lock:
                self._tell(self._assignment.give_back())
        self._leave()
        self._stop_heartbeat()
        if self._greeted:
            with self._shared.lock:  # the distributor waits for the ACKs of what is done, and takes the rest
                self._tell(self._assignment.heartbeat())
        self._tell(self._assignment.goodbye())

    def _read(self, ready: dict[Any, int]) -> bool:
        """Read what has come, up to some work; tell whether there is some that can be begun."""
        if self.worker in ready:
            for _ in range(_DRAIN):
                frames = self._inbox.take()
                if frames is None:
                    break
                self._take(frames)
                if (self._has_rested or self._has_a_round()) and self._can_work():
                    # what else has come can wait, whoever gave this work cannot
                    return not self._assignment.reset
        return self._can_work() and not self._assignment.reset

    def _has_a_round(self) -> bool:
        """Tell whether there is as much work as is done before it looks at its sockets again."""
        return self._assignment.waiting >= self._credit.round

    def _take(self, frames: list[sockets.Frame]) -> None:
        """Take in one message of the distributor."""
        message = envelope.decode(*frames) if 1 <= len(frames) <= 2 else None
        if message is None:
            self._assignment.strays += 1
        else:
            with self._shared.lock:
                self._assignment.receive(message)

    def _follow(self, now: float) -> None:
        """Join again when the connection broke or we are not known; end when the distributor stays away."""
        if self._assignment.ended:
            return
        came, gone, _ = self._watch.drain()
        if came:
            self._distributor.came()
        if gone:
            self._distributor.went(now)
            if self._has_ended():
                return
        if gone or self._assignment.reset or self._watch.has_given_up(now):
            self._join()
        self._distributor.check(now)

    def _has_ended(self) -> bool:
        """Tell whether END came before the connection broke: then it counts."""
        while (frames := self._inbox.take()) is not None:
            self._take(frames)
        return self._assignment.ended

    def _get_on(self, now: float) -> None:
        """Go on from HELLO: to the first task, or to another HELLO if the first one was dropped."""
        if self._assignment.started:
            self._greet()
        elif self._assignment.run is None and now >= self._hello_at and self._watch.connections:
            self._hello_pause = min(2 * self._hello_pause, HELLO_LONGEST)
            self._hello_at = now + self._hello_pause
            self._tell(self._assignment.hello(self._info()))

    def _greet(self) -> None:
        """Answer START: prepare, then ask for tasks."""
        self._greeted = True
        self.metadata = self._assignment.metadata
        if not self._initialized:
            self._initialized = True
            self._event("starting")
            with self._user_code:
                self.init_worker()
                self._begin()
            self._event("started")
        self._heartbeat = self._make_heartbeat(Heartbeat)
        self._heartbeat.start()
        self._tell(self._assignment.ready(self._credit.credit))

    def _make_heartbeat(self, kind: Any) -> Any:
        where = self.context, self.endpoint, self.collector_endpoint, self._shared, self._liveness
        return kind(*where, self.logger, self._subject(), self._give_up, self._access)

    def _stop_heartbeat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None

    def _closing(self) -> None:
        self._stop_heartbeat()  # an exception has left it behind; with its sockets the context cannot end

    def _part(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.part()

    def _give_up(self) -> bool:
        """Tell whether the process has to end, because none of its threads will come back in time.

        A role that runs in a thread of a larger program has to wait until a call returns.
        """
        return self._is_main and all(e is not None and e.abandoned for e in self._executions)

    def _stopping(self, now: float) -> bool:
        """Drain when asked to; tell whether it is time to go."""
        if self._level == RUNNING:
            return False
        if not self._stop_at or self._assignment.has_work:
            with self._shared.lock:  # neither the heartbeat nor an event loop takes any of it meanwhile
                self._tell(self._assignment.give_back(prepared=False))
        if not self._stop_at:
            self._stop_at = now + self.stop_timeout
            if not self._assignment.is_idle:
                self.logger.info("%s: waiting for the tasks that it has begun", self._subject())
        idle = self._assignment.is_idle and not self._results
        return idle or self._level >= NOW or now > self._stop_at

    def _can_work(self) -> bool:
        """Tell whether a task can be begun: results that cannot be sent come first."""
        if not (self._assignment.work and self._greeted) or self._results.waiting:
            return False
        if self._may_refuse and self._access.is_refused(self.collector_endpoint):
            return False
        return self._stopper is None or self._stopper.level == RUNNING

    def _wake_at(self, now: float) -> float | None:
        """Tell until when to wait for messages."""
        if self._can_work():
            return now
        return now + _RETRY if self._access.is_refused(self.collector_endpoint) else None

    def _waits_for(self) -> list[str]:
        if not self._distributor.met or self._distributor.away:
            return [f"the distributor at {self.endpoint}"]
        if self._results:
            return [f"the collector at {self.collector_endpoint}"]
        return []

    def _pollers(self) -> zmq.Poller:
        """Choose what to wait for: room to send as well, where something waits for room."""
        writing = (bool(self._results), bool(self._to_distributor))
        if writing != self._writing:
            self._writing = writing
            self._poll_set.register(self._results.socket, zmq.POLLOUT if writing[0] else 0)
            both = zmq.POLLIN | zmq.POLLOUT
            self._poll_set.register(self._to_distributor.socket, both if writing[1] else zmq.POLLIN)
        return self._poll_set

    # -- what the kinds of workers differ in ---------------------------------

    def _hands(self) -> int:
        """Tell how many tasks can be done at a time."""
        return 1

    def _prepare_hands(self) -> None:
        self._credit = Credit(self._hands())
        self._executions: list[Execution | None] = [None] * self._hands()

    def _inner_sockets(self) -> list[Socket]:
        """List what else is to be read."""
        return []

    def _begin(self) -> None:
        """Prepare behind init_worker()."""

    @abc.abstractmethod
    def _work(self) -> None:
        """Begin with some of the tasks that are there."""

    def _leave(self) -> None:
        """Give back what :meth:`_begin` made."""

    # -- sending --------------------------------------------------------------

    def _tell(self, message: Message) -> None:
        if message.run is None and message.type == messages.MESSAGE_TYPE_RETURN:
            return  # it has met nobody who could have given it anything
        self._reporter.tell(message)

    def _watched(self, hand: int, execution: Execution) -> Execution:
        """Let the heartbeat see what one hand begins with."""
        self._executions[hand] = execution
        return execution

    def _finished(self, execution: Execution, seconds: float) -> None:
        """Send what one hand has done, learn the pace, and ask for more or for less."""
        size = execution.sent + self._reporter.report(self._assignment, execution, self._assignment.largest)
        self._shared.backlog = bool(self._results)
        self._shared.done += execution.position
        self._credit.measured(max(execution.position, 1), seconds, size)
        with self._shared.lock:
            self._requeue(execution, execution.cut(running=0))  # the results before it were large
            self._assignment.done(execution.work)
            self._ask()

    def _ask(self) -> None:
        """Ask for more or for less, at the pace that was measured; under the lock."""
        news = self._credit.news()
        waiting = self._assignment.waiting
        if self._credit.is_too_much(waiting):
            self._tell(self._assignment.give_back())
            news = self._credit.credit
        if self._shared.paused:
            news, self._shared.paused = self._credit.credit, False
        if news is not None and self._level == RUNNING:
            self._tell(self._assignment.ready(news))
        if self._credit.is_hoard(waiting):
            self._tell(self._assignment.give_back_all_but(self._credit.credit))

    def _requeue(self, execution: Execution, rest: Work) -> None:
        """Keep for later what an execution has left."""
        self._assignment.requeue(execution.work, rest)

    def _info(self) -> dict[str, Any]:
        return {**super()._info(), "process": self._process, "hands": self._hands()}
