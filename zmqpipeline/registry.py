"""Which tasks a distributor has: one instance for each task type, and dependencies that come to an end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from zmqpipeline.errors import DeclarationError
from zmqpipeline.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterable

_logger = logging.getLogger("zmqpipeline.distributor")


def add(tasks: dict[str, Task[Any, Any]], chosen: Iterable[type[Task[Any, Any]] | Task[Any, Any]]) -> None:
    """Add an instance of each chosen task that is not there yet.

    Parameters
    ----------
    tasks
        the instances by task type
    chosen
        classes, or instances that the program has made itself

    Raises
    ------
    DeclarationError
        if one is not a Task, two have one type, or dependencies go round in a circle

    """
    for entry in chosen:
        cls = entry if isinstance(entry, type) else type(entry)
        if not issubclass(cls, Task):
            raise DeclarationError(f"tasks contains {entry!r}, expected subclasses of zmqpipeline.Task")
        known = tasks.get(cls.task_type)
        if known is None:
            made = tasks[str(cls.task_type)] = entry if isinstance(entry, Task) else entry()
            made.siblings = tasks
        elif type(known) is not cls:
            raise DeclarationError(taken(cls.task_type, type(known), cls))
    check_circles({name: [str(other) for other in task.dependencies] for name, task in tasks.items()})


def warn_of_missing(tasks: dict[str, Task[Any, Any]]) -> None:
    """Log which dependencies nobody here can complete."""
    for task in tasks.values():
        for name in task.dependencies:
            if name not in tasks:
                _logger.warning(
                    "%s depends on %s, which this distributor does not have: it counts as complete",
                    type(task).__qualname__,
                    name,
                )


def taken(task_type: str, known: type, other: type) -> str:
    """Say that a task type has an owner."""
    return (
        f"task type {str(task_type)!r} belongs to {known.__module__}.{known.__qualname__}; "
        f"{other.__module__}.{other.__qualname__} needs another one"
    )


def check_circles(depends: dict[str, list[str]]) -> None:
    """Refuse tasks that wait for each other.

    Parameters
    ----------
    depends
        by task type, those that it waits for

    Raises
    ------
    DeclarationError
        names the circle

    """
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> None:
        if name in way:
            circle = " -> ".join([*way[way.index(name) :], name])
            raise DeclarationError(f"dependencies go round in a circle: {circle}")
        if name not in done:
            for other in depends.get(name, ()):
                visit(other, [*way, name])
            done.add(name)

    for name in depends:
        visit(name, [])
