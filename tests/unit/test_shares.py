"""How much of a book one worker may hold, and how large a batch is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import zmqpipeline
from tests.unit.simulated.source import Numbers
from tests.unit.test_taskbook import A, B, C, Case, ids
from zmqpipeline import EndpointAddress, TaskType
from zmqpipeline.delivery.batch import NOBODY
from zmqpipeline.delivery.ledger import COLLECTOR
from zmqpipeline.errors import SerializationError
from zmqpipeline.source import BATCH_BYTES, BATCH_TIME, TaskSource
from zmqpipeline.wire import envelope, serializer

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB = 1024 * 1024


class Heavy(Numbers):
    """Makes tasks of given sizes, each call of fill() as many as go into a batch."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self.sizes = list(sizes)
        super().__init__(len(self.sizes))

    def fill(self, limit: int, address: bytes) -> tuple[bytes, int]:
        body, count = b"", 0
        while count < limit and len(body) < BATCH_BYTES and not self.exhausted:
            body += serializer.serialize({"n": self.made, "padding": bytes(self.sizes[self.made])})
            self.made += 1
            count += 1
        return body, count


def heavy(*sizes: int, **options: Any) -> Case:
    return Case(source=Heavy(sizes), **options)


def held(case: Case, *addresses: bytes) -> list[int]:
    case.hand_out()
    return [case.ledger.holds(address) for address in addresses]


# -- what one worker holds ---------------------------------------------------------


def test_a_worker_that_stands_still_holds_a_few_heavy_tasks_whatever_its_credit() -> None:
    case = heavy(*[MIB] * 200)
    case.join(A, 10_000)
    assert held(case, A) == [7]
    case.join(B, 10_000)
    assert held(case, A, B) == [7, 7]
    case.acknowledge((7, 2))
    assert held(case, A, B) == [7, 7]
    assert case.ledger.holds(A) + case.ledger.holds(B) == case.ledger.open_count
    assert case.ledger.settled.ranges() == [(7, 2)]


@pytest.mark.parametrize("count", [2, 9, 30])
def test_when_all_but_one_stand_still_there_is_room_for_the_last(count: int) -> None:
    case = heavy(*[MIB] * 200)
    still = [b"%d" % number for number in range(count - 1)]
    for address in (*still, A):
        case.join(address, 10_000)
    case.hand_out()
    done = 0
    while mine := case.ledger.held_by(A):
        done += case.acknowledge(*[(batch.first, batch.count) for batch in mine])
        case.hand_out()
    assert done + sum(held(case, *still)) == 200
    assert max(held(case, *still)) <= 7
    assert case.ledger.open_bytes <= 64 * MIB


def test_the_number_of_tasks_is_divided_as_well() -> None:
    case = Case(10_000, max_open=100)
    for address in (A, B, C):
        case.join(address, 1000)
    assert all(20 <= count <= 25 for count in held(case, A, B, C))


def test_a_worker_without_anything_gets_a_task_however_heavy() -> None:
    case = heavy(*[20 * MIB] * 5)
    for address in (A, B):
        case.join(address, 100)
    assert held(case, A, B) == [1, 1]


def test_a_lockstep_worker_waits_for_acknowledgements_of_heavy_tasks() -> None:
    case = heavy(*[3 * MIB] * 5)
    case.join_in_lockstep(A)
    for expected in (1, 2, 2):
        assert held(case, A) == [expected]
        case.says(A, "RDY", run=None)
    case.acknowledge((0, 1))
    assert held(case, A) == [2]


# -- what counts ------------------------------------------------------------------------


def test_errors_count_as_long_as_the_collector_has_not_acknowledged_them() -> None:
    case = Case(1000, max_open_bytes=200_000)
    case.source.max_attempts = 1
    case.join(A, 1)
    failed = 0
    while batches := case.given(A):
        case.fail(A, batches[0], traceback="x" * 30_000)
        failed += 1
    assert failed == 7
    assert case.ledger.weighs(COLLECTOR) > 200_000
    case.acknowledge((0, 7), failed=[(0, 7)])
    assert case.ledger.open_bytes == case.ledger.weighs(COLLECTOR) == 0
    assert len(ids(case.given(A))) == 1


