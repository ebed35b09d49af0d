"""The keys with which the roles of a file bind and connect."""

from __future__ import annotations

import logging
import shlex
from typing import TYPE_CHECKING, Any

from zmqpipeline import security
from zmqpipeline.access import is_keyed, keys_of
from zmqpipeline.cli.exits import Exit
from zmqpipeline.doctor.finding import ok, problem, warning
from zmqpipeline.errors import SecurityError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline import EndpointAddress
    from zmqpipeline.doctor.finding import Finding
    from zmqpipeline.keys import Keys

_ABOUT = "keys"
_logger = logging.getLogger("zmqpipeline.doctor")


def findings(roles: list[Any], bound: list[tuple[EndpointAddress, Any]]) -> Iterator[Finding]:
    """Look at the keys.

    Parameters
    ----------
    roles
        the classes, or instances, of all roles
    bound
        the addresses that are bound on this host, and by which of the roles

    """
    used = {str(keys.folder): keys for role in roles if (keys := keys_of(role, role.keys)) is not None}
    for folder, keys in used.items():
        binders = [keys_of(role, role.keys) for address, role in bound if is_keyed(address)]
        binds = any(own is not None and str(own.folder) == folder for own in binders)
        try:
            yield from _of_folder(keys, binds=binds)
        except SecurityError as error:
            yield problem(_ABOUT, str(error), Exit.SECURITY)
    unlocked = [address for address, role in bound if keys_of(role, role.keys) is None]
    for address in dict.fromkeys(unlocked):
        if security.is_open(address):
            try:
                security.check([address], _logger, "doctor")
            except SecurityError as error:
                yield problem(_ABOUT, str(error), Exit.SECURITY)
            else:
                yield warning(_ABOUT, security.warning(address))


def _of_folder(keys: Keys, *, binds: bool) -> Iterator[Finding]:
    """Read all that is in a folder and that a role would read.

    Raises
    ------
    SecurityError
        if something is missing, damaged, or open to others

    """
    own = keys.credentials.own.public
    yield ok(_ABOUT, f"{keys.folder} can be used to connect, with the public key {own}")
    if not binds:
        return
    pair, names = keys.pipeline, keys.authorized()
    if pair.public != keys.pipeline_public:
        raise SecurityError(
            f"{keys.folder} has a pipeline.pub that is not that of its pipeline.key: put back a copy"
        )
    yield ok(_ABOUT, f"{keys.folder} can be used to bind, and lets in {', '.join(names) or 'nobody'}")
    if own not in names.values():
        command = f"zmqpipeline keys authorize NAME {shlex.quote(own)} --keys {shlex.quote(str(keys.folder))}"
        yield warning(
            _ABOUT,
            f"{keys.folder} does not let in its own key, with which the distributor connects to the "
            f"collector: {command}",
        )
