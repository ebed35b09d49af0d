"""A wrong declaration fails when the class statement runs, and says what is wrong."""

from __future__ import annotations

import abc
from typing import Any

import pytest

import zmqpipeline
from zmqpipeline import EndpointAddress, TaskType
from zmqpipeline.errors import DeclarationError

ADDRESS = EndpointAddress("ipc://declared.ipc")


@pytest.fixture(autouse=True)
def _types() -> None:
    TaskType.register_type("DECLARED")
    TaskType.register_type("OTHER")


def _nothing(_self: Any, *_args: Any, **_kwargs: Any) -> None:
    return None


def task(**changes: Any) -> Any:
    """Declare a task that is right but for some changes."""
    right = {"task_type": TaskType("DECLARED"), "endpoint": ADDRESS, "dependencies": [], "handle": _nothing}
    return _declare("Declared", zmqpipeline.Task, right, changes)


def worker(**changes: Any) -> Any:
    """Declare a threaded worker that is right but for some changes."""
    right = {
        "task_type": TaskType("DECLARED"),
        "endpoint": ADDRESS,
        "collector_endpoint": ADDRESS,
        "n_threads": 2,
        "handle_execution": _nothing,
        "handle_thread_execution": _nothing,
    }
    return _declare("Declared", zmqpipeline.MultiThreadedWorker, right, changes)


async def _nothing_at_all(_self: Any, *_args: Any, **_kwargs: Any) -> None:
    return None


def async_worker(**changes: Any) -> Any:
    """Declare an asyncio worker that is right but for some changes."""
    right = {
        "task_type": TaskType("DECLARED"),
        "endpoint": ADDRESS,
        "collector_endpoint": ADDRESS,
        "handle_execution": _nothing_at_all,
    }
    return _declare("Declared", zmqpipeline.AsyncWorker, right, changes)


def collector(**changes: Any) -> Any:
    """Declare a collector that is right but for some changes."""
    right = {"endpoint": ADDRESS, "ack_endpoint": ADDRESS, "handle_collection": _nothing}
    return _declare("Declared", zmqpipeline.Collector, right, changes)


def metadata_worker(**changes: Any) -> Any:
    """Declare a metadata worker that is right but for some changes."""
    return _declare(
        "Declared", zmqpipeline.MetaDataWorker, {"endpoint": ADDRESS, "get_metadata": _nothing}, changes
    )


def _declare(name: str, base: type, right: dict[str, Any], changes: dict[str, Any]) -> Any:
    body = {**right, **changes}
    return type(base)(name, (base,), {key: value for key, value in body.items() if value is not ...})


@pytest.mark.parametrize("declare", [task, worker, async_worker, collector, metadata_worker])
def test_a_right_declaration_is_accepted(declare: Any) -> None:
    assert declare()() is not None


@pytest.mark.parametrize(
    ("declare", "attribute", "value", "expected"),
    [
        (task, "task_type", ..., "task_type is missing, expected a registered task type"),
        (task, "task_type", "DECLARED", r"task_type is 'DECLARED' \(str\), expected a registered task type"),
        (task, "task_type", TaskType(""), "expected a registered task type"),
        (task, "endpoint", ..., "endpoint is missing, expected an address"),
        (task, "endpoint", "ipc://x.ipc", r"endpoint is 'ipc://x.ipc' \(str\), expected an address"),
        (task, "dependencies", ..., "dependencies is missing, expected a list of zmqpipeline.TaskType"),
        (task, "dependencies", ["OTHER"], r"dependencies is \['OTHER'\] \(list\), expected a list"),
        (task, "dependencies", None, r"dependencies is None \(NoneType\), expected a list"),
        (task, "max_attempts", 0, "max_attempts is 0, expected a whole number from 1"),
        (
            worker,
            "collector_endpoint",
            ...,
            "collector_endpoint is missing, expected the collector's address",
        ),
        (worker, "endpoint", 5, r"endpoint is 5 \(int\), expected an address"),
        (worker, "n_threads", ..., "n_threads is missing, expected a whole number from 1"),
        (worker, "n_threads", 0, r"n_threads is 0 \(int\), expected a whole number from 1"),
        (worker, "n_threads", True, r"n_threads is True \(bool\), expected a whole number from 1"),
        (worker, "n_threads", 2.0, "expected a whole number from 1"),
        (worker, "thread_endpoint", "tcp://*:5000", "expected an inproc address: 'inproc://...'"),
        (worker, "thread_endpoint", EndpointAddress("ipc://x"), "expected an inproc address"),
        (async_worker, "n_concurrent", 0, r"n_concurrent is 0 \(int\), expected a whole number from 1"),
        (
            async_worker,
            "n_concurrent",
            True,
            r"n_concurrent is True \(bool\), expected a whole number",
        ),
        (async_worker, "n_concurrent", None, r"n_concurrent is None \(NoneType\), expected a whole number"),
        (collector, "endpoint", ..., "endpoint is missing"),
        (collector, "ack_endpoint", "tcp://127.0.0.1:1", "ack_endpoint is 'tcp://127.0.0.1:1'"),
        (metadata_worker, "endpoint", ..., "endpoint is missing"),
    ],
)
def test_a_wrong_declaration_is_named(declare: Any, attribute: str, value: Any, expected: str) -> None:
    with pytest.raises(TypeError, match=rf"class Declared: .*{expected}") as raised:
        declare(**{attribute: value})
    assert isinstance(raised.value, DeclarationError)


