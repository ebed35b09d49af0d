"""IterableTask: a task for each item of an iterable."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Sized
from itertools import islice
from typing import TYPE_CHECKING, Any

from zmqpipeline.declarations import Attribute
from zmqpipeline.errors import DeclarationError
from zmqpipeline.task import Task
from zmqpipeline.typed import Generic, In, Item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_EXPECTED = "an iterable, or a function that returns one"
#: why items that an event loop would have to wait for are refused
_NO_LOOP = "asynchronous, and a distributor has no event loop: expected what a plain for loop goes through"

#: there are no more items
_END = object()
#: nobody has looked yet
_UNKNOWN = object()


def _may_be_items(value: Any) -> bool:
    """Tell whether a declaration could be meant: what it is worth shows when it is evaluated."""
    kind = type(value)
    if isinstance(value, str | bytes):
        return False  # it would be handed out letter by letter
    return callable(value) or any(hasattr(kind, name) for name in ("__iter__", "__aiter__", "__get__"))


class IterableTask(Task[In, dict[str, Any]], Generic[In, Item]):
    """A task for each item of an iterable; complete when that is exhausted.

    A subclass declares what every :class:`Task` does, and :attr:`items`:

    .. code-block:: python

        class Urls(zmqpipeline.IterableTask):
            task_type = FETCH
            endpoint = zmqpipeline.EndpointAddress("ipc://urls.ipc")
            dependencies = []
            items = read_urls

    A dictionary is handed out as it is; anything else, ``"a"``, as ``{"item": "a"}``. It is packed before
    the next item is taken, so an iterator may use one dictionary for all. The task is complete with its last
    item, so it always asks for one more than was handed out; setting :attr:`is_complete` ends it before.
    Without any item it is complete at once. What the iterable raises ends the distributor, as what
    ``handle()`` raises does.

    With a journal, the number of items that were taken is kept. The next distributor evaluates :attr:`items`
    again and skips as many: it has to give the same items in the same order.

    Attributes
    ----------
    items
        an iterable, or a function that returns one, such as a generator function. It is called when the
        dependencies are complete, behind :meth:`~zmqpipeline.Task.initialize`, not when the file is loaded.
        Parameters that are called ``self`` and ``metadata`` get the task and the metadata of the run; others
        need a default. An iterator is used up by the first run
    total
        how many items there are, if the iterable has a length

    """

    _declares: tuple[Attribute, ...] = (*Task._declares, Attribute("items", _EXPECTED, _may_be_items))  # noqa: SLF001 - its own base

    items: Iterable[Item] | Callable[..., Iterable[Item]]

    _iterator: Iterator[Any] | None = None
    _ahead: Any = _UNKNOWN
    _n_taken = 0
    _is_complete = False

    @property
    def is_complete(self) -> bool:
        """Whether there are no more items; who asks for this makes it look for the next one."""
        if not self._is_complete and self._ahead is _UNKNOWN and self._iterator is not None:
            self._ahead = next(self._iterator, _END)
            if self._ahead is _END:
                self._end()
        return self._is_complete

    @is_complete.setter
    def is_complete(self, value: bool) -> None:
        self._is_complete = value

    def handle(self, data: In, address: bytes, msgtype: str) -> dict[str, Any] | None:  # noqa: ARG002
        """Take the next item.

        Returns
        -------
        dict
            the item if it is a dictionary, else ``{"item": item}``

        Raises
        ------
        LookupError
            if there is none; the distributor does not call it then

        """
        if self._iterator is None:
            self._opened()
        if self.is_complete:
            raise LookupError(f"{type(self).__qualname__} has no more items")
        item, self._ahead = self._ahead, _UNKNOWN
        self._n_taken += 1
        return item if isinstance(item, dict) else {"item": item}

    def checkpoint(self) -> dict[str, Any]:
        """Tell how many items were taken; override both this and :meth:`restore` to keep more."""
        return {"n_taken": self._n_taken}

    def restore(self, state: dict[str, Any]) -> None:
        """Skip as many items as an earlier life of the distributor has taken."""
        self._n_taken = state["n_taken"]

    def _opened(self) -> None:
        """Evaluate the items, skip what was taken before, and look whether there is one."""
        if self._is_complete:
            self._end()
            return
        found = self._evaluated()
        if self.total is None and isinstance(found, Sized):
            self.total = len(found)
        self._iterator = iter(found)
        skipped = sum(1 for _ in islice(self._iterator, self._n_taken))
        if self.is_complete and self._n_taken:
            raise ValueError(
                f"{type(self).__qualname__}.items gave {skipped} items, "
                f"but an earlier life of the distributor has taken {self._n_taken} and found another one: "
                f"it has to give the same items each time"
            )

    def _end(self) -> None:
        self._is_complete = True
        if self.total is None:
            self.total = self._n_taken

    def _evaluated(self) -> Any:
        """Return the iterable, or what the function makes."""
        found, verb = inspect.getattr_static(self, "items"), "is"
        if isinstance(found, staticmethod | classmethod) or not (callable(found) or _is_iterable(found)):
            found = self.items  # a property, or another descriptor
        if not _is_iterable(found) and callable(found):
            found, verb = _called(found, {"self": self, "metadata": self.metadata}), "returned"
        where = f"{type(self).__qualname__}.items"
        if inspect.iscoroutine(found):
            found.close()
        if inspect.isawaitable(found) or (isinstance(found, AsyncIterable) and not _is_iterable(found)):
            raise TypeError(f"{where} is {_NO_LOOP}")
        if not _is_iterable(found) or isinstance(found, str | bytes):
            raise TypeError(f"{where} {verb} {type(found).__name__}, expected an iterable, and not a text")
        return found

    @classmethod
    def _check_more(cls) -> None:
        super()._check_more()
        found = inspect.getattr_static(cls, "items")
        found = getattr(found, "__func__", found)
        where = f"class {cls.__qualname__}: items"
        is_async = inspect.iscoroutinefunction(found) or inspect.isasyncgenfunction(found)
        if is_async or (hasattr(type(found), "__aiter__") and not _is_iterable(found)):
            raise DeclarationError(f"{where} is {_NO_LOOP}")
        if _is_iterable(found) or not callable(found):
            return
        others = [
            str(p)
            for p in _parameters(found)
            if p.default is p.empty
            and p.name not in {"self", "cls", "metadata"}
            and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
        ]
        if others:
            raise DeclarationError(
                f"{where} takes {', '.join(others)}, "
                f"expected a function whose parameters are called self and metadata, or have a default"
            )


def _is_iterable(value: Any) -> bool:
    """Tell whether a for loop goes through it; one with ``__getitem__`` alone is taken for a function."""
    return hasattr(type(value), "__iter__")


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """List the parameters of a function; none if they cannot be known."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def _called(function: Callable[..., Any], known: dict[str, Any]) -> Any:
    """Call a function with those of the known arguments for which it has a parameter."""
    found = [p for p in _parameters(function) if p.name in known]
    in_place = [known[p.name] for p in found if p.kind is p.POSITIONAL_ONLY]
    by_name = {p.name: known[p.name] for p in found if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}}
    return function(*in_place, **by_name)
