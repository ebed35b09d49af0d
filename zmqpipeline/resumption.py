"""Between a distributor's books and its journal: what is kept of a task, and how it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from zmqpipeline.journalfile import damaged
from zmqpipeline.wire import envelope

if TYPE_CHECKING:
    import logging
    import os
    from collections.abc import Callable, Mapping

    from zmqpipeline.delivery.dispatch import Dispatch
    from zmqpipeline.delivery.ports import Past, PastTask
    from zmqpipeline.delivery.taskbook import TaskBook
    from zmqpipeline.journal import Journal
    from zmqpipeline.source import TaskSource


class Written(Protocol):
    """What can be gone on with: a journal, in a file or in memory."""

    @property
    def path(self) -> Any:
        """Where it is, for an error."""

    @property
    def past(self) -> Past:
        """The run that is written in it."""

    def keep(
        self, task: str, counters: Callable[[], list[Any]], checkpoint: Callable[[], bytes | None]
    ) -> None:
        """Remember how to tell what a task needs to go on."""

    def state(self, task: str) -> tuple[list[Any] | None, Any]:
        """Tell what was kept of a task: its counters, and its checkpoint."""


def open_journal(path: str | os.PathLike[str] | None, tasks: Mapping[str, Any]) -> Journal | None:
    """Open the journal of a distributor, if it has one; before any address is bound.

    Parameters
    ----------
    path
        where it is
    tasks
        the Tasks by their types

    """
    if path is None:
        return None
    from zmqpipeline.journal import Journal  # noqa: PLC0415 - who needs none need not load SQLite

    return Journal(path, {name: type(task).__qualname__ for name, task in tasks.items()})


def resume(journal: Written, dispatch: Dispatch, sources: Mapping[str, TaskSource]) -> None:
    """Have a run written down, and go on with it if it was begun in an earlier life of the distributor.

    Raises
    ------
    JournalError
        if what is in the journal does not fit together

    """
    past = journal.past
    try:
        for task in past.tasks.values():
            _check_batches(task)
        for name, source in sources.items():
            journal.keep(name, _counters(dispatch.books[name], source), source.checkpoint)
            kept, checkpoint = journal.state(name)
            if kept is not None:
                past.tasks[name].failed, feedback, *of_task = kept
                past.tasks[name].feedback = [(number, extra, failed) for number, extra, failed in feedback]
                source.resume(of_task, checkpoint)
        dispatch.resume(past)
    except (LookupError, TypeError, ValueError) as error:
        raise damaged(journal.path, error) from error


def _check_batches(past: PastTask) -> None:
    """Raise for tasks that cannot be taken apart: no worker could open them, and they would never be done."""
    for first, count, body in past.batches:
        try:
            is_whole = envelope.cut(body, 0, count) == body
        except Exception as error:  # what msgpack raises for damaged bytes is many things
            raise ValueError(f"the tasks of the batch of {first} cannot be read: {error}") from error
        if not is_whole:
            raise ValueError(f"the batch of {first} does not have {count} tasks")


def resume_and_tell(
    journal: Written, dispatch: Dispatch, sources: Mapping[str, TaskSource], logger: logging.Logger
) -> None:
    """Do the same, and log it."""
    resume(journal, dispatch, sources)
    if journal.past.epoch:
        logger.info(
            "resuming the run of the journal %s: %d tasks are acknowledged, %d are handed out again",
            journal.path, dispatch.acknowledged, dispatch.open_count,
        )  # fmt: skip


def _counters(book: TaskBook, source: TaskSource) -> Callable[[], list[Any]]:
    def counters() -> list[Any]:
        return [book.failed, list(book.gate.pending), *source.counters()]

    return counters
