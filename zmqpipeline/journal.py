"""Journal: a run, written down so that it survives the death of its distributor.

It is an SQLite database in WAL mode, so that a commit is an append to a file,
and is either there or not, whenever the process ends. One process at a time has
it: the lock is the system's, and is gone with its holder.

In it are one row for each batch of which something is open, the settled ids as
intervals, and for each task what it needs to go on. So it is as large as what
is open, however long the run is.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zmqpipeline.delivery.intervals import Intervals
from zmqpipeline.delivery.ports import Past, PastTask
from zmqpipeline.errors import JournalError
from zmqpipeline.journalfile import called, check_place, damaged, make_tables, open_file, unusable
from zmqpipeline.wire import serializer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from zmqpipeline.delivery.intervals import Range

#: a commit is due so long after the first batch that it writes, in seconds
COMMIT_TIME = 0.002
#: or when so much has come together, in bytes
COMMIT_BYTES = 4 * 1024 * 1024

#: what values of a wrong kind end in, where SQLite has found nothing wrong
_NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

logger = logging.getLogger("zmqpipeline.distributor")


class _Kept:
    """What is written of one task type, and what is to be."""

    def __init__(self, number: int, past: PastTask) -> None:
        self.number = number
        self.next = past.next
        self.settled = Intervals(past.settled)
        self.counters: Callable[[], list[Any]] = list
        self.checkpoint: Callable[[], bytes | None] = lambda: None
        self.written: bytes | None = None  #: the checkpoint in the file
        self.clean()

    def clean(self) -> None:
        """Forget what was to be written."""
        self.batches: list[tuple[int, int, int, bytes]] = []
        self.acknowledged: list[int] = []
        self.tried: dict[int, tuple[int, int]] = {}
        self.counted = False
        self.changed = False


def look(path: str | os.PathLike[str], program: Mapping[str, str]) -> bool:
    """See that a distributor could use a journal; nothing in it changes, and none is made.

    Parameters
    ----------
    path
        where it is, or is to be
    program
        as for :class:`Journal`

    Returns
    -------
    bool
        whether there is a run in it that is not finished

    Raises
    ------
    JournalError
        if it cannot be used

    """
    where = Path(path).absolute()
    check_place(where)
    if not os.access(where if where.exists() else where.parent, os.W_OK):
        raise JournalError(f"{called(where)} cannot be written by this user: choose another path")
    if not where.exists() or not where.stat().st_size:
        return False
    file = open_file(where)
    try:
        row = file.execute("SELECT program, finished FROM run").fetchone()
        if row is not None:
            _check_program(where, row[0], _described(program))
    except sqlite3.Error as error:
        raise unusable(where, error) from error
    except _NONSENSE as error:
        raise damaged(where, error) from error
    finally:
        file.close()
    return row is not None and not row[1]


def _described(program: Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(program.items())))


def _check_program(path: Path, found: str, program: str) -> None:
    """Refuse the journal of another program."""
    if found != program:
        theirs, ours = (
            ", ".join(f"{name} ({task})" for task, name in json.loads(text).items())
            for text in (found, program)
        )
        raise JournalError(
            f"{called(path)} belongs to another program, with {theirs} instead of {ours}: "
            f"choose another path, or remove the file to begin a new run"
        )


class Journal:
    """The file of one distributor's run; the methods of :class:`zmqpipeline.delivery.ports.Journal`.

    Parameters
    ----------
    path
        where it is, or is to be
    program
        what tells this program from others: the names of the Task classes by task type

    Attributes
    ----------
    past
        the run that is written in it: of epoch 0 if it is a new one

    Raises
    ------
    JournalError
        if it cannot be used; nothing in it has changed then

    """

    def __init__(self, path: str | os.PathLike[str], program: Mapping[str, str]) -> None:
        self.path = Path(path).absolute()
        self._program = _described(program)
        self._tasks: dict[str, _Kept] = {}
        self._dirty: set[str] = set()
        self._of_run: dict[str, Any] = {}
        self._since = 0.0
        self._bytes = 0
        self._abandoned = False
        self._file = open_file(self.path)
        try:
            self.past = self._begin(list(program))
        except BaseException as error:
            self._file.close()
            if isinstance(error, sqlite3.Error):
                raise unusable(self.path, error) from error
            if isinstance(error, _NONSENSE):
                raise damaged(self.path, error) from error
            raise

    def keep(
        self, task: str, counters: Callable[[], list[Any]], checkpoint: Callable[[], bytes | None]
    ) -> None:
        """Say where the state of a task comes from, at the moment of a commit.

        Parameters
        ----------
        task
            its task type
        counters
            makes a short list, which is written with whatever concerns the task
        checkpoint
            makes what is written when it has changed; None if there is nothing to write yet

        """
        kept = self._tasks[task]
        kept.counters, kept.checkpoint = counters, checkpoint

    def state(self, task: str) -> tuple[list[Any] | None, Any]:
        """Read what :meth:`keep`'s functions had made last of a task; None for what was never written."""
        try:
            row = self._file.execute(
                "SELECT counters, state FROM task LEFT JOIN checkpoint ON task = id WHERE name = ?", (task,)
            ).fetchone()
            self._tasks[task].written = row[1]
            counters, checkpoint = (None if part is None else serializer.deserialize(part) for part in row)
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error
        except ValueError as error:
            raise JournalError(
                f"{called(self.path)} has a state of {task} that cannot be read: {error}"
            ) from error
        return counters, checkpoint

    # -- what happens -------------------------------------------------------

    @property
    def due(self) -> bool:
        """Whether what was noted is to be committed before more is made."""
        return bool(self._bytes) and (
            self._bytes >= COMMIT_BYTES or time.monotonic() - self._since >= COMMIT_TIME
        )

    def began(self, metadata: dict[str, Any]) -> None:
        """Note the metadata of the run."""
        self._of_run["metadata"] = serializer.serialize(metadata)

    def met(self, life: str, number: int) -> None:
        """Note the collector's life, and the last of its ACKs that counts."""
        # a peer may call itself what no file can take
        self._of_run.update(life=life.encode("utf-8", "replace").decode(), number=number)

    def made(self, task: str, first: int, count: int, body: bytes) -> None:
        """Note a new batch."""
        kept = self._tasks[task]
        kept.batches.append((kept.number, first, count, body))
        kept.next = first + count
        kept.changed = True
        self._dirty.add(task)
        if not self._bytes:
            self._since = time.monotonic()
        self._bytes += len(body)

    def settled(self, task: str, ranges: Iterable[Range]) -> None:
        """Note an ACK."""
        kept = self._tasks[task]
        for first, count in ranges:
            if kept.settled.add(first, min(count, kept.next - first)):
                kept.acknowledged.append(first)
        kept.counted = True
        self._dirty.add(task)

    def tried(self, task: str, task_id: int, failures: int, deaths: int) -> None:
        """Note that an open task has failed, or killed a worker, so often."""
        self._tasks[task].tried[task_id] = (failures, deaths)
        self._dirty.add(task)

    def changed(self, task: str) -> None:
        """Note that the program's Task may not be what it was."""
        self._tasks[task].changed = True
        self._dirty.add(task)

    def finished(self) -> None:
        """Note that the run is over, and that the collector knows."""
        self._of_run["finished"] = 1

    def commit(self) -> None:
        """Write what was noted since the last call.

        Raises
        ------
        JournalError
            if it cannot be written
        TypeError
            if a checkpoint cannot be packed

        """
        if self._abandoned or (not self._dirty and not self._of_run):
            return
        # the program's own methods are asked before anything is written
        states = {task: self._state(self._tasks[task]) for task in self._dirty}
        execute = self._file.execute
        try:
            execute("BEGIN")
            for task, (counters, checkpoint) in states.items():
                self._write(self._tasks[task], counters, checkpoint)
            if self._of_run:
                names = ", ".join(f"{name} = ?" for name in self._of_run)
                execute(f"UPDATE run SET {names}", tuple(self._of_run.values()))  # noqa: S608 - our own names
            execute("COMMIT")
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error
        self._dirty.clear()
        self._of_run.clear()
        self._bytes = 0

    def abandon(self) -> None:
        """Write nothing more: what was noted since the last commit is as if it had not happened."""
        self._abandoned = True

    def close(self) -> None:
        """Close the file; what was not committed is as if it had not happened."""
        with contextlib.suppress(sqlite3.Error):
            self._file.close()

    # -- writing ------------------------------------------------------------

    @staticmethod
    def _state(kept: _Kept) -> tuple[bytes | None, bytes | None]:
        """Ask a task for what may have changed; None for what has not."""
        checkpoint = kept.checkpoint() if kept.changed else None
        if checkpoint == kept.written:
            checkpoint = None
        counters = serializer.serialize(kept.counters()) if kept.changed or kept.counted else None
        return counters, checkpoint

    def _write(self, kept: _Kept, counters: bytes | None, checkpoint: bytes | None) -> None:
        execute, many, number = self._file.execute, self._file.executemany, kept.number
        if kept.batches:
            many("INSERT INTO batch VALUES (?, ?, ?, ?)", kept.batches)
        if kept.tried:
            rows = ((number, task_id, *counts) for task_id, counts in kept.tried.items())
            many("INSERT OR REPLACE INTO tried VALUES (?, ?, ?, ?)", rows)
        if kept.acknowledged:
            around = {kept.settled.around(first) or (first, 0) for first in kept.acknowledged}
            spans = [(number, first, first + count) for first, count in around]
            many("DELETE FROM settled WHERE task = ? AND first >= ? AND first < ?", spans)
            many("INSERT INTO settled VALUES (?, ?, ?)", [(number, *interval) for interval in around])
            many(
                "DELETE FROM batch WHERE task = ?1 AND first >= ?2 AND first < ?3 AND first + count <= ?3",
                spans,
            )
            many("DELETE FROM tried WHERE task = ? AND id >= ? AND id < ?", spans)
        if counters is not None:
            execute("UPDATE task SET next = ?, counters = ? WHERE id = ?", (kept.next, counters, number))
        if checkpoint is not None:
            execute("INSERT OR REPLACE INTO checkpoint VALUES (?, ?)", (number, checkpoint))
            kept.written = checkpoint
        kept.clean()

    # -- beginning ----------------------------------------------------------

    def _begin(self, tasks: list[str]) -> Past:
        """Take the file over: for a run that is not finished, or for a new one."""
        execute = self._file.execute
        execute("BEGIN EXCLUSIVE")
        make_tables(self._file)
        row = execute("SELECT program, id, epoch, finished, life, number, metadata FROM run").fetchone()
        if row is not None:
            _check_program(self.path, row[0], self._program)
        if row is None or row[3]:
            if row is not None:
                logger.info("%s is of a run that is finished: it is cleared for a new one", called(self.path))
            past = self._clear(tasks)
        else:
            past = self._read(*row[1:])
            execute("UPDATE run SET epoch = ?", (past.epoch,))
        for number, name in execute("SELECT id, name FROM task").fetchall():
            self._tasks[name] = _Kept(number, past.tasks[name])
        execute("COMMIT")
        return past

    def _clear(self, tasks: list[str]) -> Past:
        """Begin a new run in the file."""
        execute = self._file.execute
        past = Past(uuid.uuid4().hex, 0, tasks={name: PastTask() for name in tasks})
        for table in ("run", "task", "checkpoint", "batch", "settled", "tried"):
            execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
        execute("INSERT INTO run (one, program, id, epoch) VALUES (1, ?, ?, 0)", (self._program, past.run))
        self._file.executemany("INSERT INTO task (name) VALUES (?)", [(name,) for name in tasks])
        return past

    def _read(
        self, run: str, epoch: int, _finished: int, life: str | None, number: int, metadata: bytes | None
    ) -> Past:
        """Read what is known of a run."""
        select = self._file.execute
        past = Past(run, epoch + 1, life, number)
        try:
            past.metadata = None if metadata is None else serializer.deserialize(metadata)
            if not isinstance(past.metadata, dict | None):
                raise TypeError(f"the metadata are {type(past.metadata).__name__}, expected a map")  # noqa: TRY301
        except (TypeError, ValueError) as error:
            raise damaged(self.path, error) from error
        for task, name, following in select("SELECT id, name, next FROM task").fetchall():
            past.tasks[name] = PastTask(
                following,
                select("SELECT first, count FROM settled WHERE task = ?", (task,)).fetchall(),
                select(
                    "SELECT first, count, body FROM batch WHERE task = ? ORDER BY first", (task,)
                ).fetchall(),
                select("SELECT id, failures, deaths FROM tried WHERE task = ?", (task,)).fetchall(),
            )
        return past
