"""A worker, as the distributor knows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zmqpipeline.wire.envelope import MAX_NUMBER

#: what is kept of what a worker says of itself, by type: anybody may say it, and it goes into logs and errors
_INFO = {
    **dict.fromkeys(("version", "name", "host", "process"), str),
    **dict.fromkeys(("protocol", "pid", "hands", "max_message"), int),
}
#: of each of its texts, no more than so many characters
_MAX_INFO_TEXT = 256


@dataclass(slots=True, eq=False)
class Peer:
    """A worker, as the distributor knows it."""

    address: bytes
    lockstep: bool = False  #: it asks, gets one answer, asks again
    quarantined: bool = False  #: what it has is suspected of killing workers: it gets nothing else
    suspect: bool = False  #: it is silent, though its connection is up: it gets nothing until it is heard
    asks: bool = False  #: a lock-step worker waits for its answer
    wants_start: bool = False
    welcomed: bool = False
    started: bool = False
    ended: bool = False
    credit: int = 0
    order: int = 0  #: of the last credit that it told
    number: int = 0  #: of the last batch that it was sent
    heard: float = 0.0
    pinged: float = 0.0
    voice: bytes = b""  #: the connection of its heartbeat
    mute: int = 0  #: ticks since that went, and since then nothing was heard
    info: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)  #: its last words about itself
    failed: int = 0  #: attempts that failed with it
    came: float = 0.0

    @property
    def who(self) -> str:
        """Who it is, for a person."""
        return f"pid {self.info.get('pid', '?')} on {self.info.get('host', '?')}"


def introduced(info: Any) -> dict[str, Any]:
    """Take what a peer says of itself; it is kept as long as the peer is there."""
    if not isinstance(info, dict):
        return {}
    said = {name: info[name] for name, kind in _INFO.items() if type(info.get(name)) is kind}
    return {name: value for name, value in said.items() if _is_short(value)}


def _is_short(value: Any) -> bool:
    """Tell whether a number, or a text, fits into a line of a log and into a snapshot."""
    if isinstance(value, str):
        return len(value) <= _MAX_INFO_TEXT and value.isprintable()
    return bool(0 <= value < MAX_NUMBER)
