"""Cuts what a process writes into lines."""

from __future__ import annotations

#: a line that is longer is cut in two, in bytes
LONGEST_LINE = 1 << 20


class Lines:
    """Puts lines together from the pieces in which they come."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take in some bytes; return the lines that are complete, without their ends."""
        first, *others = data.split(b"\n")
        # only what is new is looked at: a long line comes in many pieces
        self._rest += first
        lines = []
        if others:
            lines = [bytes(self._rest), *others[:-1]]
            self._rest = bytearray(others[-1])
        if len(self._rest) > LONGEST_LINE:
            lines.append(bytes(self._rest))
            self._rest.clear()
        return [line.removesuffix(b"\r") for line in lines]

    def rest(self) -> list[bytes]:
        """Return what came behind the last end of a line."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [rest] if rest else []
