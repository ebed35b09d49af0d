"""Nothing that came over a wire can become code: no module of the package has the means.

What loads code is listed here, with the reason why its names do not come from a peer.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import zmqpipeline

PACKAGE = Path(zmqpipeline.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

#: modules whose readers run code that is in what they read
FORBIDDEN = {
    "_pickle", "cPickle", "cloudpickle", "code", "codeop", "copyreg", "dill", "jsonpickle", "marshal",
    "pickle", "runpy", "shelve",
}  # fmt: skip
#: and what runs code, or finds it by a name
RUNS = {
    "__import__", "compile", "eval", "exec", "exec_module", "import_module", "load_module",
    "module_from_spec", "spec_from_file_location",
}  # fmt: skip

ALLOWED = {
    "__init__.py": {"import_module"},  # the public names, from a list in that file
    "cli/loading.py": {"exec_module", "import_module", "module_from_spec", "spec_from_file_location"},  # FILE
    "bench/seat.py": {"exec_module", "module_from_spec", "spec_from_file_location"},  # of the benchmark's own
}


def means(tree: ast.AST) -> set[str]:
    """List what a module has of all that."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names} & FORBIDDEN
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").split(".")[0]} & FORBIDDEN
            found |= {alias.name for alias in node.names} & (RUNS | FORBIDDEN)
        elif isinstance(node, ast.Name):
            found |= {node.id} & RUNS
        elif isinstance(node, ast.Attribute) and not is_of_re(node):
            found |= {node.attr} & RUNS
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value} & (FORBIDDEN - {"code"})  # getattr(), import_module("pickle")
    return found


def is_of_re(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and (node.value.id, node.attr) == ("re", "compile")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_cannot_make_code_of_bytes(module: str) -> None:
    tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
    assert means(tree) == ALLOWED.get(module, set())


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", {"pickle"}),
        ("import pickle as p, os", {"pickle"}),
        ("from marshal import loads", {"marshal"}),
        ("def f():\n from shelve import open", {"shelve"}),
        ("eval('1')", {"eval"}),
        ("x = exec", {"exec"}),
        ("import builtins\nbuiltins.exec('')", {"exec"}),
        ("import importlib\nimportlib.import_module(name)", {"import_module"}),
        ("from importlib import import_module as i", {"import_module"}),
        ("__import__(name)", {"__import__"}),
        ("__import__('pickle')", {"__import__", "pickle"}),
        ("compile('1', '', 'eval')", {"compile"}),
        ("import re\nre.compile('a')", set()),
    ],
)
def test_it_would_be_found(source: str, found: set[str]) -> None:
    assert means(ast.parse(source)) == found


def test_what_is_allowed_exists() -> None:
    assert set(ALLOWED) <= set(MODULES)
    assert len(MODULES) > 100
