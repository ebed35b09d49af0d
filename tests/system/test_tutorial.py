"""The code in the documentation: it is the tutorial's, it runs, and it does what the text beside it says."""

from __future__ import annotations

import hashlib
import inspect
import re
import shlex
import subprocess
import sys
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import zmqpipeline
from tests.pages import DOCS, ROOT, Block, blocks
from zmqpipeline import messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Command

#: The tutorial's code blocks, in order, as SHA-256 (the first 16 digits) of their lines without
#: indentation and trailing blanks: what is in docs/tutorial.rst must be these, character for character.
SEED = (
    "b66cdc8f246683c3", "b62305819f3cf39d", "4294af70c3c0806f", "e43af17be4d43cf4", "631c9267cf1ebf24",
    "de8a8e7397ae1372", "bbee988effa13d5a", "ee2c3128df1ade02", "8bb29a3e1e8df0f8", "b9b10a7a24171168",
    "8ea541cd1cb7ecdf", "14ab42a7a95f0bbd", "043aa5882ad8e5a4", "f4636c122d5fcc2f", "120155ad5a431160",
    "f07c587b021ba89d", "bc148002fda179df", "06445f2a7a29a2ca", "90401e2d21638f95",
)  # fmt: skip


class Misprint(NamedTuple):
    """One of the tutorial's misprints that are put right."""

    seed: str
    corrected: str
    reason: str


#: What docs/tutorial.rst has instead of the tutorial's own text; nothing else differs.
CORRECTED = (
    Misprint("TaskType('MYTSK)\n", "TaskType('MYTSK')\n", "a quote is missing: it is no Python"),
    Misprint(
        "    dependencies = []\n\n    def handle",
        "    dependencies = []\n    n_count = 0\n\n    def handle",
        "n_count is counted up and never set",
    ),
)
#: What is put in when a block is executed.
FILLED_IN = (
    Misprint(
        "Distributor(...)",
        "Distributor(collector_endpoint, collector_ack_endpoint, True, metadata_endpoint)",
        "an ellipsis stands for the arguments",
    ),
)
#: These do not parse, for they are signatures: they are compared with the real ones.
NO_PROGRAMS = ("Distributor(collector_endpoint, ", "def create(")


def digest(block: Block) -> str:
    """Tell the digest of a block as :data:`SEED` has it."""
    text = block.text
    for misprint in CORRECTED:
        if text.count(misprint.corrected) == 1 and "class MyTask" in text:
            text = text.replace(misprint.corrected, misprint.seed)
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


TUTORIAL = blocks(DOCS / "tutorial.rst")
SEEDED = [block for block in TUTORIAL if digest(block) in SEED]
ADDED = [block for block in TUTORIAL if digest(block) not in SEED]


def block(beginning: str) -> str:
    """Find the one block of the tutorial that has these words."""
    (found,) = [block.text for block in SEEDED if beginning in block.text]
    for misprint in FILLED_IN:
        found = found.replace(misprint.seed, misprint.corrected)
    return found


def execute(text: str, namespace: dict[str, Any]) -> dict[str, Any]:
    """Execute a block in a namespace, and return that."""
    exec(compile(text, "<tutorial>", "exec"), namespace)  # noqa: S102 - that is what is tested
    return namespace


@pytest.fixture
def namespace() -> dict[str, Any]:
    """What a reader of the tutorial has at hand: the library, and the classes that it shows."""
    made: dict[str, Any] = {
        "__name__": "tutorial",
        "zmqpipeline": zmqpipeline,
        "abstractmethod": abstractmethod,
        "Distributor": zmqpipeline.Distributor,
        "collector_endpoint": zmqpipeline.EndpointAddress("ipc://collector.ipc"),
        "collector_ack_endpoint": zmqpipeline.EndpointAddress("ipc://ack.ipc"),
        "metadata_endpoint": zmqpipeline.EndpointAddress("ipc://metaworker.ipc"),
        "string": "tcp://127.0.0.1:5555",
    }
    execute(block("class MyTask"), made)
    return execute(block("TaskType.register_type('MY_TASK_TYPE')"), made)


# -- it is the tutorial -----------------------------------------------------------


def test_the_blocks_are_those_of_the_tutorial_and_in_its_order() -> None:
    assert tuple(digest(found) for found in SEEDED) == SEED


