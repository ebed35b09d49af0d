"""Answers libzmq when it asks whether a peer may connect (RFC 27/ZAP).

libzmq asks at one address of the context, whichever socket it is about. So there
is one handler for each context, in a thread of its own, from the first role that
has keys to the end of the last. Whatever it does not expect it refuses; when it
is gone, libzmq lets nobody in (see ``curve.lock``).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket as plain
import threading
from typing import TYPE_CHECKING, Protocol

import zmq
from zmq.utils import z85

from zmqpipeline.errors import SecurityError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: where libzmq asks
ENDPOINT = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
#: what a reply says; after 400 and 500 libzmq tells the peer and closes the connection
_WELCOME, _REFUSED, _FAILED = b"200", b"400", b"500"
#: the bytes of a public key
_KEY_LENGTH = 32


class AllowList(Protocol):
    """Knows who may connect."""

    def name_of(self, key: str) -> str | None:
        """Tell the name of a public key; None if it is not allowed."""


class Domain:
    """The bound sockets of a role, whose peers are looked up in one list.

    Parameters
    ----------
    name
        what its sockets are told, see ``zmq.ZAP_DOMAIN``
    allowed
        who may connect
    handler
        who answers

    Attributes
    ----------
    last_key
        the public key that was refused last, or ``''``
    problem
        why nobody could be let in the last time, in a sentence, or ``''``

    """

    def __init__(self, name: str, allowed: AllowList, handler: Handler) -> None:
        self.name = name
        self.last_key = ""
        self.problem = ""
        self._allowed = allowed
        self._handler: Handler | None = handler

    def judge(self, mechanism: bytes, credentials: list[bytes]) -> tuple[bytes, bytes, bytes]:
        """Decide about one connection; return the status, a text and the name of who it is."""
        if mechanism != b"CURVE" or len(credentials) != 1 or len(credentials[0]) != _KEY_LENGTH:
            return _REFUSED, b"a CURVE key is needed", b""
        key = z85.encode(credentials[0]).decode("ascii")
        try:
            name = self._allowed.name_of(key)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the list, nobody gets in
            self.problem = str(error) or type(error).__name__
            return _FAILED, b"the list of keys cannot be read", b""
        self.problem = ""
        if name is None:
            self.last_key = key
            return _REFUSED, b"this key is not authorized", b""
        return _WELCOME, b"OK", os.fsencode(name)  # it is a file's, so it need not be text

    def close(self) -> None:
        """Let nobody in any more; the last one ends the handler. Again does nothing.

        Nor does it in a process that was forked: what wakes the handler there, wakes the one of the parent.
        """
        handler, self._handler = self._handler, None
        if handler is not None and handler.pid == os.getpid():
            _leave(self, handler)


def reply(request: list[bytes], domains: Mapping[bytes, Domain]) -> list[bytes]:
    """Answer one request, whatever it is.

    Parameters
    ----------
    request
        the frames of RFC 27: version, request id, domain, address, identity, mechanism, credentials
    domains
        by the name that their sockets were told

    """
    number = request[1] if len(request) > 1 else b""
    if len(request) < 6 or request[0] != _VERSION:
        answer = _FAILED, b"this is no request of ZAP 1.0", b""
    elif (domain := domains.get(request[2])) is None:
        answer = _REFUSED, b"no such domain", b""
    else:
        answer = domain.judge(request[5], request[6:])
    return [_VERSION, number, *answer, b""]


class Handler:
    """The thread that answers, for one context.

    Parameters
    ----------
    context
        whose sockets it is about

    Raises
    ------
    SecurityError
        if the program has a handler of its own there

    """

    _numbers = itertools.count(1)

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._domains: dict[bytes, Domain] = {}
        self.has_ended = False
        self.pid = os.getpid()
        self._reader, self._writer = plain.socketpair()
        self._socket = context.socket(zmq.REP)
        self._thread = threading.Thread(target=self._serve, name="zap", daemon=True)
        try:
            self._begin()
        except BaseException:
            self._close()  # the context would wait for the socket for ever
            self._writer.close()
            raise

    def _begin(self) -> None:
        self._socket.linger = 0
        try:
            self._socket.bind(ENDPOINT)
        except zmq.ZMQError as error:
            raise SecurityError(
                "another ZAP handler is in this context: give roles with keys a context of their own"
            ) from error
        self._thread.start()

    def admit(self, allowed: AllowList) -> Domain:
        """Make a domain for a role."""
        domain = Domain(f"zmqpipeline-{next(self._numbers)}", allowed, self)
        self._domains[domain.name.encode()] = domain
        return domain

    def dismiss(self, domain: Domain) -> bool:
        """Forget a domain; tell whether it was the last."""
        self._domains.pop(domain.name.encode(), None)
        return not self._domains

    def end(self) -> None:
        """End the thread, and wait for that."""
        with contextlib.suppress(OSError):  # it has ended with its context
            self._writer.send(b"\0")
        self._thread.join()
        self._writer.close()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._reader, zmq.POLLIN)
        try:
            while self._reader.fileno() not in (ready := dict(poller.poll())):
                if self._socket in ready:
                    self._answer()
        except zmq.ZMQError:
            pass  # the context was terminated: nobody is left who could ask
        finally:
            self.has_ended = True
            self._close()

    def _close(self) -> None:
        with contextlib.suppress(zmq.ZMQError):  # it was not bound, or its context was terminated
            self._socket.unbind(ENDPOINT)  # else some time later: the next handler would be refused
        self._socket.close()
        self._reader.close()

    def _answer(self) -> None:
        request = self._socket.recv_multipart()
        try:
            answer = reply(request, self._domains)
        except Exception:  # noqa: BLE001 - an error in here must neither let anybody in nor end the thread
            answer = [_VERSION, request[1], _FAILED, b"internal error", b"", b""]
        self._socket.send_multipart(answer)


_handlers: dict[int, Handler] = {}
_lock = threading.Lock()


def enter(context: zmq.Context[zmq.Socket[bytes]], allowed: AllowList) -> Domain:
    """Have the bound sockets of a role looked after; call it before they are bound.

    Parameters
    ----------
    context
        where they are
    allowed
        who may connect

    Raises
    ------
    SecurityError
        if the program has a handler of its own in this context

    """
    with _lock:
        handler = _handlers.get(context.underlying)
        if handler is None or handler.has_ended:
            handler = _handlers[context.underlying] = Handler(context)
        return handler.admit(allowed)


def _leave(domain: Domain, handler: Handler) -> None:
    with _lock:
        if handler.dismiss(domain):
            for context in [context for context, known in _handlers.items() if known is handler]:
                del _handlers[context]
            handler.end()
