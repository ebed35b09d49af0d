"""Two workers in another language, written from the protocol's page alone, take part in real runs."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgpack
import pytest
import zmq

import zmqpipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Socket = zmq.Socket[bytes]

pytestmark = pytest.mark.timeout(180)

#: no test waits longer for an event, in seconds
GUARD = 60.0
_INSTALL = 120.0
_SOURCES = Path(__file__).with_name("node")
_TASK = "squares"
_PLAIN = 300

#: tasks of which something comes back as it went out
_KEPT: list[Any] = [
    2**63,
    -(2**63),
    b"\x00\xff",
    "\N{SNOWMAN}",
    None,
    [1, 2.5, {"a": True}],
    dt.datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=dt.timezone.utc),
    dt.date(2024, 2, 29),
    dt.time(23, 59, 59, 1),
    dt.timedelta(days=-1, seconds=2, microseconds=3),
]

_APP = """
import datetime as dt
import json
import sys

from zmqpipeline import Collector, Distributor, EndpointAddress, SingleThreadedWorker, Task, TaskType

SQUARES = TaskType.register_type("squares")
ROLE, TASKS, RESULTS, ACKS, PLAIN, KEPT = sys.argv[1:]
ITEMS = [{"i": i} for i in range(int(PLAIN))]
ITEMS.insert(7, {"fail": True})
ITEMS += [{"i": 10**6 + i, "keep": value} for i, value in enumerate(eval(KEPT))]
ITEMS.append({"i": 2**31})


def show(**values):
    print(json.dumps(values), flush=True)


class Squares(Task):
    task_type = SQUARES
    endpoint = EndpointAddress(TASKS)
    dependencies = []
    given = 0

    def handle(self, data, address, msgtype):
        item = ITEMS[self.given]
        self.given += 1
        self.is_complete = self.given == len(ITEMS)
        return item


class Does(SingleThreadedWorker):
    task_type = SQUARES
    endpoint = EndpointAddress(TASKS)
    collector_endpoint = EndpointAddress(RESULTS)
    waits = True

    def handle_execution(self, data, *args, **kwargs):
        if self.waits:
            self.waits = False
            show(has="a task")
            sys.stdin.readline()
        if data.get("fail"):
            raise ValueError("the task asked for it")
        kept = {"keep": data["keep"]} if "keep" in data else {}
        return {"r": data["i"] ** 2, "by": "python", **kept}


class Collects(Collector):
    endpoint = EndpointAddress(RESULTS)
    ack_endpoint = EndpointAddress(ACKS)

    def handle_collection(self, data, task_type, msgtype):
        kept = {"keep": repr(data["keep"])} if "keep" in data else {}
        show(**{**data, **kept}, task=task_type, run=self.result_id.partition("-")[0])

    def handle_failure(self, data, task_type, error):
        show(failed=data, error=error)

    def handle_finished(self, data, task_type):
        show(finished=True)


if ROLE == "distributor":
    distributor = Distributor(EndpointAddress(RESULTS), EndpointAddress(ACKS), tasks=[Squares])
    distributor.run()
    show(failures=distributor.failures)
else:
    {"collector": Collects, "worker": Does}[ROLE]().run()
