"""Sums up peers.json for docs/comparison.rst: python docs/figures/comparison.py"""

import json
from pathlib import Path

FOLDER = Path(__file__).parent
HEADER = (
    "library",
    "small tasks, per second",
    "the same, tuned",
    "latency, p50",
    "memory of all",
    "sleep, beside the ideal",
)
MINE = "zmqpipeline"


def table(found: dict) -> str:
    """Write a list-table with a row for each library."""
    rows: dict[str, dict[str, str]] = {}
    for summary in found["summaries"]:
        name, _, tuned = summary["contender"].partition(", ")
        median = summary["measured"]["median"]
        column, text = {
            ("throughput", "throughput"): (2 if tuned else 1, f"{median:,.0f}"),
            ("latency", "p50"): (3, f"{median / 1000:.1f} ms"),
            ("throughput", "memory of all"): (0 if tuned else 4, f"{median:,.0f} MiB"),
            ("sleep", "time"): (5, f"{(summary['ratio'] or {}).get('median', 0):.2f}"),
        }.get((summary["workload"], summary["figure"]["name"]), (0, ""))
        if column:
            rows.setdefault(name, {})[HEADER[column]] = text
    # bare sockets are no library, and what is ideal is nobody's
    names = sorted(set(rows) - {"bare sockets", "ideal"}, key=lambda name: (name != MINE, name.lower()))
    lines = [".. list-table::", "    :header-rows: 1", ""]
    for row in [dict(zip(HEADER, HEADER, strict=True)), *({**rows[name], "library": name} for name in names)]:
        cells = [row.get(column, "") for column in HEADER]
        lines += [f"    {'* ' if index == 0 else '  '}- {cell}".rstrip() for index, cell in enumerate(cells)]
    machine = found["machine"]
    cores = f"{machine['cores']} cores of {machine['cpu']}"
    return "\n".join([*lines, "", f"Medians, with two workers on {cores}, {found['date'][:10]}.", ""])


if __name__ == "__main__":
    text = table(json.loads(FOLDER.joinpath("peers.json").read_text(encoding="utf-8")))
    FOLDER.joinpath("comparison.txt").write_text(text, encoding="utf-8")
