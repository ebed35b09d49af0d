"""Which workloads there are, and which are measured when nothing is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zmqpipeline.bench.latency import LATENCY
from zmqpipeline.bench.long import LONG
from zmqpipeline.bench.mixed import MIXED
from zmqpipeline.bench.payload import PAYLOAD
from zmqpipeline.bench.sleep import SLEEP
from zmqpipeline.bench.start import START
from zmqpipeline.bench.throughput import THROUGHPUT

if TYPE_CHECKING:
    from zmqpipeline.bench.workload import Workload

WORKLOADS: dict[str, Workload] = {
    workload.name: workload for workload in (THROUGHPUT, LATENCY, SLEEP, MIXED, PAYLOAD, LONG, START)
}
#: what is measured when nothing is said: about a minute
TOUR = (THROUGHPUT.name, LATENCY.name)
#: all of them, on the command line
ALL = "all"
