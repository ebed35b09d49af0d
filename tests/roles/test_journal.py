"""Distributors that stop hard and go on from their journal, over real sockets."""

from __future__ import annotations

import abc
import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest

import zmqpipeline
from zmqpipeline.delivery import dispatch
from zmqpipeline.errors import BindError, DeclarationError, JournalError
from zmqpipeline.journal import Journal

from .pipelines import Echo, Pipeline, Threaded, eventually, run_all, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .pipelines import Counting, Keeper, Running

pytestmark = pytest.mark.usefixtures("folder", "_quick_looks", "_reunions_without_anybody")


@pytest.fixture
def _reunions_without_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a resumed run end once all workers have: there is nobody who would have to connect again."""
    finished = dispatch.Dispatch.finished

    def finished_early(run: dispatch.Dispatch, now: float) -> bool:
        there = any(thread.name.startswith("Worker") for thread in threading.enumerate())
        return finished(run, now if there else now + dispatch.REUNION)

    monkeypatch.setattr(dispatch.Dispatch, "finished", finished_early)


class Killed(BaseException):
    """Raised where a distributor dies; nothing of it is written any more."""


class Deaths:
    """Lets distributors die at some of their commits: before, or just behind.

    Parameters
    ----------
    monkeypatch
        patches the journal
    before, after
        the numbers of the commits, counted over all lives, that have something to write

    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, before: tuple[int, ...] = (), after: tuple[int, ...] = ()
    ) -> None:
        self.count = 0
        self._before = before
        self._after = after
        self._real = Journal.commit
        # a function, because an instance's method would not be bound to the journal
        monkeypatch.setattr(Journal, "commit", lambda journal: self.commit(journal))  # noqa: PLW0108

    def commit(self, journal: Journal) -> None:
        """Commit, or die."""
        if not journal._dirty and not journal._of_run:
            return
        self.count += 1
        number = self.count
        if number in self._before:
            raise Killed
        self._real(journal)
        if number in self._after:
            raise Killed


def live(roles: Running, make: Callable[[], zmqpipeline.Distributor]) -> list[zmqpipeline.Distributor]:
    """Run one distributor after the other until one ends by itself."""
    lives = []
    while True:
        lives.append(make())
        roles.start(lives[-1])
        try:
            roles.join(lives[-1])
        except Killed:
            continue
        return lives


