"""The library's own kinds of threads get on with the Thread that they are built upon."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import zmqpipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

#: what some Python of 3.10 to 3.14 keeps in each thread, beside what this one does
ELSEWHERE = {"_context", "_handle", "_native_id", "_os_thread_handle", "_tstate_lock"}


def threads() -> list[type[threading.Thread]]:
    """List them; only what says that it is about threads has to be loaded."""
    for found in pkgutil.walk_packages(zmqpipeline.__path__, "zmqpipeline."):
        spec = found.module_finder.find_spec(found.name, None)
        if spec and spec.origin and "threading.Thread)" in Path(spec.origin).read_text(encoding="utf-8"):
            importlib.import_module(found.name)
    return [kind for kind in _below(threading.Thread) if kind.__module__.startswith("zmqpipeline.")]


def _below(kind: type[threading.Thread]) -> Iterator[type[threading.Thread]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def test_all_kinds_are_found() -> None:
    assert {"EventLoop", "Guard", "Heartbeat"} <= {kind.__name__ for kind in threads()}


@pytest.mark.parametrize("kind", threads(), ids=lambda kind: kind.__name__)
def test_no_attribute_is_one_that_python_keeps_there_itself(kind: type[threading.Thread]) -> None:
    tree = ast.parse(inspect.getsource(kind))
    stored = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    assert stored & (vars(threading.Thread()).keys() | ELSEWHERE) == set()
