"""Which worker has which connection: libzmq tells of the end of one by its file descriptor alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline.wire.sockets import Watch


class Connections:
    """The workers' connections, by task type and file descriptor.

    Parameters
    ----------
    watches
        of the bound sockets, by task type

    """

    def __init__(self, watches: dict[str, Watch]) -> None:
        self._watches = watches
        self._addresses: dict[str, dict[int, bytes]] = {name: {} for name in watches}
        #: ends that are still to be told, and are known already
        self._outdated: Counter[tuple[str, int]] = Counter()

    def came_by(self, name: str, descriptor: int, address: bytes) -> bytes | None:
        """Note whose message came by a connection.

        Returns
        -------
        bytes or None
            who had a connection of this descriptor before; that one was closed

        """
        known = self._addresses[name].get(descriptor)
        if descriptor >= 0:  # inproc has none
            self._addresses[name][descriptor] = address
        if known is None or known == address:
            return None
        self._outdated[name, descriptor] += 1
        return known

    def ended(self) -> Iterator[tuple[str, bytes | None]]:
        """Tell which connections have ended since the last call: of which task type, and whose, if known."""
        for name, watch in self._watches.items():
            for descriptor in watch.drain().gone:
                if self._outdated[name, descriptor]:
                    self._outdated[name, descriptor] -= 1
                else:
                    yield name, self._addresses[name].pop(descriptor, None)
