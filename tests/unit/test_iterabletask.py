"""IterableTask: a task for each item, complete with the last one."""

from __future__ import annotations

import abc
import functools
from typing import TYPE_CHECKING, Any

import pytest

import zmqpipeline
from tests.unit.testing_programs import Keeper, task, worker
from zmqpipeline.errors import DeclarationError
from zmqpipeline.source import TaskSource
from zmqpipeline.testing import Pipeline, faults
from zmqpipeline.wire import serializer
from zmqpipeline.wire.envelope import array_header

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from zmqpipeline.testing import Result

MAX = 1 << 20


class Same(zmqpipeline.SingleThreadedWorker, abc.ABC):
    """Returns what it got."""

    def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        return data


def of(items: Any, **extra: Any) -> Any:
    """Declare a task for items."""
    return task("ITEMS", zmqpipeline.IterableTask, items=items, **extra)


def run(kind: Any, *what: Any, **options: Any) -> Result[Keeper]:
    result = Pipeline([kind], [worker("ITEMS", Same)], Keeper, **options).run(*what)
    check(result)
    return result


def check(result: Result[Keeper]) -> None:
    """Each task that was handed out is collected once, and the end comes behind the last one."""
    ids = result.collector.ids
    assert len(set(ids)) == len(ids) == sum(made.n_sent for made in result.tasks.values())
    assert result.collector.finished == [len(ids)]


def handed_out(kind: Any, metadata: dict[str, Any] | None = None) -> list[Any]:
    """Take everything out of a task, as the distributor does."""
    source = TaskSource(kind(), MAX)
    source.initialize(metadata or {})
    found: list[Any] = []
    while not source.exhausted:
        body, count = source.fill(3, b"")
        assert count > 0
        found += serializer.deserialize(array_header(count) + body)
    return found


def three() -> Iterator[int]:
    yield from range(3)


class Reader:
    """An object with a method, and a class that makes an iterable."""

    def __iter__(self) -> Iterator[int]:
        return three()

    def read(self) -> Iterator[int]:
        return three()

    @staticmethod
    def anyhow() -> list[int]:
        return [0, 1, 2]


@pytest.mark.parametrize(
    "items",
    [
        [0, 1, 2], (0, 1, 2), range(3), {0: "a", 1: "b", 2: "c"}, Reader(),
        three, Reader, Reader().read, Reader.anyhow, lambda: iter([0, 1, 2]),
        lambda self: range(self.size), lambda metadata: range(metadata["size"]),
        lambda self, metadata: range(self.size + metadata["size"] - 3), lambda *, metadata: range(3),
        lambda start=0, *others, **more: range(start, 3), functools.partial(range, 0, 3),
        functools.cache(lambda self: range(self.size)), staticmethod(three), property(lambda self: range(3)),
        classmethod(lambda cls: range(cls.size)), classmethod(lambda cls, metadata: range(metadata["size"])),
    ],
    ids=str,
)  # fmt: skip
def test_whatever_is_an_iterable_or_makes_one(items: Any) -> None:
    wanted = [{"item": number} for number in range(3)]
    assert handed_out(of(items, size=3), {"size": 3}) == wanted


def test_an_instance_may_have_items_of_its_own() -> None:
    class Own(zmqpipeline.IterableTask, abc.ABC):
        items: Any = ()

        def __init__(self) -> None:
            self.items = [1, 2]

    assert handed_out(task("ITEMS", Own)) == [{"item": 1}, {"item": 2}]


def test_a_dictionary_is_handed_out_as_it_is_and_all_else_as_item() -> None:
    items = [{"n": 1}, "text", None, [1, 2], {"item": 2}, b"bytes", {}]
    wanted = [
        {"n": 1}, {"item": "text"}, {"item": None}, {"item": [1, 2]}, {"item": 2}, {"item": b"bytes"}, {},
    ]  # fmt: skip
    assert handed_out(of(items)) == wanted
    assert sorted(map(repr, (data for _, data in run(of(items)).collector.kept))) == sorted(map(repr, wanted))


def test_a_dictionary_that_is_used_again_is_handed_out_as_it_was() -> None:
    def items() -> Iterator[dict[str, Any]]:
        job: dict[str, Any] = {"deep": [0]}
        for number in range(10):
            job["n"] = number
            job["deep"][0] = number
            yield job

    assert handed_out(of(items)) == [{"deep": [n], "n": n} for n in range(10)]