async def _coroutine(_self: Any, *_args: Any) -> None: ...
async def _coroutine_of_nothing() -> None: ...
async def _generator(_self: Any, _data: Any) -> Any:
    yield


def _only_self(_self: Any) -> None: ...
def _one(_self: Any, _data: Any) -> None: ...


@pytest.mark.parametrize(
    ("declare", "name", "value", "expected"),
    [
        (task, "handle", 5, "handle is 5, expected a method"),
        (task, "handle", _coroutine, "handle is .*no coroutine function"),
        (task, "retry_delay", "x", "retry_delay is 'x', expected seconds"),
        (task, "retry_delay", float("nan"), "retry_delay is nan, expected seconds"),
        (task, "time_limit", 0, "time_limit is 0, expected seconds"),
        (task, "initialize", _only_self, r"initialize takes \(\) behind self, expected"),
        (worker, "handle_execution", _only_self, r"handle_execution takes \(\) .*\(self, data\)"),
        (worker, "handle_execution", _coroutine, r"handle_execution is a coroutine function \(async def\)"),
        (
            async_worker,
            "handle_execution",
            _nothing,
            r"handle_execution is a plain function,.*\(async def\)",
        ),
        (
            async_worker,
            "handle_execution",
            _generator,
            "handle_execution is an asynchronous generator",
        ),
        (async_worker, "handle_execution", _coroutine_of_nothing, r"handle_execution takes .*\(self, data\)"),
        (
            async_worker,
            "init_async",
            _only_self,
            "init_async is a plain function, expected a",
        ),
        (async_worker, "init_worker", _coroutine, "init_worker is a coroutine function"),
        (worker, "handle_thread_execution", _one, r"handle_thread_execution takes .*\(self, data, index\)"),
        (worker, "init_worker", _one, r"init_worker takes \(_data: 'Any'\) behind self, .*\(self\)"),
        (worker, "init_thread", _only_self, r"init_thread takes \(\) .*\(self, worker_index\)"),
        (worker, "init_thread", _one, r"init_thread takes .*\(self, worker_index\)"),
        (
            collector,
            "handle_collection",
            _one,
            r"handle_collection takes .*\(self, data, task_type, msgtype\)",
        ),
        (collector, "handle_finished", _only_self, r"handle_finished takes .*\(self, data, task_type\)"),
        (collector, "get_ack_data", None, r"get_ack_data is None \(NoneType\), expected a method"),
        (metadata_worker, "get_metadata", _one, r"get_metadata takes .*\(self\)"),
    ],
)
def test_a_method_that_cannot_be_called_is_named(declare: Any, name: str, value: Any, expected: str) -> None:
    with pytest.raises(DeclarationError, match=f"class Declared: {expected}"):
        declare(**{name: value})


def test_a_task_cannot_depend_on_itself() -> None:
    with pytest.raises(DeclarationError, match="dependencies contains 'DECLARED', its own task type"):
        task(dependencies=[TaskType("DECLARED")])


def test_a_subclass_inherits_and_overrides() -> None:
    base = task()
    inherited = type(base)("Inherited", (base,), {})
    assert inherited().task_type == "DECLARED"
    other = type(base)("Overridden", (base,), {"task_type": TaskType("OTHER")})
    assert (other.task_type, other.endpoint) == ("OTHER", ADDRESS)
    with pytest.raises(DeclarationError, match="class Broken: endpoint is None"):
        type(base)("Broken", (base,), {"endpoint": None})


def test_abstract_classes_are_left_alone_until_they_are_instantiated() -> None:
    class Half(zmqpipeline.Task):
        """Lacks handle(): a base for others."""

    class Marked(zmqpipeline.Task, abc.ABC):
        """Has everything but attributes."""

        def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> None:
            return None

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]
    with pytest.raises(DeclarationError, match="task_type is missing"):
        Marked()
    base: Any = Marked
    with pytest.raises(DeclarationError, match="class Concrete: task_type is missing"):
        type(base)("Concrete", (base,), {})


