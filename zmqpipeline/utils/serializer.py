"""The path that the original library gave to :mod:`zmqpipeline.wire.serializer`."""

from __future__ import annotations

import sys

from zmqpipeline.wire import serializer
from zmqpipeline.wire.serializer import (
    decoder,
    deserialize,
    encoder,
    explain,
    make_packer,
    register_type,
    serialization_error,
    serialize,
    unix_time,
)

__all__ = [
    "decoder",
    "deserialize",
    "encoder",
    "explain",
    "make_packer",
    "register_type",
    "serialization_error",
    "serialize",
    "unix_time",
]

# One module under two names, so that it does not matter which of them a program imports.
sys.modules[__name__] = serializer