def test_the_misprints_are_corrected_and_nothing_else() -> None:
    page = (DOCS / "tutorial.rst").read_text(encoding="utf-8")
    assert "tpc" not in page
    for misprint in CORRECTED:
        assert misprint.seed not in block("class MyTask"), misprint.reason
        assert block("class MyTask").count(misprint.corrected) == 1


# -- its blocks run ---------------------------------------------------------------

RUNNABLE = [
    found
    for found in TUTORIAL
    if found.language == "python"
    and not found.text.startswith(NO_PROGRAMS)
    and "dist.run()" not in found.text
]


@pytest.mark.parametrize("found", RUNNABLE, ids=lambda found: found.text.strip().split("\n")[-1].strip()[:40])
def test_each_block_executes_as_it_stands(found: Block, namespace: dict[str, Any], folder: Path) -> None:
    execute(found.text, namespace)
    assert list(folder.iterdir()) == []


class Keeper(zmqpipeline.Collector):
    """The small collector that the tutorial leaves to its reader."""

    endpoint = zmqpipeline.EndpointAddress("ipc://collector.ipc")
    ack_endpoint = zmqpipeline.EndpointAddress("ipc://ack.ipc")

    def __init__(self) -> None:
        self.results: list[tuple[str, str, str, dict[str, Any]]] = []
        self.finished: list[tuple[int, Any, str]] = []

    def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> dict[str, Any] | None:
        self.results.append((self.result_id, task_type, msgtype, data))
        return None

    def handle_finished(self, data: Any, task_type: str) -> None:
        self.finished.append((len(self.results), data, task_type))


def run_beside(*roles: zmqpipeline.Worker | zmqpipeline.Collector, main: Callable[[], object]) -> None:
    """Run roles in threads and one thing in this one; all of them have to return."""
    with ThreadPoolExecutor(len(roles)) as threads:
        ended = [threads.submit(role.run) for role in roles]
        try:
            main()
        except BaseException:
            for role in roles:
                role.stop()
            raise
        for future in ended:
            future.result(30)


def test_the_smallest_classes_are_a_pipeline(namespace: dict[str, Any], folder: Path) -> None:
    execute(block("class MyWorker"), namespace)
    execute(block("Distributor.register_task(MyTask)"), namespace)
    script = folder / "metadata.py"
    script.write_text(block("class MyMetaData"), encoding="utf-8")
    collector, worker = Keeper(), namespace["MyWorker"]()
    package = str(Path(zmqpipeline.__file__).parents[1])
    process = subprocess.Popen([sys.executable, script], cwd=folder, env={"PYTHONPATH": package})
    try:
        run_beside(worker, collector, main=lambda: execute(block("dist.run()"), namespace))
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()

    ids, task_types, msgtypes, data = zip(*collector.results, strict=True)
    assert len(ids) == len(set(ids)) == 100
    assert set(task_types) == {"MYTSK"}
    assert set(msgtypes) == {messages.MESSAGE_TYPE_DATA}
    assert list(data) == [{"workload": 0.01}] * 100
    assert collector.finished == [(100, "", "")]
    assert worker.n_executions == 100
    assert collector.metadata == worker.metadata == {"meta_variable": "my value"}
    distributor = namespace["dist"]
    assert distributor.tasks["MYTSK"].metadata == {"meta_variable": "my value"}
    assert distributor.statistics()[:3] == (100, 100, 0)
    assert sorted(path.name for path in folder.iterdir()) == ["metadata.py"]


