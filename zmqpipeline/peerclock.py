"""Since when a peer that was met is away."""

from __future__ import annotations

from zmqpipeline.errors import PeerTimeoutError


class PeerClock:
    """Remembers since when a peer that was met is away.

    Parameters
    ----------
    name
        what to call it in an error
    timeout
        how long it may be away, in seconds

    """

    def __init__(self, name: str, timeout: float) -> None:
        self._name = name
        self._timeout = timeout
        self.met = False
        self._gone_since: float | None = None

    @property
    def away(self) -> bool:
        """Whether it was met and is away."""
        return self._gone_since is not None

    def came(self) -> None:
        """Note that it is there."""
        self.met = True
        self._gone_since = None

    def went(self, now: float) -> None:
        """Note that it is away, if it was ever met."""
        if self.met and self._gone_since is None:
            self._gone_since = now

    def forgive(self, seconds: float) -> None:
        """Leave out a time in which this process could not have noticed that it is back."""
        if self._gone_since is not None:
            self._gone_since += seconds

    def check(self, now: float) -> None:
        """Raise if it has been away for too long.

        Raises
        ------
        zmqpipeline.errors.PeerTimeoutError
            names the peer

        """
        if self._gone_since is not None and now - self._gone_since > self._timeout:
            raise PeerTimeoutError(
                f"{self._name} has been gone for {self._timeout:g} s: start it again and then this role, "
                f"or set peer_timeout to wait longer"
            )
