"""docs/hosts.rst, typed on three machines: here each is a folder, and all meet on the loopback interface."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.pages import DOCS, blocks

from .reader import Reader, ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.pages import Block

PAGE = blocks(DOCS / "hosts.rst")
MACHINES = ("alpha", "beta", "gamma")


@pytest.fixture
def machines(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[dict[str, Reader]]:
    swap = ports("\n".join(found.text for found in PAGE), free_port)
    keys: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        made = {}
        for name in MACHINES:
            tmp_path.joinpath(name).mkdir()
            made[name] = stack.enter_context(Reader(tmp_path / name, swap, keys))
        yield made


def follow(machines: dict[str, Reader], found: Block) -> None:
    name = found.caption.removeprefix("on ")
    if found.language == "python":
        for reader in machines.values():
            reader.follow(found)
    elif found.language == "text":
        # what a process that goes on there says meanwhile
        machines[name].wait_for(found.text)
    else:
        machines[name].follow(found)


def test_three_machines_over_tcp_with_keys(machines: dict[str, Reader]) -> None:
    for found in PAGE:
        follow(machines, found)
    for reader in machines.values():
        for console in reader.begun:
            assert console.finish() == 0, console.output
