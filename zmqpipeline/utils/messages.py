"""The path that the tutorial gives to :mod:`zmqpipeline.wire.messages`."""

from __future__ import annotations

import sys

from zmqpipeline.wire import messages
from zmqpipeline.wire.messages import (
    ALL_MESSAGE_TYPES,
    MESSAGE_TYPE_ACK,
    MESSAGE_TYPE_DATA,
    MESSAGE_TYPE_EMPTY,
    MESSAGE_TYPE_END,
    MESSAGE_TYPE_FAILURE,
    MESSAGE_TYPE_GOODBYE,
    MESSAGE_TYPE_HEARTBEAT,
    MESSAGE_TYPE_HELLO,
    MESSAGE_TYPE_META_DATA,
    MESSAGE_TYPE_READY,
    MESSAGE_TYPE_RESET,
    MESSAGE_TYPE_RETURN,
    MESSAGE_TYPE_ROUTING,
    MESSAGE_TYPE_SUCCESS,
    MESSAGE_TYPE_UNKNOWN,
    MESSAGE_TYPE_WELCOME,
    create,
    create_ack,
    create_data,
    create_empty,
    create_end,
    create_failure,
    create_metadata,
    create_ready,
    create_routing,
    create_success,
    get,
)

__all__ = [
    "ALL_MESSAGE_TYPES",
    "MESSAGE_TYPE_ACK",
    "MESSAGE_TYPE_DATA",
    "MESSAGE_TYPE_EMPTY",
    "MESSAGE_TYPE_END",
    "MESSAGE_TYPE_FAILURE",
    "MESSAGE_TYPE_GOODBYE",
    "MESSAGE_TYPE_HEARTBEAT",
    "MESSAGE_TYPE_HELLO",
    "MESSAGE_TYPE_META_DATA",
    "MESSAGE_TYPE_READY",
    "MESSAGE_TYPE_RESET",
    "MESSAGE_TYPE_RETURN",
    "MESSAGE_TYPE_ROUTING",
    "MESSAGE_TYPE_SUCCESS",
    "MESSAGE_TYPE_UNKNOWN",
    "MESSAGE_TYPE_WELCOME",
    "create",
    "create_ack",
    "create_data",
    "create_empty",
    "create_end",
    "create_failure",
    "create_metadata",
    "create_ready",
    "create_routing",
    "create_success",
    "get",
]

# One module under two names, so that it does not matter which of them a program imports.
sys.modules[__name__] = messages
