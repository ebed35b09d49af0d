"""How much is tried where more would find more: little by default, as much as one likes by a variable."""

from __future__ import annotations

import os

#: how many examples Hypothesis tries, instead of what each test says
EXAMPLES = "ZMQPIPELINE_TEST_EXAMPLES"
#: how many faults real processes get
FAULTS = "ZMQPIPELINE_TEST_FAULTS"


def examples(count: int) -> int:
    """Choose how many examples are tried."""
    return int(os.environ.get(EXAMPLES) or count)


def faults(count: int) -> int:
    """Choose how many faults there are."""
    return int(os.environ.get(FAULTS) or count)
