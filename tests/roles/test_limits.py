"""What is refused: frames that are too large, too few descriptors."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import zmq

import zmqpipeline
from tests.roles.pipelines import GUARD, Pipeline, eventually, run_all, running
from zmqpipeline.role import Role
from zmqpipeline.wire import envelope
from zmqpipeline.wire.watch import Watch

pytestmark = pytest.mark.usefixtures("folder", "_quick_looks")

MIB = 1024 * 1024


@pytest.fixture
def _small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Role, "max_message_size", MIB)


def wait_until_cut(watch: Watch) -> None:
    """Wait until the other end has closed a connection."""
    eventually(lambda: bool(watch.drain().gone))
    watch.close()


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
@pytest.mark.usefixtures("_small_frames")
def test_a_frame_that_is_too_large_is_refused_and_harms_nobody(transport: str) -> None:
    pipeline = Pipeline(transport)
    pipeline.task("LARGE", 100)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    worker = pipeline.worker("LARGE")()
    huge = envelope.encode(envelope.Message("HELLO", "LARGE", {"x": bytes(2 * MIB)}))
    with (
        zmq.Context() as context,
        context.socket(zmq.DEALER) as dealer,
        context.socket(zmq.PUSH) as push,
        running(keeper, distributor) as roles,
    ):
        for sender, address in ((dealer, pipeline.endpoint("LARGE")), (push, pipeline.collector)):
            sender.linger = 0
            watch = Watch(sender, address)
            sender.connect(address)
            sender.send_multipart([b"", huge] if sender is dealer else [huge])
            wait_until_cut(watch)
            sender.disconnect(address)
        roles.start(worker)
        roles.join()
    assert keeper.numbers("LARGE") == list(range(100))


LIMITED = """
import os, resource
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
import zmqpipeline
from zmqpipeline import EndpointAddress
one, other = EndpointAddress("ipc://one.ipc"), EndpointAddress("ipc://other.ipc")
distributor = zmqpipeline.Distributor(one, other, tasks=[])
def tell(event):
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)
    os._exit(0)  # for what it would wait for has nothing to do with this
distributor.on_event = tell
distributor.run()
"""


def test_a_role_raises_its_limit_of_file_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    done = subprocess.run([sys.executable, "-c", LIMITED], check=True, capture_output=True, timeout=30)
    expected = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    assert int(done.stdout) == expected


def test_a_dependent_task_begins_when_what_is_before_it_has_failed() -> None:
    pipeline = Pipeline()
    pipeline.task("FAILS", 5, max_attempts=1)
    pipeline.task("AFTER", 5, depends=("FAILS",))
    keeper = pipeline.keeper()
    fails = pipeline.worker("FAILS", handle_execution=lambda *_: 1 / 0)
    distributor = pipeline.distributor()
    run_all(keeper, distributor, fails(), pipeline.worker("AFTER")())
    assert keeper.numbers("AFTER") == list(range(5))
    assert [name for name, *_ in keeper.failures] == ["FAILS"] * 5
    assert distributor.failures == 5
    assert keeper.finished == [5]


FORKS = """
import os
import signal
import sys
import zmqpipeline
from zmqpipeline import EndpointAddress

class Keeps(zmqpipeline.Collector):
    endpoint = EndpointAddress("ipc://results.ipc")
    ack_endpoint = EndpointAddress("ipc://acks.ipc")

    def handle_collection(self, data, task_type, msgtype):
        pass

def forks(event):
    pid = os.fork()
    if not pid:
        signal.alarm(20)
        sys.exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), sorted(os.listdir()))
    role.stop()

role = Keeps()
role.on_event = forks
role.run()
print("ended", os.listdir())
"""


def test_a_process_that_is_forked_ends_and_leaves_all_to_its_parent() -> None:
    """It unwinds through run(), which closes what is its parent's."""
    path = os.pathsep.join([str(Path(zmqpipeline.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", FORKS],
        check=True,
        capture_output=True,
        text=True,
        timeout=GUARD,
        env={**os.environ, "PYTHONPATH": path},
    )
    files = ["acks.ipc", "acks.ipc.lock", "results.ipc", "results.ipc.lock"]
    assert done.stdout.splitlines() == [f"7 {files}", "ended []"], done.stderr
