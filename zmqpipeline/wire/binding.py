"""Binds an address, so that two roles never hold the same one and no socket file stays behind.

libzmq deletes whatever stands at an ipc path before it binds, a live peer's
socket or a user's file alike, and leaves its own file when it closes. So a role
takes a lock beside the path, looks at what stands there, and cleans up.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket as plain
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import zmq

from zmqpipeline.descriptors import EndpointAddress
from zmqpipeline.errors import BindError
from zmqpipeline.helpers import endpoint_binding

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

#: Seconds that a listener has to accept the probe; one that is too busy to is live all the same.
PROBE_TIMEOUT = 1.0

#: Who looks at a lock (see bindable.py) holds it for much less than this, in seconds.
_A_LOOK = 0.001

#: The umask belongs to the whole process: two threads that swap it at once could leave it changed.
_umask_lock = threading.Lock()

_ADVICE = {
    errno.EADDRINUSE: "the address is in use; end the process that holds it or choose another address",
    errno.EACCES: "permission is denied; choose a folder that this user may write to",
    errno.EPERM: "permission is denied; choose a folder that this user may write to",
    errno.EROFS: "the file system is read-only; choose a folder that this user may write to",
    errno.ENOENT: "its folder does not exist; create it or choose another path",
    errno.ENOTDIR: "its folder is a file; choose another path",
    errno.ENODEV: "this machine has no such interface; use '*' to bind all of them",
    errno.EADDRNOTAVAIL: "this machine has no such address; use '*' to bind every interface",
    errno.EAFNOSUPPORT: "this system does not support such addresses; use another kind",
    errno.EPROTONOSUPPORT: "this build of libzmq does not support such addresses; use another kind",
    int(zmq.Errno.ENOCOMPATPROTO): "this type of socket cannot use such addresses; use another kind",
}


class Binding:
    """An address that a socket has bound; closing it cleans up what stands in the file system.

    The socket is closed by whoever made it, before or after. A process that was
    forked from the one that bound removes nothing.

    Attributes
    ----------
    address
        the address as it was asked for
    endpoint
        the address as libzmq has bound it

    """

    def __init__(self, address: EndpointAddress, endpoint: str, file: _SocketFile | None = None) -> None:
        self.address = address
        self.endpoint = endpoint
        self._file = file

    def close(self) -> None:
        """Remove the socket file, if it is still the one that was bound, and the lock; again does nothing."""
        file, self._file = self._file, None
        if file is not None:
            file.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def bind(socket: zmq.Socket[Any], address: str) -> Binding:
    """Bind a socket to what peers connect to as `address`.

    A tcp host becomes all interfaces, or loopback only, as
    :func:`~zmqpipeline.helpers.endpoint_binding` says. An ipc path is relative
    to the working directory; only this user may connect to it. While it is
    bound, ``<path>.lock`` stands beside it.

    Parameters
    ----------
    socket
        a socket that is not closed
    address
        what :class:`~zmqpipeline.EndpointAddress` takes

    Raises
    ------
    BindError
        the address is in use, or not allowed; it is an ``OSError``, with `errno` where there is one
    EndpointError
        the address is not valid

    """
    checked = EndpointAddress(address)
    if checked.scheme == "ipc" and not checked.target.startswith("@"):
        return _bind_file(socket, checked)
    endpoint = endpoint_binding(checked)
    if checked.scheme == "ipc":
        # libzmq deletes a file of that name before it binds the abstract one.
        refuse_what_is_no_socket(checked)
    if "[" in endpoint:
        socket.ipv6 = True
    _bind(socket, checked, endpoint)
    return Binding(checked, _last_endpoint(socket))


def _bind(socket: zmq.Socket[Any], address: EndpointAddress, endpoint: str) -> None:
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise bind_error(address, error.errno or 0, str(error)) from error


def _last_endpoint(socket: zmq.Socket[Any]) -> str:
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    return os.fsdecode(endpoint).rstrip("\0") if isinstance(endpoint, bytes) else ""


def _bind_file(socket: zmq.Socket[Any], address: EndpointAddress) -> Binding:
    """Bind an ipc path, under its lock and where nothing stands that is alive."""
    file = _SocketFile(address)
    try:
        refuse_what_is_no_socket(address)
        refuse_what_is_alive(address)
        with _umask_lock:
            umask = os.umask(0o077)
            try:
                # libzmq makes the file in this thread, before bind returns.
                _bind(socket, address, str(address))
            finally:
                os.umask(umask)
        file.claim()
    except BaseException:
        file.release()
        raise
    return Binding(address, _last_endpoint(socket), file)


class _SocketFile:
    """The file of an ipc address, and the lock beside it.

    Parameters
    ----------
    address
        the address whose lock is taken

    Raises
    ------
    BindError
        another role has the lock, or it cannot be made

    """

    def __init__(self, address: EndpointAddress) -> None:
        # Absolute, because the working directory may be another one when it is removed.
        self._path = Path(address.target).absolute()
        self._inode: tuple[int, int] | None = None
        self._pid = os.getpid()
        self._lock_path = Path(f"{self._path}.lock")
        self._lock = _take_lock(address, self._lock_path)

    def claim(self) -> None:
        """Remember the file that was bound as ours."""
        self._inode = _inode(self._path)

    def release(self) -> None:
        """Remove what is ours, and the lock last, so that nobody binds in between."""
        # What cannot be removed any more must not keep a role from ending.
        with self._lock, suppress(OSError):
            if self._pid == os.getpid():
                if self._inode is not None and _inode(self._path) == self._inode:
                    self._path.unlink()
                self._lock_path.unlink()


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _take_lock(address: EndpointAddress, path: Path) -> IO[str]:
    """Open and lock the file at `path`; its text is the process that holds it, for whoever looks."""
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise bind_error(address, error.errno or 0, str(error)) from error
        lock = os.fdopen(fd, "r+", encoding="ascii", errors="replace")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who had it may have removed the file after it was opened here: then it locks nobody out.
            if _inode(path) == (os.fstat(fd).st_dev, os.fstat(fd).st_ino):
                lock.truncate()
                lock.write(f"{os.getpid()}\n")
                lock.flush()
                return lock
        except BlockingIOError as error:
            if _is_looked_at(lock):
                lock.close()
                time.sleep(_A_LOOK)
                continue
            with lock:
                holder = lock.read(20).strip()
            raise in_use(address, f"process {holder}" if holder.isdecimal() else "another process") from error
        except OSError as error:
            lock.close()
            raise bind_error(address, error.errno or 0, str(error)) from error
        lock.close()


def _is_looked_at(lock: IO[str]) -> bool:
    """Tell whether a lock is only held for a moment, by somebody who wants to know who has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def refuse_what_is_no_socket(address: EndpointAddress) -> None:
    """Raise if something stands at the path that libzmq would delete though it is no socket."""
    try:
        mode = Path(address.target).lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        error = BindError(
            f"cannot bind {str(address)!r}: a file that is no socket stands there;"
            " move it or choose another path"
        )
        error.errno = errno.EEXIST
        raise error