def _three(self: Any, data: Any, address: Any, msgtype: Any) -> None: ...
def _four(self: Any, data: Any, address: Any, msgtype: Any, ack_data: Any) -> None: ...
def _four_default(self: Any, data: Any, address: Any, msgtype: Any, ack_data: Any = None) -> None: ...
def _other_default(self: Any, data: Any, address: Any, msgtype: Any, verbose: bool = False) -> None: ...
def _keyword(self: Any, data: Any, address: Any, msgtype: Any, *, ack_data: Any) -> None: ...
def _star(self: Any, *args: Any) -> None: ...
def _two(self: Any, data: Any, address: Any) -> None: ...
def _five(self: Any, one: Any, two: Any, three: Any, four: Any, five: Any) -> None: ...  # noqa: PLR0917
def _needs(self: Any, data: Any, address: Any, msgtype: Any, *, needed: Any) -> None: ...


@pytest.mark.parametrize(
    ("handle", "expected"),
    [
        (_three, "nothing"),
        (_four, "argument"),
        (_four_default, "argument"),
        (_other_default, "nothing"),
        (_keyword, "keyword"),
        (_star, "argument"),
        (staticmethod(lambda _data, _address, _msgtype: None), "nothing"),
    ],
)
def test_how_handle_is_called_is_found_out_at_the_declaration(handle: Any, expected: str) -> None:
    assert task(handle=handle)._ack_data_as == expected


@pytest.mark.parametrize("handle", [_two, _five, _needs])
def test_a_handle_that_cannot_be_called_is_refused(handle: Any) -> None:
    with pytest.raises(
        DeclarationError, match=r"class Declared: handle takes \(.*\), expected \(data, address, msgtype\)"
    ):
        task(handle=handle)


def test_is_task_ready_for_initialization() -> None:
    first, second = task(), task(task_type=TaskType("OTHER"), dependencies=[TaskType("DECLARED")])
    distributor = zmqpipeline.Distributor(ADDRESS, EndpointAddress("ipc://acks.ipc"), tasks=[first, second])
    one, other = distributor.tasks["DECLARED"], distributor.tasks["OTHER"]
    assert one.is_task_ready_for_initialization()
    assert not other.is_task_ready_for_initialization()
    one.is_complete = True
    assert not one.is_task_ready_for_initialization()
    assert other.is_task_ready_for_initialization()
    alone = second()
    assert alone.is_task_ready_for_initialization()
    zmqpipeline.Task.register_task_instance(first())
    assert not alone.is_task_ready_for_initialization()


BOUNDS = ["peer_timeout", "stop_timeout", "announce_interval", "heartbeat_interval", "heartbeat_timeout"]


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("value", [0, -1.0, True, float("nan"), "10", None])
def test_a_time_that_is_none_is_refused(name: str, value: Any) -> None:
    expected = rf"{name} is .*, expected seconds, a number above 0"
    with pytest.raises(DeclarationError, match=rf"class Declared\w*: {expected}"):
        worker(**{name: value})
    with pytest.raises(DeclarationError, match=rf"class Mine: {expected}"):
        type("Mine", (zmqpipeline.Distributor,), {name: value})
    service = zmqpipeline.Service(ADDRESS, EndpointAddress("ipc://backend.ipc"))
    setattr(service, name, value)
    with pytest.raises(DeclarationError, match=rf"class Service: {expected}"):
        service.run()


@pytest.mark.parametrize("value", [0, 1024 * 1024 - 1, -1, True, 2.0**21, "10", None])
def test_a_size_that_is_none_is_refused(value: Any) -> None:
    expected = rf"max_message_size is .*, expected bytes, a whole number from {1024 * 1024}"
    with pytest.raises(DeclarationError, match=rf"class Declared\w*: {expected}"):
        worker(max_message_size=value)
    service = zmqpipeline.Service(ADDRESS, EndpointAddress("ipc://backend.ipc"))
    service.max_message_size = value
    with pytest.raises(DeclarationError, match=rf"class Service: {expected}"):
        service.run()


def test_a_time_may_be_infinite() -> None:
    assert worker(stop_timeout=float("inf"), peer_timeout=1).peer_timeout == 1


def test_a_distributor_needs_two_addresses_of_the_collector() -> None:
    with pytest.raises(DeclarationError, match=r"are both 'ipc://declared.ipc', expected two addresses"):
        zmqpipeline.Distributor(ADDRESS, EndpointAddress(str(ADDRESS)), tasks=[])
    distributor = zmqpipeline.Distributor(ADDRESS, EndpointAddress("ipc://acks.ipc"), tasks=[])
    distributor.collector_ack_endpoint = ADDRESS
    with pytest.raises(DeclarationError, match="expected two addresses"):
        distributor.run()


def test_heartbeats_are_no_longer_than_zeromq_can_say() -> None:
    expected = "heartbeat_interval and heartbeat_timeout are 7001 s together, expected at most 6553 s"
    with pytest.raises(DeclarationError, match=expected):
        worker(heartbeat_timeout=7000)
