"""The chaos test's checker: every kind of breach is found, and nothing else is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from zmqpipeline.testing.chaos.checker import Checker
from zmqpipeline.testing.chaos.record import Event, Tail, parse

if TYPE_CHECKING:
    from pathlib import Path

DISTRIBUTOR, WORKER, COLLECTOR, SECOND_LIFE = 1, 2, 3, 4
#: by process, what it may write down
WRITERS = {
    "open": DISTRIBUTOR,
    "made": DISTRIBUTOR,
    "told": DISTRIBUTOR,
    "begin": WORKER,
    "collected": COLLECTOR,
    "failed": COLLECTOR,
    "finished": COLLECTOR,
    "fault": WORKER,
}
#: one task of A and one of B, which depends on A; number 9 of any type always fails
GOOD = """
    open A
    made A 0
    begin A 0
    collected A 0
    made A 1
    begin A 1
    collected A 1
    open B
    made B 0
    begin B 0
    collected B 0
    finished
"""


def event(line: str) -> Event:
    """Read a step: what, task type, number, and what differs from the ordinary as ``name=value``."""
    what, *words = line.split()
    more = dict(word.split("=") for word in words if "=" in word)
    plain = [word for word in words if "=" not in word]
    if what in {"collected", "failed"}:
        ordinary = "right" if what == "collected" else "ValueError"
        plain += [more.get("id", "run-" + "-".join(plain)), more.get("word", ordinary)]
    return Event(0.0, int(more.get("pid", WRITERS[what])), what, tuple(plain))


def check(history: str, *, killed: frozenset[int] = frozenset()) -> Checker:
    """Let a checker see a history, with a step a line."""
    checker = Checker({"A": (), "B": ("A",)}, lambda number: number == 9)
    for line in filter(str.strip, history.splitlines()):
        checker.take(event(line))
    checker.conclude(killed)
    return checker


def kinds(history: str, *, killed: frozenset[int] = frozenset()) -> dict[str, int]:
    """Count the breaches in a history by kind."""
    return dict(check(history, killed=killed).tally.breaches)


def changed(before: str, after: str) -> str:
    """Make the good history different at one place."""
    assert GOOD.count(before) == 1
    return GOOD.replace(before, after)


def test_what_is_as_it_should_be_is_no_breach() -> None:
    checker = check(GOOD)
    assert checker.breaches == []
    tally = checker.tally
    assert (tally.made, tally.collected, tally.failed, tally.begun, tally.recovered) == (3, 3, 0, 3, 0)


def test_a_failure_that_had_to_come_is_none() -> None:
    numbers = range(10)
    lines = [f"made A {n}\nbegin A {n}\n{'failed' if n == 9 else 'collected'} A {n}" for n in numbers]
    history = "\n".join(["open A", *lines, "open B", "made B 0", "begin B 0", "collected B 0", "finished"])
    assert kinds(history) == {}
    assert check(history).tally.failed == 1


@pytest.mark.parametrize(
    ("history", "kind"),
    [
        (changed("collected A 1", ""), "lost"),
        (changed("collected A 0", "collected A 0\ncollected A 0"), "doubled"),
        (changed("collected A 0", "collected A 0\nfailed A 0 word=MemoryError"), "doubled"),
        (changed("begin A 1", "collected A 0 pid=4 id=other\nbegin A 1"), "doubled"),
        (changed("collected A 1", "collected A 1 id=run-A-0"), "doubled"),
        (changed("made A 1", "made A 0\nmade A 1"), "doubled"),
        (changed("finished", "collected B 1\nfinished"), "unexpected"),
        (changed("finished", "begin B 1\nfinished"), "unexpected"),
        (changed("collected A 0", "collected A 0 word=wrong"), "unexpected"),
        (changed("collected A 0", "failed A 0"), "unexpected"),
        (changed("collected A 0", "failed A 0 word=MemoryError"), "unexpected"),
        (GOOD.replace("A 1", "A 9"), "unexpected"),
        (changed("collected A 1", "").replace("made B 0", "made B 0\ncollected A 1"), "early"),
        (changed("open B", "open B\nmade A 2\ncollected A 2"), "early"),
        (changed("made B 0", "made B 0\ncollected A 1 pid=4"), "again"),
        (changed("begin A 1", "begin A 1\ntold A 0\ncollected A 0 pid=4"), "again"),
        (changed("finished", ""), "finished"),
        (changed("finished", "finished\nfinished"), "finished"),
        (changed("finished", "finished\nfinished pid=4"), "finished"),
        (changed("finished", "finished\ncollected B 0 pid=4"), "finished"),
        (changed("collected B 0", "").replace("finished", "finished\ncollected B 0"), "finished"),
        (GOOD.partition("open B")[0] + "finished", "finished"),
    ],
    ids=lambda value: value if " " not in value else "history",
)
def test_each_breach_is_found(history: str, kind: str) -> None:
    assert kind in kinds(history)


def test_what_is_lost_is_named() -> None:
    history = changed("finished", "made B 1\nfinished")
    assert ("lost", "task 1 of B was handed in, and neither collected nor failed") in check(history).breaches


def test_a_later_life_may_get_a_result_again_under_the_same_id() -> None:
    checker = check(changed("begin A 1", "collected A 0 pid=4\nbegin A 1"))
    assert checker.breaches == []
    assert (checker.tally.recovered, checker.tally.collected) == (1, 3)


def test_what_a_dead_distributor_had_not_handed_out_is_made_again() -> None:
    again = "made A 1\nmade A 2\nmade A 1 pid=5"
    checker = check(changed("made A 1", again))
    assert checker.breaches == []
    assert checker.tally.made == 3


def test_a_life_that_was_killed_behind_its_end_may_be_followed_by_another() -> None:
    history = changed("finished", "finished\nfinished pid=4")
    assert kinds(history, killed=frozenset({COLLECTOR})) == {}


def test_without_memory_any_task_may_fail() -> None:
    assert kinds(changed("collected A 0", "fault memory task\nfailed A 0 word=MemoryError")) == {}


def test_many_breaches_of_a_kind_are_counted_and_some_described() -> None:
    checker = check(GOOD + "collected B 0\n" * 100)
    assert checker.tally.breaches["doubled"] == 100
    assert sum(breach.kind == "doubled" for breach in checker.breaches) == 10


# -- the record -------------------------------------------------------------------------


def test_lines_that_a_death_cut_off_are_told_from_whole_ones(tmp_path: Path) -> None:
    path = tmp_path / "record"
    tail = Tail(path)
    assert tail.read() == []
    path.write_bytes(b"\n1.0 7 begin A 12 .\n\n1.5 8 collected A 1\n1.6 8 begin A 1\n2.0 7 beg")
    assert tail.read() == [Event(1.0, 7, "begin", ("A", "12"))]
    assert tail.torn == 2
    with path.open("ab") as file:
        file.write(b"in A 13 .\n")
    assert tail.read() == [Event(2.0, 7, "begin", ("A", "13"))]


@pytest.mark.parametrize(
    "line", ["", ".", "1.0 7 .", "1.0 7 ends .", "x 7 finished .", "1.0 7 begin A x .", "1.0 7 finished"]
)
def test_what_is_no_line_is_none(line: str) -> None:
    assert parse(line) is None