"""


@pytest.fixture(scope="session")
def workers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Find the folder with the workers and the packages that they need; skip if these are not to be had."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        pytest.skip("node and npm are needed")
    folder = _SOURCES
    if not _SOURCES.joinpath("node_modules").is_dir():
        folder = tmp_path_factory.mktemp("node")
        for source in _SOURCES.glob("*.mjs"):
            shutil.copy(source, folder)
        folder.joinpath("node_modules").symlink_to(_packages(request, npm))
    probe = ["node", "--input-type=module", "--eval", "import 'zeromq'; import '@msgpack/msgpack'"]
    done = subprocess.run(probe, cwd=folder, capture_output=True, text=True, timeout=GUARD, check=False)
    if done.returncode != 0:  # one of them has a binary
        pytest.skip(f"the packages from npm do not work here: {done.stderr.strip()[-500:]}")
    return folder


def _packages(request: pytest.FixtureRequest, npm: str) -> Path:
    """Install the packages into the cache, once for all sessions: all of them or none."""
    cache = request.config.cache
    if cache is None:
        pytest.skip("there is no cache to install packages to")
    manifest = _SOURCES / "package.json"
    place = cache.mkdir("zmqpipeline-node") / hashlib.sha256(manifest.read_bytes()).hexdigest()[:16]
    if place.is_dir():
        return place / "node_modules"
    with tempfile.TemporaryDirectory(dir=place.parent) as parent:
        folder = Path(parent, "new")
        folder.mkdir()
        for source in (manifest, _SOURCES / ".npmrc"):
            shutil.copy(source, folder)
        command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=_INSTALL, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm install takes longer than {_INSTALL:.0f} s")
        if done.returncode != 0:
            pytest.skip(f"npm install fails: {done.stderr.strip()[-500:]}")
        try:
            folder.rename(place)
        except OSError:
            assert place.is_dir()  # another session was faster
    return place / "node_modules"


class Processes:
    """Processes in a folder; what they write to stderr is kept in files there.

    One that fails or takes too long ends them all, so that nobody waits for
    what it would have done.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: dict[str, tuple[subprocess.Popen[str], IO[bytes]]] = {}
        self._watches: list[threading.Thread] = []

    def start(self, name: str, *command: str) -> subprocess.Popen[str]:
        package = str(Path(zmqpipeline.__file__).parents[1])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
        errors = self.folder.joinpath(f"{name}.err").open("wb")
        popen = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error", "PYTHONFAULTHANDLER": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        self._started[name] = (popen, errors)
        self._watches.append(threading.Thread(target=self._watch, args=(popen,), daemon=True))
        self._watches[-1].start()
        return popen

    def _watch(self, popen: subprocess.Popen[str]) -> None:
        try:
            failed = popen.wait(GUARD) > 0
        except subprocess.TimeoutExpired:
            failed = True
        if failed:
            for other, _ in list(self._started.values()):
                other.send_signal(signal.SIGABRT)  # those in Python write down where they are

    def finish(self) -> dict[str, int]:
        """Wait until all have ended; return their exit codes."""
        return {name: popen.wait(2 * GUARD) for name, (popen, _) in self._started.items()}

    def errors(self) -> str:
        codes = {name: popen.poll() for name, (popen, _) in self._started.items()}
        texts = [f"--- {path.name}:\n{path.read_text()}" for path in sorted(self.folder.glob("*.err"))]
        return "\n".join([str(codes), *texts])

    def close(self) -> None:
        for popen, errors in self._started.values():
            if popen.poll() is None:
                popen.kill()
            popen.wait()
            for stream in (popen.stdin, popen.stdout, errors):
                if stream is not None:
                    stream.close()
        for watch in self._watches:
            watch.join()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.close()