@pytest.mark.usefixtures("descriptors")
@pytest.mark.parametrize("begin", [1, 2, 3, 4])
def test_nothing_is_lost_or_doubled_at_whichever_commit_a_distributor_dies(
    begin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline()
    pipeline.task("FIRST", 3000)
    pipeline.task("SECOND", 300, depends=("FIRST",))
    keeper = pipeline.keeper()
    workers = [pipeline.worker("FIRST")(), pipeline.worker("SECOND", Threaded)()]
    numbers = list(itertools.islice(itertools.count(begin, 3), 8))
    Deaths(monkeypatch, before=tuple(numbers[::2]), after=tuple(numbers[1::2]))
    with running(keeper, *workers) as roles:
        *died, last = live(roles, lambda: pipeline.distributor(journal="journal"))
        roles.join(keeper, *workers)
    assert len(died) == 8
    assert keeper.numbers("FIRST") == list(range(3000))
    assert keeper.numbers("SECOND") == list(range(300))
    assert [name for name, _ in keeper.kept] == ["FIRST"] * 3000 + ["SECOND"] * 300
    assert keeper.finished == [3300]
    assert last.statistics()[:3] == (3300, 3300, 0)
    assert {name: (task.n_sent, task.n_acks, task.is_complete) for name, task in last.tasks.items()} == {
        "FIRST": (3000, 3000, True),
        "SECOND": (300, 300, True),
    }


def test_no_id_ever_has_two_payloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """What handle() made and was not committed never left the distributor."""
    pipeline = Pipeline()
    made = itertools.count()

    def handle(self: Any, data: Any, address: bytes, msgtype: str) -> dict[str, Any]:
        self.made += 1
        self.is_complete = self.made == 500
        return {"i": next(made)}  # another one if it is made again

    pipeline.task("ONCE", 0, handle=handle)
    seen: dict[str, set[int]] = {}

    class Seeing(Echo, abc.ABC):
        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            return {"r": data["i"]}

    def handle_collection(self: Any, data: dict[str, Any], task_type: str, msgtype: str) -> None:
        seen.setdefault(self.result_id, set()).add(data["r"])

    keeper = pipeline.keeper(handle_collection=handle_collection)
    worker = pipeline.worker("ONCE", Seeing)()
    Deaths(monkeypatch, before=(3, 5, 8, 13, 21), after=(7, 10, 17))
    with running(keeper, worker) as roles:
        assert len(live(roles, lambda: pipeline.distributor(journal="journal"))) == 9
        roles.join(keeper, worker)
    (run,) = {result_id.split("-")[0] for result_id in seen}
    assert set(seen) == {f"{run}-ONCE-{number}" for number in range(500)}
    assert all(len(values) == 1 for values in seen.values())
    assert len(set.union(*seen.values())) == 500


def test_a_task_goes_on_where_it_was_and_is_initialized_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline()
    lives: list[dict[str, Any]] = []

    def initialize(self: Any, metadata: dict[str, Any]) -> None:
        self.work = list(range(50))
        self.open_file = object()
        lives.append(metadata)

    def handle(self: Any, data: Any, address: bytes, msgtype: str) -> dict[str, Any]:
        number = self.work.pop()
        self.is_complete = not self.work
        return {"i": number}

    def checkpoint(self: Any) -> dict[str, Any]:
        return {"work": self.work}

    pipeline.task("LIST", 0, initialize=initialize, handle=handle, checkpoint=checkpoint)

    class Meta(zmqpipeline.MetaDataWorker):
        endpoint = pipeline.metadata

        def get_metadata(self) -> dict[str, Any]:
            return {"once": True}

    keeper, meta = pipeline.keeper(), Meta()
    worker = pipeline.worker("LIST")()
    Deaths(monkeypatch, before=(5,), after=(3, 8))

    def make() -> zmqpipeline.Distributor:
        return pipeline.distributor(
            journal="journal", receive_metadata=True, metadata_endpoint=pipeline.metadata
        )

    with running(keeper, worker, meta) as roles:
        found = live(roles, make)
        roles.join(keeper, worker, meta)
    assert keeper.numbers("LIST") == list(range(50))
    assert lives == [{"once": True}] * 4, "the metadata worker is asked once"
    assert [distributor.metadata for distributor in found[1:]] == [{"once": True}] * 3
    assert keeper.metadata == {"once": True}


def test_a_gated_task_hears_of_each_acknowledgement(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline()

    def available(self: Any, last: dict[str, Any]) -> bool:
        if last and last["told"] not in self.heard:
            self.heard.append(last["told"])
        self.is_complete = len(self.heard) == 12
        return bool(self.n_acks == self.n_sent)

    pipeline.task("GATED", 1000, is_available_for_handling=available, __init__=_listen)

    def handle_collection(self: Any, data: dict[str, Any], task_type: str, msgtype: str) -> dict[str, Any]:
        self.kept.append((task_type, data))
        return {"told": data["r"]}

    keeper = pipeline.keeper(handle_collection=handle_collection)
    worker = pipeline.worker("GATED")()
    Deaths(monkeypatch, before=(4, 9, 14), after=(6, 11, 16))
    with running(keeper, worker) as roles:
        *_, last = live(roles, lambda: pipeline.distributor(journal="journal"))
        roles.join(keeper, worker)
    assert keeper.numbers("GATED") == list(range(12))
    task: Any = last.tasks["GATED"]
    assert task.heard == list(range(12))
    assert (task.n_sent, task.n_acks) == (12, 12)


def _listen(self: Any) -> None:
    self.heard = []


def test_the_collector_may_die_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline()
    pipeline.task("BOTH", 2000)
    first, second = pipeline.keeper(), pipeline.keeper()
    worker = pipeline.worker("BOTH")()
    Deaths(monkeypatch, after=(12,))
    with running(first, worker) as roles:
        distributor = pipeline.distributor(journal="journal")
        roles.start(distributor)
        with pytest.raises(Killed):
            roles.join(distributor)
        first.stop()
        roles.join(first)
        roles.start(second, pipeline.distributor(journal="journal"))
        roles.join(second, worker)
    assert sorted({*first.numbers("BOTH"), *second.numbers("BOTH")}) == list(range(2000))
    assert len(second.numbers("BOTH")) == len(set(second.numbers("BOTH")))
    assert first.finished == []
    assert len(second.finished) == 1


def test_failures_survive(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline()
    pipeline.task("FAILS", 30, max_attempts=1)

    class Failing(Echo, abc.ABC):
        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            if data["i"] % 10 == 3:
                raise ValueError("three")
            return {"r": data["i"]}

    keeper = pipeline.keeper()
    worker = pipeline.worker("FAILS", Failing)()
    Deaths(monkeypatch, before=(3, 6), after=(5, 8))
    with running(keeper, worker) as roles:
        *_, last = live(roles, lambda: pipeline.distributor(journal="journal"))
        roles.join(keeper, worker)
    assert sorted(data["i"] for _, data, _ in keeper.failures) == [3, 13, 23]
    assert last.failures == 3
    assert last.statistics()[:2] == (30, 30)


def test_a_stopped_run_is_resumed_and_a_finished_one_is_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "zmqpipeline.distributor")
    pipeline = Pipeline()
    pipeline.task("STOP", 100_000)
    worker = pipeline.worker("STOP")

    def session(stop: bool) -> Keeper:
        keeper, distributor = pipeline.keeper(), pipeline.distributor(journal="journal")
        with running(keeper, distributor, worker()) as roles:
            if stop:
                eventually(lambda: len(keeper.kept) > 0)
                distributor.stop()
            roles.join()
        return keeper

    first, second = session(stop=True), session(stop=False)
    assert 0 < len(first.kept) < 100_000
    assert sorted([*first.numbers("STOP"), *second.numbers("STOP")]) == list(range(100_000))
    assert (first.finished, second.finished) == ([], [len(second.kept)])
    assert "resuming the run of the journal" in caplog.text
    assert "is of a run that is finished" not in caplog.text
    third = session(stop=False)
    assert third.numbers("STOP") == list(range(100_000))
    assert "is of a run that is finished: it is cleared for a new one" in caplog.text


def test_one_distributor_may_run_twice() -> None:
    pipeline = Pipeline()
    pipeline.task("TWICE", 10)
    distributor = pipeline.distributor(journal="journal")
    run_all(pipeline.keeper(), distributor, pipeline.worker("TWICE")())
    run_all(pipeline.keeper(), distributor)  # its task says that it is complete
    assert distributor.statistics().handed_out == 0


@pytest.mark.usefixtures("descriptors")
def test_a_journal_that_cannot_be_used_is_an_error_before_anything_is_bound(folder: Path) -> None:
    pipeline = Pipeline()
    pipeline.task("REFUSED", 10)
    folder.joinpath("journal").write_text("this is none")
    with pytest.raises(JournalError, match="is damaged, or is no journal"):
        pipeline.distributor(journal=folder / "journal").run()
    assert [file.name for file in folder.iterdir()] == ["journal"]


@pytest.mark.usefixtures("descriptors")
def test_a_distributor_that_cannot_bind_lets_its_journal_go() -> None:
    pipeline = Pipeline()
    pipeline.task("BOUND", 10)
    first, second = (pipeline.distributor(journal=name) for name in ("one", "two"))
    with running(first):
        eventually(lambda: first._is_open)
        for _ in range(2):
            with pytest.raises(BindError):
                second.run()


@pytest.mark.parametrize("wrong", [5, b"journal", ["journal"]])
def test_a_journal_is_a_path(wrong: Any) -> None:
    pipeline = Pipeline()
    with pytest.raises(DeclarationError, match=r"journal is .*, expected a path or None"):
        pipeline.distributor(journal=wrong)


def test_without_a_journal_no_file_is_made(folder: Path) -> None:
    pipeline = Pipeline()
    task: type[Counting] = pipeline.task("NONE", 10, checkpoint=None)
    run_all(pipeline.keeper(), pipeline.distributor(), pipeline.worker("NONE")())
    assert task.made == 0
    assert list(folder.iterdir()) == []
