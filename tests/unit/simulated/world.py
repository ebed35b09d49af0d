"""A whole pipeline: its processes, their network and their clock, and what breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.simulated.accounts import Accounts
from tests.unit.simulated.collector import Collector
from tests.unit.simulated.creditworker import CreditWorker
from tests.unit.simulated.hub import COLLECTOR, HUB, Hub
from tests.unit.simulated.links import ROOM, Connection, Link, Network
from tests.unit.simulated.lockstep import LockstepWorker
from tests.unit.simulated.source import ALWAYS_FAILS, Numbers
from zmqpipeline.testing.notebook import Notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Worker = CreditWorker | LockstepWorker

#: how long one waits for the instant to kill the distributor at
ROUNDS_TO_LIVE = 4
TOTALS = {"first": 32, "second": 9, "gated": 9}
#: how long a task may take, in seconds
TIME_LIMITS = {"second": 3.0, "gated": 3.0}
#: the workers, by their places; their processes are behind those of the distributor and the collector
WORKERS = 4
PROCESSES = 2 + WORKERS
#: who takes a step: each process, and the heartbeats of the workers that have one
ROLES = [*range(PROCESSES), *(PROCESSES + place for place in (0, 2, 3))]


def process_of(role: int) -> int:
    """Tell in which process somebody is who takes steps."""
    return role if role < PROCESSES else role - WORKERS


class World:
    """A distributor with three tasks, four workers and a collector.

    ``second`` depends on ``first``; ``gated`` runs one at a time. ``first`` has
    two workers: one with two threads, and one that works in lock step.

    Parameters
    ----------
    journal
        whether the distributor has one
    due
        whether it commits each batch by itself

    """

    def __init__(self, *, journal: bool = False, due: bool = True) -> None:
        self.now = 100.0
        self.network = Network()
        self.runs: list[Accounts] = []
        self.asleep: set[int] = set()  #: processes that are stopped
        self._incarnations = self._pids = 0
        self._has_journal = journal
        self._due = due
        self._hubs = 0
        self._notebook: Notebook | None = None
        self._left_behind: list[Link] = []  #: what processes that are gone had sent to the collector
        self._collectors = 1
        self.hub = self._start_hub()
        self.collector = Collector(1, self.runs)
        makers: list[Callable[[int], Worker]] = [
            lambda process: CreditWorker(self, process, "first", 5, threads=2),
            lambda process: LockstepWorker(self, process, "first"),
            lambda process: CreditWorker(self, process, "second", 3, ends_itself=True),
            lambda process: CreditWorker(self, process, "gated", 2),
        ]
        self._makers = makers
        self.workers = [make(2 + place) for place, make in enumerate(makers)]

    @property
    def accounts(self) -> Accounts:
        """Those of the present run."""
        return self.runs[-1]

    def accounts_of(self, run: str) -> Accounts:
        """Find those of a run."""
        return next(accounts for accounts in self.runs if accounts.run == run)

    def new_pid(self) -> int:
        """Number another process."""
        self._pids += 1
        return self._pids

    # -- the network --------------------------------------------------------------

    def connect(self, task: str, process: int, kind: str) -> Connection:
        """Make a connection to a task's endpoint, with a new routing id."""
        self._incarnations += 1
        connection = Connection(self.network, f"{kind} {self._incarnations}".encode(), process, HUB)
        self.hub.connections[task][connection.address] = connection
        return connection

    def link_to_collector(self, process: int) -> Link:
        """Make a link for results."""
        return Link(self.network, process, COLLECTOR)

    def leave_behind(self, *links: Link) -> None:
        """Note that what was sent by these links may still be received."""
        self._left_behind = [link for link in (*self._left_behind, *links) if link.frames]

    def links_to_collector(self) -> list[Link]:
        """List what the collector reads from."""
        links = [*self._left_behind, self.hub.sink]
        for worker in self.workers:
            links.append(worker.results)
            if worker.heartbeat is not None:
                links.append(worker.heartbeat.results)
        return links

    def links(self) -> list[Link]:
        """List all links."""
        of_workers = [link for worker in self.workers for link in worker.links()]
        return [self.hub.sink, self.hub.acks, *of_workers, *self._left_behind]

    # -- steps ------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def step(self, role: int, limit: int) -> None:
        """Give a turn to the distributor, the collector, a worker, or its heartbeat."""
        process = process_of(role)
        if process in self.asleep:
            self.hub.was_stopped = self.hub.was_stopped or role == HUB
            return
        if role == HUB:
            self.hub.step(limit, self.now, collector_ended=self.collector.ended)
        elif role == COLLECTOR:
            if self.collector.ended and self.hub.dispatch.ended_at is None:
                self._replace_collector()  # it has ended with another life of the distributor
            self.collector.step(self.links_to_collector(), self.hub.acks, limit, self.now)
        elif role < PROCESSES:
            if self.workers[process - 2].ended and self.hub.dispatch.ended_at is None:
                self._replace_worker(process - 2)
            self.workers[process - 2].step(limit)
        else:
            heartbeat = self.workers[process - 2].heartbeat
            if heartbeat is not None and not self.workers[process - 2].ended:
                heartbeat.step()

    def step_everybody(self, limit: int, last: int = COLLECTOR, frozen: Iterable[int] = ()) -> None:
        """Give a turn to everybody but who is frozen; what the last one sends is under way then."""
        self.now += 0.1
        first = ROLES.index(last) + 1
        for role in (*ROLES[first:], *ROLES[:first]):
            if role not in frozen:
                self.step(role, limit)

    # -- faults of the network --------------------------------------------------

    def cut_acks(self, arrived: int, *, noticed: bool) -> None:
        self.hub.acks.cut(arrived)
        self.hub.acks_cut = noticed
        self.collector.came = True

    def repeat(self, number: int, count: int) -> None:
        """Have frames come twice that are under way on one of the links."""
        busy = [link for link in self.links() if link.frames]
        if busy:
            busy[number % len(busy)].repeat(count)

    def replay(self, number: int, age: int) -> None:
        """Have an old frame come again on one of the links."""
        links = [link for link in self.links() if link.received]
        if links:
            links[number % len(links)].replay(age)

    def part(self, processes: Iterable[int]) -> None:
        """Set processes apart from the others."""
        self.network.apart = frozenset(processes)

    def stop_and_give_up(self, place: int, task: int, rounds: int) -> None:
        """Stop a worker within a task until its connection is given up; then let it go on where it was.

        What it has done and begun was handed to others by then, and perhaps done; it learns
        of that when it has sent its results.
        """
        worker = self.workers[place]
        worker.slow_down(task, 0.3)
        self.step_everybody(ROOM, last=2 + place)
        self.asleep.add(2 + place)
        self.step_everybody(ROOM)
        worker.connection.cut(ROOM, at_worker=False)
        for _ in range(rounds):
            self.step_everybody(ROOM)
        self.asleep.discard(2 + place)
        self.pass_time(0.3)
        self.step(2 + place, ROOM)

    def overtake(self, place: int, task: int) -> None:
        """Let a worker be slow until its heartbeat has spoken for it, and then speak for itself.

        The distributor reads what was said by either connection first.
        """
        worker = self.workers[place]
        worker.slow_down(task, 0.3)
        self.step_everybody(ROOM, last=2 + place)
        self.pass_time(0.1)
        if worker.heartbeat is not None:
            worker.heartbeat.step()
        self.pass_time(0.3)
        self.step(2 + place, ROOM)

    # -- deaths -----------------------------------------------------------------

    def kill_worker(self, place: int, arrived: int, *, seen: bool = False) -> None:
        """Kill a worker, and start another one in its place; somebody may see it and tell the distributor."""
        worker = self.workers[place]
        if seen and isinstance(worker, CreditWorker):
            self.hub.ended = worker.info
        worker.connection.cut(arrived)
        worker.results.cut(arrived)
        if worker.heartbeat is not None:
            worker.heartbeat.connection.cut(arrived)
            worker.heartbeat.results.cut(arrived)
        self._replace_worker(place)

    def kill_collector(self, arrived: int) -> None:
        """Kill the collector, and start it again."""
        if self.collector.ended:
            return  # it may be gone then
        for link in self.links_to_collector():
            link.cut(arrived)
        self.hub.lose_collector(arrived)
        self._replace_collector()

    def kill_hub(self, instant: str, times: int, *, arrived: int, kept: int, delay: int) -> None:
        """Kill the distributor at an instant, or after some rounds if that does not come; and start it again.

        ``arrived`` is for what it has sent; ``kept`` is what each worker has sent and the
        next distributor gets, by the same connection, because it had not left the worker,
        which looks so often until it sees that the connection has ended.
        """
        before = self.hub
        if self._notebook.is_finished if self._notebook else before.dispatch.ended_at is not None:
            return  # another one would begin a run that nobody wants
        before.die_at(instant, times)
        for role in ROLES * ROUNDS_TO_LIVE:
            if before.is_dead:
                break  # nobody has read yet what it has sent last
            self.pass_time(0.1 / len(ROLES))
            self.step(role, ROOM)
        before.sink.cut(arrived)
        self.leave_behind(before.sink)
        self.hub = self._start_hub()
        self.collector.came = True
        self.asleep.discard(HUB)
        for task, connections in before.connections.items():
            for address, connection in connections.items():
                connection.to_worker.cut(arrived)
                connection.delay = delay
                if connection.inherit(kept):
                    self.hub.connections[task][address] = connection

    def _start_hub(self) -> Hub:
        self._hubs += 1
        if self._notebook is not None and not self._notebook.is_finished:
            self._notebook.reopen()
        else:
            accounts = Accounts(f"run {self._hubs}", TOTALS)
            self.runs.append(accounts)
            if self._has_journal:
                self._notebook = Notebook(accounts.run, TOTALS, due=self._due)
        sources = {
            name: Numbers(total, gated=name == "gated", time_limit=TIME_LIMITS.get(name), by=self._hubs)
            for name, total in TOTALS.items()
        }
        sources["second"].when_opened = self._check_first
        return Hub(self.network, self.accounts, sources, self._notebook)

    def _replace_worker(self, place: int) -> None:
        worker = self.workers[place]
        worker.end()
        self.leave_behind(worker.results, *([worker.heartbeat.results] if worker.heartbeat else []))
        self.asleep.discard(2 + place)
        self.workers[place] = self._makers[place](2 + place)

    def _replace_collector(self) -> None:
        self._collectors += 1
        self.asleep.discard(COLLECTOR)
        self.collector = Collector(self._collectors, self.runs)

    # -- what must be true ----------------------------------------------------------

    def check(self) -> None:
        """Nothing is lost, doubled or unexpected, here or in the books of the distributor."""
        self.hub.check()
        self.accounts.check()

    def _check_first(self) -> None:
        """A dependent task starts when everything before it was collected and acknowledged."""
        assert self.accounts.is_out("first")
        assert self.hub.sources["first"].acked == TOTALS["first"]

    def heal(self, rounds: int = 400) -> None:
        """Break nothing any more: the run has to complete."""
        self.part(())
        self.asleep.clear()
        for _ in range(rounds):
            self.step_everybody(ROOM)
            if self.hub.dispatch.finished(self.now):
                break
            if not any(link.frames for link in self.links()):
                self.pass_time(0.4)  # all wait for something to be due
        else:
            raise AssertionError(f"not complete after {rounds} rounds: {self.hub.dispatch.statistics()}")
        self.check()
        assert self.collector.ended
        self.accounts.check_complete()
        failed = 0
        for name, source in self.hub.sources.items():
            assert source.acked == source.total
            # what the collector had to say to each result has arrived
            assert sorted(said["id"] for said in source.feedback) == list(range(source.total))
            failed += len(self.accounts.failed[name])
        total = sum(TOTALS.values())
        always = sum(n % 5 == ALWAYS_FAILS for count in TOTALS.values() for n in range(count))
        statistics = self.hub.dispatch.statistics()
        assert statistics[:2] == (total, total)
        assert always <= statistics.failed <= failed