@pytest.mark.parametrize("items", [[], (), lambda: iter(()), lambda self: []])
def test_without_items_it_is_complete_at_once(items: Any) -> None:
    assert handed_out(of(items)) == []
    result = run(of(items))
    assert (result.handed_out, result.collector.kept, result.collector.finished) == (0, [], [0])
    assert result.tasks["ITEMS"].total == 0


@pytest.mark.parametrize("count", [1, 2, 3, 1000])
def test_it_is_complete_with_the_last_item(count: int) -> None:
    result = run(of(lambda: iter(range(count))))
    assert sorted(data["item"] for _, data in result.collector.kept) == list(range(count))
    assert (result.handed_out, result.collector.finished) == (count, [count])


def test_a_gated_one_is_asked_and_complete_with_the_last_item() -> None:
    class OneByOne(zmqpipeline.IterableTask, abc.ABC):
        def is_available_for_handling(self, last_ack_data: dict[str, Any]) -> bool:
            return self.n_acks == self.n_sent

    result = run(task("ITEMS", OneByOne, items=three))
    assert [data["item"] for _, data in result.collector.kept] == [0, 1, 2]


def test_nothing_is_evaluated_before_the_dependencies_are_complete() -> None:
    seen: list[int] = []

    def later(self: zmqpipeline.IterableTask) -> Iterator[int]:
        seen.append(self.siblings["BEFORE"].n_acks)
        yield from range(5)

    before = task("BEFORE", zmqpipeline.IterableTask, items=range(20))
    kind = of(later, depends=("BEFORE",))
    assert seen == []
    result = Pipeline([before, kind], [worker("BEFORE", Same), worker("ITEMS", Same)], Keeper).run()
    check(result)
    assert seen == [20]


def test_initialize_comes_first_and_need_not_know_of_the_items() -> None:
    class Prepared(zmqpipeline.IterableTask, abc.ABC):
        def initialize(self, metadata: dict[str, Any] = {}) -> None:  # noqa: B006
            self.size = metadata["size"]

        def items(self) -> Iterator[int]:
            yield from range(self.size)

    assert len(handed_out(task("ITEMS", Prepared), {"size": 4})) == 4


def test_initialize_may_say_that_there_is_nothing_to_do() -> None:
    class Nothing(zmqpipeline.IterableTask, abc.ABC):
        def initialize(self, metadata: dict[str, Any] = {}) -> None:  # noqa: B006
            self.is_complete = True

        def items(self) -> Iterator[int]:
            raise AssertionError("nobody asked")

    assert handed_out(task("ITEMS", Nothing)) == []


def test_it_can_be_ended_before_its_last_item() -> None:
    class Enough(zmqpipeline.IterableTask, abc.ABC):
        def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any] | None:
            made = super().handle(data, address, msgtype)
            self.is_complete = made == {"item": 3}
            return made

    assert handed_out(task("ITEMS", Enough, items=range(10))) == [{"item": n} for n in range(4)]


def test_it_can_be_called_by_hand() -> None:
    made = of(three)()
    assert not made.is_complete
    assert [made.handle({}, b"", "") for _ in range(3)] == [{"item": n} for n in range(3)]
    assert made.is_complete
    with pytest.raises(LookupError, match="TaskITEMS has no more items"):
        made.handle({}, b"", "")


# -- how many there are --------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "declared", "first", "last"),
    [
        (range(7), None, 7, 7),
        (lambda: list(range(7)), None, 7, 7),
        (lambda: iter(range(7)), None, None, 7),
        (lambda: iter(range(7)), 7, 7, 7),
        (range(7), 6, 6, 6),
    ],
)
def test_the_total_is_known_from_the_length_or_at_the_end(
    items: Any, declared: int | None, first: int | None, last: int
) -> None:
    made = of(items, total=declared)()
    source = TaskSource(made, MAX)
    source.initialize({})
    assert made.total == first
    while not source.exhausted:
        source.fill(3, b"")
    assert made.total == last


@pytest.mark.parametrize("total", [-1, 1.0, "7", True])
def test_a_wrong_total_is_named(total: Any) -> None:
    with pytest.raises(DeclarationError, match=r"total is .*, expected a whole number from 0"):
        of(three, total=total)


