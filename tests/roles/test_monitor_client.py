"""MonitorClient over real sockets: what it takes, what it does not, and what it says when nobody answers."""

from __future__ import annotations

import contextlib
import textwrap
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from zmqpipeline import access
from zmqpipeline.errors import EndpointError, MonitorError
from zmqpipeline.keys import Keys
from zmqpipeline.monitor import client as module
from zmqpipeline.monitor.client import MonitorClient
from zmqpipeline.wire import envelope, zap
from zmqpipeline.wire.refusal import Refusal

from .pipelines import GUARD, address
from .snapshots import FakeDistributor, make_snapshot, make_worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline.monitor.snapshot import Snapshot
    from zmqpipeline.wire.watch import Watch

pytestmark = pytest.mark.usefixtures("folder", "descriptors")

HERE = "ipc://monitor.ipc"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Try again and look sooner than usual."""
    monkeypatch.delenv(access.VARIABLE, raising=False)
    monkeypatch.setattr("zmqpipeline.wire.watch.REDIAL_INTERVAL", 0.05)
    monkeypatch.setattr(access, "_LOOK_INTERVAL", 0.01)
    yield
    assert zap._handlers == {}


def packed(kind: str, data: Any) -> bytes:
    return envelope.encode(envelope.Message(kind, data=data))


def until(stream: Iterator[Snapshot | None], run: str) -> list[Snapshot | None]:
    """Take what comes until it is of this run; return what was before."""
    before: list[Snapshot | None] = []
    deadline = time.monotonic() + GUARD
    for snapshot in stream:
        if snapshot is not None and snapshot["run"] == run:
            return before
        before.append(snapshot)
        assert time.monotonic() < deadline
    raise AssertionError(f"the stream has ended without the run {run}")


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_it_asks_once(transport: str) -> None:
    where = address(transport, "monitor")
    shown = make_snapshot()
    with FakeDistributor(where, shown) as fake, MonitorClient(where, timeout=GUARD) as client:
        assert client.snapshot() == shown
        assert client.snapshot() == shown
        assert fake.asked == [{}, {}]


def test_a_distributor_that_comes_later_is_asked_then() -> None:
    with MonitorClient(HERE, timeout=GUARD) as client:
        stream = client.stream(0.1)
        assert next(stream) is None
        with FakeDistributor(HERE, make_snapshot(run="late")):
            until(stream, "late")
        stream.close()  # type: ignore[attr-defined] # it is a generator


def test_a_stream_shows_what_changes_and_ends_with_the_run() -> None:
    with FakeDistributor(HERE) as fake, MonitorClient(HERE) as client:
        stream = client.stream(0.1)
        until(stream, make_snapshot()["run"])
        fake.show(make_snapshot(run="second", acknowledged=500))
        until(stream, "second")
        fake.show(make_snapshot(run="second", phase="ended"))
        *_, last = stream
        assert last is not None
        assert last["phase"] == "ended"
        assert fake.asked[0] == {"every": 0.1}


def test_it_says_again_that_it_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_INTERVAL", 0.05)
    with FakeDistributor(HERE) as fake, MonitorClient(HERE) as client:
        for _ in client.stream(0.1):
            if len(fake.asked) > 3:
                break
        assert fake.asked == [{"every": 0.1}] * len(fake.asked)


def test_who_is_gone_is_missed_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_INTERVAL", 1000.0)  # it asks because somebody is there again
    with MonitorClient(HERE) as client:
        stream = client.stream(0.1)
        with FakeDistributor(HERE, make_snapshot(run="first")):
            until(stream, "first")
        while next(stream) is not None:
            pass
        assert client.problem().startswith(f"nobody is at {HERE}: start the run with --monitor-endpoint")
        with FakeDistributor(HERE, make_snapshot(run="second")):
            assert "second" not in [s and s["run"] for s in until(stream, "second")]
            assert client.problem() == (
                f"what is at {HERE} has not answered for 0.3 s: if it is the distributor, it is busy in the "
                f"program's code, so ask again; if not, give the address of its --monitor-endpoint"
            )


def test_nonsense_is_ignored() -> None:
    good = make_snapshot(run="good")
    nonsense: list[tuple[bytes, ...]] = [
        (b"",),
        (b"", b""),
        (b"", b"\xc1\xff"),
        (b"x", packed("SNAPSHOT", good)),
        (b"", packed("SNAPSHOT", good), b""),
        (b"", packed("DATA", good)),
        (b"", packed("SNAPSHOT", [good])),
        (b"", packed("SNAPSHOT", {})),
        (b"", packed("SNAPSHOT", {**good, "rate": float("nan")})),
        (b"", packed("SNAPSHOT", {**good, "workers": [{"id": "x"}]})),
        (b"", packed("SNAPSHOT", {"version": 99})),
    ]
    with FakeDistributor(HERE, make_snapshot(run="first")) as fake, MonitorClient(HERE) as client:
        stream = client.stream(60)
        until(stream, "first")
        for frames in nonsense:
            fake.babble(*frames)
        fake.show(good)
        assert until(stream, "good") == []


def test_what_only_talks_nonsense_is_said_so() -> None:
    with FakeDistributor(HERE) as fake, MonitorClient(HERE) as client:
        stream = client.stream(0.1)
        until(stream, make_snapshot()["run"])
        fake.show({"this": "is none"})  # type: ignore[typeddict-item, typeddict-unknown-key]
        while next(stream) is not None:
            pass
        assert client.problem() == (
            f"what is at {HERE} answers with something else than a snapshot: "
            f"give the address of the distributor's --monitor-endpoint"
        )


def test_another_version_is_one_sentence() -> None:
    newer = make_snapshot(version=99, workers="in a way that nobody here knows")
    with FakeDistributor(HERE, newer), MonitorClient(HERE, timeout=GUARD) as client:
        with pytest.raises(
            MonitorError, match=r"in version 99, and this is zmqpipeline .* reads version 1: inst"
        ):
            client.snapshot()
        with pytest.raises(MonitorError, match="version 99"):
            next(client.stream(0.1))


def test_nobody_is_one_sentence() -> None:
    with MonitorClient(HERE, timeout=0.05) as client, pytest.raises(MonitorError) as raised:
        client.snapshot()
    assert str(raised.value) == (
        f"nobody is at {HERE}: start the run with --monitor-endpoint {HERE}, "
        f"or give the address that it was started with"
    )


def test_wrong_arguments_are_told_at_once() -> None:
    with pytest.raises(EndpointError, match="tpc"):
        MonitorClient("tpc://127.0.0.1:5555")
    with pytest.raises(ValueError, match="timeout is 0, expected seconds above 0"):
        MonitorClient(HERE, timeout=0)
    with (
        MonitorClient(HERE) as client,
        pytest.raises(ValueError, match=r"every is 0.01, expected .* from 0.1"),
    ):
        client.stream(0.01)


def test_closing_ends_a_stream() -> None:
    with FakeDistributor(HERE), MonitorClient(HERE) as client:
        stream = client.stream(0.1)
        assert next(stream) is not None
        client.close()
        assert list(stream) == []
        assert client.problem() == ""
        assert client.snapshot()["phase"] == "running"


def test_one_that_was_not_closed_is_told() -> None:
    client = MonitorClient(HERE)
    stream = client.stream(0.1)
    assert next(stream) is None
    with pytest.warns(ResourceWarning, match="MonitorClient for ipc://monitor.ipc was not closed"):
        client.__del__()
    assert list(stream) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.__del__()


def test_a_snapshot_with_many_workers_comes_whole() -> None:
    many = make_snapshot(workers=[make_worker(id=str(number)) for number in range(3000)])
    with FakeDistributor(HERE, many), MonitorClient(HERE, timeout=GUARD) as client:
        assert client.snapshot() == many


def test_the_documented_program_works(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[2] / "docs" / "monitoring.rst"
    if not page.exists():
        pytest.skip("only a checkout has the documentation")
    _, _, block = page.read_text(encoding="utf-8").partition(".. code-block:: python\n\n")
    program = textwrap.dedent(block[: block.index("\n\nA snapshot is")])
    with FakeDistributor(HERE, make_snapshot(phase="ended")):
        exec(compile(program, page, "exec"), {})  # noqa: S102 - it is ours
    assert capsys.readouterr().out == "400 done, 50.0 per second\n"


# -- keys -------------------------------------------------------------------------


def test_it_shows_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys.new("keys")
    where = address("tcp", "monitor")
    with FakeDistributor(where, keys=keys):
        with MonitorClient(where, timeout=GUARD, keys="keys") as client:
            assert client.snapshot() == make_snapshot()
        monkeypatch.setenv(access.VARIABLE, "keys")
        with MonitorClient(where, timeout=GUARD) as client:
            assert client.snapshot() == make_snapshot()


def wait_for(client: MonitorClient, stream: Iterator[Snapshot | None], sentence: str) -> None:
    deadline = time.monotonic() + GUARD
    while next(stream) is not None or sentence not in client.problem():
        assert time.monotonic() < deadline, client.problem()


def refused(client: MonitorClient, sentence: str) -> None:
    """Wait until the client says why it gets nothing."""
    stream = client.stream(0.1)
    wait_for(client, stream, sentence)
    with contextlib.closing(client):
        client.timeout = 0.3
        with pytest.raises(MonitorError):
            client.snapshot()


def test_who_has_no_keys_is_told() -> None:
    where = address("tcp", "monitor")
    with FakeDistributor(where, keys=Keys.new("keys")):
        refused(
            MonitorClient(where), f"this process finds keys at {where} and has none: start it again with ZMQ"
        )


def test_who_is_not_on_the_list_is_told_the_command() -> None:
    keys, where = Keys.new("keys"), address("tcp", "monitor")
    Keys.new("host", keys.pipeline_public)
    with FakeDistributor(where, keys=keys):
        refused(MonitorClient(where, keys="host"), "let it in there with: zmqpipeline keys authorize NAME ")


def test_who_finds_no_keys_is_told() -> None:
    where = address("tcp", "monitor")
    Keys.new("keys")
    with FakeDistributor(where):
        refused(MonitorClient(where, keys="keys"), f"this process finds no keys at {where}")


def test_that_the_other_side_hangs_up_says_least() -> None:
    where = address("tcp", "monitor")
    refused_by = access.Access(Keys.new("keys"), MonitorClient.logger, "test")
    watch = cast("Watch", SimpleNamespace(connections=0))
    refused_by.observe(watch, where, bound=False, quiet=False, redials=False)
    watch.refusals[Refusal.BROKEN] = 5
    assert refused_by.problem(where).startswith("gets no answer to its key at")
    watch.refusals[Refusal.ONE_SIDED] = 1
    assert refused_by.problem(where).startswith("finds no keys at")
    watch.connections = 1
    assert refused_by.problem(where) == ""
    assert refused_by.problem("tcp://127.0.0.1:1") == ""


def test_who_is_let_in_later_goes_on() -> None:
    keys, where = Keys.new("keys"), address("tcp", "monitor")
    host = Keys.new("host", keys.pipeline_public)
    with FakeDistributor(where, keys=keys), MonitorClient(where, keys="host") as client:
        stream = client.stream(0.1)
        wait_for(client, stream, "is refused at")
        keys.authorize("host", host.peer.public)
        until(stream, make_snapshot()["run"])
