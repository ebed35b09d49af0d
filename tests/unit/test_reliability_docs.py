"""The page on reliability names tests: they exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.rst"


def test_every_test_that_proves_a_promise_is_there() -> None:
    named = re.findall(r"``(tests/[\w/]+\.py)::(\w+)``", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 20
    for path, name in named:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(?:def {name}\(|{name} = )", text, re.MULTILINE), f"{path} has no {name}"
