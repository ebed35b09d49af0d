"""The processes of a measurement: what they are given, what they say, and that none is left."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system import benchroles
from zmqpipeline.bench import crew as crews
from zmqpipeline.bench import memory
from zmqpipeline.bench.crew import Crew
from zmqpipeline.bench.failure import BenchError
from zmqpipeline.bench.throughput import check

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("descriptors")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the folders of the crews be in ours, so that it is seen what is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_process_has_a_folder_and_nothing_but_what_its_role_imports(temporary: Path) -> None:
    with Crew() as crew:
        member = crew.start("it", benchroles.answer, text="ä")
        (here,) = crew.hear("here")
        assert Path(here.values["cwd"]).parent == temporary
        assert (here.values["text"], here.values["session"], here.member) == ("ä", True, member)
        assert memory.resident(member.popen.pid) > 1
        crew.gather(1)
        (modules,) = crew.hear("modules")
        crew.finish()
    roots = {name.partition(".")[0] for name in modules.values["names"]}
    assert not roots & {"zmqpipeline", "zmq", "msgpack", "pytest", "tests"}
    assert member.popen.returncode == 0
    assert member.memory > 1
    assert memory.resident(member.popen.pid) == 0
    assert list(temporary.iterdir()) == []


def test_words_are_kept_until_they_are_asked_for() -> None:
    with Crew() as crew:
        crew.start("a", benchroles.answer, text="a")
        crew.start("b", benchroles.answer, text="b")
        crew.prepared(2)
        assert {word.values["text"] for word in crew.hear("here", 2)} == {"a", "b"}
        assert crew.taken("here") == []
        crew.release()
        crew.hear("modules")
        crew.hear("modules")
        crew.finish()


def test_what_a_role_prints_is_no_word_and_words_may_be_long() -> None:
    with Crew() as crew:
        crew.start("it", benchroles.chatter)
        (word,) = crew.hear("long")
        assert len(word.values["text"]) == 300_000
        crew.finish()


@pytest.mark.parametrize(
    ("role", "sentence"),
    [
        (benchroles.fail, 'the process of it ended early (exit code 1): ValueError: "all is lost"'),
        (benchroles.vanish, "the process of it ended early (signal SIGKILL): it said nothing"),
        (benchroles.leave, "the process of it ended early (exit code 0): it said nothing"),
    ],
)
def test_a_process_that_ends_early_is_named_with_what_it_said(
    role: Callable[..., None], sentence: str, temporary: Path
) -> None:
    with Crew() as crew:
        stays = crew.start("another", benchroles.stay)
        crew.start("it", role)
        with pytest.raises(BenchError) as caught:
            crew.hear("never")
    assert str(caught.value) == sentence
    assert stays.popen.returncode == -9
    assert list(temporary.iterdir()) == []


def test_a_process_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crews, "PARTING", 0.01)
    with Crew() as crew:
        member = crew.start("it", benchroles.stay)
        crew.hear("here")
        with pytest.raises(BenchError, match=r"^it did not end 0 s after the work was done"):
            crew.finish()
    assert member.popen.returncode == -9


def test_who_waits_for_a_word_that_nobody_can_say_any_more_is_told() -> None:
    with Crew() as crew:
        crew.start("it", benchroles.chatter)
        with pytest.raises(BenchError, match="all processes of a measurement have ended"):
            crew.hear("never")


@pytest.mark.parametrize("found", [(9, 45), (11, 65), (10, 54), (10, 56)])
def test_results_that_are_lost_or_doubled_are_an_error(found: tuple[int, int]) -> None:
    check("it", {"seen": 10, "total": 55}, 10)
    with pytest.raises(BenchError, match="it has lost, doubled or mixed up results"):
        check("it", {"seen": found[0], "total": found[1]}, 10)
