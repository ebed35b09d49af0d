"""``zmqpipeline run --reload``: when a file of a program changes, its roles begin again with the new code."""

from __future__ import annotations

import signal
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from zmqpipeline.cli import exits
from zmqpipeline.cli import run as running
from zmqpipeline.cli.asking import OutdatedError
from zmqpipeline.cli.exits import CommandError, Exit, of_signal, say
from zmqpipeline.cli.starting import StoppedEarly
from zmqpipeline.cli.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from types import TracebackType

    from typing_extensions import Self

#: what is in these folders is no program that is being written
_IGNORED = frozenset(("__pycache__", "node_modules", "site-packages", "venv"))
#: so often it is looked whether the command ends, in milliseconds
_LOOK = 100


class StoppedWaiting(StoppedEarly):
    """Raised by a signal while nothing runs."""

    @property
    def sentence(self) -> str:
        """What a person is told."""
        name = signal.Signals(int(self.code or 0) - 128).name
        return f"stopped by {name} while it waited for a change"


def run(target: str, workers: int | None, options: list[str], environ: Mapping[str, str]) -> int:
    """Run every role of a file, and those again that a change concerns.

    Parameters
    ----------
    target, workers, options, environ
        see :func:`zmqpipeline.cli.run.run`

    Returns
    -------
    int
        the exit code, once a signal has come

    Raises
    ------
    CommandError
        if watchfiles is missing, or the folder cannot be watched
    StoppedEarly
        if a signal comes while nothing runs

    """
    # bytecode is known by the second in which its source was written: two changes in one would be the same
    without_bytecode = {**environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with Watcher(folder_of(target)) as watcher:
        while True:
            watcher.take()  # what begins now finds it all
            try:
                ended = running.run(target, workers, options, without_bytecode, watcher)
            except OutdatedError:
                continue
            except CommandError as error:
                exits.report(exits.of_exception(error, "zmqpipeline"))
            else:
                if ended.signal is not None:
                    return of_signal(ended.signal)
                if ended.is_outdated:
                    continue
            watcher.wait()


def folder_of(target: str) -> Path:
    """Tell which folder is watched: that of the file, or of modules the working directory.

    Raises
    ------
    CommandError
        if there is no such folder, and so no file

    """
    path = Path(target)
    is_file = path.suffix == ".py" or "/" in target or path.exists()
    folder = path.resolve().parent if is_file else Path.cwd()
    if not folder.is_dir():
        raise CommandError(f"there is no file {target}", Exit.WRONG_FILE)
    return folder


class Watcher:
    """Watches the Python files of a folder, and of those in it, in a thread.

    Parameters
    ----------
    folder
        which one

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: the files that have changed; no lock is needed, so a signal that raises leaves none locked
        self._names: deque[str] = deque()
        self._error: Exception | None = None
        self._is_watching = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, args=(_watch_function(),), name="reload", daemon=True
        )
        self._wakeup = Wakeup()

    def has_changed(self) -> bool:
        """Tell whether something has changed since :meth:`take`."""
        self._check()
        return bool(self._names)

    def take(self) -> list[str]:
        """Return the files of the folder that have changed since the last call."""
        self._check()
        names = set()
        while self._names:
            names.add(self._names.popleft())
        return sorted(names)

    def wait(self) -> None:
        """Say that this is waited for, and wait until something changes.

        Raises
        ------
        StoppedWaiting
            if a signal comes first

        """
        stopped: list[int] = []
        with self._wakeup.signals():
            if not self.has_changed():
                say(f"waiting for a change in {self.folder}; Ctrl-C ends")
            while not (stopped or self.has_changed()):
                self._wakeup.wait()
                stopped = self._wakeup.take()
        for number in (*stopped, *self._wakeup.take()):  # one may have come behind the last look
            raise StoppedWaiting(of_signal(number))

    def is_of_program(self, _change: object, path: str) -> bool:
        """Tell whether a change of a file counts."""
        changed = Path(path)
        folders = changed.relative_to(self.folder).parts[:-1] if changed.is_relative_to(self.folder) else ()
        hidden = any(name in _IGNORED or name.startswith(".") for name in folders)
        return changed.suffix == ".py" and not changed.name.startswith(".") and not hidden

    def _watch(self, watch: Callable[..., Generator[Iterable[tuple[object, str]], None, None]]) -> None:
        try:
            # a turn without news shows that it has begun
            for changes in watch(
                self.folder,
                watch_filter=self.is_of_program,
                stop_event=self._ended,
                rust_timeout=_LOOK,
                yield_on_timeout=True,
                raise_interrupt=False,
            ):
                self._is_watching.set()
                names = {str(Path(path).relative_to(self.folder)) for _, path in changes}
                if names:
                    self._note(names)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is watched any more
            self._error = error
        finally:
            self._is_watching.set()
            self._wakeup.wake()

    def _note(self, names: set[str]) -> None:
        self._names.extend(names)
        self._wakeup.wake()

    def _check(self) -> None:
        if self._error is not None:
            raise CommandError(
                f"the folder {self.folder} cannot be watched ({self._error}): run it without --reload, or "
                f"move the program to a folder of its own",
                Exit.USAGE,
            )

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_watching.wait()
        try:
            self._check()
        except CommandError:
            self._wakeup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._wakeup.close()


def _watch_function() -> Callable[..., Generator[Iterable[tuple[object, str]], None, None]]:
    try:
        from watchfiles import watch  # noqa: PLC0415 - only for --reload
    except ImportError as error:
        raise CommandError(
            '--reload needs watchfiles: pip install "zmqpipeline[reload]"', Exit.MISSING_EXTRA
        ) from error
    return watch