def test_the_feedback_is_what_the_text_says(namespace: dict[str, Any], folder: Path) -> None:
    for found in ADDED:
        if "class OneAtATime" in found.text or "class MyCollector" in found.text:
            execute(found.text, namespace)
    told: list[dict[str, Any]] = []
    items: list[dict[str, Any]] = []

    class Worker(zmqpipeline.SingleThreadedWorker):
        task_type = zmqpipeline.TaskType("MYTSK")
        endpoint = zmqpipeline.EndpointAddress("ipc://worker.ipc")
        collector_endpoint = zmqpipeline.EndpointAddress("ipc://collector.ipc")

        def handle_execution(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            items.append(data)
            return data

    base: Any = namespace["OneAtATime"]

    class Task(base):  # type: ignore[misc] # it comes from the page
        def handle(
            self, data: dict[str, Any], address: bytes, msgtype: str, ack_data: dict[str, Any]
        ) -> dict[str, Any]:
            told.append(ack_data)
            made: dict[str, Any] = super().handle(data, address, msgtype, ack_data)
            return made

    distributor = zmqpipeline.Distributor(
        namespace["collector_endpoint"], namespace["collector_ack_endpoint"], tasks=[Task]
    )
    run_beside(Worker(), namespace["MyCollector"](), main=distributor.run)

    assert [item["previous"] for item in items] == [0, 1, 2]
    extra = {"_task_type": "MYTSK", "seen": 0, "host": "mine"}
    assert told == [{}, {"_id": 1, **extra}, {"_id": 2, **extra}]
    assert list(folder.iterdir()) == []


# -- its signatures are the real ones ---------------------------------------------

METHODS = {
    "handle": zmqpipeline.Task,
    "initialize": zmqpipeline.Task,
    "handle_execution": zmqpipeline.Worker,
    "init_worker": zmqpipeline.Worker,
    "handle_thread_execution": zmqpipeline.MultiThreadedWorker,
    "get_metadata": zmqpipeline.MetaDataWorker,
    "handle_collection": zmqpipeline.Collector,
    "handle_finished": zmqpipeline.Collector,
}


def parameters(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    """List name, kind and default of each parameter."""
    found = inspect.signature(function).parameters.values()
    return [(parameter.name, parameter.kind, parameter.default) for parameter in found]


@pytest.mark.parametrize("name", METHODS)
def test_each_method_takes_what_the_tutorial_says(name: str, namespace: dict[str, Any]) -> None:
    (text,) = [found.text for found in SEEDED if re.match(rf"(@abstractmethod\n)?def {name}\(", found.text)]
    shown = execute(text, namespace)[name]
    real = inspect.getattr_static(METHODS[name], name)
    assert [parameter[:2] for parameter in parameters(real)] == [
        parameter[:2] for parameter in parameters(shown)
    ]
    # who may leave out an argument according to the tutorial may do so here
    required = [n for n, _, default in parameters(real) if default is inspect.Parameter.empty]
    assert required == [n for n, _, default in parameters(shown) if default is inspect.Parameter.empty]
    assert getattr(real, "__isabstractmethod__", False) == text.startswith("@abstractmethod")


def test_the_distributor_takes_what_the_tutorial_says() -> None:
    shown = next(found.text for found in SEEDED if found.text.startswith(NO_PROGRAMS[0]))
    written = re.sub(r"[\[\]]", "", shown).replace("Distributor", "def distributor") + ": ..."
    wanted = parameters(execute(written, {})["distributor"])
    found = parameters(zmqpipeline.Distributor)
    assert found[: len(wanted)] == wanted
    assert {kind for _, kind, _ in found[len(wanted) :]} == {inspect.Parameter.KEYWORD_ONLY}


def test_messages_are_made_as_the_tutorial_says() -> None:
    shown = next(found.text for found in SEEDED if found.text.startswith(NO_PROGRAMS[1]))
    lines = shown.splitlines()
    assert len(lines) == 9
    for line in lines:
        ((name, function),) = [
            (name, value) for name, value in execute(f"{line} ...", {}).items() if name != "__builtins__"
        ]
        assert parameters(getattr(messages, name)) == parameters(function)


def test_the_message_types_are_those_of_the_tutorial() -> None:
    (shown,) = [found.text for found in SEEDED if found.language == "text"]
    names = re.findall(r"\* (MESSAGE_TYPE_\w+):", shown)
    assert len(names) == 8
    assert tuple(getattr(messages, name) for name in names) == messages.ALL_MESSAGE_TYPES


# -- README and quickstart -------------------------------------------------------------

README = blocks(ROOT / "README.rst")
QUICKSTART = blocks(DOCS / "quickstart.rst")
PROGRAMS = {found.caption: found for found in QUICKSTART if found.caption}

#: what the collector of each program of the quickstart prints, and the exit code
PRINTED = {
    "count.py": (["the 4", "cat 3"], 0),
    "split.py": (["the 4", "cat 3"], 0),
    "threads.py": (["the 4", "cat 3"], 0),
    "configured.py": (["the 4", "cat 3"], 0),
    "enough.py": (["7 words"], 0),
    "failing.py": (["cannot count texts/broken.txt because of UnicodeDecodeError", "the 4", "cat 3"], 1),
}


def without_numbers(line: str) -> str:
    """Make lines comparable that differ in times, rates and ids of processes."""
    return re.sub(r"in [\d.]+ s \(\d+/s\)", "in 0 s (0/s)", re.sub(r"\[\d+\]", "[0]", line))


def typed(page: list[Block], beginning: str) -> list[str]:
    """List the lines that a reader is told to type that begin with a word."""
    lines = [line for found in page if found.language == "console" for line in found.text.splitlines()]
    return [line[2:] for line in lines if line.startswith(f"$ {beginning}")]


@pytest.mark.parametrize(
    "found",
    [found for found in (*README, *QUICKSTART) if found.language == "python"],
    ids=lambda found: found.caption,
)
def test_each_block_of_the_readme_and_the_quickstart_is_python(found: Block) -> None:
    compile(found.text, found.caption or "<block>", "exec")


def test_the_readmes_pipeline_runs_and_shows_what_the_readme_shows(command: Command) -> None:
    (program,) = [found.text for found in README if found.language == "python"]
    (shown,) = [found.text.splitlines() for found in README if found.language == "text"]
    (line,) = typed(README, "zmqpipeline")
    command.write("squares.py", program)
    code, done = command.run(*shlex.split(line)[1:])
    assert code == 0, done.output
    assert [without_numbers(text) for text in (*done.out, done.err[-1])] == [
        without_numbers(t) for t in shown
    ]
    command.assert_clean()


def test_the_readmes_commands_are_those_of_a_fresh_machine() -> None:
    install, test = typed(README, "python3")
    environment = "python3 -m venv .venv && .venv/bin/pip install "
    assert install == environment + '".[cli]" && .venv/bin/zmqpipeline run examples/wordcount/app.py'
    assert test == environment + "tox && .venv/bin/tox"
    assert f"{{ {test}; }}" in ROOT.joinpath(".ci", "run").read_text(encoding="utf-8")
    assert ROOT.joinpath("examples", "wordcount", "app.py").is_file()


def test_the_readmes_links_lead_somewhere() -> None:
    text = ROOT.joinpath("README.rst").read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"<([^>]+)>`_", text) if "://" not in target]
    assert len(targets) > 8
    assert [target for target in targets if not ROOT.joinpath(target).is_file()] == []


