"""What a file declares: its tasks, workers, collector, metadata worker and services."""

from __future__ import annotations

import abc
import inspect
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zmqpipeline import Collector, Distributor, MetaDataWorker, Service, ServiceWorker, Task, Worker
from zmqpipeline.cli.exits import CommandError, Exit
from zmqpipeline.declarations import is_subclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

#: the commands that run one role, and what such a role is called in a sentence
ROLES = {
    "distributor": "Distributor",
    "worker": "Worker",
    "collector": "Collector",
    "metadata": "MetaDataWorker",
    "service": "Service",
    "service-worker": "ServiceWorker",
}

_CLASSES: dict[str, type] = {
    "worker": Worker,
    "collector": Collector,
    "metadata": MetaDataWorker,
    "service-worker": ServiceWorker,
}


@dataclass(frozen=True)
class Found:
    """One role of a file.

    Parameters
    ----------
    kind
        the command that runs it
    name
        what the file calls it
    value
        its class; for a service, and for a distributor that the file has made, the instance

    """

    kind: str
    name: str
    value: Any

    @property
    def subject(self) -> str:
        """What the role calls itself in its log lines."""
        if self.kind == "distributor":
            return Distributor.__name__
        return (self.value if isinstance(self.value, type) else type(self.value)).__name__

    @property
    def task_type(self) -> str:
        """The task type of a worker, ``''`` of what has none."""
        return str(getattr(self.value, "task_type", ""))


@dataclass
class Program:
    """Everything that a file declares.

    Parameters
    ----------
    target
        the file or module, as the user wrote it
    tasks
        the Task classes
    roles
        the roles by the command that runs them, in the order of the file

    """

    target: str
    tasks: list[type[Task[Any, Any]]] = field(default_factory=list)
    roles: dict[str, list[Found]] = field(default_factory=lambda: defaultdict(list))

    def pick(self, kind: str, name: str | None) -> Found:
        """Choose the one role that a command is to run.

        Raises
        ------
        CommandError
            if there is none, none of that name, or several and no name

        """
        word, found = ROLES[kind], self.roles[kind]
        if not found:
            hint = ", an instance that is made when the file is loaded" if kind == "service" else ""
            raise _wrong(f"{self.target} declares no {word}{hint}")
        if name is not None:
            for candidate in found:
                if candidate.name == name:
                    return candidate
            raise _wrong(f"{self.target} declares no {word} of the name {name!r}, only {_names(found)}")
        if len(found) > 1:
            raise _wrong(f"{self.target} declares several: {_names(found)}; say which {word} is to run")
        return found[0]

    def one(self, kind: str) -> Found | None:
        """Take the role of which there may be only one.

        Raises
        ------
        CommandError
            if there are several

        """
        for error in self._too_many(kind):
            raise error
        return self.roles[kind][0] if self.roles[kind] else None

    def check(self) -> None:
        """Check that the roles can work together.

        Raises
        ------
        CommandError
            if there is no role at all, or more of one than can be

        """
        for error in self.errors():
            raise error

    def errors(self) -> Iterator[CommandError]:
        """Find everything for which the roles cannot work together."""
        if not self.tasks and not any(self.roles.values()):
            yield _wrong(
                f"{self.target} declares no role: no Task, Worker, Collector or Service was found in it"
            )
        yield from self._too_many("collector")
        yield from self._too_many("metadata")
        yield from self._shared("Task", [(str(task.task_type), task.__name__) for task in self.tasks])
        yield from self._shared("Worker", [(found.task_type, found.name) for found in self.roles["worker"]])

    def _too_many(self, kind: str) -> Iterator[CommandError]:
        found = self.roles[kind]
        if len(found) > 1:
            yield _wrong(f"{self.target} declares {len(found)} {ROLES[kind]}s, expected one: {_names(found)}")

    def _shared(self, word: str, declared: Iterable[tuple[str, str]]) -> Iterator[CommandError]:
        names: dict[str, list[str]] = defaultdict(list)
        for task_type, name in declared:
            names[task_type].append(name)
        for task_type, several in names.items():
            if len(several) > 1:
                yield _wrong(
                    f"{self.target} declares {len(several)} {word}s for the task type {task_type!r}, "
                    f"expected one: {', '.join(several)}"
                )


def read(target: str, module: ModuleType) -> Program:
    """Find every role in a module's namespace, imported ones included."""
    program = Program(target)
    seen: set[int] = set()
    # a class that goes by two names is called by its own
    members = sorted(vars(module).items(), key=lambda item: item[0] != getattr(item[1], "__name__", None))
    for name, value in members:
        if id(value) in seen or name.startswith("__"):
            continue
        seen.add(id(value))
        if _is_concrete(value, Task):
            program.tasks.append(value)
        elif kind := _kind(value):
            program.roles[kind].append(Found(kind, name, value))
    registered = [task for task in Distributor.task_classes.values() if task not in program.tasks]
    program.tasks += registered
    if program.tasks and not program.roles["distributor"]:
        program.roles["distributor"].append(Found("distributor", "Distributor", Distributor))
    return program


def _kind(value: Any) -> str | None:
    if isinstance(value, Service):
        return "service"
    if isinstance(value, Distributor) or (_is_concrete(value, Distributor) and value is not Distributor):
        return "distributor"
    return next((kind for kind, base in _CLASSES.items() if _is_concrete(value, base)), None)


def _is_concrete(value: Any, base: type) -> bool:
    """Tell whether this is a class of the program that can be run as it is."""
    return (
        is_subclass(value, base)
        and value.__module__.partition(".")[0] != __name__.partition(".")[0]
        and not inspect.isabstract(value)
        and abc.ABC not in value.__bases__
    )


def _names(found: list[Found]) -> str:
    return ", ".join(candidate.name for candidate in found)


def _wrong(sentence: str) -> CommandError:
    return CommandError(sentence, Exit.WRONG_FILE)
