"""The figures of docs/comparison.rst are those that were measured."""

from __future__ import annotations

import json
import runpy

from tests.pages import DOCS

FIGURES = DOCS / "figures"


def test_the_table_is_made_of_what_was_measured() -> None:
    table = runpy.run_path(str(FIGURES / "comparison.py"))["table"]
    found = json.loads((FIGURES / "peers.json").read_text("utf-8"))
    again = "after peers.json has changed: python docs/figures/comparison.py"
    assert (FIGURES / "comparison.txt").read_text("utf-8") == table(found), again


def test_each_library_that_was_measured_is_spoken_of() -> None:
    text = (DOCS / "comparison.rst").read_text("utf-8")
    found = json.loads((FIGURES / "peers.json").read_text("utf-8"))
    names = {summary["contender"].partition(",")[0] for summary in found["summaries"]}
    _, _, table = text.partition("When something dies\n")
    assert [name for name in names - {"bare sockets", "ideal"} if f"\n{name} " not in table] == []