@pytest.fixture
def quickstart(command: Command) -> Command:
    """Do what the page says before its programs are run."""
    for line in (*typed(QUICKSTART, "mkdir"), *typed(QUICKSTART, "printf")):
        if "broken" not in line:
            subprocess.run(["sh", "-c", line], cwd=command.folder, check=True)
    for name, program in PROGRAMS.items():
        command.write(name, program.text)
    return command


def test_the_quickstart_has_these_programs() -> None:
    assert list(PROGRAMS) == list(PRINTED)


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_of_the_quickstart_does_what_that_says(name: str, quickstart: Command) -> None:
    printed, code = PRINTED[name]
    if name == "failing.py":
        (line,) = [line for line in typed(QUICKSTART, "printf") if "broken" in line]
        subprocess.run(["sh", "-c", line], cwd=quickstart.folder, check=True)
    ended, done = quickstart.run("run", name, "--workers", "2")
    assert ended == code, done.output
    assert [line.partition("] ")[2] for line in done.out] == printed
    quickstart.assert_clean()


@pytest.mark.parametrize("name", ["count.py", "failing.py"])
def test_the_quickstart_shows_what_one_sees(name: str, quickstart: Command) -> None:
    (shown,) = [found.text.splitlines() for found in QUICKSTART if f"$ zmqpipeline run {name}" in found.text]
    lines = [line for line in shown if line.startswith("zmqpipeline: done")]
    if name == "failing.py":
        quickstart.folder.joinpath("texts", "broken.txt").write_bytes(b"\377\376\n")
    _, done = quickstart.run(*shlex.split(shown[0])[2:])
    assert [without_numbers(done.err[-1])] == [without_numbers(line) for line in lines]


def test_the_quickstarts_roles_run_without_the_command(
    quickstart: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert folder == quickstart.folder
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "count", raising=False)
    (text,) = [found.text for found in QUICKSTART if found.language == "python" and not found.caption]
    made = execute(text, {"__name__": "quickstart"})
    try:
        with ThreadPoolExecutor(2) as threads:
            ended = [threads.submit(made[name]) for name in ("collector", "worker")]
            made["distributor"]()
            for future in ended:
                future.result(30)
    finally:
        sys.modules.pop("count", None)
    assert capsys.readouterr().out.splitlines() == PRINTED["count.py"][0]
