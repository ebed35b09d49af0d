"""Ends a connection that libzmq has accepted, for which it has no function."""

from __future__ import annotations

import os
import socket as plain


def hang_up(descriptor: int, endpoint: str) -> None:
    """End a connection, as if the peer had gone; libzmq finds out and closes it.

    The connection may have ended since it was heard of, and its number may be that of something else. That is
    left alone, unless it is a connection of the same endpoint, which then is the one that came last.

    Parameters
    ----------
    descriptor
        the file descriptor, as the monitor of a bound socket tells it
    endpoint
        where that socket is bound, as libzmq says it

    """
    try:
        connection = plain.socket(fileno=descriptor)  # no copy: there may be no descriptor left for one
    except OSError:
        return  # it is no socket any more
    try:
        if _is_of(connection, endpoint):
            connection.shutdown(plain.SHUT_RDWR)
    except OSError:
        pass  # the peer was quicker
    finally:
        connection.detach()


def _is_of(connection: plain.socket, endpoint: str) -> bool:
    scheme, _, target = endpoint.partition("://")
    name = connection.getsockname()
    if connection.family == plain.AF_UNIX:
        path = os.fsdecode(name).replace("\0", "@", 1)
        return scheme == "ipc" and path == target
    return scheme == "tcp" and str(name[1]) == target.rpartition(":")[2]
