"""What goes from role to role, for type checkers: at run time nothing of it is there.

A role is generic in what its method gets and in what it returns. ``Task[In, Out]`` gets the metadata of
the run and returns what a ``Worker[In, Out]`` gets; that returns what a ``Collector[In]`` gets. A role
without parameters means dictionaries of anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Generic as Generic  # noqa: PLC0414 - it is imported from here

    from typing_extensions import TypeVar  # a type checker knows it, installed or not

    #: what a role's method gets: a ``TypedDict``, or another dictionary
    In = TypeVar("In", bound=Mapping[str, Any], default=dict[str, Any])
    #: what it returns
    Out = TypeVar("Out", bound=Mapping[str, Any], default=dict[str, Any])
    #: of what an IterableTask makes its tasks
    Item = TypeVar("Item", default=Any)
else:
    In = Out = Item = None

    class Generic:
        """Stands for :class:`typing.Generic`: a role with parameters is the role itself."""

        def __class_getitem__(cls, _parameters: Any) -> type:
            return cls
