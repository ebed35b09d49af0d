"""The memory of large messages stays with the process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from zmqpipeline.wire import memory

ROUNDS = 50
#: makes and forgets four large values again and again, and tells how many pages that took from the system
PROGRAM = f"""
import resource, sys
from zmqpipeline.wire import memory

def churn():
    for _ in range({ROUNDS}):
        values = [bytes(1 << 20) + b"!" for _ in range(4)]

churn()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
if sys.argv[1] == "keep":
    memory.keep()
churn()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str, **variables: str) -> int:
    environ = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        env={**environ, **variables}, capture_output=True, text=True, timeout=50, check=True,
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.skipif(not memory._is_glibc(), reason="only glibc is told to")
def test_it_is_not_taken_from_the_system_for_each_message() -> None:
    assert faults("keep") < faults("leave") / 4


@pytest.mark.skipif(not memory._is_glibc(), reason="only glibc is told to")
def test_who_has_configured_it_is_left_alone() -> None:
    settings = {"MALLOC_MMAP_THRESHOLD_": "65536"}
    assert faults("keep", **settings) > faults("leave", **settings) / 2
