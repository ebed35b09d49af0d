"""The chaos test, as its command runs it: real processes, real faults."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import zmqpipeline
from tests import budget
from zmqpipeline.testing.chaos import workload
from zmqpipeline.testing.chaos.soak import Soak

from .conftest import needs_linux

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Command

#: how many faults there are, if nobody says otherwise
FAULTS = budget.faults(70)
#: no test waits longer, in seconds: what is wrong is found by the command itself, after 90 seconds
GUARD = 240.0 + FAULTS

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(GUARD + 100), needs_linux]


@pytest.fixture
def started(command: Command) -> Iterator[list[subprocess.Popen[str]]]:
    """Keep what a test has started; end it if it did not."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.terminate()  # it takes its processes along
        process.communicate(timeout=GUARD)


#: the command, and the same that says more often how far it is
CHAOS = ("-m", "zmqpipeline.testing.chaos")
TALKATIVE = """
import sys
from zmqpipeline.testing.chaos import __main__, soak
soak.LINE_INTERVAL = 0.2
sys.exit(__main__.main())
"""


def start(command: Command, started: list[subprocess.Popen[str]], *words: str) -> subprocess.Popen[str]:
    """Start a Python program; it makes its folders in that of the test."""
    process = subprocess.Popen(
        [sys.executable, *words],
        env={**command.environ, "TMPDIR": str(command.folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    started.append(process)
    return process


def test_faults_break_no_guarantee(command: Command, started: list[subprocess.Popen[str]]) -> None:
    chaos = start(command, started, *CHAOS, "--faults", str(FAULTS), "--seed", "1", "--json")
    out, _ = chaos.communicate(timeout=GUARD)
    figures = json.loads(out.splitlines()[-1])
    assert chaos.returncode == 0, out
    assert not any(figures["breaches"].values())
    assert figures["faults"] >= FAULTS
    assert {kind.split()[0] for kind in figures["faults_by_kind"]} == {"worker", "collector", "distributor"}
    assert {kind.split()[1] for kind in figures["faults_by_kind"]} >= {"kill", "stop", "segv"}
    assert figures["collected"] + figures["failed"] == figures["tasks"] > 1000
    assert command.survivors() == []
    assert os.listdir(command.folder) == []  # noqa: PTH208


def test_ctrl_c_ends_it_and_leaves_nothing_behind(
    command: Command, started: list[subprocess.Popen[str]]
) -> None:
    chaos = start(command, started, "-c", TALKATIVE, "--minutes", "60", "--seed", "1")
    assert chaos.stdout is not None
    assert chaos.stdout.readline() == "seed 1\n"
    assert chaos.stdout.readline().startswith("round 0 ")  # it is under way
    chaos.send_signal(signal.SIGINT)
    out, _ = chaos.communicate(timeout=GUARD)
    assert chaos.returncode == 130, out
    assert "0 rounds in " in out
    assert "Traceback" not in out
    assert command.survivors() == []
    assert os.listdir(command.folder) == []  # noqa: PTH208


def test_what_is_lost_is_found_and_its_folder_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = Path(workload.__file__).read_text(encoding="utf-8")
    notes = '        note("collected",'
    assert text.count(notes) == 1
    forgetful = tmp_path / "forgetful.py"
    text = text.replace(notes, f'        if data["n"] == 0:\n            return None\n{notes}')
    forgetful.write_text(text, encoding="utf-8")
    monkeypatch.setattr(workload, "__file__", str(forgetful))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    total = Soak(1, float("inf"), 1, quiet=True).run()
    assert total.broken
    assert total.tally.breaches["lost"] == 3  # one of each type
    (kept,) = total.kept
    assert {"record", "workload.py", "run.journal"} <= {path.name for path in Path(kept).iterdir()}
    assert zmqpipeline.Worker.worker is None  # nothing of it ran in this process
