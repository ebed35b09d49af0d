"""Messages: a value together with a task type and a message type.

On the wire a message is a msgpack map with the keys ``data``, ``task`` and
``type``. It may hold more; :func:`get` does not look at it.
"""

from __future__ import annotations

from typing import Any, Final

import zmq

from zmqpipeline.errors import SerializationError
from zmqpipeline.wire.serializer import deserialize, serialization_error, serialize

MESSAGE_TYPE_ACK: Final = "ACK"
MESSAGE_TYPE_SUCCESS: Final = "OK"
MESSAGE_TYPE_FAILURE: Final = "FAIL"
MESSAGE_TYPE_READY: Final = "RDY"
MESSAGE_TYPE_END: Final = "END"
MESSAGE_TYPE_DATA: Final = "DATA"
MESSAGE_TYPE_META_DATA: Final = "METADATA"
MESSAGE_TYPE_EMPTY: Final = ""
#: What :func:`get` calls that which is no message; it is never sent.
MESSAGE_TYPE_UNKNOWN: Final = "UNK"
MESSAGE_TYPE_ROUTING: Final = "RTE"

#: The types that the tutorial lists.
ALL_MESSAGE_TYPES: Final = (
    MESSAGE_TYPE_ACK,
    MESSAGE_TYPE_SUCCESS,
    MESSAGE_TYPE_FAILURE,
    MESSAGE_TYPE_READY,
    MESSAGE_TYPE_END,
    MESSAGE_TYPE_DATA,
    MESSAGE_TYPE_META_DATA,
    MESSAGE_TYPE_EMPTY,
)

# The rest is this library's addition: what the roles say to each other so that nothing is lost.

#: The first message of a worker on a connection.
MESSAGE_TYPE_HELLO: Final = "HELLO"
#: The answer to HELLO, with limits and intervals.
MESSAGE_TYPE_WELCOME: Final = "WELCOME"
#: A sign of life.
MESSAGE_TYPE_HEARTBEAT: Final = "HEARTBEAT"
#: Forget everything and say HELLO; the answer to a peer of a previous life.
MESSAGE_TYPE_RESET: Final = "RESET"
#: Tasks that a worker gives back without having started them.
MESSAGE_TYPE_RETURN: Final = "RETURN"
#: The last message of a peer that leaves.
MESSAGE_TYPE_GOODBYE: Final = "BYE"


def create(data: Any, tasktype: str, msgtype: str) -> bytes:
    """Pack a message.

    Parameters
    ----------
    data
        what :func:`~zmqpipeline.serializer.serialize` takes
    tasktype
        a task type, or ``''``
    msgtype
        one of this module's constants

    Raises
    ------
    SerializationError
        the data cannot be packed, or a type is not a ``str``

    """
    for name, value in (("task", tasktype), ("type", msgtype)):
        if not isinstance(value, str):
            raise SerializationError(f"{name}: a str is expected, not {type(value).__name__}")
    return _packed({"data": data, "task": tasktype, "type": msgtype})


def _packed(message: dict[str, Any]) -> bytes:
    try:
        return serialize(message)
    except SerializationError as error:
        data = message["data"]
        # Told again from the data on: the envelope's own key in the path would puzzle who reads it.
        raise serialization_error(data, "data", error) from error.__cause__


def create_data(task: str, data: Any) -> bytes:
    """Pack a DATA message for a task type."""
    return create(data, task, MESSAGE_TYPE_DATA)


def create_metadata(metadata: Any) -> bytes:
    """Pack a METADATA message, which belongs to no task type."""
    return create(metadata, "", MESSAGE_TYPE_META_DATA)


def introduce_metadata(metadata: Any, info: dict[str, Any]) -> bytes:
    """Pack a METADATA message that says as well who gives them, for those who watch."""
    return _packed({"data": metadata, "task": "", "type": MESSAGE_TYPE_META_DATA, "info": info})


def create_ack(task: str = "", data: Any = "") -> bytes:
    """Pack an ACK message."""
    return create(data, task, MESSAGE_TYPE_ACK)


def create_success(task: str = "", data: Any = "") -> bytes:
    """Pack an OK message."""
    return create(data, task, MESSAGE_TYPE_SUCCESS)


def create_failure(task: str = "", data: Any = "") -> bytes:
    """Pack a FAIL message."""
    return create(data, task, MESSAGE_TYPE_FAILURE)


def create_empty(task: str = "", data: Any = "") -> bytes:
    """Pack a message whose type is empty."""
    return create(data, task, MESSAGE_TYPE_EMPTY)


def create_ready(task: str = "", data: Any = "") -> bytes:
    """Pack a RDY message."""
    return create(data, task, MESSAGE_TYPE_READY)


def create_end(task: str = "", data: Any = "") -> bytes:
    """Pack an END message."""
    return create(data, task, MESSAGE_TYPE_END)


def create_routing(task: str = "", data: Any = "") -> bytes:
    """Pack an RTE message."""
    return create(data, task, MESSAGE_TYPE_ROUTING)


def get(msg: Any) -> tuple[Any, str, str]:
    """Open a message, whatever it is; nothing is ever raised.

    Parameters
    ----------
    msg
        bytes, a frame, or a list of frames of which the last is the message

    Returns
    -------
    tuple
        data, task type and message type; what the message does not hold is
        ``{}``, ``''``, ``''``. For what is no message ``({}, '', 'UNK')``

    """
    message = opened(msg)
    return message.get("data", {}), message.get("task", ""), message.get("type", "")


def opened(msg: Any) -> dict[str, Any]:
    """Open a message as :func:`get` does, and return the map with all that is in it."""
    unknown = {"type": MESSAGE_TYPE_UNKNOWN}
    try:
        body = msg[-1] if isinstance(msg, list | tuple) else msg
        message = deserialize(body.buffer if isinstance(body, zmq.Frame) else body)
    except Exception:  # noqa: BLE001 - a peer must not be able to end a role with what it sends
        return unknown
    if type(message) is not dict:
        return unknown
    found: dict[str, Any] = message
    texts = found.get("task", ""), found.get("type", "")
    return found if all(type(text) is str for text in texts) else unknown
