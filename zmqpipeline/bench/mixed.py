"""Short tasks and a few long ones: nothing should wait behind a long one while others are free.

99 of 100 tasks sleep for 1 ms and one for 500 ms, in a fixed order that
looks like chance, on four workers with one thread each. The reference is a
greedy schedule of the same durations: each task goes to whoever is free first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zmqpipeline.bench.sleep import Setting, case
from zmqpipeline.bench.workload import Workload

if TYPE_CHECKING:
    from zmqpipeline.bench.case import Case
    from zmqpipeline.bench.workload import Options

#: how long the tasks take, in seconds
SHORT, LONG = 0.001, 0.5
HANDS = 4
#: what takes four workers 18 seconds
_COUNT = 12_000
_QUICK = 1200


def _cases(options: Options) -> list[Case]:
    count = options.count(_COUNT, _QUICK)
    return [
        case(MIXED.name, Setting(count, HANDS, threads=False, transport=transport, short=SHORT, long=LONG))
        for transport in options.transports or ("ipc",)
    ]


MIXED = Workload(
    "mixed",
    "tasks of 1 ms and a few of 500 ms, beside a greedy schedule",
    _cases,
    frozenset({"transport", "tasks"}),
)