# -- what goes wrong -----------------------------------------------------------------


async def _coroutine() -> list[int]:
    return []


async def _generator() -> AsyncIterator[int]:
    yield 0


class _Asynchronous:
    def __aiter__(self) -> AsyncIterator[int]:
        return _generator()


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (5, r"items is 5 \(int\), expected an iterable, or a function that returns one"),
        ("text", r"items is 'text' \(str\), expected an iterable"),
        (b"bytes", r"items is b'bytes' \(bytes\), expected an iterable"),
        (None, r"items is None \(NoneType\), expected an iterable"),
        (_coroutine, "items is asynchronous, and a distributor has no event loop"),
        (_generator, "items is asynchronous"),
        (staticmethod(_generator), "items is asynchronous"),
        (_Asynchronous(), "items is asynchronous"),
        (lambda path: [path], "items takes path, expected a function whose parameters are called self and"),
        (lambda self, path, *, mode: [path, mode], "items takes path, mode, expected"),
    ],
)
def test_items_that_cannot_work_are_named_when_they_are_declared(items: Any, expected: str) -> None:
    with pytest.raises(DeclarationError, match=f"class TaskITEMS: {expected}"):
        of(items)


def test_items_have_to_be_there() -> None:
    with pytest.raises(DeclarationError, match="Missing: items is missing, expected an iterable, or"):

        class Missing(zmqpipeline.IterableTask):
            task_type = of(three).task_type
            endpoint = of(three).endpoint
            dependencies = ()  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (lambda: 5, "TaskITEMS.items returned int, expected an iterable"),
        (lambda: None, "TaskITEMS.items returned NoneType, expected an iterable"),
        (lambda: "text", "TaskITEMS.items returned str, expected an iterable, and not a text"),
        (property(lambda self: 5), "TaskITEMS.items is int, expected an iterable"),
        (lambda: _generator(), "TaskITEMS.items is asynchronous"),  # noqa: PLW0108 - what cannot be seen before
        (lambda: _coroutine(), "TaskITEMS.items is asynchronous"),  # noqa: PLW0108
    ],
)
def test_items_that_turn_out_wrong_are_named(items: Any, expected: str) -> None:
    with pytest.raises(TypeError, match=expected):
        handed_out(of(items))


@pytest.mark.parametrize("at", [0, 1, 5])
def test_an_exception_in_the_iterable_is_one_of_the_program(at: int) -> None:
    def items() -> Iterator[int]:
        for number in range(10):
            if number == at:
                raise OSError(f"no line {number}")
            yield number

    with pytest.raises(OSError, match=f"no line {at}"):
        run(of(items))


# -- with a journal ------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 1, 17, 38, 39])
def test_a_distributor_that_goes_on_skips_what_was_taken(at: int) -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        begun.append(0)
        yield from range(40)

    result = run(of(items), faults.restart_distributor(at=("ITEMS", at)))
    assert sorted(data["item"] for _, data in result.collector.kept) == list(range(40))
    assert len(begun) in {1, 2}  # it need not be begun again if all was taken


def test_the_checkpoint_is_the_number_of_items() -> None:
    made = of(range(10))()
    source = TaskSource(made, MAX)
    source.initialize({})
    source.fill(4, b"")
    assert made.checkpoint() == {"n_taken": 4}
    again = of(range(10))()
    source = TaskSource(again, MAX)
    source.resume([4, 4, False, {}], {"n_taken": 4})
    source.initialize({})
    body, count = source.fill(100, b"")
    assert serializer.deserialize(array_header(count) + body) == [{"item": n} for n in range(4, 10)]
    assert again.total == 10


@pytest.mark.parametrize("left", [3, 4])
def test_fewer_items_than_before_are_an_error(left: int) -> None:
    source = TaskSource(of(range(left))(), MAX)
    source.resume([4, 4, False, {}], {"n_taken": 4})
    with pytest.raises(ValueError, match=rf"TaskITEMS.items gave {left} items, but .* has taken 4"):
        source.initialize({})


def test_what_was_complete_is_not_evaluated_again() -> None:
    def items() -> Iterator[int]:
        raise AssertionError("nobody asked")

    made = of(items)()
    source = TaskSource(made, MAX)
    source.resume([4, 4, True, {}], {"n_taken": 4})
    source.initialize({})
    assert source.exhausted
    assert made.total == 4
