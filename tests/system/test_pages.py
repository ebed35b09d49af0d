"""What is shown on the smaller pages, typed as it stands."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import zmqpipeline
from tests.pages import DOCS, ROOT, blocks

from .reader import Reader, Typed, commands, ports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def program(page: Path, caption: str = "") -> str:
    """Take a program from a page."""
    (text,) = [
        found.text for found in blocks(page) if found.language == "python" and found.caption == caption
    ]
    return text


def test_the_first_commands_of_all(tmp_path: Path) -> None:
    tmp_path.joinpath("program.py").write_text(program(ROOT / "README.rst"), encoding="utf-8")
    with Reader(tmp_path) as reader:
        for found in blocks(DOCS / "index.rst"):
            reader.follow(found)
        (console,) = reader.begun
        assert console.typed.command == "zmqpipeline run program.py --workers 4"


def test_what_is_installed_works(tmp_path: Path) -> None:
    with Reader(tmp_path) as reader:
        for found in blocks(DOCS / "installation.rst"):
            reader.follow(found)
        assert [console.out for console in reader.begun] == [
            [f"zmqpipeline, version {zmqpipeline.__version__}"],
            [zmqpipeline.__version__],
        ]


def test_the_commands_on_the_page_about_them(tmp_path: Path, free_port: Callable[[], int]) -> None:
    page = [found for found in blocks(DOCS / "command.rst") if found.language == "console"]
    quickstart = DOCS / "quickstart.rst"
    tmp_path.joinpath("count.py").write_text(program(quickstart, "count.py"), encoding="utf-8")
    tmp_path.joinpath("texts").mkdir()
    tmp_path.joinpath("texts", "cat.txt").write_text("The cat sat on the mat.\n", encoding="utf-8")
    together, alone = commands(page[0])
    with Reader(tmp_path, ports("\n".join(found.text for found in page), free_port)) as reader:
        reader.type(together)
        for role in ("collector", "distributor"):
            reader.type(Typed(f"zmqpipeline {role} count.py &", []))
        reader.type(alone)
        for found in page[1:]:
            reader.follow(found)
        assert [console.finish() for console in reader.begun] == [0] * 7
        assert sum("the 2" in line for console in reader.begun for line in console.out) == 3


#: a worker that waits until somebody has looked
WAITING = """
import pathlib, time

class Waiting(CountWorker):
    def handle_execution(self, data, *args, **kwargs):
        while not pathlib.Path("go").exists():
            time.sleep(0.01)
        return super().handle_execution(data)

CountWorker = Waiting
"""


def test_a_run_is_watched_as_the_page_says(tmp_path: Path) -> None:
    text = program(DOCS / "quickstart.rst", "count.py") + WAITING
    tmp_path.joinpath("count.py").write_text(text, encoding="utf-8")
    tmp_path.joinpath("texts").mkdir()
    tmp_path.joinpath("texts", "cat.txt").write_text("The cat sat on the mat.\n", encoding="utf-8")
    found = [typed for block in blocks(DOCS / "monitoring.rst") for typed in commands(block)]
    run, top, status = found
    assert [typed.command.split()[1] for typed in found] == ["run", "top", "status"]
    with Reader(tmp_path) as reader:
        reader.type(Typed(f"{run.command} &", []))
        wait_until(tmp_path.joinpath("monitor.ipc").exists)
        reader.type(Typed(f"{top.command} &", []))
        reader.type(status)
        assert "COUNT" in reader.begun[-1].output
        reader.wait_for("... running, ...", reader.begun[1])  # who begins to look behind the end sees nothing
        tmp_path.joinpath("go").touch()
        assert [console.finish() for console in reader.begun] == [0] * 3
        assert "ended, 1 handed out, 1 acknowledged" in reader.begun[1].output


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 25
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_checks_of_contributing_are_those_of_tox() -> None:
    typed = [
        typed.command
        for found in blocks(ROOT / "CONTRIBUTING.rst")
        if found.language == "console"
        for typed in commands(found)
    ]
    tox = ROOT.joinpath("tox.ini").read_text(encoding="utf-8")
    checks = ("ruff check", "ruff format", "mypy --strict zmqpipeline tests", "sphinx-build -n -W", "pytest")
    for words in checks:
        assert any(words in line for line in typed), words
        assert words in tox
    files = {path for line in typed for path in re.findall(r"tests/[\w./]+", line)}
    assert len(files) == 3
    assert [path for path in files if not ROOT.joinpath(path).exists()] == []
    # what is known is looked at
    (fuzz,) = [line for line in typed if "decoders.py" in line]
    names = re.findall(r"\w+", fuzz.partition(" in ")[2].partition(";")[0])
    targets = ROOT.joinpath("tests", "fuzz", "targets.py").read_text(encoding="utf-8")
    assert [name for name in names if not re.search(rf"\b{name}\b", targets)] == []
