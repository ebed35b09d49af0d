"""Whatever is started first: every result is collected once, before the end, and everybody ends with 0."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ports import free_port
from tests.system.processes import COUNT, ROLES, Job, run

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = ("first", "second", "collector", "acks", "metadata")


def addresses(transport: str) -> dict[str, str]:
    """Make addresses that nobody has."""
    if transport == "ipc":
        return {name: f"ipc://{name}.ipc" for name in NAMES}
    return {name: f"tcp://localhost:{free_port()}" for name in NAMES}


def run_all(orders: Iterable[tuple[str, ...]], transport: str) -> None:
    """Run pipelines, and check what came out of them."""
    jobs = [Job(str(number), order, addresses(transport)) for number, order in enumerate(orders)]
    for job in jobs:
        Path(job.folder).mkdir()
    run(jobs)
    for job in jobs:
        check(job)


def check(job: Job) -> None:
    """Check what came out of a pipeline."""
    meta = "data" if "metadata" in job.order else "None"
    folder = Path(job.folder)
    *results, last = (folder / "results").read_text().splitlines()
    expected = [f"{task} {n} {meta} {meta}" for task in ("FIRST", "SECOND") for n in range(1, COUNT + 1)]
    assert sorted(results[:COUNT]) == sorted(expected[:COUNT])
    assert sorted(results[COUNT:]) == sorted(expected[COUNT:])
    assert last == "finished"
    assert [path.name for path in folder.iterdir()] == ["results"]


# Each case runs the orders that begin with one role. With metadata there are 120 orders: all of them run over
# ipc; over tcp each order of the other four, with the metadata worker at each place in turn.
FOUR = tuple(name for name in ROLES if name != "metadata")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", FOUR)
@pytest.mark.parametrize("transport", ["ipc", pytest.param("tcp", marks=pytest.mark.matrix)])
@pytest.mark.usefixtures("folder")
def test_every_start_order(transport: str, first: str) -> None:
    run_all((order for order in itertools.permutations(FOUR) if order[0] == first), transport)


@pytest.mark.matrix
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", ROLES)
@pytest.mark.usefixtures("folder")
def test_every_start_order_with_metadata(first: str) -> None:
    run_all((order for order in itertools.permutations(ROLES) if order[0] == first), "ipc")


@pytest.mark.matrix
@pytest.mark.timeout(300)
@pytest.mark.parametrize("place", range(5))
@pytest.mark.usefixtures("folder")
def test_start_orders_with_metadata_over_tcp(place: int) -> None:
    orders = list(itertools.permutations(FOUR))[place::5]
    run_all([(*order[:place], "metadata", *order[place:]) for order in orders], "tcp")
