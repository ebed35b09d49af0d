"""A folder with keys: the pipeline's, those of who connects with it, and the list of who may connect."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from functools import cached_property
from pathlib import Path

from zmqpipeline.errors import SecurityError
from zmqpipeline.wire import curve
from zmqpipeline.wire.curve import Credentials, Pair

#: the name under which a new pipeline's own folder is on its list
LOCAL = "local"

_PIPELINE, _PIPELINE_PUBLIC, _PEER, _AUTHORIZED = "pipeline.key", "pipeline.pub", "peer.key", "authorized"
_SUFFIX = ".pub"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,99}")
_MAKE = "make one with: zmqpipeline keys new FOLDER"
#: a file with keys is not longer, in bytes
_LONGEST = 1000


class Keys:
    """The keys of a pipeline, or of one host that takes part in it.

    Nothing is read before it is asked for, and what a role needs is read once.
    Everything is for its owner alone: a folder or a file that others may read or
    change is refused.

    Parameters
    ----------
    folder
        its path

    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        # absolute, because the list is read again later, perhaps from another working directory
        self.folder = _expanded(folder).absolute()

    @classmethod
    def new(cls, folder: str | os.PathLike[str], pipeline: str | None = None) -> Keys:
        """Make a folder, all of it or nothing; what is there is never overwritten.

        Parameters
        ----------
        folder
            a path where nothing is, or an empty folder
        pipeline
            the public key of a pipeline that this host takes part in; None makes a new pipeline

        Raises
        ------
        SecurityError
            if something is there, it cannot be made, or the public key is none

        """
        import shutil  # noqa: PLC0415 - a role makes no keys
        import tempfile  # noqa: PLC0415

        made = cls(folder)
        _check_key(pipeline)
        peer = curve.make_pair()
        try:
            made.folder.parent.mkdir(parents=True, exist_ok=True)
            # its mode is 0700
            rough = Path(tempfile.mkdtemp(prefix=f".{made.folder.name}-", dir=made.folder.parent))
        except OSError as error:
            raise _cannot("make", made.folder, error) from error
        try:
            if pipeline is None:
                own = curve.make_pair()
                pipeline = own.public
                _write(rough / _PIPELINE, own.public, own.secret)
                (rough / _AUTHORIZED).mkdir(0o700)
                _write(rough / _AUTHORIZED / f"{LOCAL}{_SUFFIX}", peer.public)
            _write(rough / _PIPELINE_PUBLIC, pipeline)
            _write(rough / _PEER, peer.public, peer.secret)
            rough.rename(made.folder)
        except OSError as error:
            if made.folder.exists():
                raise SecurityError(
                    f"{made.folder} is there already, and keys are never overwritten: choose another folder"
                ) from error
            raise _cannot("make", made.folder, error) from error
        finally:
            shutil.rmtree(rough, ignore_errors=True)  # it is not there any more, if all went well
        return made

    @cached_property
    def pipeline(self) -> Pair:
        """The pipeline's key pair, for whoever binds."""
        return self._pair(
            _PIPELINE, "whoever binds needs it: use the folder that the pipeline was made with, or "
        )

    @cached_property
    def credentials(self) -> Credentials:
        """What a socket shows when it connects."""
        return Credentials(self.pipeline_public, self.peer)

    @property
    def pipeline_public(self) -> str:
        """The pipeline's public key."""
        return self._read(_PIPELINE_PUBLIC, ("public",))[0]

    @property
    def peer(self) -> Pair:
        """The key pair of who connects with this folder."""
        return self._pair(_PEER)

    @property
    def binds(self) -> bool:
        """Whether the folder is one to bind with: it has the pipeline's secret key."""
        return (self.folder / _PIPELINE).exists()

    @property
    def allowed(self) -> AllowList:
        """The list of who may connect, as the ZAP handler asks it."""
        return AllowList(self.folder / _AUTHORIZED)

    def authorized(self) -> dict[str, str]:
        """Read the list: public keys by name.

        Raises
        ------
        SecurityError
            if a file of it is damaged, or not for its owner alone

        """
        _check_folder(self.folder)
        folder = self.folder / _AUTHORIZED
        _check_folder(folder, f"{self.folder} is no folder to bind with: it has no list of who may connect; ")
        return {path.name.removesuffix(_SUFFIX): read(path, ("public",))[0] for path in _listed(folder)}

    def authorize(self, name: str, key: str) -> None:
        """Let the owner of a key connect from now on; one that may already changes nothing.

        Raises
        ------
        SecurityError
            if the name or the key is none, or is on the list with another

        """
        _check_name(name)
        _check_key(key)
        known = self.authorized()
        if known.get(name) == key:
            return
        other = next((other for other, its_key in known.items() if its_key == key), None)
        if other is not None:
            raise SecurityError(
                f"this key is authorized already, as {other}: revoke that name to give it another"
            )
        path = self.folder / _AUTHORIZED / f"{name}{_SUFFIX}"
        try:
            _write(path, key)
        except FileExistsError as error:
            raise SecurityError(
                f"{name} is authorized already, with another key: revoke it first, or choose another name"
            ) from error
        except OSError as error:
            raise _cannot("write", path, error) from error

    def revoke(self, name: str) -> None:
        """Let nobody connect any more with the key of this name; connections that are up stay.

        Raises
        ------
        SecurityError
            if there is no such name

        """
        _check_name(name)
        folder = self.folder / _AUTHORIZED
        _check_folder(self.folder)
        _check_folder(folder, f"{self.folder} is no folder to bind with: it has no list of who may connect; ")
        try:
            (folder / f"{name}{_SUFFIX}").unlink()
        except FileNotFoundError as error:
            names = ", ".join(path.name.removesuffix(_SUFFIX) for path in _listed(folder)) or "nobody"
            raise SecurityError(f"{name} is not authorized in {self.folder}, only {names}") from error
        except OSError as error:
            raise _cannot("remove", folder / f"{name}{_SUFFIX}", error) from error

    def _pair(self, name: str, hint: str = "") -> Pair:
        pair = Pair(*self._read(name, ("public", "secret"), hint))
        if not curve.is_pair(pair):
            raise SecurityError(_damaged(self.folder / name))
        return pair

    def _read(self, name: str, labels: tuple[str, ...], hint: str = "") -> list[str]:
        _check_folder(self.folder)
        return read(self.folder / name, labels, hint)


