"""The comparison with other libraries: how many tasks, who is left out, and what is told of them."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from zmqpipeline.bench.failure import BenchError
from zmqpipeline.bench.result import Result
from zmqpipeline.bench.sample import OURS, RATE, Reading, Sample

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def module(name: str) -> Any:
    return importlib.import_module(name)


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


class Clock:
    """A contender that needs so many seconds for its start and for each task."""

    def __init__(self, start: float, each: float) -> None:
        self.start = start
        self.each = each
        self.counts: list[int] = []

    def __call__(self, count: int) -> float:
        self.counts.append(count)
        return count / (self.start + self.each * count)


class TestNumberOfTasks:
    def test_a_slow_one_is_asked_once(self) -> None:
        slow = Clock(0.0, 1 / 600)
        assert module("pace").choose_count(slow, 2.5) == 1500
        assert len(slow.counts) == 1

    def test_a_fast_one_is_asked_until_its_start_does_not_count(self) -> None:
        fast = Clock(0.05, 1e-6)
        count = module("pace").choose_count(fast, 2.5)
        assert 2.0 < count / fast(count) < 3.0
        assert fast.counts == sorted(fast.counts)

    def test_it_has_an_upper_limit(self) -> None:
        assert module("pace").choose_count(Clock(0.0, 1e-9), 2.5) == module("pace").MOST

    def test_one_that_takes_longer_for_a_task_gets_one(self) -> None:
        assert module("pace").choose_count(Clock(0.0, 10.0), 2.5) == 1

    @pytest.mark.parametrize(
        ("number", "rounded"), [(0.3, 1), (7.4, 7), (96.4, 96), (1234, 1200), (9.96e5, 1e6)]
    )
    def test_it_is_round(self, number: float, rounded: int) -> None:
        assert module("pace").rounded(number) == rounded

    def test_it_is_chosen_once_and_not_where_it_is_given(self) -> None:
        contenders, clock = module("contenders"), Clock(0.0, 0.001)

        def measure(count: int) -> list[Reading]:
            return [Reading("it", RATE, clock(count))]

        again = contenders.paced(measure, contenders.Limits(seconds=2.0))
        again(), again()
        assert clock.counts == [500, 2000, 2000]
        contenders.paced(measure, contenders.Limits(tasks=7))()
        assert clock.counts[3:] == [7]


class TestFailures:
    @pytest.mark.parametrize("kind", ["PeerError", "BenchError"])
    def test_who_fails_is_measured_no_more_and_nobody_else_is_concerned(self, kind: str) -> None:
        failures, calls = module("contenders").Failures(), []
        error = BenchError if kind == "BenchError" else module("peers.launch").PeerError

        def fail() -> list[Reading]:
            calls.append("it")
            raise error("it hangs")

        reading = Reading("other", RATE, 1.0)
        broken, other = (
            failures.guard("sleep", "it", fail),
            failures.guard("sleep", "other", lambda: [reading]),
        )
        assert [broken.measure(), other.measure(), broken.measure()] == [[], [reading], []]
        assert calls == ["it"]
        assert failures.sentences == {("sleep", "it"): "it hangs"}

    def test_it_is_measured_in_what_else_there_is(self) -> None:
        failures, reading = (
            module("contenders").Failures({("sleep", "it"): "it hangs"}),
            Reading("it", RATE, 1.0),
        )
        assert failures.guard("throughput", "it", lambda: [reading]).measure() == [reading]


class TestLooking:
    def test_who_cannot_run_here_is_told_with_the_reason(self, monkeypatch: pytest.MonkeyPatch) -> None:
        contenders = module("contenders")
        told = {
            "peers.pool": {"version": "3.14", "tuning": "chunks"},
            "peers.ray": {"missing": "the package ray is not installed"},
        }

        def launch(name: str, *_: Any) -> Any:
            if name not in told:
                raise contenders.PeerError("it hangs")
            return told[name]

        monkeypatch.setattr(contenders, "launch", launch)
        found, skipped = contenders.look(["multiprocessing.Pool", "Ray", "Celery"])
        assert [(peer.name, peer.version, peer.tuned) for peer in found] == [
            ("multiprocessing.Pool", "3.14", "multiprocessing.Pool, tuned")
        ]
        assert skipped == {"Ray": "the package ray is not installed", "Celery": "it hangs"}

    def test_a_package_that_is_missing_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "an_adapter.py").write_text("import nobody_has_this", "utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        told = module("peers.measure").measure("an_adapter", "describe", {})
        assert told == {"missing": "the package nobody_has_this is not installed"}

    def test_each_peer_has_an_adapter(self) -> None:
        for name in module("peers").PEERS.values():
            assert (BENCHMARKS / name.replace(".", "/")).with_suffix(".py").is_file()


class TestReport:
    @pytest.fixture
    def findings(self) -> Any:
        contenders = module("contenders")
        result = Result()
        for turn in range(2):
            result.samples.append(Sample("throughput", "2 workers", turn, Reading(OURS, RATE, 400.0)))
            slower = Reading("Pool", RATE, 100.0 + 20 * turn, OURS)
            result.samples.append(Sample("throughput", "2 workers", turn, slower))
        failures = contenders.Failures({("sleep", "Pool"): "has not ended within 180 s"})
        peers = [contenders.Found("Pool", "peers.pool", "3.14", "chunks of 100")]
        return module("findings").Findings(
            peers, {"Ray": "the package ray is not installed"}, failures, result
        )

    def test_the_table_is_followed_by_who_is_not_in_it(self, findings: Any) -> None:
        written = findings.rst()
        assert "- 0.28 (0.25 to 0.30)" in written
        assert written.endswith(
            "\n\n* Pool 3.14; tuned: chunks of 100\n"
            "* Ray: not measured, the package ray is not installed\n"
            "* Pool: failed in sleep, has not ended within 180 s\n"
        )

    def test_the_json_can_be_read_as_a_result_and_has_the_rest_as_well(self, findings: Any) -> None:
        written = findings.to_json()
        assert Result.from_json(written).samples == findings.result.samples
        found = json.loads(written)
        assert found["skipped"] == {"Ray": "the package ray is not installed"}
        assert found["failures"][0]["contender"] == "Pool"
        assert found["peers"][0]["version"] == "3.14"


def test_results_that_are_lost_are_an_error() -> None:
    peer, work = module("peers.peer"), module("peers.work")
    system = peer.System(lambda do, tasks: [do(task) for task in tasks][:-1], lambda do, task: do(task))
    with pytest.raises(peer.WrongResultsError, match="4 results with the sum 10 came of 5 tasks"):
        peer.do_all(system, work.noop, work.Tasks(5))


def test_a_signal_whose_exit_python_has_ignored_ends_it_before_the_next_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a handler raises while a process is forked is only shown."""
    compare = module("compare")
    handlers: list[int] = []
    monkeypatch.setattr(compare.signal, "signal", lambda number, _handler: handlers.append(number))
    monkeypatch.setattr(compare, "ended", [])
    with pytest.raises(SystemExit):
        compare.end(2, None)
    assert len(handlers) == 3
    with pytest.raises(SystemExit) as ended:
        compare.say(None, None, 0)
    assert ended.value.code == 130
