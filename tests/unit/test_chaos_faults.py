"""What the chaos test does to whom, and what it makes of the ends; without any process."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from zmqpipeline.testing.chaos import __main__ as command
from zmqpipeline.testing.chaos.census import Census, Member
from zmqpipeline.testing.chaos.crew import OneByOne, Supervised
from zmqpipeline.testing.chaos.injector import Fault, Injector
from zmqpipeline.testing.chaos.record import Event
from zmqpipeline.testing.chaos.recovery import Recovery
from zmqpipeline.testing.chaos.schedule import Planned, Schedule
from zmqpipeline.testing.chaos.soak import Total, summary

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from zmqpipeline.testing.chaos.crew import Crew


# -- the schedule -----------------------------------------------------------------------


def drawn(seed: int, number: int, count: int = 2000) -> list[Planned]:
    return list(itertools.islice(Schedule(seed, number).faults(), count))


def test_a_seed_draws_the_same_again_and_another_one_something_else() -> None:
    assert drawn(7, 3) == drawn(7, 3)
    assert drawn(7, 3) != drawn(7, 4)
    assert drawn(7, 3) != drawn(8, 3)


def test_everything_that_can_happen_is_drawn() -> None:
    faults = drawn(1, 0)
    wanted = {(role, action) for role in ROLES for action in ("kill", "stop", "segv", "abort", "memory")}
    assert {(fault.role, fault.action) for fault in faults if not fault.point} == wanted
    points = {"begin", "done", "init", "task", "collect", "collected", "make", "open", "ack", "checkpoint"}
    assert {fault.point for fault in faults} == {"", *points}
    lasts = {last.point for number in range(40) if (last := Schedule(1, number).last()) is not None}
    assert lasts == {"finish", "finished"}
    # for a moment, and for longer than any connection lives without a heartbeat
    stops = [fault.seconds for fault in faults if fault.action == "stop"]
    assert min(stops) < 0.3
    assert max(stops) > 5


def test_rounds_take_turns() -> None:
    ways = {(Schedule(1, number).supervised, Schedule(1, number).transport) for number in range(4)}
    assert ways == {(True, "ipc"), (False, "ipc"), (True, "tcp"), (False, "tcp")}


ROLES = ("worker", "collector", "distributor")

# -- the injector -----------------------------------------------------------------------


class Hurt(Member):
    """A process that only notes what is done to it."""

    def __init__(self, pid: int, role: str, *, settled: bool = True) -> None:
        super().__init__(pid, role, 0.0, -1, settled)
        self.suffered: list[str] = []

    @property
    def alive(self) -> bool:
        return True

    def suffer(self, action: str) -> bool:
        self.suffered.append(action)
        return True

    def relieve(self, now: float) -> None:
        if self.stopped_until is not None and now >= self.stopped_until:
            self.stopped_until = None
            self.suffered.append("continue")


def planned(role: str = "worker", action: str = "kill", point: str = "", **more: Any) -> Planned:
    values = {"after": 1.0, "seconds": 0.0, "choice": 0.0, **more}
    return Planned(role=role, action=action, point=point, **values)


def injector(folder: Path, members: list[Hurt], *plans: Planned, careful: bool = False) -> Injector:
    census = Census("mark")
    census.members.update({member.pid: member for member in members})
    endless: Iterator[Planned] = itertools.chain(plans, itertools.repeat(planned(after=1e9)))
    return Injector(folder, census, endless, careful=careful)


def test_a_choice_picks_one_of_those_that_can_be_hurt(tmp_path: Path) -> None:
    members = [Hurt(1, "worker"), Hurt(2, "worker"), Hurt(3, "collector")]
    tried = injector(tmp_path, members, planned(choice=0.0), planned(choice=0.99))
    tried.tick(1.0, 1, hurt=False)
    assert tried.count == 0
    tried.tick(2.0, 2, hurt=True)
    tried.tick(2.5, 3, hurt=True)  # not yet
    assert [member.suffered for member in members] == [["kill"], [], []]
    tried.tick(3.0, 4, hurt=True)
    assert [member.suffered for member in members] == [["kill"], ["kill"], []]
    assert [fault.pid for fault in tried.faults] == [1, 2]


def test_nobody_is_hurt_while_nothing_goes_on_but_not_for_ever(tmp_path: Path) -> None:
    tried = injector(tmp_path, [Hurt(1, "worker")], planned(), planned(), planned())
    tried.tick(10.0, 5, hurt=True)
    tried.tick(11.0, 5, hurt=True)
    assert tried.count == 1
    tried.tick(13.5, 5, hurt=True)
    assert tried.count == 2


def test_who_is_stopped_goes_on_later_and_is_left_alone_meanwhile(tmp_path: Path) -> None:
    member = Hurt(1, "worker")
    tried = injector(tmp_path, [member], planned(action="stop", seconds=2.0), planned())
    tried.tick(10.0, 1, hurt=True)
    tried.tick(11.5, 2, hurt=True)
    assert member.suffered == ["stop"]
    tried.tick(12.0, 3, hurt=True)
    assert member.suffered == ["stop", "continue"]


def test_a_point_is_armed_fires_or_is_given_up(tmp_path: Path) -> None:
    member = Hurt(1, "collector")
    plan = planned("collector", "stop", "collect", seconds=2.0)
    tried = injector(tmp_path, [member], plan, plan)
    tried.tick(10.0, 1, hurt=True)
    armed = tmp_path / "armed.collect"
    assert armed.read_text() == "stop"
    armed.unlink()
    tried.take(Event(10.5, 1, "fault", ("stop", "collect")))
    assert (member.stopped_until, tried.count) == (12.5, 1)
    tried.tick(11.0, 2, hurt=True)
    assert armed.exists()
    tried.tick(19.0, 2, hurt=False)
    assert not armed.exists()
    assert tried.count == 1


def test_a_supervisor_is_not_made_to_give_up(tmp_path: Path) -> None:
    early, late = Hurt(1, "collector", settled=False), Hurt(2, "worker")
    kills = [planned("collector"), planned("collector"), planned("collector")]
    tried = injector(tmp_path, [early, late], *kills, careful=True)
    tried.tick(10.0, 1, hurt=True)
    tried.tick(20.0, 1, hurt=True)  # nothing was collected since
    tried.tick(30.0, 2, hurt=True)  # it has not done anything, and nor had the one before
    assert early.suffered == ["kill"]


# -- how it goes on ---------------------------------------------------------------------


def test_recovery_is_counted_to_where_it_goes_on() -> None:
    recovery = Recovery()
    for time, pid, what, *words in (
        (1.0, 10, "begin", "A", "1"),
        (1.1, 10, "begin", "A", "2"),
        (1.2, 20, "collected", "A", "1", "id", "right"),
        (2.5, 11, "begin", "A", "2"),
        (3.0, 20, "collected", "A", "2", "id", "right"),
        (4.0, 21, "collected", "A", "3", "id", "right"),
        (4.5, 31, "made", "A", "4"),
    ):
        recovery.take(Event(time, pid, what, tuple(words)))
    faults = [
        Fault(2.0, 10, "worker", "kill", ""),
        Fault(3.5, 20, "collector", "segv", "collect"),
        Fault(4.2, 30, "distributor", "abort", ""),
        Fault(4.2, 30, "distributor", "stop", ""),
    ]
    times = recovery.times(faults)
    assert {role: [round(time, 3) for time in found] for role, found in times.items()} == {
        "worker": [0.5],
        "collector": [0.5],
        "distributor": [0.3],
    }


# -- how it ends ------------------------------------------------------------------------


def complaints(crew: Crew, killed: set[int], failures: int) -> list[str]:
    return list(crew.complaints(killed, failures=failures))


def test_a_run_has_to_end_as_its_tasks_did_and_replace_only_who_was_killed(tmp_path: Path) -> None:
    crew = Supervised(tmp_path, {})
    says = "zmqpipeline: Keeps[{}] has ended (killed by SIGKILL): another one takes its place\n"
    tmp_path.joinpath("run.log").write_text(says.format(7) + says.format(8))
    crew._run = cast("subprocess.Popen[bytes]", SimpleNamespace(returncode=1))
    assert complaints(crew, {7, 8}, failures=3) == []
    assert complaints(crew, {7}, failures=3) == ["Keeps (process 8) ended by itself: killed by SIGKILL"]
    assert complaints(crew, {7, 8}, failures=0) == ["zmqpipeline run ended with exit code 1 instead of 0"]


@pytest.mark.parametrize(
    ("role", "code", "how", "fine"),
    [
        ("worker", 0, "", True),
        ("worker", -9, "killed", True),
        ("worker", -6, "", False),
        ("worker", 7, "", False),
        ("worker", 143, "told to stop", True),
        ("collector", 10, "", False),
        ("distributor", 1, "", True),
        ("distributor", 0, "", False),
    ],
)
def test_a_role_has_to_end_as_it_was_made_to(
    tmp_path: Path, role: str, code: int, how: str, fine: bool
) -> None:
    crew = OneByOne(tmp_path, {})
    slot = next(slot for slot in crew._slots if slot.role == role)
    slot.told_to_stop = how == "told to stop"
    crew._took_an_end(slot, cast("subprocess.Popen[bytes]", SimpleNamespace(pid=5, returncode=code)), 0.0)
    assert (complaints(crew, {5} if how == "killed" else set(), failures=1) == []) is fine


def test_when_the_distributor_is_done_nobody_is_started_again(tmp_path: Path) -> None:
    crew = OneByOne(tmp_path, {})
    ended = cast("subprocess.Popen[bytes]", SimpleNamespace(pid=5, returncode=-9))
    done = cast("subprocess.Popen[bytes]", SimpleNamespace(pid=6, returncode=1))
    for slot in crew._slots:
        crew._took_an_end(slot, done if slot.role == "distributor" else ended, 0.0)
    assert crew.ended
    assert not crew.distributing


# -- the command ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--minutes", "0"), "'0' is no number of minutes: give one above 0, such as 20"),
        (("--minutes", "soon"), "'soon' is no number of minutes: give one above 0, such as 20"),
        (("--minutes", "nan"), "'nan' is no number of minutes: give one above 0, such as 20"),
        (("--faults", "-1"), "'-1' is no number of faults: give a whole one from 1, such as 100"),
        (("--faults", "1.5"), "'1.5' is no number of faults: give a whole one from 1, such as 100"),
        (("--seed", "x"), "invalid int value: 'x'"),
        (("--hours", "1"), "unrecognized arguments: --hours 1"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_said(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_the_summary_says_what_was_found() -> None:
    total = Total(5)
    total.tally.breaches["lost"] = 2
    total.faults.update({("worker", "kill"): 3, ("worker", "stop"): 1, ("collector", "segv"): 2})
    total.recovery["worker"] += [0.5, 0.25, 3.0]
    text = "\n".join(summary(total))
    assert total.broken
    assert "6 faults, 0 of them at a chosen point: collector 2 segv; worker 3 kill, 1 stop" in text
    assert "2 lost, 0 doubled, 0 unexpected, 0 recovered" in text
    assert "recovery, worker: median 0.50 s, longest 3.00 s (3 times)" in text
