"""What is told of a run: from the books alone, without a socket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.test_dispatch import Case
from zmqpipeline.monitor.check import is_snapshot
from zmqpipeline.monitor.observer import Observer
from zmqpipeline.monitor.snapshot import CollectorInfo, FailureInfo, Snapshot, TaskInfo, WorkerInfo
from zmqpipeline.wire import envelope
from zmqpipeline.wire.envelope import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN = "the run"
WALL = 1_800_000_000.0
#: what a worker says of itself
INFO = {"name": "Squares", "host": "here", "pid": 7, "hands": 3}


class Watched:
    """A run with an observer."""

    def __init__(self, **tasks: tuple[int, list[str]]) -> None:
        self.case = Case(metadata=None, **tasks)
        self.observer = Observer(RUN, self.case.dispatch, self.case.now)

    def look(self, seconds: float = 0.0, **changes: Any) -> Snapshot:
        """Let time pass, and look."""
        self.case.advance(seconds)
        for news in self.case.dispatch.news():
            self.observer.note(news)
        now = self.case.now
        return self.observer.snapshot(now, WALL + now, {"memory": 1, "cpu": 0.5, "lag": 0.0}, **changes)

    def worker(self, name: str, credit: int = 3) -> bytes:
        """Have a worker come that says who it is."""
        self.says(name, "HELLO", run=None, data=INFO)
        self.says(name, "RDY", credit=credit, order=1)
        self.case.advance()
        return name.encode()

    def says(self, name: str, kind: str, *, run: str | None = RUN, **fields: Any) -> None:
        self.case.dispatch.from_worker(
            "t", name.encode(), Message(kind, "t", run=run, **fields), self.case.now
        )

    def states(self) -> dict[str, str]:
        return {worker["id"]: worker["state"] for worker in self.look()["workers"]}


def test_before_anything_has_come() -> None:
    told = Watched(t=(3, [])).look(2.0)
    assert (told["phase"], told["waits_for"]) == ("waiting", ["the collector"])
    assert (told["collector"], told["workers"], told["failures"]) == (None, [], [])
    assert (told["run"], told["uptime"], told["latency"]) == (RUN, 2.0, None)
    assert told["distributor"]["memory"] == 1
    assert json.loads(json.dumps(told)) == told


def test_a_run_from_its_first_task_to_its_end() -> None:
    watched = Watched(t=(10, []), u=(5, ["t"]))
    watched.case.collector()
    watched.worker("w", credit=4)
    told = watched.look()
    assert told["phase"] == "running"
    task, other = told["tasks"]
    given = task["in_flight"]
    assert 0 < given <= 4
    assert (task["type"], task["phase"], task["handed_out"], task["workers"]) == ("t", "running", given, 1)
    assert (other["phase"], other["depends"], told["waits_for"]) == ("waiting", ["t"], [])
    assert (task["total"], other["total"]) == (10, 5)
    watched.case.now += 0.5
    watched.case.ack("t", (0, given))
    told = watched.look(0.5)
    assert (told["acknowledged"], told["tasks"][0]["acknowledged"]) == (given, given)
    assert told["rate"] == told["tasks"][0]["rate"] == given
    assert told["latency"] == told["tasks"][0]["latency"] == 0.5
    watched.case.dispatch.stop()
    assert watched.look()["phase"] == "stopping"
    assert watched.look(ended=True)["phase"] == "ended"


def test_the_sum_of_the_tasks_is_that_of_the_run() -> None:
    watched = Watched(t=(10, []), u=(5, []))
    watched.case.collector()
    watched.worker("w")
    watched.case.worker("u")
    told = watched.look(1.0)
    for name in ("handed_out", "in_flight", "queued", "acknowledged", "failed", "redelivered"):
        assert told[name] == sum(task[name] for task in told["tasks"])
    assert told["handed_out"] > 3


def test_a_task_may_be_called_like_a_role() -> None:
    watched = Watched(t=(2, []), collector=(3, []))
    watched.case.collector()
    watched.case.worker("collector")
    watched.case.hears("HEARTBEAT", data={"collected": 0})
    watched.look(1.0)
    watched.case.ack("collector", (0, 3))
    watched.case.hears("HEARTBEAT", data={"collected": 3})
    told = watched.look(1.0)
    assert [task["rate"] for task in told["tasks"]] == [0.0, 3.0]
    assert told["collector"] is not None
    assert told["collector"]["rate"] == 3.0


def test_workers_of_two_tasks_may_have_one_address() -> None:
    watched = Watched(t=(2, []), u=(3, []))
    watched.case.collector()
    watched.worker("same")
    for kind, fields in (("HELLO", {"data": INFO}), ("RDY", {"run": RUN, "credit": 1})):
        watched.case.dispatch.from_worker("u", b"same", Message(kind, "u", **fields), watched.case.now)
    watched.look(1.0)
    watched.says("same", "HEARTBEAT", number=1, held=[], data={"done": 2})
    assert [worker["rate"] for worker in watched.look(1.0)["workers"]] == [2.0, 0.0]
    watched.case.dispatch.books["t"].lost(b"same")
    told = watched.look(1.0)["workers"]
    assert [(worker["task"], worker["state"]) for worker in told] == [("u", "working"), ("t", "lost")]


def test_a_worker_from_its_coming_to_its_goodbye() -> None:
    watched = Watched(t=(2, []))
    watched.case.collector()
    watched.says("w", "HELLO", run=None, data=INFO)
    assert watched.states() == {"w": "starting"}
    watched.says("w", "RDY", credit=3, order=1)
    watched.case.advance()
    assert watched.states() == {"w": "working"}
    watched.says("w", "FAIL", id=1, attempt=1, error={"type": "E"})
    report = {"memory": 5, "cpu": 0.25, "lag": 0.1, "done": 2, "failed": 7, "nonsense": 1}
    watched.case.now += 1.0
    watched.says("w", "HEARTBEAT", number=2, held=[], data=report)
    (worker,) = watched.look()["workers"]
    assert {name: worker[name] for name in INFO} == INFO  # type: ignore[literal-required]
    assert (worker["memory"], worker["cpu"], worker["lag"]) == (5, 0.25, 0.1)
    assert (worker["done"], worker["failed"], worker["rate"], worker["heard"]) == (2, 1, 2.0, 0.0)
    came = worker["since"]
    watched.case.ack("t", (0, 2))
    watched.case.dispatch.books["t"].peers[b"w"].ended = False
    watched.says("w", "BYE")
    (gone,) = watched.look(1.0)["workers"]
    assert (gone["state"], gone["in_flight"], gone["done"], gone["pid"]) == ("left", 0, 2, 7)
    assert gone["since"] == WALL + watched.case.now > came


def test_a_lost_worker_is_shown_as_lost() -> None:
    watched = Watched(t=(10, []))
    watched.case.collector()
    watched.worker("w")
    watched.worker("x")
    watched.look()
    watched.case.dispatch.books["t"].lost(b"w")
    told = watched.look(1.0)
    assert {worker["id"]: worker["state"] for worker in told["workers"]} == {"x": "working", "w": "lost"}
    assert told["queued"] + told["workers"][0]["in_flight"] == told["in_flight"]


def test_what_a_worker_in_lock_step_has_done_is_counted_for_it() -> None:
    watched = Watched(t=(10, []))
    watched.case.collector()
    for number in range(3):
        watched.says("w", "RDY")
        watched.case.advance(1.0)
        watched.case.ack("t", (number, 1))
        watched.look()
    watched.says("w", "RDY")
    (worker,) = watched.look()["workers"]
    assert (worker["done"], worker["in_flight"], worker["state"]) == (3, 1, "working")
    assert worker["rate"] == 1.0
    watched.says("w", "FAIL", id=3, attempt=1, error={"type": "E"})
    (worker,) = watched.look(1.0)["workers"]
    assert (worker["done"], worker["failed"]) == (4, 1)


def test_a_worker_that_was_found_to_be_lost_a_moment_ago_has_not_left() -> None:
    watched = Watched(t=(10, []))
    watched.case.collector()
    watched.worker("w")
    watched.look()
    watched.case.dispatch.books["t"].lost(b"w")
    watched.case.now += 1.0
    watched.observer.look(watched.case.now, WALL)  # before anybody was told
    assert watched.states() == {"w": "lost"}


def test_a_worker_that_comes_and_dies_between_two_looks_is_shown_as_lost() -> None:
    watched = Watched(t=(10, []))
    watched.case.collector()
    watched.look()
    for name in ("w", "x"):
        watched.worker(name)
        watched.case.dispatch.books["t"].lost(name.encode())
        watched.look(0.1)
    for _ in range(2):
        told = watched.look(1.0)
        assert [(w["id"], w["state"], w["name"]) for w in told["workers"]] == [
            ("x", "lost", "Squares"),
            ("w", "lost", "Squares"),
        ]


def test_nothing_is_kept_of_those_who_come_and_go() -> None:
    watched = Watched(t=(1000, []))
    watched.case.collector()
    watched.look()
    for number in range(100):
        watched.worker(f"w{number}")
        assert f"w{number}" in watched.states()
        watched.says(f"w{number}", "BYE")
        if number % 3 == 0:
            watched.look(1.0)
    watched.look(1.0)
    assert not watched.observer._worker_paces
    assert not watched.observer._known


def test_a_silent_worker_is_shown_as_silent() -> None:
    watched = Watched(t=(10, []))
    watched.case.collector()
    watched.worker("w")
    for _ in range(6):
        watched.look(1.0)
    assert watched.states() == {"w": "silent"}


def test_the_collector_from_its_coming_to_its_goodbye() -> None:
    watched = Watched(t=(2, []))
    watched.case.hears("HELLO", run=None, data={"name": "Keeps", "host": "there", "pid": 9})
    said = watched.look()["collector"]
    assert said is not None
    assert (said["name"], said["host"], said["pid"], said["state"]) == ("Keeps", "there", 9, "starting")
    watched.case.hears("RDY")
    watched.case.hears("HEARTBEAT", data={"collected": 40, "queue": 2, "memory": 8, "cpu": 0.5, "lag": 0})
    watched.look(1.0)
    watched.case.hears("HEARTBEAT", data={"collected": 50, "queue": 1, "memory": 8, "cpu": 0.5, "lag": 0})
    said = watched.look(1.0)["collector"]
    assert said is not None
    assert (said["state"], said["collected"], said["queue"], said["memory"]) == ("idle", 50, 1, 8)
    watched.case.dispatch.collector_lost()
    assert (watched.look()["collector"] or said)["state"] == "lost"


def test_what_was_collected_before_a_distributor_was_started_again_is_no_pace() -> None:
    watched = Watched(t=(2, []))
    watched.case.collector()
    watched.look(1.0)
    for more in (0, 30):
        watched.case.hears("HEARTBEAT", data={"collected": 5000 + more})
        told = watched.look(1.0)["collector"]
        assert told is not None
        assert told["rate"] == more


def test_a_new_collector_has_not_collected_what_the_one_before_has() -> None:
    watched = Watched(t=(2, []))
    watched.case.collector()
    watched.case.hears("HEARTBEAT", data={"collected": 50, "queue": 1, "memory": 8, "cpu": 0.5, "lag": 0})
    watched.look(1.0)
    watched.case.hears("HELLO", "another life", run=None, data={"pid": 10})
    said = watched.look()["collector"]
    assert said is not None
    assert (said["pid"], said["collected"], said["queue"], said["memory"]) == (10, 0, 0, None)


def test_the_last_snapshot_shows_who_has_left_since_the_one_before() -> None:
    watched = Watched(t=(2, []))
    watched.case.collector()
    watched.worker("w")
    watched.look(1.0)
    watched.case.ack("t", (0, 2))
    watched.says("w", "BYE")
    watched.case.hears("BYE", data={"ended": True, "collected": 2, "queue": 0})
    told = watched.look(ended=True)
    assert [(worker["id"], worker["state"]) for worker in told["workers"]] == [("w", "left")]
    assert told["collector"] is not None
    assert (told["collector"]["state"], told["collector"]["collected"]) == ("left", 2)


@pytest.mark.parametrize(
    "hello",
    [{name: number} for name in ("pid", "hands", "max_message", "protocol") for number in (2**64 - 1, -1)],
)
@pytest.mark.parametrize("report", [{name: 1.5} for name in ("memory", "done", "cpu", "lag")])
def test_nothing_that_a_peer_says_makes_a_snapshot_that_nobody_takes(
    hello: dict[str, Any], report: dict[str, Any]
) -> None:
    watched = Watched(t=(2, []))
    watched.case.hears("HELLO", run=None, data=hello)
    watched.case.hears("RDY")
    watched.says("w", "HELLO", run=None, data=hello)
    watched.says("w", "HEARTBEAT", number=0, held=[], data=report)
    watched.case.hears("HEARTBEAT", data={"collected": 1.5, "queue": 0.5, **report})
    told = envelope.decode(envelope.encode(Message("SNAPSHOT", "", watched.look(1.0))))
    assert told is not None
    assert is_snapshot(told.data)


@pytest.mark.parametrize(
    ("info", "known"),
    [
        (
            {"name": "Gives", "host": "there", "pid": 5, "memory": 8.0, "cpu": 0.5},
            ("Gives", "there", 5, 8, 0.5),
        ),
        (None, ("", "?", None, None, None)),  # as in the original
        (
            {"name": "x\x1b[2J", "host": 7, "pid": 2**64 - 1, "memory": -1, "cpu": "1"},
            ("", "?", None, None, None),
        ),
    ],
)
def test_who_gave_the_metadata_is_known_as_far_as_it_said_so(info: Any, known: tuple[Any, ...]) -> None:
    watched = Watched(t=(2, []))
    assert watched.look()["metadata_worker"] is None
    watched.observer.note_metadata(info, WALL)
    told = watched.look(1.0)
    assert is_snapshot(told)
    found = told["metadata_worker"]
    assert found is not None
    assert tuple(found[name] for name in ("name", "host", "pid", "memory", "cpu")) == known
    assert found["since"] == WALL


def test_failures_are_told_the_newest_first_and_cut() -> None:
    watched = Watched(t=(10, []))
    watched.case.collector()
    watched.worker("w")
    error = {"type": "V" * 5000, "text": "x" * 5000, "traceback": "y" * 50_000 + "the end", "retry": True}
    watched.says("w", "FAIL", id=0, attempt=1, error=error)
    watched.case.now += 2.0
    watched.says("w", "FAIL", id=1, attempt=1, error={"type": "KeyError", "text": "'k'", "retry": False})
    newest, oldest = watched.look(1.0)["failures"]
    assert (newest["type"], newest["id"], newest["final"], newest["traceback"]) == ("KeyError", 1, True, "")
    assert (oldest["type"], oldest["id"], oldest["final"], oldest["attempt"]) == ("V" * 1000, 0, False, 1)
    assert newest["time"] - oldest["time"] == pytest.approx(2.0)
    assert newest["worker"] == "pid 7 on here"
    assert len(oldest["text"]) == 1000
    assert len(oldest["traceback"]) == 4000
    assert oldest["traceback"].endswith("the end")


def test_the_last_attempt_of_a_task_has_the_number_that_it_declares() -> None:
    """However often it was handed out: who has left may have begun it."""
    watched = Watched(t=(1, []))
    watched.case.collector()
    for name in ("x", "y", "z"):
        watched.worker(name)
        watched.says(name, "BYE")
    watched.worker("w")
    (batch,) = watched.case.dispatch.books["t"].ledger.batches
    assert batch.attempt == 4
    for number in (1, 2, 3):
        watched.says("w", "FAIL", id=0, attempt=batch.attempt, error={"type": "E"})
        failure, *_ = watched.look()["failures"]
        assert (failure["attempt"], failure["final"]) == (number, number == 3)
        watched.case.now += 2.0
        watched.case.advance()


def test_no_more_are_kept_than_are_shown() -> None:
    watched = Watched(t=(1000, []))
    watched.case.collector()
    for number in range(200):
        name = f"w{number}"
        watched.worker(name, credit=1)
        watched.look(1.0)
        for held in watched.case.dispatch.books["t"].ledger.held_by(name.encode()):
            watched.says(
                name, "FAIL", id=held.first, attempt=held.attempt, error={"type": "E", "retry": False}
            )
        watched.says(name, "BYE")
    told = watched.look(1.0)
    assert len(told["workers"]) == len(told["failures"]) == 50
    assert told["workers"][0]["id"] == "w199"


def test_everything_that_the_form_names_is_told() -> None:
    watched = Watched(t=(10, []))
    watched.case.collector()
    watched.worker("w")
    watched.says("w", "FAIL", id=0, attempt=1, error={"type": "E"})
    told = watched.look(1.0)

    def names(form: Any) -> set[str]:
        return set(form.__required_keys__)

    def said(found: Mapping[str, Any] | None) -> set[str]:
        assert found is not None
        return set(found)

    assert said(told) == names(Snapshot)
    assert said(told["tasks"][0]) == names(TaskInfo)
    assert said(told["workers"][0]) == names(WorkerInfo)
    assert said(told["collector"]) == names(CollectorInfo)
    assert said(told["failures"][0]) == names(FailureInfo)
