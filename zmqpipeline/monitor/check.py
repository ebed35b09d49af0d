"""Whether something that came over a socket is a snapshot."""

from __future__ import annotations

import types
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from zmqpipeline.monitor.snapshot import Snapshot

if TYPE_CHECKING:
    from typing import TypeGuard

#: no number in a snapshot is larger: what is shown has to fit on a screen, and a browser has no others
_LARGEST = 2**53


def is_snapshot(value: object) -> TypeGuard[Snapshot]:
    """Tell whether a value has the form of a :class:`Snapshot`; it may have more than that."""
    return _fits(value, Snapshot)


def _fits(value: object, form: Any) -> bool:
    if is_typeddict(form):
        return isinstance(value, dict) and all(
            _fits(value[name], kind) if name in value else name in form.__optional_keys__
            for name, kind in _fields(form).items()
        )
    origin = get_origin(form)
    if origin is list:
        (kind,) = get_args(form)
        return isinstance(value, list) and all(_fits(each, kind) for each in value)
    if origin is Literal:  # a later version may know one more, which is no reason to show nothing
        return isinstance(value, str)
    if origin in (Union, types.UnionType):
        return any(_fits(value, kind) for kind in get_args(form))
    if form is int or form is float:
        return type(value) in (int, form) and -_LARGEST <= value <= _LARGEST  # type: ignore[operator]
    return type(value) is form


@lru_cache(maxsize=16)
def _fields(form: type) -> dict[str, Any]:
    return get_type_hints(form)
