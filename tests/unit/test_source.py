"""What a distributor asks of a Task, beside its tasks."""

from __future__ import annotations

from typing import Any

import pytest

from zmqpipeline import EndpointAddress, Task, TaskType
from zmqpipeline.source import TaskSource
from zmqpipeline.wire import serializer


def sized(total: Any) -> TaskSource:
    """Make a task that knows how many there will be, or thinks so."""
    TaskType.register_type("sized")

    class Sized(Task):
        task_type = TaskType("sized")
        endpoint = EndpointAddress("inproc://sized")
        dependencies = []  # noqa: RUF012 - as a program writes it

        def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:
            return data

    made = Sized()
    made.total = total
    return TaskSource(made, 1 << 20)


@pytest.mark.parametrize("total", [-1, 1.0, "7", True, 2**53, 10**30])
def test_a_total_that_no_run_can_have_is_as_if_nothing_was_said(total: Any) -> None:
    assert sized(total).total is None


@pytest.mark.parametrize("total", [0, 7, 2**53 - 1])
def test_a_total_can_be_told_to_whoever_watches(total: int) -> None:
    assert serializer.deserialize(serializer.serialize(sized(total).total)) == total
