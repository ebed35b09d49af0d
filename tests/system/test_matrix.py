"""Role by signal by phase, each as a process of its own: how it ends, and that nothing of it stays behind."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from .matrix import PLACES, PROGRAM, ROLES, SIGNALS, Stage

if TYPE_CHECKING:
    from .conftest import Command, Running

pytestmark = pytest.mark.matrix

by_role = pytest.mark.parametrize("role", list(ROLES))
by_place = pytest.mark.parametrize(("role", "where"), PLACES)
by_signal = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)


@by_signal
@by_role
def test_loading(command: Command, role: str, number: signal.Signals) -> None:
    stage = Stage(command, role, WHERE="loading")
    run = stage.start(alone=True)
    run.wait_for("^inside loading")
    run.signal(number)
    run.wait_for(f"stopped by {number.name} before it had begun")
    stage.ended(run, 128 + number)


def test_loading_what_cannot_be_interrupted(command: Command) -> None:
    stage = Stage(command, "worker", WHERE="loading", HOW="stubborn")
    run = stage.start(alone=True)
    run.wait_for("^inside loading")
    run.signal(signal.SIGTERM)
    run.wait_for("^stubborn")
    run.signal(signal.SIGTERM)
    stage.ended(run, 143)


@by_signal
@by_role
def test_waiting_for_peers(command: Command, role: str, number: signal.Signals) -> None:
    stage = Stage(command, role)
    run = stage.start(alone=True)
    run.wait_for(stage.role.waits)
    stage.first(run, number)
    stage.ended(run, 128 + number)


@by_signal
@pytest.mark.parametrize("role", [role for role in ROLES if role != "metadata"])
def test_idle(command: Command, role: str, number: signal.Signals) -> None:
    stage = Stage(command, role, N="0")
    run = stage.start()
    stage.met(run)
    stage.first(run, number)
    stage.ended(run, 128 + number)


def busy(command: Command, role: str, where: str, how: str = "", **environ: str) -> tuple[Stage, Running]:
    """Start a role that is inside one of its methods."""
    complete = {"COMPLETE": "1"} if where == "handle_finished" else {}
    stage = Stage(command, role, WHERE=where, HOW=how, **complete, **environ)
    if where == "handle_finished":
        stage.peer("threads")
    run = stage.start()
    if role == "metadata":
        stage.peers.append(command.start("distributor", "meta.py"))
    if role == "service-worker":
        stage.peers.append(client(command))
    run.wait_for(f"^inside {where}")
    return stage, run


def client(command: Command) -> Running:
    """Start a process that makes a request."""
    return command.start_python("client.py")


@by_place
def test_busy_and_done_in_time(command: Command, role: str, where: str) -> None:
    stage, run = busy(command, role, where)
    stage.first(run, signal.SIGINT)
    stage.go()
    stage.ended(run, 130)
    if where in {"handle_execution", "handle_thread_execution"}:
        stage.peers[0].wait_for("^collected")
    if where == "handle_message":
        stage.peers[-1].wait_for("^answer")


@by_place
def test_busy_for_too_long(command: Command, role: str, where: str) -> None:
    stage, run = busy(command, role, where, STOP="0.2")
    stage.first(run, signal.SIGTERM)
    stage.ended(run, 143)


@pytest.mark.parametrize("how", ["", "deaf"], ids=["interruptible", "deaf"])
@by_place
def test_busy_and_stopped_at_once(command: Command, role: str, where: str, how: str) -> None:
    stage, run = busy(command, role, where, how)
    stage.first(run, signal.SIGINT)
    stage.second(run, signal.SIGTERM)
    stage.ended(run, 130)


@pytest.mark.parametrize(
    ("role", "where"),
    [("distributor", "handle"), ("worker", "handle_execution"), ("collector", "handle_collection")],
)
def test_busy_in_what_catches_everything(command: Command, role: str, where: str) -> None:
    stage, run = busy(command, role, where, "stubborn")
    stage.first(run, signal.SIGINT)
    stage.second(run, signal.SIGTERM)
    run.wait_for("^stubborn")
    stage.ended(run, 130)


@by_place
def test_busy_and_deaf_for_too_long(command: Command, role: str, where: str) -> None:
    stage, run = busy(command, role, where, "deaf", STOP="0.2")
    stage.first(run, signal.SIGTERM)
    stage.ended(run, 143)


@by_place
def test_busy_and_killed(command: Command, role: str, where: str) -> None:
    stage, run = busy(command, role, where, "deaf", DEAF="300")
    stage.first(run, signal.SIGTERM)
    if where not in {"init_thread", "handle_thread_execution"}:  # there the main thread ends at the second
        stage.second(run, signal.SIGTERM)
        run.signal(signal.SIGTERM)
        stage.ended(run, -signal.SIGKILL)


@pytest.mark.parametrize("how", ["", "deaf"], ids=["interruptible", "deaf"])
@pytest.mark.parametrize(
    ("role", "where"), [("worker", "handle_execution"), ("threads", "handle_thread_execution")]
)
def test_who_is_stopped_at_once_gives_its_tasks_back(
    command: Command, role: str, where: str, how: str
) -> None:
    stage, run = busy(command, role, where, how)
    stage.first(run, signal.SIGTERM)
    stage.second(run, signal.SIGTERM)
    stage.ended(run, 143)
    stage.peer(role, WHERE="nowhere")
    stage.peers[0].wait_for("^collected")
    assert "lost a worker" not in stage.peers[1].output


@by_signal
@pytest.mark.parametrize("role", [role for role in ROLES if role != "metadata"])
def test_peers_dead(command: Command, role: str, number: signal.Signals) -> None:
    where = {"worker": "handle_execution", "threads": "handle_thread_execution"}.get(role, "nowhere")
    stage = Stage(command, role, WHERE=where, STOP="0.5")
    run = stage.start()
    if where == "nowhere":
        stage.met(run)
    else:
        run.wait_for("^inside")
    stage.kill_peers()
    if where != "nowhere":
        stage.go()  # it has a result that nobody takes any more
    stage.first(run, number)
    stage.ended(run, 128 + number)


def test_a_service_answers_what_runs(command: Command) -> None:
    stage = Stage(command, "service", WHERE="handle_message")
    run = stage.start()
    asks = client(command)
    stage.peers[0].wait_for("^inside")
    stage.first(run, signal.SIGTERM)
    stage.go()
    assert asks.finish() == 0
    asks.wait_for("^answer")
    stage.ended(run, 143)


@pytest.mark.parametrize("stages", [1, 2], ids=["too_long", "at_once"])
def test_a_service_does_not_wait_for_ever_for_what_runs(command: Command, stages: int) -> None:
    stage = Stage(command, "service", WHERE="handle_message", STOP="0.2" if stages == 1 else "300")
    run = stage.start()
    asks = client(command)
    stage.peers[0].wait_for("^inside")
    stage.first(run, signal.SIGTERM)
    if stages == 2:
        stage.second(run, signal.SIGTERM)
    assert asks.finish() == 1
    asks.wait_for("NoWorkerError")
    stage.peers.append(asks)
    stage.ended(run, 143)


def test_what_an_interrupted_method_has_left_half_done_is_not_in_the_journal(command: Command) -> None:
    """handle() has counted its third task, and is interrupted: a state with that count would lose it."""
    stage = Stage(command, "journal", WHERE="handle", N="5")
    halfway = 'self.n += 1\n        if self.n == 3:\n            busy("handle")\n'
    command.write("app.py", PROGRAM.replace('self.n += 1\n        busy("handle")\n', halfway))
    run = stage.start()
    run.wait_for("^inside handle")
    stage.first(run, signal.SIGTERM)
    stage.second(run, signal.SIGTERM)
    stage.ended(run, 143)
    ended = stage.peers[0]
    assert [peer.finish() for peer in stage.peers] == [0, 0]
    stage.environ["WHERE"] = "nowhere"
    stage.start()
    stage.peers[2].wait_for("^collected first 5")
    collected = [line for peer in (ended, stage.peers[2]) for line in peer.out if "collected first" in line]
    assert set(collected) == {f"collected first {n}" for n in range(1, 6)}
