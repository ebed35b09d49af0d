"""A worker's decisions: what it was given, what is done, and whose messages it heeds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zmqpipeline.wire import messages
from zmqpipeline.wire.envelope import Message, part, total
from zmqpipeline.wire.limits import MAX_MESSAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zmqpipeline.delivery.intervals import Range


@dataclass(slots=True)
class Work:
    """Tasks to be done, with what has to be echoed in their results."""

    tasks: list[Any]
    ids: list[Range]
    attempt: int
    run: str  #: of the distributor that handed them out; another may have taken its place meanwhile

    def take(self, count: int) -> Work:
        """Take the first ``count`` tasks out of it."""
        if count >= len(self.tasks):
            taken = Work(self.tasks, self.ids, self.attempt, self.run)
            self.tasks, self.ids = [], []
            return taken
        taken = Work(self.tasks[:count], part(self.ids, 0, count), self.attempt, self.run)
        self.ids = part(self.ids, count, len(self.tasks) - count)
        self.tasks = self.tasks[count:]
        return taken

    def goes_on_with(self, other: Work) -> bool:
        """Tell whether tasks of both can be done together: both echo the same, and no id comes twice."""
        last, size = self.ids[-1]
        return (self.attempt, self.run) == (other.attempt, other.run) and last + size <= other.ids[0][0]

    def add(self, other: Work) -> None:
        """Add tasks to it, behind its own; ids that follow each other become one range."""
        self.tasks += other.tasks
        (first, count), *rest = other.ids
        last, size = self.ids[-1]
        if last + size == first:
            self.ids = [*self.ids[:-1], (last, size + count), *rest]
        else:
            self.ids = [*self.ids, *other.ids]


class Assignment:
    """What one incarnation of a worker was given by one distributor.

    Parameters
    ----------
    task
        the worker's task type

    """

    def __init__(self, task: str) -> None:
        self.task = task
        self.run: str | None = None
        self.max_message: int | None = None
        self.largest = MAX_MESSAGE_SIZE  #: the same, or what it is where nobody says otherwise
        self.heartbeat_interval: float | None = None  #: how often the distributor wants to hear, in seconds
        self.started = False
        self.ended = False
        self.reset = False
        self.strays = 0
        self.number = 0  #: of the last batch that came
        self.time_limit: float | None = None  #: how long a task may take, in seconds
        self._order = 0  #: of the last credit that was told
        self._void = 0  #: tasks sent on the strength of an earlier credit than this are given back already
        self.metadata: dict[str, Any] = {}
        self.work: deque[Work] = deque()  #: what was not begun, as it came
        self._prepared: deque[Work] = deque()
        self._busy: dict[int, Work] = {}  #: by what tells one from the others: there may be thousands

    def hello(self, info: dict[str, Any]) -> Message:
        """Introduce this worker to the distributor."""
        return Message(messages.MESSAGE_TYPE_HELLO, self.task, info)

    def receive(self, message: Message) -> None:
        """Take in a message of the distributor."""
        if message.type != messages.MESSAGE_TYPE_DATA or message.run != self.run or self.run is None:
            self._hear(message)
            return
        tasks, ids = message.data, message.ids
        if ids is None and message.id is not None:
            tasks, ids = [tasks], [(message.id, 1)]
        if not isinstance(tasks, list) or not ids:
            self.strays += 1
            return
        if len(tasks) != (ids[0][1] if len(ids) == 1 else total(ids)):
            self.strays += 1
            return
        self.number = max(self.number, message.number or 0)  # an old batch that comes again is not news
        if message.order is not None and message.order < self._void:
            return
        self.work.append(Work(tasks, ids, message.attempt or 1, message.run or ""))

    def _hear(self, message: Message) -> None:
        """Take in what brings no tasks."""
        if message.type == messages.MESSAGE_TYPE_WELCOME and message.run and self.run in (None, message.run):
            self.run = message.run
            self._take_limits(message.data if isinstance(message.data, dict) else {})
        elif message.type == messages.MESSAGE_TYPE_RESET:
            self.reset = True
        elif self.run is None or message.run != self.run:
            self.strays += 1
        elif message.type == messages.MESSAGE_TYPE_META_DATA:
            self.metadata = message.data if isinstance(message.data, dict) else {}
            self.time_limit = None if message.limit is None else message.limit / 1000
            self.started = True
        elif message.type == messages.MESSAGE_TYPE_END:
            self.ended = True
        elif message.type != messages.MESSAGE_TYPE_HEARTBEAT:
            self.strays += 1

    def next(self, count: int, *, prepared: bool = False) -> Work | None:
        """Begin with up to ``count`` tasks; :meth:`done` says when they are finished.

        Batches of one kind are done together. With ``prepared``, those are meant that are :meth:`prepared`.
        """
        queue = self._prepared if prepared else self.work
        if not queue:
            return None
        if len(queue) == 1 and len(queue[0].tasks) <= count:
            work = queue.popleft()
            self._busy[id(work)] = work
            return work
        work = queue[0].take(count)
        while not queue[0].tasks:
            queue.popleft()
            count_left = count - len(work.tasks)
            if not count_left or not queue or not work.goes_on_with(queue[0]):
                break
            work.add(queue[0].take(count_left))
        self._busy[id(work)] = work
        return work

    def next_each(self, count: int) -> list[Work]:
        """Begin with up to ``count`` tasks, each a work of its own, because any may be done first."""
        begun: list[Work] = []
        while self.work and len(begun) < count:
            taken = self.work[0].take(count - len(begun))
            if not self.work[0].tasks:
                self.work.popleft()
            ids = (task_id for first, size in taken.ids for task_id in range(first, first + size))
            for task, task_id in zip(taken.tasks, ids, strict=True):
                begun.append(work := Work([task], [(task_id, 1)], taken.attempt, taken.run))
                self._busy[id(work)] = work
        return begun

    def prepared(self, work: Work, tasks: list[Any], ids: list[Range]) -> None:
        """Let what was made of some tasks wait for a thread that does them."""
        self.done(work)
        if tasks:
            self._prepared.append(Work(tasks, ids, work.attempt, work.run))

    def done(self, work: Work) -> None:
        """Note that the results of these tasks are made, or that they failed."""
        self._busy.pop(id(work), None)

    @property
    def has_work(self) -> bool:
        """Whether there are tasks that were not begun, and not prepared."""
        return bool(self.work)

    @property
    def waiting(self) -> int:
        """How many tasks there are that were not begun."""
        return self.unprepared + self.ready_to_do

    @property
    def unprepared(self) -> int:
        """How many of them are as they came."""
        return _tasks_in(self.work)

    @property
    def ready_to_do(self) -> int:
        """How many of them are prepared."""
        return _tasks_in(self._prepared)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing begun and nothing to begin."""
        return not self.work and not self._prepared and not self._busy

    def put_back(self, work: Work, count: int) -> None:
        """Let all but the first ``count`` tasks of some work be the next ones again."""
        if count < len(work.tasks):
            ids = part(work.ids, count, len(work.tasks) - count)
            rest = Work(work.tasks[count:], ids, work.attempt, work.run)
            del work.tasks[count:]
            work.ids = part(work.ids, 0, count)
            self.requeue(work, rest)

    def requeue(self, work: Work, rest: Work, *, prepared: bool = False) -> None:
        """Let tasks that were taken out of some work, and not begun, be the next ones again.

        Parameters
        ----------
        work
            where they were; what an earlier incarnation was given is void
        rest
            the tasks
        prepared
            whether they are :meth:`prepared`

        """
        if rest.tasks and id(work) in self._busy:
            (self._prepared if prepared else self.work).appendleft(rest)

    def held(self) -> list[Range]:
        """List what is not finished."""
        works = (*self._busy.values(), *self._prepared, *self.work)
        return [ids for work in works for ids in part(work.ids, 0, len(work.tasks))]

    def heartbeat(self) -> Message:
        """Tell the distributor what is not finished; so it knows what is."""
        return Message(
            messages.MESSAGE_TYPE_HEARTBEAT, self.task, run=self.run, number=self.number, held=self.held()
        )

    def ready(self, credit: int) -> Message:
        """Tell the distributor how many tasks there is room for."""
        self._order += 1
        return Message(messages.MESSAGE_TYPE_READY, self.task, run=self.run, credit=credit, order=self._order)

    def give_back(
        self, rest: Iterable[Range] = (), *, everything: bool = True, prepared: bool = True
    ) -> Message:
        """Give back what was not begun.

        Parameters
        ----------
        rest
            what was taken out of work that is begun
        everything
            whether to give back all other work as well, and to ask for nothing more
        prepared
            whether that includes what is :meth:`prepared`

        """
        message = Message(messages.MESSAGE_TYPE_RETURN, self.task, run=self.run, number=self.number)
        message.ids = list(rest)
        if everything:
            for queue in (self._prepared, self.work) if prepared else (self.work,):
                message.ids += [ids for work in queue for ids in work.ids]
                queue.clear()
            self._order += 1
            self._void = self._order
            message.credit, message.order = 0, self._order
        return message

    def give_back_all_but(self, count: int) -> Message:
        """Give back what waits behind ``count`` other tasks; what was told of credit stays."""
        message = Message(messages.MESSAGE_TYPE_RETURN, self.task, run=self.run, number=self.number)
        message.ids = []
        for queue in (self._prepared, self.work):
            kept: list[Work] = []
            for work in queue:
                first = work.take(count)
                message.ids += work.ids
                count -= len(first.tasks)
                if first.tasks:
                    kept.append(first)
            queue.clear()
            queue.extend(kept)
        return message

    def goodbye(self) -> Message:
        """Leave."""
        return Message(messages.MESSAGE_TYPE_GOODBYE, self.task, run=self.run)

    def failure(self, work: Work, task_id: int, error: dict[str, Any]) -> Message:
        """Tell the distributor that a task of some work failed."""
        kind = messages.MESSAGE_TYPE_FAILURE
        return Message(kind, self.task, run=work.run, id=task_id, attempt=work.attempt, error=error)

    def results(self, work: Work, ids: list[Range], body: bytes, count: int) -> Message:
        """Make the message with results of some work, for the collector."""
        kind = messages.MESSAGE_TYPE_DATA
        return Message(kind, self.task, None, work.run, ids, work.attempt, body, count)

    def _take_limits(self, said: dict[str, Any]) -> None:
        largest, interval = said.get("max_message"), said.get("heartbeat")
        if isinstance(largest, int) and largest > 0:
            self.max_message = self.largest = largest
        if isinstance(interval, int | float) and interval > 0:
            self.heartbeat_interval = interval


def _tasks_in(queue: deque[Work]) -> int:
    """Count the tasks in a queue, of which another thread may take some meanwhile: to copy it is one step."""
    return sum(len(work.tasks) for work in queue.copy())
