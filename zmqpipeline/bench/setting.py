"""With whom, and over what, tasks are done while something is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """How many tasks are done, by how many workers.

    Parameters
    ----------
    count
        how many tasks
    workers
        how many processes do them
    transport
        ``ipc`` or ``tcp``

    """

    count: int
    workers: int = 2
    transport: str = "ipc"

    def __str__(self) -> str:
        return f"{self.workers} worker{'' if self.workers == 1 else 's'}, {self.transport}"
