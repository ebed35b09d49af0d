"""Reads lines of an access log, and counts what is in them."""

import re
from collections import Counter
from collections.abc import Iterable

LINE = re.compile(r'\S+ \S+ \S+ \[\S+?:(\d\d):\d\d:\d\d \S+\] "\S+ (\S+) \S+" (\d)\d\d \d+ ([\d.]+)')


def count(lines: Iterable[str], slow: float = 1.0) -> dict:
    """Count requests by hour and kind of status, and those that took `slow` seconds or more by path."""
    requests: Counter[tuple] = Counter()
    slow_paths: Counter[str] = Counter()
    unreadable = 0
    for line in lines:
        found = LINE.match(line)
        if found is None:
            unreadable += 1
            continue
        hour, path, status, seconds = found.groups()
        requests[int(hour), f"{status}xx"] += 1
        if float(seconds) >= slow:
            slow_paths[path] += 1
    return {"requests": requests, "slow": slow_paths, "unreadable": unreadable}


def add_up(counts: Iterable[dict]) -> dict:
    """Make one of many."""
    total = {"requests": Counter(), "slow": Counter(), "unreadable": 0}
    for one in counts:
        total["requests"].update(one["requests"])
        total["slow"].update(one["slow"])
        total["unreadable"] += one["unreadable"]
    return total


def summary(total: dict) -> list[str]:
    """Say it in three lines."""
    requests = total["requests"]
    by_status = Counter()
    for (_, status), n in requests.items():
        by_status[status] += n
    worst = max(range(24), key=lambda hour: requests[hour, "5xx"])
    slow = ", ".join(f"{path} {n}" for path, n in total["slow"].most_common())
    return [
        f"{requests.total()} requests: "
        + ", ".join(f"{by_status[kind]} with {kind}" for kind in ("2xx", "4xx", "5xx")),
        f"most errors between {worst}:00 and {worst + 1}:00",
        f"slow: {slow or 'none'}; {total['unreadable']} lines could not be read",
    ]
