"""What goes wrong when something is measured."""

from __future__ import annotations

from zmqpipeline.errors import ZmqPipelineError


class BenchError(ZmqPipelineError):
    """Raised when something cannot be measured, read or written; the sentence says why."""
