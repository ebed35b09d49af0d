"""Whatever is started first: every result is collected once, before the end, and everybody ends with 0."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ports import free_port
from tests.system.processes import COUNT, ROLES, run

if TYPE_CHECKING:
    from collections.abc import Iterable

AT_A_TIME = 4
NAMES = ("first", "second", "collector", "acks", "metadata")


def addresses(transport: str) -> dict[str, str]:
    """Make addresses that nobody has."""
    if transport == "ipc":
        return {name: f"ipc://{name}.ipc" for name in NAMES}
    return {name: f"tcp://localhost:{free_port()}" for name in NAMES}


def run_in_order(order: tuple[str, ...], transport: str, folder: Path) -> None:
    """Run one pipeline, and check what came out of it."""
    folder.mkdir()
    with_metadata = "metadata" in order
    assert run(folder, order, addresses(transport)) == [0] * len(order)
    meta = "data" if with_metadata else "None"
    *results, last = (folder / "results").read_text().splitlines()
    expected = [f"{task} {n} {meta} {meta}" for task in ("FIRST", "SECOND") for n in range(1, COUNT + 1)]
    assert sorted(results[:COUNT]) == sorted(expected[:COUNT])
    assert sorted(results[COUNT:]) == sorted(expected[COUNT:])
    assert last == "finished"
    assert [path.name for path in folder.iterdir()] == ["results"]


def run_all(orders: Iterable[tuple[str, ...]], transport: str) -> None:
    """Run pipelines, a few at a time: most of their time they wait for a process to start."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        jobs = [
            pool.submit(run_in_order, order, transport, Path.cwd() / str(number))
            for number, order in enumerate(orders)
        ]
        for job in jobs:
            job.result()


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
