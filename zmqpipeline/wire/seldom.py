"""Unpacks what is valid and seldom, so that the rest costs nothing more: long arrays, tuples as keys."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgpack

if TYPE_CHECKING:
    from collections.abc import Callable

#: msgpack makes room for what an array says that it has, on each of its 1024 levels, before it looks whether
#: that is there: newer versions for some 10 000 elements, others for all, so that five bytes stand for half a
#: gigabyte. What says that it is longer than this is unpacked only after all of its elements were found.
LONGEST_UNCHECKED = 8192
#: so many keys of a map may have one hash: tuples of numbers can be made up that all have, and to tell many
#: of them apart takes minutes for a megabyte. Nobody can do so with a text, nor with many numbers
_MOST_ALIKE = 100
#: what msgpack says of one that is longer than it may be
_TOO_LONG = "exceeds max_"


class UnreadableError(ValueError):
    """Raised by what unpacks an extension type; to unpack the value around it once more would not help."""


def unpack_again(unpack: Callable[..., Any], packed: bytes | bytearray | memoryview, error: Exception) -> Any:
    """Unpack what was refused, if there is a way.

    Lists cannot be keys, so msgpack raises a TypeError for the first one. What were tuples as keys are made
    tuples again; such maps are rare, and a hook for every map would slow down all the others.

    Parameters
    ----------
    unpack
        what has refused it
    packed
        the bytes
    error
        what that has raised

    Raises
    ------
    Exception
        the same, or what else msgpack raises

    """
    options: dict[str, Any] = {}
    while not isinstance(error, UnreadableError):
        if isinstance(error, TypeError) and "object_pairs_hook" not in options:
            options["object_pairs_hook"] = _with_tuple_keys
            options.setdefault("max_map_len", LONGEST_UNCHECKED)  # with a hook, a map begins as an array
        elif _TOO_LONG in str(error) and "max_array_len" not in options:
            check_complete(packed)
            options["max_array_len"] = options["max_map_len"] = len(packed)
        else:
            break
        try:
            return unpack(packed, **options)
        except Exception as another:  # noqa: BLE001 - what msgpack raises for hostile bytes is many things
            error = another
    raise error


def unpack_at_once(unpack: Callable[..., Any], packed: bytes) -> Any:
    """Unpack whatever is valid, in one go, which is slower but for what is seldom.

    For what is inside of something that may be unpacked again: if each level tried twice, sixteen of them
    would take as long as 65 536.
    """
    check_complete(packed)
    most = len(packed)
    return unpack(packed, object_pairs_hook=_with_tuple_keys, max_array_len=most, max_map_len=most)


def check_complete(packed: bytes | bytearray | memoryview) -> None:
    """Raise if elements are missing; skipping them makes room for none."""
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(packed)
    unpacker.skip()


def _with_tuple_keys(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    keys = [_as_tuple(key) if isinstance(key, list) else key for key, _ in pairs]
    if len(keys) > _MOST_ALIKE and max(Counter(map(hash, keys)).values()) > _MOST_ALIKE:
        raise ValueError(f"more than {_MOST_ALIKE} keys of a map have one hash")
    return dict(zip(keys, (value for _, value in pairs), strict=True))


def _as_tuple(key: list[Any]) -> tuple[Any, ...]:
    return tuple(_as_tuple(part) if isinstance(part, list) else part for part in key)
