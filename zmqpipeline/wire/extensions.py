"""How dates and times travel: msgpack's extension types, with payloads that any language can read."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any

import msgpack

if TYPE_CHECKING:
    from collections.abc import Callable

#: Extension codes and their payloads: ISO 8601 text for the first three, a
#: msgpack array [days, seconds, microseconds] for the last.
EXT_DATETIME, EXT_DATE, EXT_TIME, EXT_TIMEDELTA = 1, 2, 3, 4

#: Behind the ISO text of a naive datetime or time whose ``fold`` is 1, in the
#: form that RFC 9557 gives to private suffixes.
_FOLD = "[_fold=1]"

#: The payload of a time difference is never more, whatever it says: see ``seldom.LONGEST_UNCHECKED``.
_THREE_NUMBERS = {"max_array_len": 3, "max_map_len": 0, "max_ext_len": 0, "max_str_len": 0, "max_bin_len": 0}

_OFFSET_BELOW_ONE_SECOND = re.compile(r"([+-])00:00:00\.([0-9]{6})")


def _encode_clock(code: int, text: str, moment: datetime | time) -> msgpack.ExtType:
    """Pack a datetime or a time, whose zone becomes its offset."""
    if moment.utcoffset() is not None:
        return msgpack.ExtType(code, text.encode())
    if moment.tzinfo is not None:
        raise TypeError(f"cannot serialize {type(moment).__name__}, because its time zone gives it no offset")
    return msgpack.ExtType(code, (text + _FOLD if moment.fold else text).encode())


def _encode_datetime(x: datetime) -> msgpack.ExtType:
    # The base class's method: a subclass may print itself in another way.
    return _encode_clock(EXT_DATETIME, datetime.isoformat(x), x)


def _encode_time(x: time) -> msgpack.ExtType:
    return _encode_clock(EXT_TIME, time.isoformat(x), x)


def _encode_date(x: date) -> msgpack.ExtType:
    return msgpack.ExtType(EXT_DATE, date.isoformat(x).encode())


def _encode_timedelta(x: timedelta) -> msgpack.ExtType:
    return msgpack.ExtType(EXT_TIMEDELTA, msgpack.packb([x.days, x.seconds, x.microseconds]))


def _clock_text(payload: bytes) -> tuple[str, int]:
    """Return what ``fromisoformat`` takes, and the fold."""
    text = payload.decode("ascii")
    if text.endswith("Z"):  # other languages write it; Python reads it from 3.11 on only
        text = text[:-1] + "+00:00"
    return text.removesuffix(_FOLD), int(text.endswith(_FOLD))


def _zone(text: str, read: tzinfo | None) -> tzinfo | None:
    """Return the zone of an ISO text; ``fromisoformat`` takes an offset below one second for UTC."""
    found = _OFFSET_BELOW_ONE_SECOND.search(text)
    if found is None or read is None:
        return read
    return timezone(timedelta(microseconds=int(found[1] + found[2])))


def _decode_datetime(payload: bytes) -> datetime:
    text, fold = _clock_text(payload)
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=_zone(text, moment.tzinfo), fold=fold)


def _decode_time(payload: bytes) -> time:
    text, fold = _clock_text(payload)
    clock = time.fromisoformat(text)
    return clock.replace(tzinfo=_zone(text, clock.tzinfo), fold=fold)


def _decode_date(payload: bytes) -> date:
    return date.fromisoformat(payload.decode("ascii"))


def _decode_timedelta(payload: bytes) -> timedelta:
    parts = msgpack.unpackb(payload, **_THREE_NUMBERS)
    if type(parts) is not list or [type(part) for part in parts] != [int, int, int]:
        raise ValueError("a time difference is an array of three integers")
    return timedelta(*parts)


def unix_time(x: date | timedelta) -> float:
    """Return a point in time as seconds since 1970-01-01T00:00Z, or a time difference as seconds.

    Parameters
    ----------
    x
        a datetime (UTC, if it is naive), a date (its midnight in UTC) or a timedelta

    Raises
    ------
    TypeError
        `x` is something else

    """
    if isinstance(x, timedelta):
        return x.total_seconds()
    if isinstance(x, datetime):
        return (x if x.utcoffset() is not None else x.replace(tzinfo=timezone.utc)).timestamp()
    if isinstance(x, date):
        return datetime(x.year, x.month, x.day, tzinfo=timezone.utc).timestamp()
    raise TypeError(f"a datetime, date or timedelta is expected, not {type(x).__name__}")


#: Classes, and what packs their instances.
ENCODERS: dict[type, Callable[[Any], msgpack.ExtType]] = {
    datetime: _encode_datetime,
    date: _encode_date,
    time: _encode_time,
    timedelta: _encode_timedelta,
}
#: Extension codes, and what unpacks their payloads.
DECODERS: dict[int, Callable[[bytes], Any]] = {
    EXT_DATETIME: _decode_datetime,
    EXT_DATE: _decode_date,
    EXT_TIME: _decode_time,
    EXT_TIMEDELTA: _decode_timedelta,
}
