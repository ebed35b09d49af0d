"""What several tests of roles need."""

from __future__ import annotations

import pytest

from zmqpipeline.role import Role


@pytest.fixture
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let roles that nobody wakes look often at what the time has brought."""
    monkeypatch.setattr("zmqpipeline.role._LONGEST_POLL", 0.02)


@pytest.fixture
def _quick_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let signs of life be given often: by them a distributor finds what a collector has taken along."""
    monkeypatch.setattr("zmqpipeline.collector.HEARTBEAT", 0.05)
    monkeypatch.setattr(Role, "heartbeat_interval", 0.05)
