"""How large a message may be: said once, known to whoever sends, and checked before it is sent."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import pytest
import zmq

import zmqpipeline
from tests.roles.pipelines import Pipeline, eventually, run_all, running
from zmqpipeline import EndpointAddress, TaskType
from zmqpipeline.errors import DeclarationError, RemoteError, SerializationError
from zmqpipeline.wire import messages
from zmqpipeline.wire.envelope import ENVELOPE_BYTES

if TYPE_CHECKING:
    from zmqpipeline.role import Role

pytestmark = pytest.mark.usefixtures("folder", "_quick_looks")

MIB = 1024 * 1024
#: what a dictionary with one item of bytes has around them
AROUND = 10
FITS, TOO_MUCH = MIB - ENVELOPE_BYTES - AROUND, MIB - ENVELOPE_BYTES


def ends_with(roles: tuple[Role, ...], culprit: Role) -> str:
    """Run a pipeline in which one role ends with an error; return its text."""
    with running(*roles) as started, pytest.raises(SerializationError) as caught:
        started.join(culprit)
    return str(caught.value)


def test_all_fits_that_is_as_large_as_it_may_be() -> None:
    pipeline = Pipeline()

    def handle(self: Any, *_: Any) -> dict[str, Any]:
        self.made += 1
        self.is_complete = self.made == self.count
        return {"b": bytes(FITS)}

    pipeline.task("FITS", 3, handle=handle)
    kept = []

    def collect(_self: Any, data: dict[str, Any], *_: Any) -> dict[str, Any]:
        kept.append(len(data["b"]))
        return data

    keeper = pipeline.keeper(max_message_size=MIB, handle_collection=collect)
    worker = pipeline.worker("FITS", max_message_size=MIB, handle_execution=lambda _self, data: data)()
    distributor = pipeline.distributor()
    distributor.max_message_size = MIB
    run_all(keeper, distributor, worker)
    assert kept == [FITS] * 3
    assert keeper.failures == []


@pytest.mark.parametrize("limited", ["distributor", "collector"])
def test_a_task_that_is_too_large_is_an_error_of_the_program(limited: str) -> None:
    pipeline = Pipeline()
    pipeline.task("LARGE", 1, handle=lambda *_: {"b": bytes(TOO_MUCH)})
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    (keeper if limited == "collector" else distributor).max_message_size = MIB
    text = ends_with((keeper, distributor, pipeline.worker("LARGE")()), distributor)
    assert "TaskLARGE.handle returned a dictionary of" in text
    assert text.endswith("hand out a reference to it instead, or raise max_message_size in all roles")


@pytest.mark.parametrize("first", ["worker", "collector"])
def test_a_worker_knows_what_the_collector_takes_whoever_comes_first(first: str) -> None:
    pipeline = Pipeline()
    pipeline.task("RESULT", 3)
    keeper = pipeline.keeper(max_message_size=MIB)

    def execute(_self: Any, data: dict[str, Any]) -> dict[str, Any]:
        return {"r": data["i"], "b": bytes(MIB)} if data["i"] == 1 else {"r": data["i"]}

    worker = pipeline.worker("RESULT", handle_execution=execute)()
    with running(pipeline.distributor()) as started:
        roles = (worker, keeper) if first == "worker" else (keeper, worker)
        for role in roles:
            started.start(role)
            if role is worker and first == "worker":
                wait_for_welcome(worker)
        started.join()
    assert keeper.numbers("RESULT") == [0, 2]
    ((_, data, error),) = keeper.failures
    assert data == {"i": 1}
    assert f"the collector takes {MIB - ENVELOPE_BYTES}" in error["text"]


def wait_for_welcome(worker: Any) -> None:
    """Wait until a worker has met the distributor."""
    eventually(lambda: getattr(getattr(worker, "_assignment", None), "run", None) is not None)


def test_what_a_collector_says_is_sent_in_portions() -> None:
    pipeline = Pipeline()
    pipeline.task("SAYS", 40)
    keeper = pipeline.keeper(max_message_size=MIB, get_ack_data=lambda _self: {"b": bytes(100_000)})
    distributor = pipeline.distributor()
    distributor.max_message_size = MIB
    task = distributor.tasks["SAYS"]
    run_all(keeper, distributor, pipeline.worker("SAYS")())
    assert keeper.numbers("SAYS") == list(range(40))
    assert task.n_acks == 40


def test_what_a_collector_says_and_is_too_large_is_an_error_of_the_program() -> None:
    pipeline = Pipeline()
    pipeline.task("TELLS", 1)
    keeper = pipeline.keeper(max_message_size=MIB, get_ack_data=lambda _self: {"b": bytes(TOO_MUCH)})
    roles = (keeper, pipeline.distributor(), pipeline.worker("TELLS")())
    text = ends_with(roles, keeper)
    assert text.startswith("Collecting.handle_collection or get_ack_data: what they return has")
    assert text.endswith("return a reference instead, or raise max_message_size in all roles")


class Describing(zmqpipeline.MetaDataWorker, abc.ABC):
    """Has as many bytes of metadata as it is told."""

    size = TOO_MUCH

    def get_metadata(self) -> dict[str, Any]:
        return {"b": bytes(self.size)}


def test_metadata_that_are_too_large_are_an_error_of_the_program() -> None:
    endpoint = EndpointAddress("ipc://metadata.ipc")
    role = type("Large", (Describing,), {"endpoint": endpoint, "max_message_size": MIB})()
    with pytest.raises(SerializationError, match=r"Large\.get_metadata returned \d+ bytes packed, more than"):
        role.run()


def test_metadata_that_the_collector_does_not_take_are_an_error_of_the_program() -> None:
    pipeline = Pipeline()
    pipeline.task("META", 1)
    role = type("Large", (Describing,), {"endpoint": pipeline.metadata})()
    distributor = pipeline.distributor(receive_metadata=True, metadata_endpoint=pipeline.metadata)
    keeper = pipeline.keeper(max_message_size=MIB)
    text = ends_with((distributor, role, keeper), distributor)
    assert text.startswith("the metadata have")


def test_metadata_that_do_not_fit_are_refused_by_the_distributor() -> None:
    pipeline = Pipeline()
    pipeline.task("META", 1)
    distributor = pipeline.distributor(receive_metadata=True, metadata_endpoint=pipeline.metadata)
    distributor.max_message_size = MIB
    with zmq.Context() as context, context.socket(zmq.REQ) as client, running(distributor):
        client.linger, client.rcvtimeo = 0, 30_000
        client.connect(pipeline.metadata)
        client.send(messages.create_metadata({"b": bytes(TOO_MUCH)}))
        why, _, kind = messages.get(client.recv())
        assert kind == messages.MESSAGE_TYPE_FAILURE
        assert why.startswith("the metadata have")


def test_a_worker_that_takes_less_than_it_may_be_sent_is_named(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = Pipeline()
    pipeline.task("NARROW", 1)
    worker = pipeline.worker("NARROW", max_message_size=MIB)()
    with caplog.at_level("WARNING", "zmqpipeline.distributor"):
        run_all(pipeline.keeper(), pipeline.distributor(), worker)
    (said,) = caplog.messages
    assert said.startswith("a worker of NARROW (pid ")
    assert f"takes messages of at most {MIB} bytes" in said


FRONT, BACK = EndpointAddress("ipc://front.ipc"), EndpointAddress("ipc://back.ipc")


class Returning(zmqpipeline.ServiceWorker):
    """Answers with as many bytes as it is asked for."""

    task_type = TaskType.register_type("sizes of a service")
    endpoint = BACK
    max_message_size = MIB

    def handle_message(self, data: Any, task_type: TaskType, msgtype: str) -> Any:
        return {"b": bytes(data["wanted"])}


@pytest.mark.parametrize("size", [-1, 0, MIB - 1, 1e7])
def test_a_client_that_takes_less_than_it_may_or_any_amount_is_wrong(size: Any) -> None:
    with zmqpipeline.ServiceClient(FRONT, Returning.task_type) as client:
        client.max_message_size = size
        expected = f"class ServiceClient: max_message_size is {size}.*, a whole number from {MIB}"
        with pytest.raises(DeclarationError, match=expected):
            client.request({"wanted": 1}, timeout=0.1)


def test_the_sizes_of_a_service_are_configured_alike() -> None:
    service = zmqpipeline.Service(FRONT, BACK)
    service.max_message_size = MIB
    with running(service, Returning()), zmqpipeline.ServiceClient(FRONT, Returning.task_type) as client:
        client.max_message_size = MIB
        assert len(client.request({"wanted": FITS - 1000})["b"]) == FITS - 1000
        with pytest.raises(RemoteError, match="send it in parts"):
            client.request({"wanted": TOO_MUCH})
        with pytest.raises(SerializationError, match=f"and {MIB - ENVELOPE_BYTES} are allowed"):
            client.request({"wanted": 1, "b": bytes(TOO_MUCH)})
