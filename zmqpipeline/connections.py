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

    def is_watched(self, name: str, descriptor: int) -> bool:
        """Tell whether somebody who sends by a connection will be missed when it ends.

        Of a peer that speaks a ZMTP before 3, libzmq tells neither the descriptor nor that it was there: it
        would be a worker in lock step that nobody could find to be gone.
        """
        return descriptor >= 0 or not self._watches[name].has_descriptors

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
            changes, addresses, is_unknown = watch.drain(), self._addresses[name], False
            for descriptor in changes.closed:
                if self._outdated[name, descriptor]:
                    self._outdated[name, descriptor] -= 1
                elif descriptor in addresses:
                    yield name, addresses.pop(descriptor)
                else:
                    is_unknown = is_unknown or descriptor in changes.gone
            if is_unknown:  # once for all of them: each worker is asked then
                yield name, None
