"""What goes in must come out, whatever breaks: a whole pipeline over a simulated network.

Hypothesis chooses who takes a step, how much time passes and what breaks;
after every step the books of :mod:`tests.unit.simulated.accounts` are compared with those
of the distributor, and in the end, when nothing breaks any more, the run has to complete.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests import budget
from tests.unit.simulated.creditworker import CreditWorker
from tests.unit.simulated.hub import COLLECTOR, HUB, INSTANTS
from tests.unit.simulated.links import ROOM
from tests.unit.simulated.source import ALWAYS_FAILS, FAILS_FIRST
from tests.unit.simulated.world import PROCESSES, ROLES, TOTALS, WORKERS, World

FIRST_WORKER = 2
PLACES = st.integers(0, WORKERS - 1)
LIMITS = st.integers(1, ROOM)
WHO = st.sampled_from(ROLES)
SOME = st.sets(st.integers(0, PROCESSES - 1), min_size=1, max_size=3)
ROUNDS = st.sampled_from([1, 2, 3, 10, 30])
#: how many frames of a link that is cut had arrived
ARRIVED = st.sampled_from([0, 0, 1, 2])
#: how often a worker looks until it sees that its connection has ended
DELAY = st.sampled_from([0, 0, 1, 3])
#: one of the links
NUMBERS = st.integers(0, 40)
SECONDS = st.sampled_from([0.01, 0.3, 1.1, 6.0])


class Pipeline(RuleBasedStateMachine):
    world: World

    @initialize(journal=st.booleans(), due=st.booleans(), rounds=st.sampled_from([0, 30, 60, 102]))
    def it_has_run_for_a_while(self, journal: bool, due: bool, rounds: int) -> None:
        self.world = World(journal=journal, due=due)
        for _ in range(rounds):
            self.world.step_everybody(ROOM)

    # -- steps ------------------------------------------------------------------

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(role=WHO, limit=LIMITS)
    def somebody_works(self, role: int, limit: int) -> None:
        self.world.step(role, limit)

    @rule(limit=LIMITS, last=WHO, rounds=ROUNDS, frozen=st.sets(WHO, max_size=2))
    def everybody_works_but_some(self, limit: int, last: int, rounds: int, frozen: set[int]) -> None:
        for _ in range(rounds):
            self.world.step_everybody(limit, last, frozen)

    @rule(place=PLACES, task=st.integers(0, 2), seconds=SECONDS)
    def a_task_takes_long(self, place: int, task: int, seconds: float) -> None:
        self.world.workers[place].slow_down(task, seconds)

    @rule(place=PLACES, task=st.integers(0, 2))
    def worker_and_its_heartbeat_overtake_each_other(self, place: int, task: int) -> None:
        self.world.overtake(place, task)

    @rule(place=PLACES, at_once=st.booleans())
    def worker_is_asked_to_leave(self, place: int, at_once: bool) -> None:
        self.world.workers[place].stop(at_once=at_once)

    @rule(processes=SOME)
    def some_are_stopped(self, processes: set[int]) -> None:
        self.world.asleep |= processes

    @rule()
    def everybody_goes_on(self) -> None:
        self.world.asleep.clear()

    # -- faults: something is under way, and is lost --------------------------------

    @rule(place=PLACES, sends=st.booleans(), arrived=ARRIVED, delay=DELAY)
    def worker_loses_its_connection(self, place: int, sends: bool, arrived: int, delay: int) -> None:
        self.world.step_everybody(ROOM, last=FIRST_WORKER + place if sends else HUB)
        connection = self.world.workers[place].connection
        connection.cut(arrived)
        connection.delay = delay

    @rule(place=PLACES, arrived=ARRIVED)
    def results_are_lost(self, place: int, arrived: int) -> None:
        self.world.step_everybody(ROOM, last=FIRST_WORKER + place)
        self.world.workers[place].results.cut(arrived)

    @rule(place=st.sampled_from([0, 2, 3]), results=st.booleans(), arrived=ARRIVED)
    def what_a_heartbeat_says_is_lost(self, place: int, results: bool, arrived: int) -> None:
        self.world.step_everybody(ROOM, last=PROCESSES + place)
        heartbeat = self.world.workers[place].heartbeat
        if heartbeat is not None:
            (heartbeat.results if results else heartbeat.connection.to_hub).cut(arrived)

    @rule(arrived=ARRIVED)
    def messages_to_the_collector_are_lost(self, arrived: int) -> None:
        self.world.step_everybody(ROOM, last=HUB)
        self.world.hub.sink.cut(arrived)

    @rule(arrived=ARRIVED, noticed=st.booleans())
    def acknowledgements_are_lost(self, arrived: int, noticed: bool) -> None:
        self.world.step_everybody(ROOM, last=COLLECTOR)
        self.world.cut_acks(arrived, noticed=noticed)

    # -- faults: something comes more than once -------------------------------------

    @rule(last=WHO, number=NUMBERS, count=st.integers(1, ROOM))
    def frames_come_twice(self, last: int, number: int, count: int) -> None:
        self.world.step_everybody(ROOM, last)
        self.world.repeat(number, count)

    @rule(number=NUMBERS, age=st.integers(0, 7))
    def an_old_frame_comes_again(self, number: int, age: int) -> None:
        self.world.replay(number, age)

    # -- faults: some cannot reach the others, or do not move, for a while ------------

    @rule(processes=SOME)
    def partition_begins(self, processes: set[int]) -> None:
        self.world.part(processes)

    @rule()
    def partition_ends(self) -> None:
        self.world.part(())

    @rule(place=PLACES, arrived=ARRIVED, ends=st.sampled_from([(True, False), (False, True)]))
    def one_end_gives_a_connection_up(self, place: int, arrived: int, ends: tuple[bool, bool]) -> None:
        at_hub, at_worker = ends
        self.world.workers[place].connection.cut(arrived, at_hub=at_hub, at_worker=at_worker)

    @rule(place=PLACES, task=st.integers(0, 2), rounds=ROUNDS)
    def worker_is_stopped_and_comes_back_with_late_results(self, place: int, task: int, rounds: int) -> None:
        self.world.stop_and_give_up(place, task, rounds)

    # -- deaths -------------------------------------------------------------------

    @rule(place=PLACES, last=WHO, arrived=ARRIVED, seen=st.booleans())
    def worker_dies(self, place: int, last: int, arrived: int, seen: bool) -> None:
        self.world.step_everybody(ROOM, last)
        self.world.kill_worker(place, arrived, seen=seen)

    @rule(last=WHO, arrived=ARRIVED)
    def collector_dies(self, last: int, arrived: int) -> None:
        self.world.step_everybody(ROOM, last)
        self.world.kill_collector(arrived)

    @rule(
        instant=st.sampled_from(INSTANTS),
        times=st.integers(0, 2),
        arrived=ARRIVED,
        kept=ARRIVED,
        delay=DELAY,
    )
    def distributor_dies(self, *, instant: str, times: int, arrived: int, kept: int, delay: int) -> None:
        self.world.kill_hub(instant, times, arrived=arrived, kept=kept, delay=delay)

    # -- what must be true ------------------------------------------------------------

    @invariant()
    def what_went_in_has_come_out_or_is_under_way(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.heal()


def tried(count: int) -> settings:
    """Try so many examples, or as many as one likes; in CI the same ones each time."""
    return settings(
        max_examples=budget.examples(count),
        stateful_step_count=40,
        deadline=None,
        derandomize="CI" in os.environ and budget.EXAMPLES not in os.environ,
    )


class ManyPipelines(Pipeline):
    """The same, and more of them."""


FEW, MANY = 100, 700
Pipeline.TestCase.settings = tried(FEW)
ManyPipelines.TestCase.settings = tried(MANY)
# an example takes 0.03 s, and one that fails is tried in many variations
TestPipeline = pytest.mark.timeout(600 + 0.5 * budget.examples(FEW))(Pipeline.TestCase)
TestManyPipelines = pytest.mark.timeout(600 + 0.5 * budget.examples(MANY))(ManyPipelines.TestCase)
TestManyPipelines = pytest.mark.chaos(TestManyPipelines)


def test_an_undisturbed_run_completes_and_repeats_only_what_failed() -> None:
    world = World()
    world.heal()
    numbers = [n for total in TOTALS.values() for n in range(total)]
    failures = sum(2 * (n % 5 == ALWAYS_FAILS) + (n % 5 == FAILS_FIRST) for n in numbers)
    assert world.hub.dispatch.statistics().redelivered == failures


@pytest.mark.parametrize("rounds", [0, 30])
def test_results_of_a_worker_that_was_given_up_are_collected_once(rounds: int) -> None:
    """Those that come before the others' count, or they are dropped."""
    world = World()
    worker = world.workers[0]
    assert isinstance(worker, CreditWorker)
    worker.slow_down(0, 0.3)
    while not any(worker.calls):
        world.step_everybody(ROOM, last=FIRST_WORKER)
    world.stop_and_give_up(0, 0, rounds)
    assert worker.results.frames, "it does not know yet that it was given up"
    late = world.accounts.late
    world.step(COLLECTOR, ROOM)
    assert (world.accounts.late > late) == (rounds > 0)
    world.check()
    world.heal()
