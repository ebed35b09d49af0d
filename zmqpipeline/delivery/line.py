"""The waiting requests of one task type, in their order."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline.delivery.brokerage import Request


class Line:
    """The waiting requests of one task type: those that lost a worker, then the new ones.

    Each half is in the order of its deadlines, because each was filled in the order of time.
    """

    __slots__ = ("_again", "_new")

    def __init__(self) -> None:
        self._again: OrderedDict[int, Request] = OrderedDict()
        self._new: OrderedDict[int, Request] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._again or self._new)

    def __iter__(self) -> Iterator[Request]:
        yield from self._again.values()
        yield from self._new.values()

    def add(self, request: Request) -> None:
        """Put a request behind those of its half."""
        half = self._again if request.tried else self._new
        half[request.number] = request

    def remove(self, request: Request) -> None:
        """Take a request out, if it is there."""
        self._again.pop(request.number, None)
        self._new.pop(request.number, None)

    def first(self) -> Request:
        """Return the request that is first."""
        return next(iter((self._again or self._new).values()))

    def earliest(self) -> Request:
        """Return the request that has to give up first."""
        heads = [next(iter(half.values())) for half in (self._again, self._new) if half]
        return min(heads, key=lambda request: request.deadline)
