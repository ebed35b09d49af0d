"""The file of a journal: how it is opened and checked, what is in it, and what can be wrong with it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from zmqpipeline.errors import JournalError

if TYPE_CHECKING:
    from pathlib import Path

#: the version of what is in the file
FORMAT = 1
#: says of a database that it is a journal of this library: "zmqj" in ASCII
_APPLICATION = 0x7A6D716A
#: the log that precedes the database is cut back to this when it was larger, in bytes
_LOG_BYTES = 64 * 1024 * 1024

_TABLES = (
    """CREATE TABLE run (
        one INTEGER PRIMARY KEY CHECK (one = 1), program TEXT NOT NULL, id TEXT NOT NULL,
        epoch INTEGER NOT NULL, finished INTEGER NOT NULL DEFAULT 0,
        life TEXT, number INTEGER NOT NULL DEFAULT 0, metadata BLOB)""",
    # what changes often stands apart from what may be large
    """CREATE TABLE task (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, next INTEGER NOT NULL DEFAULT 0, counters BLOB)""",
    "CREATE TABLE checkpoint (task INTEGER PRIMARY KEY, state BLOB NOT NULL)",
    """CREATE TABLE batch (
        task INTEGER, first INTEGER, count INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (task, first))""",
    """CREATE TABLE settled (
        task INTEGER, first INTEGER, count INTEGER NOT NULL, PRIMARY KEY (task, first)) WITHOUT ROWID""",
    """CREATE TABLE tried (
        task INTEGER, id INTEGER, failures INTEGER NOT NULL, deaths INTEGER NOT NULL,
        PRIMARY KEY (task, id)) WITHOUT ROWID""",
)


def open_file(path: Path) -> sqlite3.Connection:
    """Open a journal's file, or make it; what is written to it survives this process.

    The connection is in autocommit mode and holds the file's lock until it is closed.

    Raises
    ------
    JournalError
        if it cannot be used; nothing in it has changed then

    """
    check_place(path)
    file = None
    try:
        file = sqlite3.connect(path, timeout=0.0, isolation_level=None)
        # before the first access: then the lock is held until the end, and needs no memory that is shared
        file.execute("PRAGMA locking_mode = EXCLUSIVE")
        _check(file, path)
        file.execute("PRAGMA journal_mode = WAL")
        # the system keeps what it was given when this process dies; to wait for the disk would cost most time
        file.execute("PRAGMA synchronous = NORMAL")
        file.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
    except BaseException as error:
        if file is not None:
            file.close()
        if isinstance(error, sqlite3.Error):
            raise unusable(path, error) from error
        if isinstance(error, UnicodeDecodeError):  # what SQLite has to say of it quotes what is in it
            raise damaged(path, error) from error
        raise
    return file


def check_place(path: Path) -> None:
    """See that a file can be where a journal is, or is to be.

    Raises
    ------
    JournalError
        if not

    """
    if path.is_dir():
        raise JournalError(f"{called(path)} is a folder: choose another path")
    if not path.parent.is_dir():
        raise JournalError(f"{called(path)} cannot be made, because its folder does not exist: create it")


def make_tables(file: sqlite3.Connection) -> None:
    """Make what is in a journal, in a file that has nothing yet."""
    if not file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        for table in _TABLES:
            file.execute(table)
        file.execute(f"PRAGMA application_id = {_APPLICATION}")
        file.execute(f"PRAGMA user_version = {FORMAT}")


def called(path: Path) -> str:
    """Call a journal something in a sentence."""
    return f"the journal {str(path)!r}"


def unusable(path: Path, error: sqlite3.Error) -> JournalError:
    """Say in a sentence what SQLite has to say."""
    text = str(error)
    if "locked" in text:
        return JournalError(
            f"{called(path)} is in use by a distributor that runs: end that one or choose another path"
        )
    if isinstance(error, sqlite3.OperationalError):
        return JournalError(f"{called(path)} cannot be read and written: {text}")
    return damaged(path, text)


def damaged(path: Path, finding: object) -> JournalError:
    """Say that what is in the file makes no sense."""
    return JournalError(
        f"{called(path)} is damaged, or is no journal ({finding}): move it away to begin a new run, "
        f"or choose another path"
    )


def _check(file: sqlite3.Connection, path: Path) -> None:
    """Refuse what was not written by this library, or by a newer one; nothing is changed before."""
    (application,) = file.execute("PRAGMA application_id").fetchone()
    (version,) = file.execute("PRAGMA user_version").fetchone()
    (tables,) = file.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != _APPLICATION and (application or tables):
        raise JournalError(
            f"{called(path)} is no journal but a database of something else: choose another path"
        )
    if version > FORMAT:
        raise JournalError(
            f"{called(path)} has the format {version}, and this version knows {FORMAT}: "
            f"go on with the version that wrote it, or choose another path"
        )
    for (finding,) in file.execute("PRAGMA quick_check(1)"):
        if finding != "ok":
            raise damaged(path, finding)
