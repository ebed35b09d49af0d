"""Why a handshake has failed, as libzmq's monitor tells it (zmq_socket_monitor(3))."""

from __future__ import annotations

import enum

import zmq

_BROKEN = int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
_PROTOCOL = int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
_ZAP = int(zmq.EVENT_HANDSHAKE_FAILED_AUTH)

#: the events that tell of it
EVENTS = _BROKEN | _PROTOCOL | _ZAP

_MISMATCH = int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
_CRYPTOGRAPHIC = int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
#: the status of ZAP's reply after which whoever connects may try again
_TEMPORARY = 300


class Refusal(enum.Enum):
    """Why two sockets do not come together."""

    #: one of them has keys, and the other has none
    ONE_SIDED = enum.auto()
    #: the key of who connects is not on the list
    NOT_LISTED = enum.auto()
    #: who binds cannot read what comes: it was meant for another pipeline
    OTHER_PIPELINE = enum.auto()
    #: the other side has closed the connection, or was silent; or is no ZeroMQ socket
    BROKEN = enum.auto()
    #: there are as many connections as there may be
    CROWDED = enum.auto()
    #: this process has as many files open as it may
    OUT_OF_FILES = enum.auto()


def of(event: int, value: int) -> Refusal:
    """Tell the reason that stands behind an event."""
    if event == _ZAP:
        return Refusal.NOT_LISTED
    if event == _PROTOCOL and value == _MISMATCH:
        return Refusal.ONE_SIDED
    if event == _PROTOCOL and value == _CRYPTOGRAPHIC:
        return Refusal.OTHER_PIPELINE
    return Refusal.BROKEN


def is_final(event: int, value: int) -> bool:
    """Tell whether libzmq does not connect again after an event."""
    return event == _PROTOCOL or (event == _ZAP and value != _TEMPORARY)
