"""The workers of a simulated run: one after another in each seat."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from zmqpipeline.delivery.assignment import Assignment
from zmqpipeline.delivery.calls import SLOW
from zmqpipeline.delivery.credit import Credit
from zmqpipeline.execution import Execution
from zmqpipeline.heartbeat import TIME_LIMIT_EXIT
from zmqpipeline.testing.faults import Kind
from zmqpipeline.testing.hands import Hands
from zmqpipeline.testing.network import HOST
from zmqpipeline.wire import envelope
from zmqpipeline.wire.sockets import LIVENESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.delivery.assignment import Work
    from zmqpipeline.testing.hands import Sent
    from zmqpipeline.testing.network import Network
    from zmqpipeline.worker import Worker

    _Any = Worker[Any, Any]

#: how long a task takes, in simulated seconds
TASK_TIME = 0.001
#: how long it takes until a killed role is there again, in simulated seconds
RESTART_TIME = 0.5

#: what may happen when a worker begins with a task; the last one leaves the task
_AT_TASK = (Kind.KILL_WORKER, Kind.FREEZE_WORKER, Kind.DROP_CONNECTION, Kind.DELAY, Kind.RAISE_IN_WORKER)

R = TypeVar("R")


@dataclass(frozen=True)
class Maker(Generic[R]):
    """Makes the instances of one role.

    Parameters
    ----------
    make
        makes one
    again
        whether it can make another one; not if the program gave an instance

    """

    make: Callable[[], R]
    again: bool


@dataclass(eq=False)
class Round:
    """Tasks that one hand does at a stretch.

    They are done at once; what comes of them is sent when the time that they take has passed.
    """

    hand: int
    execution: Execution
    began: float
    seconds: float = 0.0  #: how long it takes
    early: list[tuple[float, Sent]] = field(default_factory=list)  #: what is sent before its end, and when
    over_at: float | None = None  #: when its task passes the time limit

    @property
    def ends(self) -> float:
        """When it is done."""
        return self.began + self.seconds

    @property
    def due(self) -> float:
        """When something happens in it next."""
        times = [self.ends, *(at for at, _ in self.early)]
        return min(times if self.over_at is None else [*times, self.over_at])


class Killed(BaseException):
    """Raised to leave a worker that is killed, past whatever it catches.

    Parameters
    ----------
    how
        how the process ends, in words
    restart
        whether another one takes its place

    """

    def __init__(self, how: str, *, restart: bool = True) -> None:
        super().__init__(how)
        self.how = how
        self.restart = restart


class Seat:
    """Where a worker works, until it is killed and another takes its place.

    Parameters
    ----------
    network
        the wires
    maker
        makes the workers
    number
        the seat's number, from 1
    check
        refuses a worker that would never meet the others

    """

    def __init__(
        self, network: Network, maker: Maker[_Any], number: int, check: Callable[[_Any], None]
    ) -> None:
        self._network = network
        self._maker = maker
        self._number = number
        self._check = check
        self._joined = 0
        self._beat_at = 0.0
        self.workers: list[_Any] = []
        self._start()

    @property
    def who(self) -> str:
        """What the history calls the worker that is here."""
        name = f"{type(self.workers[-1]).__name__}-{self._number}"
        return name if len(self.workers) == 1 else f"{name}, life {len(self.workers)}"

    @property
    def state(self) -> str:
        """Who is here and whether it lives, for a person."""
        if self._lives:
            return self.who
        return f"{self.who} (dead)" if self._restart_at is None else f"{self.who} (to be started again)"

    # -- the loop -----------------------------------------------------------

    def step(self) -> bool:
        """Do what a worker's loop and its heartbeat do once; tell whether anything happened."""
        now = self._network.clock.now
        if not self._lives:
            if self._restart_at is None or now < self._restart_at:
                return False
            self._start()
            return True
        if now < self._frozen_until:
            return False
        if now >= self._beat_at:
            self._beat_at = now + LIVENESS.interval
            if self._greeted and not self._unsent:  # what has not left counts as not finished
                self._connection.put(self._assignment.heartbeat())
        try:
            return self._serve(now)
        except Killed as killed:
            self._die(killed)
            return True

    def wake_at(self) -> float | None:
        """Tell when something is due next."""
        certain = self.certain_at()
        if not self._lives or self._left or self._network.clock.now < self._frozen_until:
            return certain
        return self._beat_at if certain is None else min(certain, self._beat_at)

    def certain_at(self) -> float | None:
        """Tell when something is due next that brings the run on; None if there is no such thing."""
        if not self._lives:
            return self._restart_at
        if self._network.clock.now < self._frozen_until:
            return self._frozen_until
        return min((going.due for going in self._rounds), default=None)

    def _serve(self, now: float) -> bool:
        moved = self._follow_rounds(now)
        moved = self._send() or moved
        if self._rounds and self.hands.count == 1:
            return moved  # its only thread is at work
        moved = self._read() or moved
        if self._assignment.ended:
            return self._leave() or moved
        if self._connection.is_cut or self._assignment.reset:
            self._connection.cut()
            self._join()
            moved = True
        if self._assignment.started and not self._greeted:
            self._greet()
            moved = True
        return self._work(now) or moved

    def _read(self) -> bool:
        moved = bool(self._connection.to_worker)
        while self._connection.to_worker:
            message = envelope.decode(self._connection.to_worker.popleft())
            if message is not None:
                self._assignment.receive(message)
        return moved

    def _send(self) -> bool:
        """Send results, if there is a collector; without one they are kept."""
        if not self._unsent or not self._network.collector_is_up:
            return False
        for frame in self._unsent:
            self._network.send_results(frame, self.who)
        self._unsent.clear()
        return True

    # -- its life -------------------------------------------------------------

    def _start(self) -> None:
        worker = self._maker.make()
        self.workers.append(worker)
        self.hands = Hands(worker, self.who)
        self._check(worker)
        self._lives, self._left = True, False
        self._restart_at: float | None = None
        self._pid = self._network.new_process()
        self._initialized = False
        self._frozen_until = 0.0
        self._credit = Credit(self.hands.count)
        self._rounds: list[Round] = []
        self._unsent: list[bytes] = []
        self._network.clock.note("started", str(worker.task_type), None, self.who)
        self._join()

    def _join(self) -> None:
        """Connect as a new incarnation: what was said to an earlier one is void."""
        self._joined += 1
        worker = self.hands.worker
        task = str(worker.task_type)
        worker.worker_id = f"{self.who}, connection {self._joined}".encode()
        self._connection = self._network.connect(task, worker.worker_id, self.who)
        self._assignment = Assignment(task)
        self._greeted = self._paused = False
        self._beat_at = self._network.clock.now + LIVENESS.interval
        info: dict[str, Any] = {
            "protocol": envelope.PROTOCOL_VERSION,
            "name": self.who,
            "host": HOST,
            "pid": self._pid,
            "process": self.who,
            "hands": self.hands.count,
        }
        self._connection.put(self._assignment.hello(info))

    def _greet(self) -> None:
        """Answer START: prepare, then ask for tasks."""
        self._greeted = True
        if not self._initialized:
            self._initialized = True
            self.hands.begin(self._assignment.metadata)
        self._connection.put(self._assignment.ready(self._credit.credit))

    def _leave(self) -> bool:
        if self._left:
            return False
        self._left, self._greeted = True, False
        self._send()
        self._connection.put(self._assignment.goodbye())
        self._connection.is_cut = True
        return True

    def _die(self, killed: Killed) -> None:
        self.hands.close()
        self._network.ends[HOST, self._pid] = killed.how
        self._connection.cut()
        self._lives = False
        self._rounds, self._unsent = [], []
        if killed.restart and self._maker.again:
            self._restart_at = self._network.clock.now + RESTART_TIME

    # -- work -----------------------------------------------------------------

    def _work(self, now: float) -> bool:
        """Let each idle hand begin with some of the tasks that are there."""
        if not self._greeted or self._unsent:
            return False
        busy = {going.hand for going in self._rounds}
        idle = [hand for hand in range(self.hands.count) if hand not in busy]
        moved = False
        while idle:
            work = self._assignment.next(max(1, self._credit.share(self._assignment.waiting)))
            if work is None:
                break
            moved = True
            if self.hands.forward(self._assignment, work):
                self._do(idle.pop(0), work, now)
            else:
                self._assignment.done(work)
            self._tell_now()
        return moved

    def _do(self, hand: int, work: Work, now: float) -> None:
        going = Round(hand, Execution(work), now)
        self._rounds.append(going)
        faulty = self._network.faults.armed(*_AT_TASK)

        def before() -> None:
            going.seconds += TASK_TIME
            number = going.execution.running
            assert number is not None  # noqa: S101 - a task is about to run
            if faulty:
                self._meet_faults(going, number)
            self._network.clock.note("executed", self._assignment.task, number, self.who)

        self.hands.execute(going.execution, hand, before)

    def _meet_faults(self, going: Round, number: int) -> None:
        """Let happen what happens at a task."""
        task = self._assignment.task
        for kind in _AT_TASK:
            fault = self._network.faults.at(kind, task, number)
            if fault is None:
                continue
            self._network.clock.note(kind.value, task, number, self.who)
            if kind is Kind.KILL_WORKER:
                raise Killed("signal SIGKILL", restart=fault.restart)
            if kind is Kind.RAISE_IN_WORKER:
                raise fault.error or RuntimeError(f"injected at task {number} of {task}")
            if kind is Kind.DELAY:
                self._slow(going, fault.seconds)
            else:
                self._connection.cut()
                self._frozen_until = self._network.clock.now + fault.seconds

    def _slow(self, going: Round, seconds: float) -> None:
        """Do what the heartbeat does beside a slow call: send what is done, give back the rest."""
        begun = going.ends - TASK_TIME
        going.seconds += seconds
        hands, assignment, execution = self.hands, self._assignment, going.execution
        took, limit = TASK_TIME + seconds, assignment.time_limit
        if took >= SLOW:
            stuck = len(self._rounds) == hands.count
            message = assignment.give_back(execution.cut().ids, everything=stuck)
            self._paused = self._paused or stuck
            hands.report(assignment, execution)
            hands.tell(message)
            hands.tell(assignment.heartbeat())
            going.early.append((begun + SLOW, hands.take()))
        if limit is not None and took > limit:
            hands.over_time(assignment, execution, limit)
            going.over_at = begun + limit
            going.early.append((begun + limit, hands.take()))

    def _follow_rounds(self, now: float) -> bool:
        """Send what was done, where its time has passed."""
        moved = False
        for going in list(self._rounds):
            while going.early and going.early[0][0] <= now:
                moved = True
                self._dispose(going.early.pop(0)[1])
            if going.over_at is not None and going.over_at <= now:
                going.over_at = None
                self._written_off(now)
            if going.ends <= now:
                moved = True
                self._finish(going)
        return moved

    def _written_off(self, now: float) -> None:
        """End the process, as production does, when no thread is left that will come back in time."""
        stuck = [going for going in self._rounds if going.execution.abandoned and going.ends > now]
        if len(stuck) == self.hands.count:
            self._send()
            self._connection.put(self._assignment.goodbye())
            self._network.clock.note("time limit", self._assignment.task, None, self.who)
            raise Killed(f"exit code {TIME_LIMIT_EXIT}")

    def _finish(self, going: Round) -> None:
        """Send what one hand has done, learn the pace, and ask for more or for less."""
        self._rounds.remove(going)
        size = self.hands.report(self._assignment, going.execution)
        self._tell_now()
        self._assignment.done(going.execution.work)
        self._credit.measured(max(going.execution.position, 1), going.seconds, size)
        news = self._credit.news()
        if self._paused:
            news, self._paused = self._credit.credit, False
        if news is not None and self._greeted:
            self._connection.put(self._assignment.ready(news))

    def _tell_now(self) -> None:
        self._dispose(self.hands.take())

    def _dispose(self, sent: Sent) -> None:
        results, told = sent
        self._unsent += results
        for frame in told:
            self._connection.put_frame(frame)
