"""Each workload, with as little as shows that it works. How fast it is here says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from zmqpipeline.bench import latency, long, mixed, payload, sleep, start, throughput
from zmqpipeline.bench.roles import barenoop
from zmqpipeline.bench.sample import BARE, IDEAL, OURS, RATE, Reading
from zmqpipeline.bench.setting import Setting
from zmqpipeline.bench.tour import WORKLOADS
from zmqpipeline.bench.workload import Options

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("descriptors")


def values(readings: list[Reading]) -> dict[tuple[str, str], float]:
    found = {(reading.contender, reading.figure.name): reading.value for reading in readings}
    assert len(found) == len(readings)
    assert all(value > 0 for value in found.values())
    return found


def test_throughput_over_tcp() -> None:
    (reading,) = throughput.measure_ours(throughput.Pace(500, 1, "tcp"))
    assert (reading.contender, reading.figure, reading.reference) == (OURS, RATE, BARE)
    assert reading.value > 0


def test_throughput_with_keys() -> None:
    (reading,) = throughput.measure_ours(throughput.Pace(500, 1, "tcp"), throughput.CURVE, OURS)
    assert (reading.contender, reading.figure, reading.reference) == (throughput.CURVE, RATE, OURS)
    assert reading.value > 0
    cases = throughput.THROUGHPUT.cases(Options(transports=("ipc", "tcp")))
    assert {case.variant: throughput.CURVE in {run.name for run in case.runs} for case in cases} == {
        "2 workers, ipc": False,
        "2 workers, tcp": True,
    }


def test_bare_sockets_hand_out_what_is_no_multiple_of_their_batches() -> None:
    (reading,) = throughput.measure_bare(throughput.Pace(barenoop.BATCH + 1, 3, "tcp"))
    assert (reading.contender, reading.reference) == (BARE, None)


@pytest.mark.parametrize(
    ("measure", "contender"), [(latency.measure_ours, OURS), (latency.measure_bare, BARE)]
)
def test_latency(
    measure: Callable[[Setting], list[Reading]], contender: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "WARM_UP", 3)
    found = values(measure(Setting(20, 1)))
    assert set(found) == {(contender, "p50"), (contender, "p99")}
    assert found[contender, "p50"] <= found[contender, "p99"]


@pytest.mark.parametrize(("hands", "threads"), [(10, True), (2, False)])
def test_sleep_takes_no_less_than_the_ideal(hands: int, threads: bool) -> None:
    found = values(sleep.measure_ours(sleep.Setting(20, hands, threads)))
    assert found[IDEAL, "time"] == pytest.approx(0.2 / hands)
    assert found[OURS, "time"] >= found[IDEAL, "time"]


def test_coroutines_take_no_less_than_the_ideal() -> None:
    setting = sleep.Setting(60, 20, short=0.01, long=0.01, coroutines=True)
    found = values(sleep.measure_ours(setting))
    assert found[IDEAL, "time"] == pytest.approx(0.03)
    assert found[OURS, "time"] >= found[IDEAL, "time"]
    assert [case.variant for case in sleep.SLEEP.cases(Options())] == [
        "10 threads, ipc", "4 workers, ipc", "1000 coroutines, ipc",
    ]  # fmt: skip


def test_mixed_durations_are_compared_with_their_schedule() -> None:
    setting = sleep.Setting(200, 2, threads=False, short=0.0005, long=0.05)
    assert setting.ideal == pytest.approx(0.1 + 0.099 / 2, rel=0.4)
    found = values(sleep.measure_ours(setting))
    assert found[OURS, "time"] >= (2 * 0.05 + 198 * 0.0005) / 2
    (case,) = mixed.MIXED.cases(Options())
    assert case.variant == "4 workers, ipc"


@pytest.mark.parametrize(
    ("measure", "contender"), [(payload.measure_ours, OURS), (payload.measure_bare, BARE)]
)
def test_payloads(measure: Callable[[payload.Carriage], list[Reading]], contender: str) -> None:
    found = values(measure(payload.Carriage(12)))
    assert {name for who, name in found if who == contender} == {
        "throughput", "peak of the distributor", "peak of the worker", "peak of the collector",
    }  # fmt: skip
    assert all(value > 5 for (_, name), value in found.items() if name != "throughput")


def test_a_long_run_compares_its_last_tenth_with_its_first() -> None:
    readings = long.measure_ours(long.Distance(1000, 1))
    found = values(readings)
    figures = {"throughput", "memory of collector", "memory of distributor", "memory of worker 1"}
    assert set(found) == {(tenth, name) for tenth in (long.FIRST, long.LAST) for name in figures}
    for reading in readings:
        assert reading.reference == (long.FIRST if reading.contender == long.LAST else None)
        times = [at for at, _ in reading.series]
        assert times == sorted(times)
        assert bool(times) == (reading.contender == long.LAST and reading.figure.unit == "MiB")


def test_a_run_has_tenths_however_short_it_is_to_be() -> None:
    (case,) = long.LONG.cases(Options(tasks=1))
    assert case.variant == "10 tasks, 2 workers, ipc"
    assert long.Distance(19).marks == [1, 18, 19]


def test_the_start() -> None:
    imported = start.measure_import(1)
    assert [(r.contender, r.reference) for r in imported] == [
        (OURS, start.BARE_IMPORT), (start.ROLES, start.BARE_IMPORT), (start.BARE_IMPORT, None),
    ]  # fmt: skip
    for name in (OURS, BARE):
        found = values(start.measure_roles(name, "ipc"))
        assert set(found) == {(name, "distributor bound"), (name, "worker ready")}


def test_every_workload_has_cases_for_each_choice() -> None:
    for name, workload in WORKLOADS.items():
        for options in (Options(), Options(quick=True), Options(full=True), Options(tasks=20, workers=(3,))):
            cases = workload.cases(options)
            assert {case.workload for case in cases} == {name}
            assert len({case.variant for case in cases}) == len(cases)
            assert all(case.runs for case in cases)
        tcp = workload.cases(Options(transports=("ipc", "tcp")))
        assert any("tcp" in case.variant for case in tcp)
        assert any("ipc" in case.variant for case in tcp)
    assert len(throughput.THROUGHPUT.cases(Options(full=True))) == 6
