"""docs/testing.rst: its programs are written into a folder, and its tests are run there."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import zmqpipeline
from tests.pages import DOCS, blocks
from zmqpipeline.testing import Event, faults

if TYPE_CHECKING:
    from pathlib import Path

PAGE = blocks(DOCS / "testing.rst")


def test_each_program_has_a_name() -> None:
    programs = [found.caption for found in PAGE if found.language == "python"]
    assert all(programs)
    assert len(set(programs)) == len(programs) > 5


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    for found in PAGE:
        if found.language == "python":
            tmp_path.joinpath(found.caption).write_text(found.text + "\n", encoding="utf-8")
    package = zmqpipeline.__path__[0]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            tmp_path,
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(package).removesuffix("zmqpipeline"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = sum(found.text.count("def test_") for found in PAGE)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) == shown + 3  # one of them has four parameters
    assert {path.suffix for path in tmp_path.iterdir()} <= {".py"}


def test_the_line_of_the_history_looks_so() -> None:
    shown, *_ = [found.text for found in PAGE if found.language == "text"]
    assert shown == str(Event(0.012, "executed", "SQUARE", 17, "SquareWorker-1")).strip()


def test_every_fault_is_in_the_table() -> None:
    text = (DOCS / "testing.rst").read_text(encoding="utf-8")
    table = text[text.index(".. list-table") : text.index("Each takes ``times``")]
    assert set(re.findall(r"``(\w+)\(", table)) == {kind.value for kind in faults.Kind}
