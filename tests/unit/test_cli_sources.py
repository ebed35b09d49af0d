"""Which files of a program concern nobody but some of its workers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zmqpipeline.cli import program, sources
from zmqpipeline.cli.loading import load

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = "from zmqpipeline import *\n"
TASKS = (
    HEAD
    + """
class First(Task):
    task_type = TaskType.register_type("first")
    endpoint = EndpointAddress("ipc://first.ipc")
    dependencies = []

    def handle(self, data, address, msgtype):
        self.is_complete = True
"""
)
WORKERS = (
    HEAD
    + """
class Does(SingleThreadedWorker):
    task_type = TaskType.register_type("first")
    endpoint = EndpointAddress("ipc://first.ipc")
    collector_endpoint = EndpointAddress("ipc://collector.ipc")

    def handle_execution(self, data, *args, **kwargs):
        return data


def helps():
    pass
"""
)
MORE = """
class DoesMore(Does):
    task_type = TaskType.register_type("second")
"""
FILE = "from own_tasks import First\nfrom own_workers import Does\n"

#: what of a program differs, and which of its files are about workers alone
PROGRAMS: dict[str, tuple[dict[str, str], dict[str, list[str]]]] = {
    "names only": ({}, {"own_workers": ["Does"]}),
    "all names": (
        {"own_app": "from own_tasks import *\nfrom own_workers import *\nimport own_workers\n"},
        {"own_workers": ["Does"]},
    ),
    "one file for all": ({"own_app": TASKS + WORKERS.replace(HEAD, "")}, {}),
    "workers with the tasks": (
        {"own_workers": WORKERS + TASKS, "own_app": "from own_workers import Does, First\n"},
        {},
    ),
    "the file itself": ({"own_app": "from own_tasks import First\n" + WORKERS}, {"own_app": ["Does"]}),
    "a class that is derived": (
        {
            "own_more": HEAD + "from own_workers import Does\n" + MORE,
            "own_app": FILE + "from own_more import DoesMore\n",
        },
        {"own_workers": ["Does", "DoesMore"], "own_more": ["DoesMore"]},
    ),
    "a function that tasks take": ({"own_tasks": TASKS + "\nfrom own_workers import helps\n"}, {}),
    "a function, later": ({"own_tasks": TASKS + "        from own_workers import helps\n"}, {}),
    "the module": ({"own_tasks": TASKS + "\nimport own_workers\n"}, {}),
    "everything": ({"own_tasks": TASKS + "\nfrom own_workers import *\n"}, {}),
    "everything, by way of the file": (
        {
            "own_app": "from own_workers import *\nfrom own_tasks import First\n",
            "own_tasks": TASKS + "        from own_app import helps\n",
        },
        {},
    ),
    "a class of a role": (
        {"own_tasks": TASKS + "\nfrom own_workers import Does\n"},
        {"own_workers": ["Does"]},
    ),
    "a file that uses what it imports": (
        {"own_app": "from own_workers import *\n" + TASKS.replace(HEAD, "")},
        {},
    ),
    "a helper": (
        {"own_helper": "x = 1\n", "own_workers": "import own_helper\n" + WORKERS},
        {"own_workers": ["Does"]},
    ),
    "a file that sets something elsewhere": (
        {"own_workers": "import own_tasks\n" + WORKERS + "\nown_tasks.First.n = 2\n"},
        {},
    ),
    "a distributor in it": (
        {
            "own_workers": WORKERS + "\nclass Mine(Distributor):\n    pass\n",
            "own_app": FILE + "from own_workers import Mine\n",
        },
        {},
    ),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    # as in a process of its own: there the tests are no part of the program
    monkeypatch.setattr(sources, "is_program", lambda file: Path(file).is_relative_to(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def found(files: dict[str, str]) -> dict[str, list[str]]:
    for name, text in {"own_tasks": TASKS, "own_workers": WORKERS, "own_app": FILE, **files}.items():
        Path(f"{name}.py").write_text(text, encoding="utf-8")
    module = load("own_app.py")
    listed = sources.of_workers(program.read("own_app.py", module), module)
    assert all(Path(file).is_relative_to(Path.cwd().resolve()) for file in listed)
    return {Path(file).stem: names for file, names in listed.items()}


@pytest.mark.parametrize("case", PROGRAMS)
def test_files_of_workers(case: str) -> None:
    files, expected = PROGRAMS[case]
    assert found(files) == expected


def test_packages_and_relative_imports(folder: Path) -> None:
    folder.joinpath("own_parts").mkdir()
    folder.joinpath("own_parts/__init__.py").touch()
    folder.joinpath("own_parts/does.py").write_text(WORKERS, encoding="utf-8")
    app = "from own_tasks import First\nfrom own_parts.does import Does\n"
    assert found({"own_app": app}) == {"does": ["Does"]}


@pytest.mark.parametrize(
    "text", ["from .does import helps\n", "from . import does\n", "from .does import Does, helps\n"]
)
def test_what_a_package_takes_others_may_have(folder: Path, text: str) -> None:
    folder.joinpath("own_parts").mkdir()
    folder.joinpath("own_parts/__init__.py").write_text(text, encoding="utf-8")
    folder.joinpath("own_parts/does.py").write_text(WORKERS, encoding="utf-8")
    assert found({"own_app": "from own_tasks import First\nfrom own_parts.does import Does\n"}) == {}


def test_what_is_strange_in_a_program_does_not_keep_it_from_running(folder: Path) -> None:
    """Every run looks at its files, not only one that is begun again."""
    folder.joinpath("own_strange.py").write_text(
        "import sys\n"
        "class Strange:\n"
        "    def __getattr__(self, name):\n"
        "        raise RuntimeError(name)\n"
        "sys.modules['own_stranger'] = Strange()\n"
        "sys.modules['own_nothing'] = None\n"
        "def never():\n"
        "    from . import something\n"
        "    from own_stranger import x\n"
        "    from own_nothing import y\n",
        encoding="utf-8",
    )
    assert found({"own_app": FILE + "import own_strange\n"}) == {"own_workers": ["Does"]}


def test_a_file_that_has_changed_meanwhile_is_about_everybody(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: b"(" if path.parent == folder.resolve() else read(path)
    )
    assert found({}) == {}
