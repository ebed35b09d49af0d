"""Takes in the metadata of a run, from whoever brings it first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zmqpipeline.wire import envelope, messages, serializer, sockets

if TYPE_CHECKING:
    from zmqpipeline.role import Socket


def can_be_packed(data: Any) -> bool:
    """Tell whether data can be sent on: not all that was unpacked can, because it may be nested deeper.

    Nobody asks what in it cannot: to look for that takes minutes if there is much of it.
    """
    try:
        serializer.check_depth(serializer.make_packer().pack(data))
    except Exception:  # noqa: BLE001 - nothing that came from somebody may end a role
        return False
    return True


def take_metadata(socket: Socket, max_message: int) -> tuple[dict[str, Any], Any] | None:
    """Take one message in, and answer it; what is not metadata is answered with a failure.

    Parameters
    ----------
    socket
        a REP socket: it answers before it reads on
    max_message
        the largest frame that everybody takes, in bytes: the metadata are sent on

    Returns
    -------
    tuple or None
        the metadata, if it was that, and what was said of who gives them, whatever that is

    """
    for frames in sockets.receive(socket, 1):
        largest = max_message - envelope.ENVELOPE_BYTES
        if len(frames[-1]) > largest:
            why = f"the metadata have {len(frames[-1])} bytes packed, and {largest} are allowed"
            socket.send(messages.create_failure(data=why))
            continue
        message = messages.opened(frames[-1])
        data = message.get("data", {})
        is_valid = message.get("type") == messages.MESSAGE_TYPE_META_DATA and isinstance(data, dict)
        if not is_valid or not can_be_packed(data):  # everybody is to get it
            socket.send(messages.create_failure(data="expected a METADATA message with a map"))
            continue
        socket.send(messages.create_success())
        return data, message.get("info")
    return None
