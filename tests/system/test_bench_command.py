"""``zmqpipeline bench`` as its users run it."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.conftest import GUARD
from zmqpipeline.bench.failure import BenchError
from zmqpipeline.bench.result import Result
from zmqpipeline.bench.sample import BARE, OURS, RATE, Reading, Sample
from zmqpipeline.bench.throughput import ACK_DATA, JOURNAL, THREADS, WATCHED
from zmqpipeline.bench.tour import ALL, TOUR, WORKLOADS
from zmqpipeline.cli import app, bench
from zmqpipeline.cli.exits import Exit

if TYPE_CHECKING:
    from tests.system.conftest import Command


@pytest.fixture
def temporary(tmp_path: Path) -> dict[str, str]:
    """Make a folder in which the command's own folders are, so that it is seen what is left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return {"TMPDIR": str(folder)}


def test_throughput_is_measured_and_shown_again(command: Command, temporary: dict[str, str]) -> None:
    arguments = ("throughput", "--tasks", "2000", "--repeat", "1", "--json", "r.json", "--rst", "r.rst")
    code, running = command.run("bench", *arguments, env=temporary)
    assert code == 0, running.output
    result = Result.load(command.folder / "r.json")
    assert {(s.reading.contender, s.reading.reference) for s in result.samples} == {
        (BARE, None), (OURS, BARE), (ACK_DATA, BARE), (JOURNAL, OURS), (THREADS, BARE), (WATCHED, OURS),
    }  # fmt: skip
    assert {(s.workload, s.variant, s.turn, s.reading.figure) for s in result.samples} == {
        ("throughput", "2 workers, ipc", 0, RATE)
    }
    assert all(s.reading.value > 0 for s in result.samples)
    assert all(summary.ratio for summary in result.summaries if summary.reference)
    assert running.err[0] == f"zmqpipeline: throughput, 2 workers, ipc: {BARE}, turn 1 of 1"
    assert len(running.err) == 6
    assert list(Path(temporary["TMPDIR"]).iterdir()) == []
    command.assert_clean()

    code, again = command.run("bench", "--from", "r.json", "--rst", "again.rst")
    assert (code, again.err) == (0, [])
    assert again.out == running.out
    assert (command.folder / "again.rst").read_text() == (command.folder / "r.rst").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_leaves_nothing(
    command: Command, temporary: dict[str, str], number: signal.Signals
) -> None:
    running = command.start("bench", "sleep", "--tasks", "100000", "--json", "r.json", env=temporary)
    running.wait_for("turn 1 of 5")
    _wait_for_roles(command)
    running.signal(number)
    assert running.finish() == 128 + number
    assert running.err[-1] == f"zmqpipeline: stopped by {number.name} while it was measuring"
    assert not any("Traceback" in line for line in running.err)
    command.wait_until_gone()  # one that was about to be started when the signal came ends by itself
    assert list(Path(temporary["TMPDIR"]).iterdir()) == []
    command.assert_clean()


def test_no_process_outlives_it_when_it_is_killed(command: Command, temporary: dict[str, str]) -> None:
    running = command.start("bench", "sleep", "--tasks", "100000", env=temporary)
    running.wait_for("turn 1 of 5")
    _wait_for_roles(command)
    running.signal(signal.SIGKILL)
    running.finish()
    command.wait_until_gone()


def _wait_for_roles(command: Command) -> None:
    """Wait until the command and its three processes are there."""
    deadline = time.monotonic() + GUARD
    while len(command.survivors()) < 4:
        assert time.monotonic() < deadline, command.running[-1].output
        time.sleep(0.01)


def test_what_was_done_before_a_signal_is_kept(command: Command, temporary: dict[str, str]) -> None:
    running = command.start(
        "bench", "sleep", "--tasks", "60", "--repeat", "1", "--json", "r.json", env=temporary
    )
    running.wait_for("4 workers")
    running.signal(signal.SIGINT)
    assert running.finish() == 130
    assert running.err[-1].endswith("while it was measuring; the cases that were done are in r.json")
    found = json.loads((command.folder / "r.json").read_text())
    assert {sample["variant"] for sample in found["samples"]} == {"10 threads, ipc"}


# -- what is wrong ----------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["walk"], "'walk' is not one of"),
        (["--tasks", "0"], "0 is not in the range"),
        (["--transport", "udp"], "'udp' is not one of"),
        (["--tasks", "5"], "--tasks needs one WORKLOAD, and there are 2 (throughput, latency)"),
        (["latency", "--workers", "3"], "--workers changes nothing in latency: leave it out."),
        (["start", "--tasks", "3"], "--tasks changes nothing in start: leave it out."),
        (["--from", "r.json", "--quick"], "--from shows what was measured before"),
        (["throughput", "--from", "r.json"], "--from shows what was measured before"),
        (["--from", "r.json", "--json", "b.json"], "--from shows what was measured before"),
        (["--from", "missing.json"], "missing.json cannot be read: No such file or directory"),
        (["--json", "no/r.json"], "no/r.json cannot be written: the folder "),
    ],
)
def test_a_wrong_command_line_is_one_sentence(
    arguments: list[str], sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["bench", *arguments]) == Exit.USAGE
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--quick"], ["--from", "r.json"]])
def test_a_plot_without_matplotlib_is_refused_before_anything_is_measured(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert app.main(["bench", *arguments, "--plot", "r.svg"]) == Exit.MISSING_EXTRA
    sentence = 'zmqpipeline: a plot needs matplotlib: pip install "zmqpipeline[bench]"\n'
    assert capsys.readouterr().err == sentence
    assert list(folder.iterdir()) == []


def test_a_plot_is_drawn_from_a_file(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    Result({}, "now", [Sample("w", "v", 0, Reading(OURS, RATE, 1.0))]).save(folder / "r.json")
    assert app.main(["bench", "--from", "r.json", "--plot", "r.svg"]) == 0
    assert "<svg" in (folder / "r.svg").read_text(encoding="utf-8")


def test_a_measurement_that_fails_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zmqpipeline.bench.throughput.check", _refuse)
    assert app.main(["bench", "throughput", "--tasks", "10"]) == Exit.PROCESS_LOST
    assert capsys.readouterr().err.splitlines()[-1] == "zmqpipeline: something was lost"


def _refuse(*_args: object) -> None:
    raise BenchError("something was lost")


def test_what_is_measured_when_nothing_is_said() -> None:
    assert bench._chosen(()) == list(TOUR)
    assert bench._chosen((ALL, "sleep")) == list(WORKLOADS)
    assert bench._chosen(("sleep", "throughput", "sleep")) == ["throughput", "sleep"]
