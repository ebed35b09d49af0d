"""Figures of a snapshot as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zmqpipeline.monitor.snapshot import Snapshot, TaskInfo

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: from here on a count is rounded
_ROUNDED = 100_000


def clean(text: str) -> str:
    """Replace what a terminal would not show but obey, and the ends of lines."""
    return "".join(each if each.isprintable() else " " for each in text)


def lines(text: str) -> str:
    """Replace what a terminal would obey, but for tabs and the ends of lines."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else " " for each in text)


def clock(seconds: float) -> str:
    """Say how long something takes, as ``m:ss``, ``h:mm:ss`` or days and hours."""
    whole = max(0, round(seconds))
    if whole < _HOUR:
        return f"{whole // _MINUTE}:{whole % _MINUTE:02}"
    if whole < _DAY:
        return f"{whole // _HOUR}:{whole % _HOUR // _MINUTE:02}:{whole % _MINUTE:02}"
    days = whole // _DAY
    return f"{days}d {whole % _DAY // _HOUR:02}h" if days < 1000 else ">999d"


def ago(seconds: float) -> str:
    """Say how long something was ago, in its largest unit."""
    whole = max(0, round(seconds))
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if whole >= unit:
            return f"{whole // unit} {name}"
    return f"{whole} s"


def span(seconds: float | None) -> str:
    """Say how long something short takes; ``-`` if that is not known."""
    if seconds is None:
        return "-"
    if seconds < 0.000_999_5:
        return f"{max(seconds, 0) * 1e6:.0f} us"
    if seconds < 0.999_5:
        return f"{_short(seconds * 1e3)} ms"
    return f"{_short(seconds)} s" if seconds < 1000 else clock(seconds)


def size(number: int | None) -> str:
    """Say how many bytes that are; ``-`` if that is not known."""
    if number is None:
        return "-"
    amount = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit in ("B", "KiB") else f"{_short(amount)} {unit}"
        amount /= 1024
    return f"{_short(amount)} TiB"


def share(cores: float | None) -> str:
    """Say how much of a core is used; ``-`` if that is not known."""
    return "-" if cores is None else f"{cores * 100:.0f}%"


def rate(per_second: float) -> str:
    """Say how often something happens."""
    return f"{_metric(per_second)}/s" if per_second else "0/s"


def count(number: int) -> str:
    """Say how many there are; many are rounded."""
    return str(number) if number < _ROUNDED else _metric(float(number))


def percent(done: int, total: int) -> int:
    """Tell how much is done; 100 only when all is."""
    return 100 if done >= total else max(0, 100 * done // total)


def left(done: int, total: int | None, per_second: float) -> str:
    """Say how long the rest takes at a rate; ``''`` if that is not known."""
    if total is None or per_second <= 0 or done >= total:
        return ""
    return clock((total - done) / per_second)


def line(snapshot: Snapshot) -> str:
    """Say in one line how a run is."""
    parts = [
        f"{clock(snapshot['uptime'])} {snapshot['phase']}",
        f"{snapshot['handed_out']} handed out",
        f"{snapshot['acknowledged']} acknowledged",
        f"{snapshot['failed']} failed",
        rate(snapshot["rate"]),
    ]
    if snapshot["latency"] is not None:
        parts.append(f"latency {span(snapshot['latency'])}")
    parts.append(workers(snapshot))
    said = ", ".join(parts)
    tasks = [_task(task) for task in snapshot["tasks"] if task["phase"] == "running"]
    waits = f"waits for {', '.join(snapshot['waits_for'])}" if snapshot["waits_for"] else ""
    return clean("; ".join(filter(None, (said, *tasks, waits))))


def workers(snapshot: Snapshot) -> str:
    """Say how many workers there are, and how many of them are silent."""
    there = [worker for worker in snapshot["workers"] if worker["state"] not in ("lost", "left")]
    silent = sum(worker["state"] == "silent" for worker in there)
    said = f"{len(there)} worker{'' if len(there) == 1 else 's'}"
    return f"{said} ({silent} silent)" if silent else said


def _task(task: TaskInfo) -> str:
    total = task["total"]
    if total is None:
        return ""
    time_left = left(task["acknowledged"], total, task["rate"])
    return f"{task['type']} {percent(task['acknowledged'], total)}%" + (
        f", {time_left} left" if time_left else ""
    )


def _short(amount: float) -> str:
    """Write a number with about three digits."""
    return f"{amount:.1f}" if amount < 9.95 else f"{amount:.0f}"


def _metric(amount: float) -> str:
    """Write a number with about three digits and the letter of its size."""
    if abs(amount) < 0.995:
        return f"{amount:.2f}"
    for letter in ("", "k", "M", "G", "T"):
        if abs(amount) < 999.5:
            return (
                f"{_short(amount)}{letter}"
                if letter
                else f"{amount:.0f}"
                if amount >= 9.95
                else f"{amount:.1f}"
            )
        amount /= 1000
    return f"{amount:.0f}P"