class AllowList:
    """The public keys that may connect, read again as soon as anything in their folder has changed.

    That is looked up at each request: it takes less time than the handshake that the request is part of,
    and whoever has revoked a key need not wait. A file that is damaged, or that others may
    change, lets nobody in; if that is so of the folder, nobody gets in at all.

    Parameters
    ----------
    folder
        with a file ``NAME.pub`` for each

    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: object = None
        self._names: dict[str, str] = {}

    def name_of(self, key: str) -> str | None:
        """Tell the name of a public key; None if it is not on the list.

        Raises
        ------
        SecurityError
            if the list cannot be read, or others may change it

        """
        _check_folder(self._folder.parent)
        _check_folder(self._folder)
        paths = _listed(self._folder)
        # before they are read: what changes in the meantime is then seen the next time
        state = [_state(path) for path in paths]
        if state != self._seen:
            self._names = _read_all(paths)
            self._seen = state
        return self._names.get(key)


def read(path: Path, labels: tuple[str, ...], hint: str = "") -> list[str]:
    """Read a file with keys, each on a line behind its label.

    Parameters
    ----------
    path
        the file
    labels
        what has to be in it, in this order
    hint
        what to do if it is missing, before making new keys

    Raises
    ------
    SecurityError
        if it is missing, damaged, or not for its owner alone

    """
    try:
        # a pipe that somebody has put there must not hold us up
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise SecurityError(f"{path.parent} has no {path.name}: {hint}{_MAKE}") from error
    except OSError as error:
        raise _cannot("read", path, error) from error
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise SecurityError(_damaged(path))
        _check_mode(path, found, "600")
        text = os.read(file, _LONGEST).decode("ascii", "replace")
    finally:
        os.close(file)
    pairs = [line.partition(": ") for line in text.splitlines()]
    if [label for label, _, _ in pairs] != list(labels) or not all(curve.is_key(key) for _, _, key in pairs):
        raise SecurityError(_damaged(path))
    return [key for _, _, key in pairs]


def _expanded(folder: str | os.PathLike[str]) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError as error:
        raise SecurityError(f"{folder} begins with a home that is not there: write the whole path") from error


def _read_all(paths: list[Path]) -> dict[str, str]:
    names = {}
    for path in paths:
        with contextlib.suppress(SecurityError):  # it lets nobody in; the others hold
            names[read(path, ("public",))[0]] = path.name.removesuffix(_SUFFIX)
    return names


def _listed(folder: Path) -> list[Path]:
    """List the files of the allow-list; what begins with a dot is only being written."""
    try:
        return sorted(p for p in folder.iterdir() if p.suffix == _SUFFIX and not p.name.startswith("."))
    except OSError as error:
        raise _cannot("read", folder, error) from error


def _state(path: Path) -> object:
    """Tell what differs when a file is another one, or has changed."""
    try:
        found = path.stat()
    except OSError as error:
        return path.name, error.errno
    return path.name, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _write(path: Path, public: str, secret: str | None = None) -> None:
    """Write a file with keys: it is there as a whole or not at all, and nothing is overwritten."""
    import tempfile  # noqa: PLC0415 - a role makes no keys

    text = f"public: {public}\n" + ("" if secret is None else f"secret: {secret}\n")
    descriptor, rough = tempfile.mkstemp(prefix=".", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(rough, path)
    finally:
        Path(rough).unlink()


def _check_folder(folder: Path, hint: str = "") -> None:
    """See that a folder is there, and for its owner alone."""
    try:
        found = folder.stat()
    except FileNotFoundError as error:
        missing = hint or f"there is no folder {folder} with keys: "
        raise SecurityError(missing + _MAKE) from error
    except OSError as error:
        raise _cannot("read", folder, error) from error
    if not stat.S_ISDIR(found.st_mode):
        raise SecurityError(f"{folder} is no folder: {_MAKE}")
    _check_mode(folder, found, "700")


def _check_mode(path: Path, found: os.stat_result, wanted: str) -> None:
    """See that nobody else may read or change something."""
    if found.st_uid != os.geteuid():
        raise SecurityError(
            f"{path} belongs to the user {found.st_uid}, and this process runs as {os.geteuid()}: "
            f"chown {os.geteuid()} {_quoted(path)}"
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        raise SecurityError(
            f"{path} has the mode {mode:04o}, so that others than its owner can get at keys: "
            f"chmod {wanted} {_quoted(path)}"
        )


def _quoted(path: Path) -> str:
    import shlex  # noqa: PLC0415 - only in a sentence about what is wrong

    return shlex.quote(str(path))


def _check_key(key: str | None) -> None:
    if key is not None and not curve.is_key(key):
        raise SecurityError(
            f"{key!r} is no public key, which is 40 characters: "
            f"take it from zmqpipeline keys show, in single quotes"
        )


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SecurityError(
            f"{name!r} is no name for a key: use letters, digits and '.', '-', '_' or '@' in it"
        )


def _damaged(path: Path) -> str:
    return f"{path} is damaged, or is no file with keys: put back a copy, or {_MAKE}"


def _cannot(what: str, path: Path, error: OSError) -> SecurityError:
    return SecurityError(f"cannot {what} {path}: {error.strerror or error}")
