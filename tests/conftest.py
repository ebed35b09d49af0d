"""What every test must leave as it found it: threads, sockets, files, task types."""

from __future__ import annotations

import contextlib
import gc
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from zmq.utils.garbage import GarbageCollectorThread

import zmqpipeline
from tests import budget

if TYPE_CHECKING:
    from collections.abc import Iterator


# how long an example takes says something of the machine, not of the code
settings.register_profile("zmqpipeline", deadline=None, max_examples=budget.examples(50))
settings.load_profile("zmqpipeline")


def pytest_collection_finish() -> None:
    """Let those tests that collect garbage look at what they have made, and not at every module each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _clean_registries() -> Iterator[None]:
    """Give each test its own task types and registered classes."""
    before = set(zmqpipeline.TaskType.ALL_TASK_TYPES)
    yield
    zmqpipeline.TaskType.ALL_TASK_TYPES.clear()
    zmqpipeline.TaskType.ALL_TASK_TYPES.update(before)
    zmqpipeline.Distributor.clear_tasks()
    zmqpipeline.Worker.clear_workers()


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    """Fail a test that leaves a thread behind."""
    before = set(threading.enumerate())
    yield
    # pyzmq has one for its process, from the first large frame on that is sent without a copy
    running = [thread for thread in threading.enumerate() if not isinstance(thread, GarbageCollectorThread)]
    left = [thread for thread in running if thread not in before]
    for thread in left:
        thread.join(5)
    assert not [thread for thread in left if thread.is_alive()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, so that relative ipc paths are short and nobody else's."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Fail a test that leaves a file descriptor open."""
    gc.collect()
    before = _open_descriptors()
    yield
    gc.collect()
    left = _open_descriptors() - before
    assert not left


def _open_descriptors() -> set[str]:
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the descriptor of the listing itself
            found.add(f"{link.name} {link.readlink()}")
    return found
