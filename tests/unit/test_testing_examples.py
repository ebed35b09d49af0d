"""The examples, and the programs of README, quickstart and tutorial, run by zmqpipeline.testing."""

from __future__ import annotations

import importlib.util
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import zmqpipeline
from tests.system.test_tutorial import PRINTED, PROGRAMS, README, block, execute
from tests.unit.testing_programs import ACKS
from zmqpipeline import EndpointAddress
from zmqpipeline.errors import DeclarationError
from zmqpipeline.testing import Pipeline, faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], ModuleType]:
    """Import a file under its own name."""

    def load_it(path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
        return module

    return load_it


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note how long programs would sleep, and do not."""
    calls: list[float] = []
    monkeypatch.setattr(time, "sleep", calls.append)
    return calls


def test_wordcount(
    load: Callable[[Path], ModuleType],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = load(EXAMPLES / "wordcount" / "app.py")
    texts = folder / "texts"
    texts.mkdir()
    for number in range(30):
        (texts / f"{number}.py").write_text("the cat\n" * number + "The END\n", encoding="utf-8")
    monkeypatch.setattr(module, "FOLDER", str(texts))
    expected = {"the": sum(range(30)) + 30, "cat": sum(range(30)), "end": 30}
    for fault in ((), (faults.kill_worker(at=("COUNT", 17)),), (faults.lose_results(at=("COUNT", 3)),)):
        result = Pipeline.of(module, n_workers=3).run(*fault)
        collector: Any = result.collector
        assert collector.words == Counter(expected)
        assert result.handed_out == 30
        assert (folder / "wordcount.json").exists()
        (folder / "wordcount.json").unlink()
    assert capsys.readouterr().out.startswith("930 words in 30 files, 3 different ones\n")


def test_dependencies(load: Callable[[Path], ModuleType], capsys: pytest.CaptureFixture[str]) -> None:
    result = Pipeline.of(load(EXAMPLES / "dependencies" / "app.py"), n_workers=2).run()
    assert capsys.readouterr().out.splitlines() == [
        "20 loaves are mixed when the first comes out of the oven",
        "20 loaves are baked at the end",
    ]
    assert [name for name, _ in result.collected] == ["MIX"] * 20 + ["BAKE"] * 20


def test_metadata(load: Callable[[Path], ModuleType], capsys: pytest.CaptureFixture[str]) -> None:
    program = load(EXAMPLES / "metadata" / "app.py")
    Pipeline.of(program).run()
    assert capsys.readouterr().out.splitlines() == ["Hello, Ada!", "Hello, Grace!", "Hello, Katherine!"]
    other = {"names": ["Emmy"], "greeting": "Servus", "mark": "?"}
    Pipeline.of(program, metadata=other).run()
    assert capsys.readouterr().out == "Servus, Emmy?\n"


@pytest.mark.parametrize("name", ["multi_threaded", "single_threaded", "sequential"])
def test_sleepers(
    name: str, load: Callable[[Path], ModuleType], slept: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    result = Pipeline.of(load(EXAMPLES / name / "app.py")).run(faults.kill_worker(at=("SLEEP", 50)))
    assert len(result.collected) == 100
    assert capsys.readouterr().out.startswith("100 tasks")
    assert set(slept) == {0.01}
    assert len(slept) >= 100


def test_logging(folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    # the example configures logging for its whole process: here the test's own handlers stay
    monkeypatch.setattr(zmqpipeline, "configureLogging", lambda config: config)
    caplog.set_level("DEBUG", "zmqpipeline")
    made = execute((EXAMPLES / "logging" / "app.py").read_text("utf-8"), {"__name__": "logging_example"})
    result = Pipeline([made["Divisions"]], [made["Divider"]], made["Quotients"]).run()
    assert sorted(data["quotient"] for data in result.of("DIVIDE")) == [4, 6, 12]
    assert "ready to divide" in caplog.messages
    assert "nothing more to collect" in caplog.messages
    assert re.search(r"collected 4, id simulated-DIVIDE-0", caplog.text)


def test_a_service_is_no_pipeline(load: Callable[[Path], ModuleType]) -> None:
    with pytest.raises(DeclarationError, match="declares no Collector"):
        Pipeline.of(load(EXAMPLES / "service" / "app.py"))


def test_the_readmes_program(capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = [found.text for found in README if found.language == "python"]
    made = execute(text, {"__name__": "squares"})
    pipeline = Pipeline([made["SquareTask"]], [made["SquareWorker"]], made["SquareCollector"], n_workers=2)
    for fault in ((), (faults.kill_worker(at=("SQUARE", 17)),), (faults.duplicate_results(("SQUARE", 17)),)):
        pipeline.run(*fault)
        assert capsys.readouterr().out == "the squares of 1 to 1000 add up to 333833500\n"


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_quickstarts_programs(
    name: str,
    folder: Path,
    load: Callable[[Path], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = folder / "texts"
    texts.mkdir()
    (texts / "cat.txt").write_text("The cat sat on the mat.\nThe cat ran.\n")
    (texts / "dog.txt").write_text("A dog and a cat.\n")
    (texts / "end.txt").write_text("The end.\n")
    if name == "failing.py":
        (texts / "broken.txt").write_bytes(b"\377\376\n")
    for caption in {"count.py", name}:
        (folder / caption).write_text(PROGRAMS[caption].text, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "count", raising=False)
    load(folder / "count.py")
    program = load(folder / name)
    result = Pipeline.of(program, n_workers=2).run()
    assert capsys.readouterr().out.splitlines() == PRINTED[name][0]
    assert result.failed == PRINTED[name][1]


def test_the_tutorials_smallest_classes(slept: list[float]) -> None:
    made: dict[str, Any] = {"__name__": "tutorial"}
    execute(block("class MyTask"), made)
    execute(block("class MyWorker"), made)
    execute(block("class MyMetaData").split("if __name__")[0], made)

    class Adding(zmqpipeline.Collector):
        endpoint = EndpointAddress("ipc://collector.ipc")
        ack_endpoint = ACKS
        workload = 0.0

        def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> None:
            self.workload += data["workload"]

    result = Pipeline([made["MyTask"]], [made["MyWorker"]], Adding, metadata=made["MyMetaData"]).run()
    collector, worker = result.collector, result.workers[0]
    assert slept == [0.01] * 100
    assert collector.workload == pytest.approx(1.0)
    assert vars(worker)["n_executions"] == 100
    assert collector.metadata == worker.metadata == {"meta_variable": "my value"}