def _events(popen: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert popen.stdout is not None
    for line in popen.stdout:
        yield json.loads(line)


def _endpoints(transport: str, count: int) -> list[str]:
    if transport == "ipc":
        return [f"ipc://{number}.ipc" for number in range(count)]
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return [f"tcp://127.0.0.1:{port}" for port in ports]


class Run:
    """The roles of one run."""

    def __init__(self, processes: Processes, workers: Path, transport: str) -> None:
        self._processes = processes
        self._workers = workers
        self._endpoints = _endpoints(transport, 3)
        processes.folder.joinpath("app.py").write_text(_APP, encoding="utf-8")

    def start(self, role: str, name: str = "") -> subprocess.Popen[str]:
        settings = (str(_PLAIN), repr(_KEPT).replace("datetime.", "dt."))
        command = (sys.executable, "app.py", role, *self._endpoints, *settings)
        return self._processes.start(name or role, *command)

    def start_node(self, program: str) -> None:
        tasks, results, _ = self._endpoints
        self._processes.start("node", "node", str(self._workers / f"{program}.mjs"), tasks, results, _TASK)

    def start_python(self) -> subprocess.Popen[str]:
        """Start a worker of ours, and wait until it has a task, which it keeps until :func:`_release`."""
        python = self.start("worker")
        assert next(_events(python), None) == {"has": "a task"}, self._processes.errors()
        return python


def _release(python: subprocess.Popen[str]) -> None:
    if python.stdin is not None:
        python.stdin.close()
        python.stdin = None


def _assert_complete(events: list[dict[str, Any]]) -> None:
    """Check that these are the results of all tasks, once each."""
    collected = [event for event in events if "r" in event]
    numbers = [*range(_PLAIN), *range(10**6, 10**6 + len(_KEPT)), 2**31]
    assert Counter(event["r"] for event in collected) == Counter(i * i for i in numbers)
    assert {event["task"] for event in collected} == {_TASK}
    assert {event["r"]: event["keep"] for event in collected if "keep" in event} == {
        (10**6 + place) ** 2: repr(value) for place, value in enumerate(_KEPT)
    }


@pytest.mark.parametrize("mixed", [False, True], ids=["alone", "beside-python"])
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
@pytest.mark.parametrize("program", ["lockstep_worker", "credit_worker"])
def test_takes_part_in_a_run(
    workers: Path, processes: Processes, program: str, transport: str, mixed: bool
) -> None:
    run = Run(processes, workers, transport)
    distributor, collector = run.start("distributor"), run.start("collector")
    python = run.start_python() if mixed else None
    run.start_node(program)

    seen = []
    for event in _events(collector):
        seen.append(event)
        if python is not None and event.get("by") == "node":
            _release(python)  # now both have had some

    assert set(processes.finish().values()) == {0}, processes.errors()
    _assert_complete(seen)
    assert {event["by"] for event in seen if "by" in event} == ({"node", "python"} if mixed else {"node"})
    failed = [event for event in seen if "failed" in event]
    assert [event["failed"] for event in failed] == [{"fail": True}]
    assert "the task asked for it" in failed[0]["error"]["text"]
    if not mixed:
        assert failed[0]["error"]["text"] == "attempt 3: the task asked for it"
        assert failed[0]["error"]["type"] == "Error"
        assert "wire.mjs" in failed[0]["error"]["traceback"]
    assert seen[-1] == {"finished": True}
    assert list(_events(distributor)) == [{"failures": 1}]


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
@pytest.mark.parametrize("program", ["lockstep_worker", "credit_worker"])
def test_survives_a_restart_of_the_distributor(
    workers: Path, processes: Processes, program: str, transport: str
) -> None:
    run = Run(processes, workers, transport)
    distributor, collector = run.start("distributor"), run.start("collector")
    python = run.start_python()  # what it keeps keeps the run from its end
    run.start_node(program)

    events = _events(collector)
    first = next(event for event in events if "r" in event)
    distributor.kill()
    distributor.wait(GUARD)
    run.start("distributor", "another distributor")
    seen = []
    for event in events:
        if event.get("run") != first["run"]:
            seen.append(event)
            if event.get("by") == "node":
                _release(python)

    codes = processes.finish()
    assert codes.pop("distributor") == -signal.SIGKILL
    assert set(codes.values()) == {0}, processes.errors()
    _assert_complete(seen)
    assert "node" in {event.get("by") for event in seen}
    assert seen[-1] == {"finished": True}


# -- what a run does not bring about by itself: a distributor that says what the page says -------------------


class Distributor:
    """A ROUTER and the collector's PULL, which the test speaks through."""

    def __init__(self, folder: Path) -> None:
        self.context: zmq.Context[Socket] = zmq.Context()
        self.address = f"ipc://{folder}/t.ipc"
        self.router = self.bound(zmq.ROUTER, self.address)
        self.collector = f"ipc://{folder}/r.ipc"
        self.results = self.bound(zmq.PULL, self.collector)

    def bound(self, kind: int, address: str) -> Socket:
        made = self.context.socket(kind)
        made.linger = 0
        made.rcvtimeo = int(GUARD * 1000)
        made.bind(address)
        return made

    def receive(self) -> tuple[bytes, dict[str, Any]]:
        address, delimiter, frame = self.router.recv_multipart()
        assert delimiter == b""
        return address, msgpack.unpackb(frame) if frame else {}

    def expect(self, kind: str) -> tuple[bytes, dict[str, Any]]:
        """Take in the next message that is not a heartbeat."""
        while True:
            address, message = self.receive()
            if message.get("type") != "HEARTBEAT" or kind == "HEARTBEAT":
                assert message.get("type", "") == kind
                return address, message

    def say(self, address: bytes, kind: str, **fields: Any) -> None:
        envelope = {"type": kind, "task": "", "data": {}, **fields}
        self.router.send_multipart([address, b"", msgpack.packb(envelope)])

    def collect(self) -> tuple[int, dict[str, Any]]:
        frame = self.results.recv()
        return len(frame), msgpack.unpackb(frame)

    def come_back(self) -> None:
        """Break all connections, as a restart does."""
        self.router.close()
        self.router = self.bound(zmq.ROUTER, self.address)

    def close(self) -> None:
        self.router.close()
        self.results.close()
        self.context.term()


@pytest.fixture
def distributor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distributor]:
    made = Distributor(tmp_path_factory.mktemp("s"))
    yield made
    made.close()


