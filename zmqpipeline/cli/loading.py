"""Loads the user's file and finds the roles in it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from zmqpipeline.cli import exits
from zmqpipeline.cli.exits import CommandError, Exit
from zmqpipeline.cli.starting import StoppedEarly
from zmqpipeline.errors import DeclarationError
from zmqpipeline.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


class _RunWhileLoading(BaseException):
    """Raised by ``run()`` while the file is loaded; no ``except Exception`` of the file may hide it."""


def load(target: str) -> ModuleType:
    """Import a file under its own name, or a module by its path, without running any role.

    Parameters
    ----------
    target
        path of a ``.py`` file, or the dotted path of a module

    Raises
    ------
    CommandError
        it cannot be loaded, or runs a role while it is

    """
    path = Path(target)
    if path.suffix == ".py" or "/" in target or path.exists():
        return _loading(target, lambda: _import_file(target, path))
    return _loading(target, lambda: _import_module(target))


def _import_file(target: str, path: Path) -> ModuleType:
    if not target:
        raise _wrong("FILE is empty, expected a Python file, or the dotted path of a module")
    if path.is_dir():
        raise _wrong(f"{target} is a folder, expected a Python file, or the dotted path of a module")
    if not path.exists():
        raise _wrong(f"there is no file {target}")
    if path.suffix != ".py":
        raise _wrong(f"{target} is not a Python file: its name does not end in .py")
    path = path.resolve()
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) != str(path):
        raise _wrong(
            f"{target} has the name of the module {path.stem!r}, which is loaded already: rename the file"
        )
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise _wrong(f"{target} cannot be loaded by Python")
    module = importlib.util.module_from_spec(spec)
    # known under its name before it runs, so that what it imports can import it
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _import_module(target: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    if not all(part.isidentifier() for part in target.split(".")):
        raise _wrong(f"there is no file {target}, and it is not the path of a module")
    try:
        return importlib.import_module(target)
    except ModuleNotFoundError as error:
        if error.name is not None and (target == error.name or target.startswith(f"{error.name}.")):
            raise _wrong(f"there is no file {target} and no module of that name") from None
        raise


def _loading(target: str, import_it: _Import) -> ModuleType:
    """Import, and turn whatever the file raises into a sentence."""
    ran: list[str] = []
    with _no_role_runs(ran):
        try:
            module = import_it()
        except CommandError:
            raise
        except (KeyboardInterrupt, StoppedEarly):
            raise
        except _RunWhileLoading:
            pass  # told below, like one that the file has caught
        except BaseException as error:  # noqa: BLE001 - a file may raise anything, SystemExit included
            if not ran:
                _explain(target, error)
    if ran:
        raise _wrong(ran[0])
    return module


def _explain(target: str, error: BaseException) -> NoReturn:
    """Say in one sentence why a file cannot be loaded."""
    if isinstance(error, SyntaxError):
        line = "" if error.lineno is None else f", line {error.lineno}"
        raise _wrong(f"{error.filename or target}{line}: {error.msg}") from None
    where = _line_in_program(error) or target
    if isinstance(error, DeclarationError):
        raise CommandError(f"{where}: {error}", Exit.WRONG_DECLARATION) from None
    if isinstance(error, SystemExit):
        raise _wrong(
            f"{where}: sys.exit() while the file is loaded; put it under if __name__ == '__main__':"
        ) from None
    if isinstance(error, UnicodeDecodeError):
        raise _wrong(f"{target} is not a text in UTF-8: {error}") from None
    sentence = f"{where}: the file cannot be loaded: {type(error).__name__}: {error}"
    raise CommandError(sentence, Exit.WRONG_FILE, exits.trimmed_traceback(error)) from None


def _line_in_program(error: BaseException) -> str | None:
    """Name the last line of the program that an error came through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if exits.is_program(f.filename)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else None


@contextlib.contextmanager
def _no_role_runs(ran: list[str]) -> Iterator[None]:
    """Refuse to run roles while inside, and note the line that tried to."""

    def refuse(role: Role) -> None:
        callers = [frame for frame in traceback.extract_stack() if exits.is_program(frame.filename)]
        where = f"{callers[-1].filename}, line {callers[-1].lineno}: " if callers else ""
        ran.append(
            f"{where}{type(role).__name__}.run() is called while the file is loaded; "
            f"put it under if __name__ == '__main__':"
        )
        raise _RunWhileLoading

    before = Role._before_run  # noqa: SLF001
    Role._before_run = refuse  # type: ignore[method-assign,assignment] # noqa: SLF001
    try:
        yield
    finally:
        Role._before_run = before  # type: ignore[method-assign] # noqa: SLF001


def _wrong(sentence: str) -> CommandError:
    return CommandError(sentence, Exit.WRONG_FILE)


if TYPE_CHECKING:
    from collections.abc import Callable

    _Import = Callable[[], ModuleType]
