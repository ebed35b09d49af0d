"""What goes in must come out, whatever breaks: a whole pipeline over a simulated network.

Hypothesis chooses who takes a step, how much time passes and what breaks;
after every step the invariants of :mod:`tests.unit.simulation` are checked, and in the
end, when nothing breaks any more, the run has to complete.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.unit.simulation import ALWAYS_FAILS, COLLECTOR, FAILS_FIRST, FIRST_WORKER, HUB, ROOM, World

PLACES = st.integers(0, World().workers - 1)
LIMITS = st.integers(1, ROOM)
ROLES = st.integers(0, FIRST_WORKER + World().workers - 1)
ROUNDS = st.sampled_from([1, 2, 3, 10, 30])
#: how many frames of a link that is cut had arrived
ARRIVED = st.sampled_from([0, 0, 1, 2])


class Pipeline(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(rounds=st.sampled_from([0, 30, 60, 102]))
    def it_has_run_for_a_while(self, rounds: int) -> None:
        for _ in range(rounds):
            self.world.step_everybody(ROOM)

    # -- steps ------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.1, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(role=ROLES, limit=LIMITS)
    def somebody_works(self, role: int, limit: int) -> None:
        self.world.step(role, limit)

    @rule(limit=LIMITS, last=ROLES, rounds=ROUNDS, frozen=st.none() | ROLES)
    def everybody_works_but_perhaps_one(self, limit: int, last: int, rounds: int, frozen: int | None) -> None:
        for _ in range(rounds):
            self.world.step_everybody(limit, last, frozen)

    @rule(place=PLACES)
    def worker_gives_back(self, place: int) -> None:
        self.world.give_back(place)

    # -- faults: something is under way, and is lost --------------------------------

    @rule(place=PLACES, sends=st.booleans(), arrived=ARRIVED)
    def worker_loses_its_connection(self, place: int, sends: bool, arrived: int) -> None:
        self.world.step_everybody(ROOM, last=FIRST_WORKER + place if sends else HUB)
        self.world.cut_worker(place, arrived)

    @rule(place=PLACES, arrived=ARRIVED)
    def results_are_lost(self, place: int, arrived: int) -> None:
        self.world.step_everybody(ROOM, last=FIRST_WORKER + place)
        self.world.cut_results(place, arrived)

    @rule(arrived=ARRIVED)
    def messages_to_the_collector_are_lost(self, arrived: int) -> None:
        self.world.step_everybody(ROOM, last=HUB)
        self.world.cut_sink(arrived)

    @rule(arrived=ARRIVED, noticed=st.booleans())
    def acknowledgements_are_lost(self, arrived: int, noticed: bool) -> None:
        self.world.step_everybody(ROOM, last=COLLECTOR)
        self.world.cut_acks(arrived, noticed=noticed)

    @rule(place=PLACES, last=ROLES, arrived=ARRIVED)
    def worker_dies(self, place: int, last: int, arrived: int) -> None:
        self.world.step_everybody(ROOM, last)
        self.world.kill_worker(place, arrived)

    @rule(last=ROLES, arrived=ARRIVED)
    def collector_dies(self, last: int, arrived: int) -> None:
        self.world.step_everybody(ROOM, last)
        self.world.kill_collector(arrived)

    def teardown(self) -> None:
        self.world.heal()


TestPipeline = Pipeline.TestCase
TestPipeline.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


def test_an_undisturbed_run_completes_and_repeats_only_what_failed() -> None:
    world = World()
    world.heal()
    numbers = [n for source in world.sources.values() for n in range(source.total)]
    failures = sum(2 * (n % 5 == ALWAYS_FAILS) + (n % 5 == FAILS_FIRST) for n in numbers)
    assert world.hub.dispatch.statistics().redelivered == failures
