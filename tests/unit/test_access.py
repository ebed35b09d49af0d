"""When it is said who was refused: each reason once a minute, because each has another remedy."""

from __future__ import annotations

import logging
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from zmqpipeline.access import TELL_INTERVAL, Access
from zmqpipeline.wire.refusal import Refusal

if TYPE_CHECKING:
    import pytest


class Told:
    """A role without keys, and what libzmq tells of the connections at its address."""

    def __init__(self, caplog: pytest.LogCaptureFixture, *, bound: bool) -> None:
        self.access = Access(None, logging.getLogger("zmqpipeline"), "Role")
        self.watch = SimpleNamespace(refusals=Counter(), connections=0)
        self.access.observe(cast("Any", self.watch), "tcp://x:1", bound=bound, quiet=False, redials=False)
        self._caplog = caplog

    def after(self, now: float, *refusals: Refusal) -> list[str]:
        """Say what is logged at a time, after some refusals."""
        self._caplog.clear()
        self.watch.refusals.update(refusals)
        self.access.look(now)
        return [record.message for record in self._caplog.records]


def test_a_reason_is_told_once_in_a_while_and_another_one_at_once(caplog: pytest.LogCaptureFixture) -> None:
    told = Told(caplog, bound=True)
    (first,) = told.after(10.0, Refusal.CROWDED, Refusal.CROWDED)
    assert first.startswith("Role has refused 2 connections at tcp://x:1: as many as there may be")
    (other,) = told.after(12.0, Refusal.CROWDED, Refusal.ONE_SIDED)
    assert other.startswith("Role has refused 1 connection at tcp://x:1 with a key: it has none itself")
    assert told.after(20.0, Refusal.CROWDED, Refusal.ONE_SIDED) == []
    (again,) = told.after(10.0 + TELL_INTERVAL, Refusal.CROWDED)
    assert again.startswith("Role has refused 3 connections at tcp://x:1: as many")
    (again,) = told.after(12.0 + TELL_INTERVAL)
    assert again.startswith("Role has refused 1 connection at tcp://x:1 with a key")
    assert told.after(10.0 + 3 * TELL_INTERVAL) == []


def test_who_breaks_off_after_a_refusal_is_no_news(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told(caplog, bound=False)
    monkeypatch.setattr(told.access, "of_refusing", lambda _, why, count: f"{why.name} {count}" * (count > 2))
    assert told.after(10.0, *3 * [Refusal.BROKEN], *3 * [Refusal.ONE_SIDED]) == ["Role ONE_SIDED 3"]
    assert told.after(15.0, *3 * [Refusal.BROKEN]) == []
    assert told.after(11.0 + TELL_INTERVAL) == ["Role BROKEN 6"]


def test_what_is_worth_no_sentence_is_added_up_for_a_while(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told(caplog, bound=False)
    monkeypatch.setattr(told.access, "of_refusing", lambda _, why, count: f"{why.name} {count}" * (count > 2))
    assert told.after(10.0, Refusal.BROKEN) == []
    assert told.after(12.0, *2 * [Refusal.BROKEN]) == []
    assert told.after(14.0, Refusal.BROKEN) == ["Role BROKEN 3"]
