"""The pages of the documentation, and the code blocks in them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"

#: beginnings of commands that no test types, and why
NOT_TYPED = {
    "python3 -m venv .venv": "installs from the network: .ci/run does it on a clean clone",
    ".venv/bin/pip install": "the same",
    "pip install": "the same",
    "npm install": "the same",
    ".venv/bin/zmqpipeline run examples/": "tests/system/test_examples.py runs all examples",
    "sudo ": "changes the machine",
    "zmqpipeline metrics": "tests/system/test_cli_metrics.py starts it, and ends it with a signal",
    "ssh ": "needs another machine",
    "zmqpipeline dashboard": "tests/system/test_cli_dashboard.py starts it, and ends it with a signal",
    "zmqpipeline doctor count.py --endpoint": "needs another host: tests/system/test_doctor.py",
    "zmqpipeline bench ": "takes minutes: tests/system/test_bench_command.py runs short ones",
    "python -m zmqpipeline.testing.chaos": "takes minutes: tests/system/test_chaos.py runs a short one",
}


class Block(NamedTuple):
    """A code block of a page."""

    language: str
    caption: str
    text: str
    line: int


def pages() -> list[Path]:
    """List the pages whose code somebody may type: those that Sphinx reads, the README and its like."""
    beside = ["README.rst", "CONTRIBUTING.rst", "CHANGELOG.rst", "SECURITY.rst"]
    return [*(ROOT / name for name in beside), *sorted(DOCS.glob("*.rst"))]


def blocks(page: Path) -> list[Block]:
    """Take the code blocks out of a page, in order; a program that it includes is one of them."""
    found = []
    lines = page.read_text(encoding="utf-8").split("\n")
    for start, line in enumerate(lines):
        match = re.match(r"( *)\.\. (code-block|literalinclude):: (\S+)$", line)
        if match is None:
            continue
        text = textwrap.dedent("\n".join(_inside(lines[start + 1 :], match[1]))).strip("\n")
        caption = re.match(r"(?::\w+:.*\n)*?:caption: (.+)\n", text + "\n")
        if match[2] == "literalinclude":
            included = page.parent / match[3]
            language = {".py": "python"}.get(included.suffix, "text")
            text = included.read_text(encoding="utf-8").rstrip("\n")
            found.append(Block(language, caption[1] if caption else included.name, text, start + 1))
        else:
            body = re.sub(r"\A(:\w+:.*\n)+\n", "", text)
            found.append(Block(match[3], caption[1] if caption else "", body, start + 1))
    return found


def _inside(lines: list[str], indentation: str) -> list[str]:
    body = []
    for line in lines:
        if line.strip() and not line.startswith(indentation + " "):
            break
        body.append(line)
    return body
