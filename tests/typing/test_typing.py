"""The roles are generic for type checkers, and what they were before for everybody else."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import zmqpipeline

ROOT = Path(__file__).parents[2]
FILES = ["tests/typing/roles.py", "tests/typing/wrong.py"]

#: only against hanging: a type checker reads this library, the standard library and itself
GUARD = 240

ROLES = [
    zmqpipeline.AsyncWorker, zmqpipeline.Collector, zmqpipeline.IterableTask, zmqpipeline.MetaDataWorker,
    zmqpipeline.MultiThreadedWorker, zmqpipeline.SingleThreadedWorker, zmqpipeline.Task, zmqpipeline.Worker,
]  # fmt: skip


def checked(*command: str) -> tuple[int, str]:
    """Run a type checker; return its exit code and what it says."""
    environment = {**os.environ, "NO_COLOR": "1", "MYPY_FORCE_COLOR": "0"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=GUARD, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.__name__)
def test_a_role_with_parameters_is_the_role(role: type) -> None:
    parameters = int if role in {zmqpipeline.Collector, zmqpipeline.MetaDataWorker} else (int, str)
    assert role[parameters] is role  # type: ignore[index]


def test_what_type_checkers_accept_can_be_declared() -> None:
    roles = importlib.import_module("tests.typing.roles")
    assert roles.Jobs.__bases__ == (zmqpipeline.Task,)
    assert roles.Coroutines.__bases__ == (zmqpipeline.AsyncWorker,)
    assert roles.FromList().items == ("a", "b")


@pytest.mark.timeout(GUARD + 10)
def test_mypy_accepts_what_is_right_and_refuses_what_is_wrong(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    code, said = checked(sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), *FILES)
    assert code == 0, said


@pytest.mark.timeout(GUARD + 10)
def test_pyright_accepts_what_is_right_and_refuses_what_is_wrong(tmp_path: Path) -> None:
    pytest.importorskip("pyright", reason="pyright is not installed")
    settings = {
        # it ignores absolute paths, and calls nothing at all free of errors
        "include": [os.path.relpath(ROOT / name, tmp_path.resolve()) for name in FILES],
        "extraPaths": [str(ROOT)],
        "reportUnnecessaryTypeIgnoreComment": "error",
        "pythonVersion": "3.10",
    }
    project = tmp_path / "pyrightconfig.json"
    project.write_text(json.dumps(settings), encoding="utf-8")
    # as JSON, or it asks PyPI whether there is a newer one
    options = ["--outputjson", "--pythonpath", sys.executable, "--project", str(project)]
    code, said = checked(sys.executable, "-m", "pyright", *options)
    assert code == 0, said
    assert json.loads(said)["summary"]["filesAnalyzed"] == len(FILES)
