"""Which files of a program are about workers alone, so that a change of one concerns nobody else."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zmqpipeline import Collector, Distributor, MetaDataWorker, ServiceWorker, Task, Worker
from zmqpipeline.cli.exits import is_program
from zmqpipeline.declarations import is_subclass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from zmqpipeline.cli.program import Program

#: the roles that can be replaced in the middle of a run: what they hold they give back, and they keep nothing
REPLACEABLE = ("worker", "service-worker")

#: what is in these folders is nobody's who writes the program
_INSTALLED = {"site-packages", "dist-packages"}
_ROLES = (Collector, Distributor, MetaDataWorker, ServiceWorker, Task, Worker)


def of_workers(program: Program, module: ModuleType) -> dict[str, list[str]]:
    """List the files that nobody but some workers depends on, with the names of these.

    A worker belongs to the files in which its class, and the program's classes from which that is derived,
    are declared. A file from which the rest of the program takes something else than classes of roles, or
    that sets something in other modules, may concern anybody, and is left out.

    Parameters
    ----------
    program
        what the file declares
    module
        the file, as it was loaded

    """
    owners, shared = _owners(program, module)
    owners = {name: roles for name, roles in owners.items() if name not in shared}
    if not owners:
        return {}
    files = {name: path for name in list(sys.modules) if (path := _file(name)) is not None}
    try:
        trees = {name: ast.parse(path.read_bytes()) for name, path in files.items()}
    except (OSError, SyntaxError, ValueError):  # it has changed since it was loaded
        return {}
    taken = {name: set(_taken(tree, sys.modules[name])) for name, tree in trees.items()}
    main = module.__name__
    only_names = main not in owners and main not in shared and not _declares(trees[main])
    if only_names and not any(main in names for names in taken.values()):
        del taken[main]  # it puts the roles together, and nobody takes from it what it has imported
    used = set().union(*taken.values())
    return {
        str(files[name]): sorted(roles)
        for name, roles in owners.items()
        if name in files and name not in used and not _sets_others(trees[name])
    }


def _owners(program: Program, module: ModuleType) -> tuple[dict[str, set[str]], set[str]]:
    """Tell which modules declare which workers, and which declare anything else that runs."""
    owners: dict[str, set[str]] = defaultdict(set)
    shared = {name for task in program.tasks for name in _modules(task)}
    for kind, several in program.roles.items():
        for found in several:
            made = found.value if isinstance(found.value, type) else type(found.value)
            if kind in REPLACEABLE:
                for name in _modules(made):
                    owners[name].add(found.name)
            else:
                shared.update(_modules(made))
                if made is not found.value:
                    shared.add(module.__name__)  # whoever has made it, the file names it
    return owners, shared


def _modules(role: type) -> Iterator[str]:
    return (base.__module__ for base in role.__mro__ if _file(base.__module__) is not None)


def _file(name: str) -> Path | None:
    """Find the file of a module, if that is part of the program and written in Python."""
    file = _names(name).get("__file__")
    if not isinstance(file, str) or not file.endswith(".py") or _INSTALLED.intersection(Path(file).parts):
        return None
    return Path(file).resolve() if is_program(file) else None


def _names(name: str) -> dict[str, Any]:
    """Look what a module has, without what it makes up when it is asked: that may raise anything."""
    found: dict[str, Any] = getattr(sys.modules.get(name), "__dict__", {})
    return found


def _taken(tree: ast.Module, module: ModuleType) -> Iterator[str]:
    """Name the modules from which a module takes more than classes of roles."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            try:
                source = importlib.util.resolve_name(relative, module.__package__)
            except ImportError:
                continue  # it has never been executed
            for alias in node.names:
                value = _names(source).get(alias.name)
                if not is_subclass(value, _ROLES):
                    yield from (source, f"{source}.{alias.name}")


def _declares(tree: ast.Module) -> bool:
    """Tell whether a module has code of its own that could use what it imports."""
    own = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    return any(isinstance(node, own) for node in ast.walk(tree))


def _sets_others(tree: ast.Module) -> bool:
    """Tell whether a module, when it is loaded, sets something that is not its own."""
    own = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(
        isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del)
        for statement in tree.body
        if not isinstance(statement, own)
        for node in ast.walk(statement)
    )