def test_the_error_of_an_attempt_that_is_not_the_last_is_not_kept() -> None:
    case = Case(1)
    case.join(A, 1)
    (batch,) = case.given(A)
    before = case.ledger.open_bytes
    case.fail(A, batch, traceback="x" * 30_000)
    assert case.ledger.weighs(NOBODY) == case.ledger.open_bytes == before


# -- batches ---------------------------------------------------------------------------


def padded(*sizes: int, max_message: int = 64 * MIB) -> TaskSource:
    class Padded(zmqpipeline.Task):
        task_type = TaskType("PADDED")
        endpoint = EndpointAddress("ipc://padded.ipc")
        dependencies: list[TaskType] = []  # noqa: RUF012 - as the tutorial declares it

        def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:
            size = left.pop(0)
            self.is_complete = not left
            return {"padding": bytes(size)}

    left = list(sizes)
    source = TaskSource(Padded(), max_message)
    source.initialize({})
    return source


def test_a_batch_is_closed_when_it_is_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BATCH_TIME", "SLOW_HANDLE"):
        monkeypatch.setattr(f"zmqpipeline.source.{name}", 60.0)
    TaskType.register_type("PADDED")
    source = padded(*[100_000] * 10)
    counts = []
    while not source.exhausted:
        body, count = source.fill(1000, b"")
        counts.append(count)
        assert len(body) < BATCH_BYTES + 100_100
    assert counts == [3, 3, 3, 1]


def test_several_large_tasks_behind_small_ones_each_wait_for_a_frame_of_their_own() -> None:
    limit = MIB
    sizes = [*[10] * 200, *[limit - envelope.ENVELOPE_BYTES - 100] * 20]
    case = heavy(*sizes, max_message=limit)
    case.join(A, 300)
    for _ in sizes:
        case.hand_out()
    batches = [message for message in case.link.to(A) if message.type == "DATA"]
    assert all(len(envelope.encode(message)) <= limit for message in batches)
    given = [len(item["padding"]) for message in batches for item in message.data]
    assert given == sizes[: len(given)]
    assert len(given) > 200


def test_a_large_task_behind_small_ones_waits_for_a_frame_of_its_own() -> None:
    limit = 3 * MIB
    sizes = [100_000, 100_000, limit - envelope.ENVELOPE_BYTES - 100, 10]
    case = heavy(*sizes, max_message=limit)
    case.join(A, 100)
    case.hand_out()
    batches = [message for message in case.link.to(A) if message.type == "DATA"]
    assert [message.ids for message in batches] == [[(0, 2)], [(2, 1)], [(3, 1)]]
    assert [message.attempt for message in batches] == [1, 1, 1]
    assert [len(item["padding"]) for message in batches for item in message.data] == sizes


def test_a_batch_is_closed_a_moment_after_its_first_task_or_after_a_slow_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    TaskType.register_type("PADDED")
    clock = [0.0]
    monkeypatch.setattr("zmqpipeline.source.perf_counter", lambda: clock[0])
    for seconds, expected in ((0.00009, 1 + int(BATCH_TIME / 0.00009)), (0.0002, 1)):
        source = padded(*[1] * 100)

        def handle(*_args: Any, seconds: float = seconds, task: Any = source.task) -> dict[str, Any]:
            clock[0] += seconds
            return {}

        monkeypatch.setattr(source.task, "handle", handle)
        assert source.fill(1000, b"")[1] == expected


def test_what_no_worker_could_take_is_an_error_of_the_program() -> None:
    TaskType.register_type("PADDED")
    source = padded(MIB, max_message=MIB)
    with pytest.raises(
        SerializationError, match=r"Padded.handle returned a dictionary of \d+ bytes packed, more than"
    ):
        source.fill(1, b"")
