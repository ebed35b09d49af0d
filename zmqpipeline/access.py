"""What a role does with its keys: locks what it binds, shows them where it connects, says who is refused."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zmqpipeline import security
from zmqpipeline.errors import DeclarationError
from zmqpipeline.wire.refusal import Refusal

if TYPE_CHECKING:
    import logging

    from zmqpipeline.keys import Keys
    from zmqpipeline.role import Context, Socket
    from zmqpipeline.wire.curve import Credentials
    from zmqpipeline.wire.watch import Watch
    from zmqpipeline.wire.zap import Domain

#: the environment variable that names the folder with the keys, for all roles alike
VARIABLE = "ZMQPIPELINE_KEYS"
#: whoever is refused is logged so often, in seconds: that must not flood a log
TELL_INTERVAL = 60.0
#: so often it is looked for who was refused
_LOOK_INTERVAL = 1.0
#: what to do where there is no room
_FULL = {
    Refusal.CROWDED: "as many as there may be are open there; if they are yours, raise max_connections",
    Refusal.OUT_OF_FILES: "this process has nearly as many files open as it may; raise the limit, ulimit -n",
}
#: a peer breaks off now and then, when it ends; one that does it so often in an interval does not want us
_BROKEN_OFF = 3


def keys_of(owner: object, folder: str | os.PathLike[str] | None) -> Keys | None:
    """Find the keys of a role: its own, or those that the environment names.

    Raises
    ------
    DeclarationError
        if the role's own are not a path, or an empty one: that is not how to have no keys

    """
    if folder == "" or not (folder is None or isinstance(folder, str | os.PathLike)):
        raise DeclarationError(
            f"class {type(owner).__qualname__}: keys is {folder!r}, expected the path of a folder or None"
        )
    chosen = folder or os.environ.get(VARIABLE)
    if not chosen:
        return None
    from zmqpipeline.keys import Keys  # noqa: PLC0415 - who has none need not load it

    return Keys(chosen)


@dataclass
class _Place:
    """An address, who was refused there, and how many of them were told."""

    address: str
    bound: bool
    watch: Watch
    refusals: Counter[Refusal] = field(default_factory=Counter)
    told: Counter[Refusal] = field(default_factory=Counter)
    #: until when nothing more is said of a reason, and what is not worth a sentence is added up
    silent_until: defaultdict[Refusal, float] = field(default_factory=lambda: defaultdict(float))
    counts_until: defaultdict[Refusal, float] = field(default_factory=lambda: defaultdict(float))


class Access:
    """The keys of one role, from its start to its end.

    Parameters
    ----------
    keys
        its keys, or None
    logger, subject
        where it says who was refused, and what it calls itself there

    """

    def __init__(self, keys: Keys | None, logger: logging.Logger, subject: str) -> None:
        self._keys = keys
        self._logger = logger
        self._subject = subject
        self._domain: Domain | None = None
        self._places: dict[str, _Place] = {}
        self._quiet: list[Watch] = []
        self._redialing: list[Watch] = []
        self._look_at = 0.0

    def may_bind(self, *addresses: str | None) -> None:
        """See that what this role is going to bind may be bound, before any of it is.

        Raises
        ------
        SecurityError
            if it has no keys, they are required, and one of the addresses is open to the network

        """
        if self._keys is None:
            security.check(addresses, self._logger, self._subject)

    def lock(self, socket: Socket, address: str, context: Context) -> None:
        """Let only authorized keys connect to what will be bound there, if keys count there.

        Raises
        ------
        SecurityError
            if the keys cannot be used

        """
        if self._keys is None or not is_keyed(address):
            return
        from zmqpipeline.wire import curve, zap  # noqa: PLC0415 - who has no keys need not load them

        pair = self._keys.pipeline
        self._keys.authorized()  # what is wrong with the list is an error now, and a refusal later
        if self._domain is None:
            self._domain = zap.enter(context, self._keys.allowed)
        curve.lock(socket, pair, self._domain.name)

    def credentials(self, address: str) -> Credentials | None:
        """Tell what to show at an address; None if nothing.

        Raises
        ------
        SecurityError
            if the keys cannot be used

        """
        return None if self._keys is None or not is_keyed(address) else self._keys.credentials

    def observe(self, watch: Watch, address: str, *, bound: bool, quiet: bool, redials: bool) -> None:
        """Count who is refused at an address.

        Parameters
        ----------
        watch
            what tells of it
        address
            where
        bound
            whether this role binds there
        quiet
            whether nobody else drains it
        redials
            whether it is enough to connect again after a refusal, because nothing was said that is lost

        """
        # a role that joins again has another socket, but the same peer
        place = self._places.setdefault(address, _Place(address, bound, watch))
        place.watch, watch.refusals = watch, place.refusals
        if quiet:
            self._quiet.append(watch)
        if redials:
            self._redialing.append(watch)

    def is_refused(self, address: str) -> bool:
        """Tell whether what is sent to an address may be lost: it was refused, and not let in since."""
        place = self._places.get(address)
        if place is None or not place.watch.is_refused:
            return False
        place.watch.drain()
        return place.watch.is_refused

    def problem(self, address: str) -> str:
        """Say what keeps this role from an address, and what to do; ``''`` if nothing is known of it."""
        place = self._places.get(address)
        if place is None or place.watch.connections:
            return ""
        known = _by_weight(place.refusals)
        return next(filter(None, (self.of_refusing(address, why, count) for why, count in known)), "")

    def drop(self, socket: Socket | None = None) -> None:
        """Forget the watches of a socket that is about to be closed, or all of them."""
        for watch in self._quiet:
            if socket in (None, watch.socket):
                watch.drain()
                watch.close()
        self._quiet = [w for w in self._quiet if socket not in (None, w.socket)]
        self._redialing = [w for w in self._redialing if socket not in (None, w.socket)]

    def close(self) -> None:
        """Let nobody in any more; the sockets are closed already."""
        if self._domain is not None:
            self._domain.close()
            self._domain = None

    def look(self, now: float) -> None:
        """Connect again where that is due, and say, once in a while, who was refused."""
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_INTERVAL
        for watch in self._quiet:
            watch.drain()
        for watch in self._redialing:
            watch.redial(now)
        for place in self._places.values():
            self._tell(place, now)

    def _tell(self, place: _Place, now: float) -> None:
        """Say of each reason, once in a while, what is new: it may be another peer, and another remedy."""
        for why, count in _by_weight(place.refusals - place.told):
            # who was refused breaks off as well, and that is nothing new
            known = place.silent_until.values() if why is Refusal.BROKEN else [place.silent_until[why]]
            if now < max(known, default=0.0):
                continue
            sentence = self._sentence(place, why, count)
            until = place.silent_until if sentence else place.counts_until
            if now >= until[why]:
                place.told[why], until[why] = place.refusals[why], now + TELL_INTERVAL
            if sentence:
                self._logger.warning("%s %s", self._subject, sentence)

    def _sentence(self, place: _Place, why: Refusal, count: int) -> str:
        """Say what has happened and what to do; nothing of what happens in any network."""
        if why in _FULL:
            return f"{_many(place.address, count)}: {_FULL[why]}"
        if place.bound:
            return self._of_refused(place.address, why, count)
        return self.of_refusing(place.address, why, count)

    def _of_refused(self, address: str, why: Refusal, count: int) -> str:
        many = _many(address, count)
        if why is Refusal.ONE_SIDED and self._keys is None:
            return f"{many} with a key: it has none itself, start it again with {VARIABLE}=FOLDER"
        if self._keys is None or why is Refusal.BROKEN:
            return ""
        if why is Refusal.ONE_SIDED:
            return f"{many} without a key: if they are yours, start them again with {VARIABLE}=FOLDER"
        if why is Refusal.OTHER_PIPELINE:
            return (
                f"{many} with the key of another pipeline: if they are yours, make them keys there with: "
                f"zmqpipeline keys new FOLDER --pipeline {_quoted(self._keys.pipeline.public)}"
            )
        problem = "" if self._domain is None else self._domain.problem
        if problem:
            return f"{many}, because it cannot tell whose keys are authorized: {problem}"
        key = "" if self._domain is None else self._domain.last_key
        return (
            f"{many} with a key that is not authorized: if it is yours, let it in with: "
            f"zmqpipeline keys authorize NAME {_quoted(key)} --keys {_quoted(str(self._keys.folder))}"
        )

    def of_refusing(self, address: str, why: Refusal, count: int) -> str:
        """Say what to do about who refuses this role; ``''`` if that is nothing so far.

        Parameters
        ----------
        address
            where it connects
        why
            what libzmq tells of it
        count
            how often that has happened

        """
        if why is Refusal.ONE_SIDED and self._keys is None:
            return f"finds keys at {address} and has none: start it again with {VARIABLE}=FOLDER"
        if self._keys is None:
            return ""
        if why is Refusal.ONE_SIDED:
            return f"finds no keys at {address}: start the role there again with {VARIABLE}=FOLDER"
        if why is Refusal.NOT_LISTED:
            return (
                f"is refused at {address}: let it in there with: "
                f"zmqpipeline keys authorize NAME {_quoted(self._keys.credentials.own.public)} --keys FOLDER"
            )
        if count < _BROKEN_OFF:
            return ""
        return (
            f"gets no answer to its key at {address}: if the public key of the pipeline there is not "
            f"{self._keys.credentials.pipeline}, make keys for it with: "
            f"zmqpipeline keys new FOLDER --pipeline PUBLIC_KEY"
        )


def is_keyed(address: str) -> bool:
    """Tell whether keys count there: a file is protected by its mode, and inproc is one process.

    An abstract name has no mode: whoever is on this machine can connect to it, as to a port.
    """
    return address.startswith(("tcp:", "ipc://@"))


def _many(address: str, count: int) -> str:
    return f"has refused {count} connection{'s' if count > 1 else ''} at {address}"


def _quoted(text: str) -> str:
    import shlex  # noqa: PLC0415 - only in a sentence about what is wrong

    return shlex.quote(text)


def _by_weight(refusals: Counter[Refusal]) -> list[tuple[Refusal, int]]:
    """Order refusals: both sides see most of what is wrong, and to be hung up on by the other says least."""
    return sorted(refusals.items(), key=lambda refusal: refusal[0] is Refusal.BROKEN)