def refuse_what_is_alive(address: EndpointAddress) -> None:
    """Raise if somebody listens at the path, who may be no role of this library and know no lock."""
    with plain.socket(plain.AF_UNIX, plain.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_TIMEOUT)
        try:
            probe.connect(address.target)
        except (FileNotFoundError, ConnectionRefusedError):
            return  # nothing there, or a dead process left it
        except PermissionError as error:
            raise bind_error(address, errno.EACCES, str(error)) from error
        except OSError as error:
            # Too busy to answer, or a socket of another kind: alive.
            raise in_use(address, "another process") from error
    raise in_use(address, "another process")


def in_use(address: EndpointAddress, holder: str) -> BindError:
    """Say who has an address."""
    error = BindError(
        f"cannot bind {str(address)!r}: {holder} has bound it; end that one or choose another address"
    )
    error.errno = errno.EADDRINUSE
    return error


def bind_error(address: EndpointAddress, number: int, otherwise: str) -> BindError:
    """Say in one sentence what is wrong with which address, and what to do."""
    advice = _ADVICE.get(number, otherwise)
    if number == errno.EACCES and address.scheme == "tcp":
        advice = "permission is denied; choose a port above 1023"
    error = BindError(f"cannot bind {str(address)!r}: {advice}")
    error.errno = number or None
    return error
