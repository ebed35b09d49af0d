"""What a collector says to tasks, beside that their results are acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zmqpipeline.errors import SerializationError
from zmqpipeline.wire import serializer
from zmqpipeline.wire.envelope import ENVELOPE_BYTES, OWN_FRAME
from zmqpipeline.wire.messages import MESSAGE_TYPE_DATA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline.collector import Collector

#: what is said to a task about which nothing is said, packed
NOTHING = serializer.serialize(None)


def together(collector: type, words: Any, answer: Any) -> dict[str, Any]:
    """Put together what get_ack_data() and handle_collection() of a collector have returned.

    Raises
    ------
    TypeError
        if the first is no dictionary, or the second neither one nor None

    """
    if not isinstance(words, dict):
        raise TypeError(
            f"{collector.__qualname__}.get_ack_data returned {type(words).__name__}, expected a dictionary"
        )
    if not isinstance(answer, dict | None):
        raise TypeError(
            f"{collector.__qualname__}.handle_collection returned {type(answer).__name__}, "
            f"expected a dictionary or None"
        )
    return {**words, **(answer or {})}


def packed(collector: Collector[Any], words: dict[str, Any]) -> bytes:
    """Pack what is said; at once, because the program may use its dictionaries again.

    Raises
    ------
    SerializationError
        if that cannot be done, or it is too large for a message

    """
    try:
        said = serializer.serialize(words)
    except SerializationError as error:
        raise SerializationError(
            f"{type(collector).__qualname__}.handle_collection or get_ack_data: {error}"
        ) from error
    if len(said) > OWN_FRAME:
        _check_size(collector, len(said))
    return said


def _check_size(collector: Collector[Any], size: int) -> None:
    limit = collector.max_message_size - ENVELOPE_BYTES
    if size > limit:
        raise SerializationError(
            f"{type(collector).__qualname__}.handle_collection or get_ack_data: what they return has {size} "
            f"bytes packed, more than the distributor takes ({limit} bytes): return a reference instead, "
            f"or raise max_message_size in all roles"
        )


def speak(collector: Collector[Any], items: Iterator[Any], task: str, said: list[bytes]) -> None:
    """Have a collector handle results, and note, packed, what its program says to each.

    Parameters
    ----------
    collector
        one that overrides get_ack_data()
    items, task
        the results, and their task type
    said
        what is said is added to it

    """
    handle, words_for, cls = collector.handle_collection, collector.get_ack_data, type(collector)
    for item in items:
        answer: Any = handle(item, task, MESSAGE_TYPE_DATA)
        words: Any = words_for()
        if answer is not None or type(words) is not dict:
            words = together(cls, words, answer)
        said.append(packed(collector, words))
