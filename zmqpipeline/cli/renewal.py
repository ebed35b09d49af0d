"""What follows from a change of the program while it runs: which roles are to be started again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zmqpipeline.cli.endpoints import PLAN
from zmqpipeline.cli.plan import Plan
from zmqpipeline.cli.process import Slot, start

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Protocol

    from zmqpipeline.cli.process import Process

    class Changes(Protocol):
        """Whoever watches the files of a program."""

        folder: Path

        def has_changed(self) -> bool:
            """Tell whether something has changed since it was taken."""

        def take(self) -> list[str]:
            """Return the files of the folder that have changed since the last call."""


class Renewal:
    """Finds out what a change means, by loading the changed program in a process of its own.

    Parameters
    ----------
    target
        the file, as the user wrote it
    plan
        what runs
    options
        the options that give endpoints
    environ
        the environment of the processes
    changes
        tells which files have changed

    """

    def __init__(
        self, target: str, plan: Plan, options: list[str], environ: Mapping[str, str], changes: Changes
    ) -> None:
        self.plan = plan
        #: the process that loads the changed program
        self.process: Process | None = None
        #: whether it could not be loaded: what runs goes on, and nothing is started
        self.is_broken = False
        self._target = target
        self._options = options
        self._environ = environ
        self._changes = changes
        self._names: set[str] = set()
        self._plan: Plan | None = None

    @property
    def is_pending(self) -> bool:
        """Whether something has changed that has not been loaded yet."""
        return bool(self._names)

    def begin(self, now: float) -> Process | None:
        """Start a process that loads the program, if something has changed since it was loaded last."""
        names = self._changes.take()
        if not names:
            return None
        self._names.update(names)
        if self.process is not None:
            self.process.kill(now)  # it loads what is no more
        self.is_broken = False
        self._plan = None
        self.process = start(Slot(PLAN, self._target), self._options, [self._target], self._environ)
        return self.process

    def take(self, plan: str) -> None:
        """Take in what the process has found."""
        self._plan = Plan.parse(plan)

    def broke(self) -> None:
        """Note that the program cannot be loaded as it is now."""
        self.process, self.is_broken = None, True

    def conclude(self) -> tuple[str, list[str] | None]:
        """Say what has changed, and which workers are to be started again; None for all roles."""
        new, old = self._plan, self.plan
        changed, files = (
            said(sorted(self._names)),
            [str((self._changes.folder / n).resolve()) for n in self._names],
        )
        self.process, self._names = None, set()
        if new is None or (new.roles, new.types, new.bound) != (old.roles, old.types, old.bound):
            return changed, None
        if not all(file in old.files and file in new.files for file in files):
            return changed, None
        self.plan = replace(old, stop_timeout=new.stop_timeout, files=new.files)
        names = {name for file in files for name in (*old.files[file], *new.files[file])}
        return changed, [name for _, name in old.roles if name in names]


def said(names: list[str]) -> str:
    """Say what has changed."""
    first, *others = names
    return f"{first}{f' and {len(others)} more' if others else ''} {'have' if others else 'has'} changed"
