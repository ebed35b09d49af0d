"""Tells whether an address could be bound, without binding it.

Who binds for a moment, only to see, is found by those that wait there: they
connect, say what they have to say, and it is lost. So nothing is listened on
here, and nothing is made.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket as plain
from contextlib import suppress
from pathlib import Path

from zmqpipeline.descriptors import EndpointAddress
from zmqpipeline.helpers import endpoint_binding
from zmqpipeline.wire.binding import bind_error, in_use, refuse_what_is_alive, refuse_what_is_no_socket


def check(address: str) -> None:
    """Raise what :func:`~zmqpipeline.wire.binding.bind` would.

    Parameters
    ----------
    address
        what :class:`~zmqpipeline.EndpointAddress` takes

    Raises
    ------
    BindError
        the address is in use, or not allowed
    EndpointError
        the address is not valid

    """
    checked = EndpointAddress(address)
    if checked.scheme == "tcp":
        _check_port(checked)
    elif checked.target.startswith("@"):
        refuse_what_is_no_socket(checked)
        _check_name(checked)
    elif checked.scheme == "ipc":
        _check_folder(checked)
        holder = holder_of(checked)
        if holder is not None:
            raise in_use(checked, f"process {holder}" if holder else "another process")
        refuse_what_is_no_socket(checked)
        refuse_what_is_alive(checked)


def holder_of(address: EndpointAddress) -> int | None:
    """Tell which process has the lock of an ipc path; 0 if it does not say, None if nobody has it."""
    path = Path(f"{Path(address.target).absolute()}.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise bind_error(address, error.errno or 0, str(error)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 20).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)
    return None


def _check_port(address: EndpointAddress) -> None:
    host, _, port = endpoint_binding(address).removeprefix("tcp://").rpartition(":")
    family = plain.AF_INET6 if host.startswith("[") else plain.AF_INET
    _try(address, family, ("" if host == "*" else host.strip("[]"), int(port)))


def _check_name(address: EndpointAddress) -> None:
    """See that nobody has an abstract name; to take it, even for a moment, could keep a role from it."""
    with plain.socket(plain.AF_UNIX, plain.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect("\0" + address.target[1:])
        except ConnectionRefusedError:
            return
        except OSError as error:
            if error.errno != errno.EAGAIN:  # who is too busy to answer is there
                raise bind_error(address, error.errno or 0, str(error)) from error
    raise bind_error(address, errno.EADDRINUSE, "")


def _try(address: EndpointAddress, family: int, name: tuple[str, int]) -> None:
    """Give a socket its name as libzmq does, but never listen on it."""
    try:
        with plain.socket(family, plain.SOCK_STREAM) as probe:
            probe.setsockopt(plain.SOL_SOCKET, plain.SO_REUSEADDR, 1)
            if family == plain.AF_INET6:
                probe.setsockopt(plain.IPPROTO_IPV6, plain.IPV6_V6ONLY, 0)
            probe.bind(name)
    except OSError as error:
        raise bind_error(address, error.errno or 0, str(error)) from error


def _check_folder(address: EndpointAddress) -> None:
    """See that a file can be made where the address is."""
    folder = Path(address.target).absolute().parent
    try:
        folder.stat()
    except OSError as error:
        raise bind_error(address, error.errno or 0, str(error)) from error
    if not folder.is_dir():
        raise bind_error(address, errno.ENOTDIR, "")
    if not os.access(folder, os.W_OK | os.X_OK):
        number = errno.EACCES
        with suppress(OSError):
            number = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else number
        raise bind_error(address, number, "")
