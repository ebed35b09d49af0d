"""Doing tasks one after another, while somebody takes from what is done and from what was not begun."""

from __future__ import annotations

from typing import Any

import pytest

from zmqpipeline.delivery.assignment import Work
from zmqpipeline.execution import Execution
from zmqpipeline.wire import serializer

RUN = "the run"


def work(count: int = 6) -> Work:
    return Work([{"n": n} for n in range(count)], [(10, 2), (20, count - 2)], 3, RUN)


def run(execution: Execution, call: Any, most: float = float("inf")) -> None:
    execution.run(call, "T.handle", serializer.make_packer(), most)


@pytest.mark.parametrize("at", [0, 3, 5])
def test_it_ends_behind_the_task_that_is_running_when_it_is_cut(at: int) -> None:
    execution = Execution(work())
    cut: list[Work] = []

    def call(data: dict[str, Any]) -> dict[str, Any]:
        if data["n"] == at:
            cut.append(execution.cut())
        return data

    run(execution, call)
    ids = [10, 11, 20, 21, 22, 23]
    (rest,) = cut
    assert [data["n"] for data in rest.tasks] == list(range(at + 1, 6))
    assert [n for first, count in rest.ids for n in range(first, first + count)] == ids[at + 1 :]
    assert (rest.attempt, rest.run) == (3, RUN)
    assert execution.position == len(execution.take_done().results) == at + 1
    assert execution.cut(running=0).tasks == []


def test_what_is_left_behind_large_results_can_be_taken_as_well() -> None:
    execution = Execution(work())
    run(execution, lambda _data: {"large": bytes(100_000)}, most=150_000)
    assert execution.position == 2
    rest = execution.cut(running=0)
    assert ([data["n"] for data in rest.tasks], rest.ids) == ([2, 3, 4, 5], [(20, 4)])


def test_what_was_done_while_it_was_cut_is_not_left() -> None:
    """The other thread goes on while one takes task after task from the end."""
    execution = Execution(work())

    class Racing(list[Any]):
        def pop(self, *place: Any) -> Any:
            taken = super().pop(*place)
            if len(self) == 4:
                # the thread had begun with the fifth before it was taken, and has gone through it
                execution.done.extend([b"done"] * 5)
            return taken

    execution.work.tasks = Racing(execution.work.tasks)
    rest = execution.cut()
    assert ([data["n"] for data in rest.tasks], rest.ids) == ([5], [(23, 1)])
