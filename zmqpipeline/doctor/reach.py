"""The addresses that roles of a file connect to, and that others bind."""

from __future__ import annotations

import logging
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import zmq

from zmqpipeline.access import Access, is_keyed, keys_of
from zmqpipeline.cli.exits import Exit
from zmqpipeline.doctor.finding import ok, problem
from zmqpipeline.errors import SecurityError
from zmqpipeline.wire import greeting, sockets
from zmqpipeline.wire.refusal import Refusal
from zmqpipeline.wire.watch import Watch

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from zmqpipeline import EndpointAddress
    from zmqpipeline.doctor.finding import Finding
    from zmqpipeline.doctor.wiring import Use
    from zmqpipeline.keys import Keys
    from zmqpipeline.wire.curve import Credentials
    from zmqpipeline.wire.greeting import Greeting

_ABOUT = "endpoints"
_logger = logging.getLogger("zmqpipeline.doctor")
#: how long a handshake with a key may take, in seconds: the answer may have to wait for the program there
KNOCK_TIMEOUT = 10.0
#: a handshake that was broken off so often is refused
_BROKEN_OFF = 3


def findings(address: EndpointAddress, peer: str, connections: list[Use]) -> Iterator[Finding]:
    """See whether somebody is at an address, and lets in who is going to connect there.

    Parameters
    ----------
    address
        where
    peer
        who is meant to be there
    connections
        those that lead there

    """
    found = _greeted(address, peer)
    if not isinstance(found, greeting.Greeting):
        yield found
        return
    if found.version < (3, 0):
        sentence = (
            f"what listens at {address} speaks ZMTP {'.'.join(map(str, found.version))}, and 3.0 or newer is "
            f"needed: install a newer ZeroMQ there, or correct the address"
        )
        yield problem(_ABOUT, sentence, Exit.PEER_TIMEOUT)
        return
    yield ok(_ABOUT, f"{address} is reached, and a ZeroMQ socket {found.keyed} answers ({peer})")
    if is_keyed(address):
        yield from _keys(address, found, connections)


def _greeted(address: EndpointAddress, peer: str) -> Greeting | Finding:
    """Ask who is there; if nobody is, say why and what to do."""
    try:
        found = greeting.ask(address)
    except greeting.SilentError:
        sentence = (
            f"whoever listens at {address} says nothing: see whether that process was stopped, or is another "
            f"program than {peer}"
        )
    except socket.gaierror as error:
        sentence = unresolved(address, error)
    except (ConnectionRefusedError, FileNotFoundError):
        sentence = f"nobody listens at {address}: start {peer}{_where(address)}, or correct the address"
    except TimeoutError:
        sentence = (
            f"{address} does not answer within {greeting.TIMEOUT:g} s: see that the host is up, and that its "
            f"firewall lets the port through"
        )
    except OSError as error:
        sentence = f"{address} cannot be reached ({error.strerror}): correct the address, or the network"
    else:
        if found is not None:
            return found
        sentence = (
            f"what listens at {address} is no ZeroMQ socket: end it and start {peer}, or correct the address"
        )
    return problem(_ABOUT, sentence, Exit.PEER_TIMEOUT)


def _where(address: EndpointAddress) -> str:
    """Say in which folder a relative path is meant."""
    is_relative = address.scheme == "ipc" and not address.target.startswith(("/", "@"))
    return f" in the folder {Path.cwd()}" if is_relative else ""


def unresolved(address: EndpointAddress, error: OSError) -> str:
    """Say that a host has no address."""
    return (
        f"{address}: the name of the host cannot be resolved ({error.strerror}); correct it, or write its "
        f"address in numbers"
    )


def _keys(address: EndpointAddress, found: Greeting, connections: list[Use]) -> Iterator[Finding]:
    """See whether both sides have keys, and whether ours is let in; what is one question is asked once."""
    users: dict[tuple[str, int], list[Use]] = {}
    for use in connections:
        folder = keys_of(use.role, use.role.keys)
        users.setdefault(("" if folder is None else str(folder.folder), use.kind), []).append(use)
    for (_, kind), same in users.items():
        names = ", ".join(dict.fromkeys(use.user for use in same))
        keys = keys_of(same[0].role, same[0].role.keys)
        try:
            yield from _tried(address, found, kind, names, keys)
        except SecurityError:
            return  # told where the keys are looked at


def _tried(
    address: EndpointAddress, found: Greeting, kind: int, names: str, keys: Keys | None
) -> Iterator[Finding]:
    access = Access(keys, _logger, names)
    why: Refusal | None = None
    if found.has_keys != (keys is not None):
        why = Refusal.ONE_SIDED
    elif keys is None or kind == zmq.PULL:
        return  # a PULL would get what is meant for the distributor, and the collector's other address tells
    else:
        why = knock(address, kind, keys.credentials)
    if why is None:
        yield ok(_ABOUT, f"{names} is let in at {address}")
    else:
        sentence = access.of_refusing(address, why, _BROKEN_OFF)
        yield problem(_ABOUT, f"{names} {sentence}", Exit.SECURITY)


def knock(address: EndpointAddress, kind: int, credentials: Credentials) -> Refusal | None:
    """Show a key, and say nothing; tell why it was refused, or None if it was let in.

    Parameters
    ----------
    address
        where
    kind
        the type of socket that belongs there
    credentials
        the key

    """
    until = time.monotonic() + KNOCK_TIMEOUT
    with zmq.Context() as context:
        made: zmq.Socket[bytes] = sockets.make_socket(context, kind)
        made.linger = 0
        watch = Watch(made, address)
        try:
            sockets.connect(made, address, credentials)
            refusals: Counter[Refusal] = watch.refusals
            while (left := until - time.monotonic()) > 0:
                watch.monitor.poll(int(left * 1000) + 1)
                if watch.drain().came:
                    return None
                for why, count in refusals.items():
                    if why is not Refusal.BROKEN or count >= _BROKEN_OFF:
                        return why
            return Refusal.BROKEN
        finally:
            watch.close()
            made.close(linger=0)
