"""The comparison with other libraries, as it is run; and that nothing stays behind of a peer that hangs."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zmqpipeline.bench.result import Result
from zmqpipeline.bench.sample import BARE, IDEAL, MEMORY, OURS

if TYPE_CHECKING:
    from .conftest import Command, Running

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
POOL = "multiprocessing.Pool"

#: a peer that leaves a process in a session of its own, which ignores what it is told, and then hangs
HANGS = """
import os, subprocess, sys, time
from contextlib import contextmanager
from pathlib import Path

from peers.peer import Peer

STAYS = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"


@contextmanager
def start(setting):
    left = subprocess.Popen([sys.executable, "-c", STAYS], stdout=subprocess.PIPE, start_new_session=True)
    left.stdout.readline()
    try:
        time.sleep(600)
        yield
    finally:
        Path(os.environ["ENDED"]).touch()


PEER = Peer("hangs", None, start)
"""

#: measures it
LAUNCH = """
import os
from peers import launch

launch.GRACE = 0.5
launch.adopt_orphans()
try:
    launch.launch("hangs", "throughput", 2.0, tasks=1, workers=1)
except launch.PeerError as error:
    print(error, launch.descendants(os.getpid()))
"""


def compare(command: Command, *options: str) -> Running:
    command.folder.joinpath("temporary").mkdir()
    script = str(BENCHMARKS / "compare.py")
    environ = {"TMPDIR": str(command.folder / "temporary")}
    return command.start_python(script, "--only", POOL, "--workers", "1", *options, env=environ)


def assert_nothing_stays(command: Command) -> None:
    command.wait_until_gone()
    assert not list(command.folder.joinpath("temporary").iterdir())


@pytest.mark.timeout(300)  # these are eighteen runs with processes of their own
def test_everybody_is_measured_in_turns(command: Command) -> None:
    files = ["--json", "found.json", "--rst", "found.rst"]
    running = compare(command, "--tasks", "60", "--repeat", "2", *files)
    assert running.finish(240.0) == 0, running.output
    found = Result.load(command.folder / "found.json")
    measured: dict[tuple[str, int], set[str]] = {}
    for sample in found.samples:
        measured.setdefault((sample.workload, sample.turn), set()).add(sample.reading.contender)
    for turn in range(2):
        assert measured.pop(("throughput", turn)) == {OURS, BARE, POOL, f"{POOL}, tuned"}
        assert measured.pop(("latency", turn)) == {OURS, BARE, POOL}
        assert measured.pop(("sleep", turn)) == {OURS, IDEAL, POOL}
    assert not measured
    assert all(sample.reading.value > 0 for sample in found.samples)
    if Path("/proc/self/status").exists():
        remembered = {s.reading.contender for s in found.samples if s.reading.figure == MEMORY}
        assert remembered == {OURS, BARE, POOL, f"{POOL}, tuned"}
    assert json.loads((command.folder / "found.json").read_text("utf-8"))["failures"] == []
    assert f"* {POOL} " in (command.folder / "found.rst").read_text("utf-8")
    assert any(POOL in line for line in running.out)
    assert_nothing_stays(command)


@pytest.mark.parametrize("who", [OURS, POOL])
def test_a_signal_ends_it_and_all_that_it_has_started(command: Command, who: str) -> None:
    running = compare(command, "--tasks", "60", "--repeat", "10000")
    running.wait_for(f"throughput: {who}$")
    running.signal(signal.SIGINT)
    assert running.finish() == 128 + signal.SIGINT, running.output
    assert_nothing_stays(command)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can find what has left its process group")
def test_a_peer_that_hangs_is_an_error_and_nothing_of_it_stays(command: Command) -> None:
    command.write("hangs.py", HANGS)
    path = f"{BENCHMARKS}:{command.folder}:{command.environ['PYTHONPATH']}"
    ended = command.folder / "ended"
    running = command.start_python("-c", LAUNCH, env={"PYTHONPATH": path, "ENDED": str(ended)})
    assert running.finish() == 0, running.output
    assert running.out == ["has not ended within 2 s set()"]
    assert ended.exists()
    assert command.survivors() == []
