"""What a file declares, and whether its roles fit together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from zmqpipeline import Distributor, registry
from zmqpipeline.cli import plan
from zmqpipeline.cli.exits import Exit
from zmqpipeline.cli.program import ROLES
from zmqpipeline.doctor.finding import ok, problem, warning
from zmqpipeline.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline.cli.program import Program
    from zmqpipeline.doctor.finding import Finding

_ABOUT = "roles"


def findings(program: Program) -> Iterator[Finding]:
    """Look at the roles of a file."""
    errors = list(program.errors())
    if not errors or program.tasks or any(program.roles.values()):
        yield ok("file", f"{program.target} declares {_listed(program)}")
    for error in errors:
        yield problem(_ABOUT, error.sentence, error.code)
    yield from _types(program)
    for sentence in plan.missing(program):
        yield warning(_ABOUT, f"{sentence}; declare one if none is started there")
    if program.roles["service"] and not program.roles["service-worker"]:
        yield warning(
            _ABOUT,
            "no ServiceWorker in the file: requests wait for one from elsewhere; "
            "declare one if none is started there",
        )
    yield from _dependencies(program)


def _listed(program: Program) -> str:
    """List the roles by their kind."""
    kinds = {"Task": [task.__name__ for task in program.tasks]}
    for kind, word in ROLES.items():
        # the distributor that is made for the tasks is nothing that the file declares
        kinds[word] = [role.name for role in program.roles[kind] if role.value is not Distributor]
    parts = [
        f"the {word} {names[0]}" if len(names) == 1 else f"{len(names)} {word}s ({', '.join(names)})"
        for word, names in kinds.items()
        if names
    ]
    return ", ".join(parts)


def _types(program: Program) -> Iterator[Finding]:
    """Tell which task types have all that they need."""
    tasks, workers = defaultdict(list), defaultdict(list)
    for task in program.tasks:
        tasks[str(task.task_type)].append(task.__name__)
    for found in program.roles["worker"]:
        workers[found.task_type].append(found.name)
    for name, classes in tasks.items():
        if len(classes) == len(workers[name]) == 1:
            yield ok(
                _ABOUT, f"the task type {name!r} has the Task {classes[0]} and the Worker {workers[name][0]}"
            )


def _dependencies(program: Program) -> Iterator[Finding]:
    """Look for tasks that wait for each other, or for what nobody has."""
    depends = {str(task.task_type): [str(other) for other in task.dependencies] for task in program.tasks}
    try:
        registry.check_circles(depends)
    except DeclarationError as error:
        yield problem(_ABOUT, f"{error}; take one of these dependencies out", Exit.WRONG_DECLARATION)
    for task in program.tasks:
        for name in task.dependencies:
            if name not in depends:
                yield warning(
                    _ABOUT,
                    f"{task.__name__} depends on {str(name)!r}, for which the file has no Task: it counts as "
                    f"complete; declare one, or take it out of the dependencies",
                )