@pytest.fixture
def start(
    workers: Path, processes: Processes, distributor: Distributor
) -> Callable[[str], subprocess.Popen[str]]:
    def go(program: str) -> subprocess.Popen[str]:
        script = str(workers / f"{program}.mjs")
        return processes.start("node", "node", script, distributor.address, distributor.collector, _TASK)

    return go


def _welcome(distributor: Distributor, run: str, *, max_message: int = 2**20, heartbeat: float = 60) -> bytes:
    address, hello = distributor.expect("HELLO")
    assert hello["task"] == _TASK
    assert hello["data"]["protocol"] == 1
    distributor.say(address, "WELCOME", run=run, data={"max_message": max_message, "heartbeat": heartbeat})
    distributor.say(address, "METADATA", run=run)
    same, ready = distributor.expect("RDY")
    assert same == address
    assert ready["run"] == run
    assert ready["credit"] > 0
    return address


def test_reset_and_a_broken_connection_are_new_beginnings(
    start: Callable[[str], subprocess.Popen[str]], distributor: Distributor, processes: Processes
) -> None:
    start("credit_worker")
    first = _welcome(distributor, "one")
    distributor.say(first, "RESET", run="two")
    second = _welcome(distributor, "two")
    distributor.come_back()
    third = _welcome(distributor, "three")
    assert len({first, second, third}) == 3
    distributor.say(third, "END", run="one")  # a stray
    distributor.say(third, "END", run="three")
    address, bye = distributor.expect("BYE")
    assert (address, bye["run"]) == (third, "three")
    assert processes.finish() == {"node": 0}, processes.errors()


def test_heartbeats_tell_what_is_held_and_frames_keep_to_the_limit(
    start: Callable[[str], subprocess.Popen[str]], distributor: Distributor, processes: Processes
) -> None:
    start("credit_worker")
    limit = 300
    address = _welcome(distributor, "one", max_message=limit, heartbeat=0.05)
    _, beat = distributor.expect("HEARTBEAT")
    assert (beat["run"], beat["number"], beat["held"]) == ("one", 0, [])
    first = 2**40
    tasks: list[dict[str, Any]] = [{"i": i} for i in range(20)]
    tasks[3] = {"fail": True}
    tasks[5]["keep"] = "x" * limit
    distributor.say(address, "DATA", run="one", ids=[[5, 10], [first, 10]], attempt=2, number=1, data=tasks)

    _, failed = distributor.expect("FAIL")
    assert (failed["run"], failed["id"], failed["attempt"]) == ("one", 8, 2)
    assert failed["error"]["retry"] is True
    _, failed = distributor.expect("FAIL")
    assert (failed["id"], failed["error"]["type"], failed["error"]["retry"]) == (10, "RangeError", False)
    found: list[tuple[int, int]] = []
    while len(found) < 18:
        size, message = distributor.collect()
        assert size <= limit
        assert (message["type"], message["task"], message["run"]) == ("DATA", _TASK, "one")
        assert message["attempt"] == 2
        ids = [start + place for start, count in message["ids"] for place in range(count)]
        found.extend(zip(ids, [item["r"] for item in message["data"]], strict=True))
    ids = [*range(5, 15), *range(first, first + 10)]
    assert found == [(ids[i], i * i) for i in range(20) if i not in {3, 5}]
    while beat["number"] == 0 or beat["held"]:
        _, beat = distributor.expect("HEARTBEAT")
        assert beat["number"] in {0, 1}
    distributor.say(address, "END", run="one")
    distributor.expect("BYE")
    assert processes.finish() == {"node": 0}, processes.errors()


def test_lock_step_begins_again_when_the_connection_breaks(
    start: Callable[[str], subprocess.Popen[str]], distributor: Distributor, processes: Processes
) -> None:
    start("lockstep_worker")
    first, empty = distributor.receive()
    assert empty == {}
    distributor.come_back()
    second, empty = distributor.receive()
    assert empty == {}
    assert first != second
    distributor.say(second, "METADATA", run="two")
    _, ready = distributor.expect("RDY")
    assert ready["task"] == _TASK
    assert "credit" not in ready
    distributor.say(second, "DATA", task=_TASK, run="two", id=2**40, attempt=1, data={"i": 2**31})
    _, result = distributor.collect()
    assert (result["task"], result["run"], result["id"]) == (_TASK, "two", 2**40)
    assert (result["attempt"], result["data"]) == (1, {"r": 2**62, "by": "node"})
    distributor.expect("RDY")
    distributor.say(second, "END", run="two")
    assert processes.finish() == {"node": 0}, processes.errors()
