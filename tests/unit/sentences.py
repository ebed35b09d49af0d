"""The sentences in the code of the library: what it may print when something is wrong."""

from __future__ import annotations

import ast
import functools
import re
from typing import TYPE_CHECKING, NamedTuple

from tests.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = ROOT / "zmqpipeline"
#: stands for a name or a value
GAP = "\N{HORIZONTAL ELLIPSIS}"
#: fewer words than this in a row are a part of a sentence
_WORDS = 3
#: what stands in these arguments, or goes to these functions, says nothing about what is wrong
_HELP = {"help", "epilog", "description", "metavar"}
_QUIET = {"debug", "echo", "secho", "add_argument", "execute", "namedtuple", "compile"}


class Sentence(NamedTuple):
    """A text of the code, with gaps for what it is filled in with."""

    where: str
    text: str


@functools.cache
def templates() -> list[Sentence]:
    """List all texts, once each."""
    found: dict[str, Sentence] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for line, text in _Reader(path).texts():
            where = f"{path.relative_to(ROOT).as_posix()}:{line}"
            found.setdefault(text, Sentence(where, text))
    return list(found.values())


def sentences() -> list[Sentence]:
    """List those that are as long as a sentence."""
    several = re.compile(rf"[A-Za-z'-]+(?:[,:;]? [A-Za-z'(-]+){{{_WORDS - 1}}}")
    return [found for found in templates() if several.search(found.text)]


class _Reader:
    """Reads one file."""

    def __init__(self, path: Path) -> None:
        self._tree = ast.parse(path.read_text(encoding="utf-8"))
        self._constants = {
            target.id: node.value.value
            for node in self._tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }

    def texts(self) -> Iterator[tuple[int, str]]:
        yield from self._of(self._tree)

    def _of(self, node: ast.AST) -> Iterator[tuple[int, str]]:
        if isinstance(node, ast.Constant | ast.JoinedStr):
            yield node.lineno, self._template(node)
            return
        skipped = self._skipped(node)
        for child in ast.iter_child_nodes(node):
            if child not in skipped:
                yield from self._of(child)

    def _skipped(self, node: ast.AST) -> list[ast.AST]:
        """Choose what is no sentence: docstrings, and what is there to be read at any time."""
        skipped: list[ast.AST] = []
        body = getattr(node, "body", None)
        if isinstance(body, list):
            skipped += [
                statement
                for statement in body
                if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            ]
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            skipped += [keyword for keyword in node.keywords if keyword.arg in _HELP]
            if name in _QUIET:
                skipped += [*node.args, *node.keywords]
        if isinstance(node, ast.AnnAssign):
            skipped.append(node.annotation)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            skipped += [node.args, *([node.returns] if node.returns else [])]
        return skipped

    def _template(self, node: ast.Constant | ast.JoinedStr) -> str:
        if isinstance(node, ast.Constant):
            text = node.value if isinstance(node.value, str) else ""
            return re.sub(r"%[-\d.]*[sdrfg]|\{[^{}]*\}", GAP, text)
        parts = []
        for value in node.values:
            if isinstance(value, ast.Constant):
                parts.append(str(value.value))
            elif isinstance(value, ast.FormattedValue) and isinstance(value.value, ast.Name):
                parts.append(self._constants.get(value.value.id, GAP))
            else:
                parts.append(GAP)
        return "".join(parts)
