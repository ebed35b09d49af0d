"""docs/guide.rst, typed from its first line to its last; its files are those of the example."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.pages import DOCS, EXAMPLES, blocks

from .reader import Reader

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = EXAMPLES / "loganalysis"


def test_the_guide_does_what_it_shows(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE / "chart.py", tmp_path)
    with Reader(tmp_path) as reader:
        for found in blocks(DOCS / "guide.rst"):
            reader.follow(found)
            if found.language == "console":
                pictures = [path.read_text("utf-8") for path in tmp_path.glob("week.svg")]
                assert pictures in ([], [(DOCS / "_static" / "week.svg").read_text("utf-8")])
    shown = {found.caption for found in blocks(DOCS / "guide.rst") if found.caption}
    assert shown | {"chart.py"} == {path.name for path in EXAMPLE.glob("*.py")}
