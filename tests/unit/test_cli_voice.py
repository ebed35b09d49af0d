"""Whose a line is, in front of it."""

from __future__ import annotations

import pytest

from zmqpipeline.cli.voice import Voice, says


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("CountWorker", "COUNT"),
        ("CountWorker", "count"),
        ("MyTaskWorker", "MYTASK"),
        ("WordCountWorker", "word-count"),
        ("HTTPFetcher", "http"),
        ("count_worker", "COUNT"),
        ("Stage2", "stage2"),
        ("Sleeper", "SLEEP"),
        ("OneTask1", "task"),
        ("Zählt", "zählt"),
    ],
)
def test_a_name_that_says_the_task_type(name: str, task: str) -> None:
    assert says(name, task)
    assert Voice(name, 7, task).label == f"{name}[7]"


@pytest.mark.parametrize(
    ("name", "task"), [("Does", "first"), ("Adds", "a"), ("Stage21", "stage2"), ("DiscountWorker", "count")]
)
def test_a_name_that_does_not(name: str, task: str) -> None:
    assert not says(name, task)
    assert Voice(name, 7, task).label == f"{name}/{task}[7]"


def test_a_role_without_a_task_type() -> None:
    assert Voice("Keeps", 7).label == "Keeps[7]"
