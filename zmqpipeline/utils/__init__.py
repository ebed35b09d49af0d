"""The import paths that the tutorial names; the modules themselves are elsewhere."""

from __future__ import annotations

from zmqpipeline.utils import messages, serializer, shutdown

__all__ = ["messages", "serializer", "shutdown"]
