"""The Task classes that a program has registered for its distributors."""

from __future__ import annotations

from typing import Any, ClassVar

from zmqpipeline import registry
from zmqpipeline.declarations import is_subclass
from zmqpipeline.errors import DeclarationError
from zmqpipeline.task import Task


class Registration:
    """What a :class:`~zmqpipeline.Distributor` knows of Tasks before there is one."""

    #: the registered Task classes by task type, shared by all distributors that have no tasks of their own
    task_classes: ClassVar[dict[str, type[Task[Any, Any]]]] = {}

    @classmethod
    def register_task(cls, task_class: type[Task[Any, Any]]) -> None:
        """Have a Task handed out by the distributors of this program.

        Raises
        ------
        DeclarationError
            if it is not a Task, or another class is registered for its task type

        """
        if not is_subclass(task_class, Task):
            raise DeclarationError(
                f"register_task got {task_class!r}, expected a subclass of zmqpipeline.Task"
            )
        known = cls.task_classes.get(task_class.task_type)
        if known is not None and known is not task_class:
            raise DeclarationError(registry.taken(task_class.task_type, known, task_class))
        cls.task_classes[task_class.task_type] = task_class

    @classmethod
    def clear_tasks(cls) -> None:
        """Forget every registered Task class, and every instance that was made of one."""
        cls.task_classes.clear()
        Task.task_instances.clear()
