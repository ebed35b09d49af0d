"""A journal keeps what was committed, whenever its distributor dies, and refuses what it cannot keep."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zmqpipeline.delivery.intervals import Intervals
from zmqpipeline.delivery.ports import Past, PastTask
from zmqpipeline.errors import JournalError
from zmqpipeline.journal import COMMIT_BYTES, Journal
from zmqpipeline.journalfile import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAM = {"t": "TaskT", "u": "TaskU"}

pytestmark = pytest.mark.usefixtures("descriptors")


class Life:
    """A life of a distributor, as its journal sees it: it ends when its file is closed, committed or not."""

    def __init__(self, path: Path, program: dict[str, str] | None = None) -> None:
        self.journal = Journal(path, program or PROGRAM)
        self.states: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.before = {name: self.journal.state(name) for name in program or PROGRAM}
        for name in program or PROGRAM:
            self.journal.keep(name, lambda: ["counted"], lambda name=name: self._checkpoint(name))  # type: ignore[misc]

    def _checkpoint(self, name: str) -> bytes | None:
        self.asked.append(name)
        return self.states.get(name)

    @property
    def past(self) -> Past:
        return self.journal.past

    def __enter__(self) -> Journal:
        return self.journal

    def __exit__(self, *_: object) -> None:
        self.journal.close()


def past(path: Path) -> Past:
    """Begin a life that does nothing; tell what it finds."""
    with Life(path) as journal:
        return journal.past


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "the journal"


# -- what is kept -----------------------------------------------------------------


def test_a_new_journal_begins_a_run(path: Path) -> None:
    found = past(path)
    assert (found.epoch, found.life, found.number, found.metadata) == (0, None, 0, None)
    assert found.tasks == {"t": PastTask(), "u": PastTask()}


def test_a_run_keeps_its_id_and_counts_its_lives(path: Path) -> None:
    lives = [past(path) for _ in range(3)]
    assert [life.epoch for life in lives] == [0, 1, 2]
    assert len({life.run for life in lives}) == 1


def test_what_was_committed_is_there_and_nothing_else(path: Path) -> None:
    with Life(path) as journal:
        journal.made("t", 0, 2, b"ab")
        journal.made("u", 0, 1, b"x")
        journal.commit()
        journal.made("t", 2, 1, b"c")
    found = past(path).tasks
    assert found["t"] == PastTask(2, [], [(0, 2, b"ab")])
    assert found["u"] == PastTask(1, [], [(0, 1, b"x")])


def test_bodies_go_when_all_of_a_batch_is_settled(path: Path) -> None:
    with Life(path) as journal:
        for first in range(0, 12, 3):
            journal.made("t", first, 3, b"%d" % first)
        journal.settled("t", [(4, 2), (0, 3)])
        journal.commit()
        journal.settled("t", [(3, 1), (10, 1)])
        journal.commit()
    found = past(path).tasks["t"]
    assert found.settled == [(0, 6), (10, 1)]
    assert found.batches == [(6, 3, b"6"), (9, 3, b"9")]
    with Life(path) as journal:
        journal.settled("t", [(6, 4), (11, 1)])
        journal.commit()
    assert past(path).tasks["t"] == PastTask(12, [(0, 12)])


def test_ids_that_were_never_given_cannot_be_settled(path: Path) -> None:
    with Life(path) as journal:
        journal.made("t", 0, 2, b"ab")
        journal.settled("t", [(1, 1000), (7, 1)])
        journal.commit()
    assert past(path).tasks["t"] == PastTask(2, [(1, 1)], [(0, 2, b"ab")])


def test_failures_and_deaths_are_counted_as_long_as_a_task_is_open(path: Path) -> None:
    with Life(path) as journal:
        journal.made("t", 0, 3, b"abc")
        journal.tried("t", 1, 1, 0)
        journal.tried("t", 2, 0, 1)
        journal.commit()
        journal.tried("t", 1, 2, 0)
        journal.commit()
    assert past(path).tasks["t"].tried == [(1, 2, 0), (2, 0, 1)]
    with Life(path) as journal:
        journal.settled("t", [(1, 1)])
        journal.commit()
    assert past(path).tasks["t"].tried == [(2, 0, 1)]


def test_metadata_and_the_collectors_numbers_are_kept(path: Path) -> None:
    with Life(path) as journal:
        journal.began({"a": [1, 2]})
        journal.met("life", 0)
        journal.commit()
        journal.met("life", 7)
        journal.commit()
        journal.met("life", 8)
    found = past(path)
    assert (found.metadata, found.life, found.number) == ({"a": [1, 2]}, "life", 7)


def test_a_checkpoint_is_that_of_the_last_commit(path: Path) -> None:
    life = Life(path)
    assert life.before["t"] == (None, None)
    with life as journal:
        life.states["t"] = b"\x01"
        journal.made("t", 0, 1, b"a")
        journal.commit()
        life.states["t"] = b"\x02"
        journal.made("t", 1, 1, b"b")
    after = Life(path)
    with after:
        assert after.before["t"] == (["counted"], 1)
        assert after.before["u"] == (None, None)


def test_a_checkpoint_is_taken_when_there_is_a_batch_and_written_when_it_has_changed(path: Path) -> None:
    life = Life(path)
    with life as journal:
        written: list[str] = []
        journal._file.set_trace_callback(written.append)
        life.states["t"] = b"\x01"
        for first in range(3):
            journal.made("t", first, 1, b"a")
            journal.commit()
        journal.settled("t", [(0, 1)])
        journal.commit()
        assert life.asked == ["t", "t", "t"]
        assert sum("checkpoint" in statement for statement in written) == 1
        journal.changed("t")
        journal.commit()
        assert life.asked == ["t", "t", "t", "t"]


def test_a_checkpoint_that_fails_leaves_everything_as_it_was(path: Path) -> None:
    def fails() -> bytes:
        raise TypeError("no")

    with Life(path) as journal:
        journal.keep("t", list, fails)
        journal.made("t", 0, 1, b"a")
        with pytest.raises(TypeError, match="no"):
            journal.commit()
    assert past(path).tasks["t"] == PastTask()


def test_without_news_nothing_is_written(path: Path) -> None:
    with Life(path) as journal:
        written: list[str] = []
        journal._file.set_trace_callback(written.append)
        journal.commit()
        assert written == []


def test_a_commit_is_due_when_much_has_come_together_or_some_time_has_passed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("zmqpipeline.journal.time.monotonic", lambda: now)
    due = []
    with Life(path) as journal:
        journal.settled("t", [(0, 1)])
        due.append(journal.due)
        journal.made("t", 0, 1, b"a")
        due.append(journal.due)
        now += 0.01
        due.append(journal.due)
        journal.commit()
        due.append(journal.due)
        journal.made("t", 1, 1, bytes(COMMIT_BYTES))
        due.append(journal.due)
    assert due == [False, False, True, False, True]


def test_the_file_is_bounded_by_what_is_open(path: Path) -> None:
    body = bytes(100_000)
    with Life(path) as journal:
        for first in range(2_000):
            journal.made("t", first, 1, body)
            journal.settled("t", [(first - 3, 1)] if first >= 3 else [])
            journal.commit()
        assert sum(file.stat().st_size for file in path.parent.iterdir()) < 20_000_000
    assert [file.name for file in path.parent.iterdir()] == [path.name], "the log is gone with its process"
    assert len(past(path).tasks["t"].batches) == 3


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("made"), st.integers(1, 5)),
            st.tuples(st.just("settled"), st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6)))),
            st.tuples(st.sampled_from(["commit", "restart"]), st.none()),
        ),
        max_size=40,
    )
)
def test_whatever_happens_each_id_is_settled_or_in_one_batch(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    following, settled = 0, Intervals()
    committed = (0, Intervals())
    journal = Journal(path, PROGRAM)
    for step, given_ in steps:
        if step == "made":
            body = b"".join(b"%03d" % n for n in range(following, following + given_))
            journal.made("t", following, given_, body)
            following += given_
        elif step == "settled":
            ranges = [(first, min(count, following - first)) for first, count in given_]
            settled = Intervals([*settled.ranges(), *ranges])
            journal.settled("t", given_)
        elif step == "commit":
            journal.commit()
            committed = (following, Intervals(settled.ranges()))
        else:
            journal.close()
            following, settled = committed[0], Intervals(committed[1].ranges())
            journal = Journal(path, PROGRAM)
            _check(journal.past.tasks["t"], *committed)
    journal.close()
    _check(past(path).tasks["t"], *committed)


def _check(found: PastTask, following: int, settled: Intervals) -> None:
    assert (found.next, found.settled) == (following, settled.ranges())
    covered = Intervals(found.settled)
    for first, count, body in found.batches:
        assert settled.missing(first, count), "nothing of it is open"
        assert body == b"".join(b"%03d" % n for n in range(first, first + count))
        covered.add(first, count)
    assert covered == Intervals([(0, following)])


# -- the end of a run -------------------------------------------------------------------


def test_the_next_start_after_a_finished_run_begins_a_new_one_and_says_so(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    life = Life(path)
    with life as journal:
        life.states["t"] = b"\x01"
        journal.began({"a": 1})
        journal.made("t", 0, 2, b"ab")
        journal.settled("t", [(0, 2)])
        journal.finished()
        journal.commit()
        run = journal.past.run
    caplog.set_level("INFO", "zmqpipeline.distributor")
    again = Life(path)
    with again:
        assert again.before["t"] == (None, None)
        assert again.past.run != run
        assert (again.past.epoch, again.past.metadata) == (0, None)
        assert again.past.tasks["t"] == PastTask()
    (message,) = caplog.messages
    assert message == f"the journal '{path}' is of a run that is finished: it is cleared for a new one"


# -- what cannot be used -------------------------------------------------------------------


def refused(path: Path, words: str, program: dict[str, str] | None = None) -> None:
    """Try to begin a life; it must be refused, and nothing may have changed."""
    before = {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    with pytest.raises(JournalError, match=words) as caught:
        Journal(path, program or PROGRAM)
    assert isinstance(caught.value, OSError)
    assert str(path) in str(caught.value)
    after = {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    assert after.keys() == before.keys()
    assert after == before


@pytest.mark.parametrize("program", [{"t": "TaskT"}, {**PROGRAM, "v": "TaskV"}, {"t": "TaskT", "u": "Other"}])
def test_the_journal_of_another_program_is_refused(path: Path, program: dict[str, str]) -> None:
    past(path)
    refused(
        path, r"belongs to another program, with TaskT \(t\), TaskU \(u\) instead of TaskT \(t\)", program
    )
    assert past(path).epoch == 1


def test_the_order_of_the_tasks_does_not_matter(path: Path) -> None:
    past(path)
    with Life(path, dict(reversed(PROGRAM.items()))) as journal:
        assert journal.past.epoch == 1


@pytest.mark.parametrize("text", [b"no database", b"x" * 10_000])
def test_what_is_no_database_is_refused(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    refused(path, "is damaged, or is no journal")


def test_an_empty_file_is_a_new_journal(path: Path) -> None:
    path.touch()
    assert past(path).epoch == 0


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_a_damaged_journal_is_refused(path: Path, place: float) -> None:
    with Life(path) as journal:
        for first in range(50):
            journal.made("t", first, 1, bytes(2000))
        journal.commit()
    data = bytearray(path.read_bytes())
    page = int(place * len(data)) // 4096 * 4096
    data[page : page + 4096] = b"\xa5" * 4096
    path.write_bytes(data)
    refused(path, "is damaged, or is no journal")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE run SET program = 'x'",
        "UPDATE run SET program = '[1]'",
        "UPDATE run SET epoch = 'x'",
        "UPDATE run SET metadata = 5",
        "UPDATE run SET metadata = x'9101'",
        "UPDATE run SET metadata = x'c1'",
        "UPDATE settled SET first = 'x'",
        "UPDATE settled SET count = x'00'",
    ],
)
def test_values_of_a_wrong_kind_are_refused(path: Path, statement: str) -> None:
    """SQLite itself finds nothing wrong with them."""
    with Life(path) as journal:
        journal.made("t", 0, 2, b"ab")
        journal.settled("t", [(0, 1)])
        journal.commit()
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(statement)
    refused(path, "is damaged, or is no journal")


def test_a_collector_may_call_its_life_what_no_file_can_take(path: Path) -> None:
    with Life(path) as journal:
        journal.met("a life \ud800", 3)
        journal.commit()
    found = past(path)
    assert (found.life, found.number) == ("a life ?", 3)


def test_a_database_of_something_else_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE mine (it TEXT)")
    refused(path, "is no journal but a database of something else")


def test_a_journal_of_a_newer_version_is_refused(path: Path) -> None:
    past(path)
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"PRAGMA user_version = {FORMAT + 1}")
    refused(path, f"has the format {FORMAT + 1}, and this version knows {FORMAT}")


def test_a_journal_in_use_is_refused(path: Path) -> None:
    with Life(path) as journal:
        with pytest.raises(JournalError, match="in use by a distributor that runs"):
            Journal(path, PROGRAM)
        journal.made("t", 0, 1, b"a")
        journal.commit()
    assert past(path).tasks["t"].next == 1


def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder")


def test_the_folder_of_a_journal_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="its folder does not exist"):
        Journal(tmp_path / "nowhere" / "journal", PROGRAM)


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is forbidden to root")
def test_a_journal_that_may_not_be_written_is_refused(path: Path) -> None:
    past(path)
    path.chmod(0o400)
    refused(path, "cannot be read and written")


def _fill_disk(journal: Journal) -> None:
    pages = journal._file.execute("PRAGMA page_count").fetchone()[0]
    journal._file.execute(f"PRAGMA max_page_count = {pages}")


def _drop_table(journal: Journal) -> None:
    journal._file.execute("DROP TABLE batch")


@pytest.mark.parametrize(("breaks", "words"), [(_fill_disk, "full"), (_drop_table, "no such table")])
def test_a_journal_that_cannot_be_written_any_more_says_so(
    path: Path, breaks: Callable[[Journal], None], words: str
) -> None:
    with Life(path) as journal:
        breaks(journal)
        journal.made("t", 0, 1, bytes(1_000_000))
        with pytest.raises(JournalError, match=f"cannot be read and written: .*{words}"):
            journal.commit()


def test_a_state_that_this_process_cannot_read_is_refused(path: Path) -> None:
    life = Life(path)
    with life as journal:
        life.states["t"] = b"\xc1"
        journal.made("t", 0, 1, b"a")
        journal.commit()
    with closing(Journal(path, PROGRAM)) as again, pytest.raises(JournalError, match="a state of t that"):
        again.state("t")


def test_a_path_is_a_file_whatever_it_looks_like(folder: Path) -> None:
    Journal(":memory:", PROGRAM).close()
    Journal("file:x?mode=memory", PROGRAM).close()
    assert sorted(file.name for file in folder.iterdir()) == [":memory:", "file:x?mode=memory"]
