"""Finds the part of a value that could not be packed, and says where it is.

It runs after a packer has failed, never before: the good path pays nothing.
"""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: How many steps of a long path are shown at its beginning.
_SHOWN_STEPS = 8

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 80


class _Level(NamedTuple):
    """A container on the way down: the step to it, itself, and what is left of it."""

    step: str
    container: Any
    rest: Iterator[tuple[str, Any]]


def explain(obj: Any, where: str, pack: Callable[[Any], object]) -> str | None:
    """Find out what in a value cannot be packed.

    Parameters
    ----------
    obj
        the value
    where
        what the path begins with
    pack
        packs a value or raises

    Returns
    -------
    str or None
        a sentence that begins with the path, or None if nothing is wrong

    """
    if not _is_container(obj):
        return _explain_leaf(obj, where, pack)
    depth, deepest = 1, [_Level(where, obj, iter(()))]
    for levels, step, value, is_loop in _walk(obj, where):
        if is_loop:
            name = type(value).__name__
            return f"{_path(levels, step)}: cannot serialize {name}, because it contains itself"
        if len(levels) > depth:
            depth, deepest = len(levels), levels[: _SHOWN_STEPS + 1]
        text = None if _is_container(value) else _explain_leaf(value, _path(levels, step), pack)
        if text is not None:
            return text
    # Each part by itself can be packed; if the whole cannot, its depth is what is left.
    if _explain_leaf(obj, where, pack) is None:
        return None
    return f"{_path(deepest, '')}: cannot serialize {type(obj).__name__}, because {depth} levels are too many"


def _walk(obj: Any, where: str) -> Iterator[tuple[list[_Level], str, Any, bool]]:
    """Yield each part of a container: the way to it, its step, itself, and whether it is on its own way.

    The walk keeps a stack of its own, because what is nested too deep for
    msgpack is too deep for recursion, too. It enters each container once.
    """
    levels = [_Level(where, obj, _children(obj))]
    on_the_way = {id(obj)}
    # Kept alive by the dictionary, so that no other object gets the same id.
    finished: dict[int, Any] = {}
    while levels:
        step, value = next(levels[-1].rest, ("", _END))
        if value is _END:
            done = levels.pop().container
            on_the_way.discard(id(done))
            finished[id(done)] = done
            continue
        is_loop = id(value) in on_the_way
        yield levels, step, value, is_loop
        if _is_container(value) and not is_loop and id(value) not in finished:
            levels.append(_Level(step, value, _children(value)))
            on_the_way.add(id(value))


_END = object()


def _is_container(value: Any) -> bool:
    # The same classes that msgpack looks into; an ExtType is a tuple that it does not look into.
    return isinstance(value, dict | list | tuple) and type(value).__name__ != "ExtType"


def _children(container: Any) -> Iterator[tuple[str, Any]]:
    """Yield each part of a container with the step that leads to it."""
    if not isinstance(container, dict):
        for index, value in enumerate(container):
            yield f"[{index}]", value
        return
    for key, value in list(container.items()):
        shown = _show(key)
        yield f" (the key {shown})", key
        yield f"[{shown}]", value


def _show(key: Any) -> str:
    """Show a key, whatever its class says of itself."""
    try:
        return _repr.repr(key)
    except Exception:  # noqa: BLE001 - a user's __repr__, or an int of too many digits
        return f"<{type(key).__name__}>"


def _path(levels: list[_Level], step: str) -> str:
    cut = "..." if len(levels) > _SHOWN_STEPS else ""
    return "".join(level.step for level in levels[:_SHOWN_STEPS]) + cut + step


def _explain_leaf(value: Any, path: str, pack: Callable[[Any], object]) -> str | None:
    """Say why something that contains nothing cannot be packed; None if it can."""
    try:
        pack(value)
    except Exception as error:  # noqa: BLE001 - a user's encode function may raise anything
        return f"{path}: cannot serialize {_reason(value, error)}"
    return None


def _reason(value: Any, error: Exception) -> str:
    name = type(value).__name__
    if isinstance(value, int):
        return f"{name} of {value.bit_length()} bits: it is below -2**63 or above 2**64 - 1"
    text = str(error) or type(error).__name__
    if text == f"cannot serialize {name}":
        if isinstance(value, set | frozenset):
            return f"{name}; make it a list"
        return f"{name}; register_type() can teach its class"
    return f"{name}: {text.removeprefix('cannot serialize ')}"
