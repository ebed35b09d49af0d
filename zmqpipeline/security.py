"""What may be bound without keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from zmqpipeline.errors import SecurityError
from zmqpipeline.helpers import endpoint_binding

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

_ADVICE = "make keys with: zmqpipeline keys new FOLDER, then set ZMQPIPELINE_KEYS=FOLDER in every process"


class Security:
    """What this process insists on.

    Set it before a role runs: ``zmqpipeline.Security.required = True``, or
    ``ZMQPIPELINE_SECURITY=required`` in the environment.

    Attributes
    ----------
    required
        whether it is an error to bind an address that is open to the network without keys; by default, a
        warning is logged

    """

    #: the environment's word for the same
    VARIABLE: ClassVar[str] = "ZMQPIPELINE_SECURITY"
    _WORD: ClassVar[str] = "required"

    required: ClassVar[bool] = False

    @classmethod
    def is_required(cls) -> bool:
        """Tell whether keys are required, by the program or by the environment.

        Raises
        ------
        zmqpipeline.errors.SecurityError
            if the environment says something else, which may be meant to be this

        """
        word = os.environ.get(cls.VARIABLE, "")
        if word not in ("", cls._WORD):
            raise SecurityError(f"{cls.VARIABLE} is {word!r}, expected {cls._WORD!r}, or that it is not set")
        return cls.required or word == cls._WORD


def check(addresses: Iterable[str | None], logger: logging.Logger, subject: str) -> None:
    """Look at what a role without keys is going to bind; call it before any of it is bound.

    Parameters
    ----------
    addresses
        where it will bind; what is None is left out
    logger, subject
        where a warning goes, and what the role calls itself there

    Raises
    ------
    zmqpipeline.errors.SecurityError
        if one is open to the network, and keys are required

    """
    required = Security.is_required()
    exposed = [address for address in addresses if address is not None and is_open(address)]
    if required and exposed:
        raise SecurityError(f"{exposed[0]} is open to the network, and keys are required: {_ADVICE}")
    for address in exposed:
        logger.warning("%s: %s", subject, warning(address))


def warning(address: str) -> str:
    """Say of an open address, bound without keys, what that means and what to do."""
    return f"whoever can connect to {address} takes part: {_ADVICE}"


def is_open(address: str) -> bool:
    """Tell whether other machines can connect to what a role binds for an address."""
    return endpoint_binding(address).startswith(("tcp://*:", "tcp://[::]:"))
