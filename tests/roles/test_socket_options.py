"""What every socket of every role takes: how large a message, and how slow a handshake."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import pytest
import zmq

import zmqpipeline
from tests.roles.pipelines import Pipeline, Threaded, running
from zmqpipeline import EndpointAddress, TaskType
from zmqpipeline.wire.limits import MAX_CONTROL, MAX_MESSAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from zmqpipeline.role import Role

pytestmark = pytest.mark.usefixtures("folder")

MIB = 1024 * 1024
FRONT, BACK = EndpointAddress("ipc://front.ipc"), EndpointAddress("ipc://back.ipc")
METADATA = EndpointAddress("ipc://metadata.ipc")


class Describing(zmqpipeline.MetaDataWorker, abc.ABC):
    """Has no metadata."""

    def get_metadata(self) -> dict[str, Any]:
        return {}


class Answering(zmqpipeline.ServiceWorker):
    """Answers nothing."""

    task_type = TaskType.register_type("options of sockets")
    endpoint = BACK

    def handle_message(self, data: Any, task_type: TaskType, msgtype: str) -> Any:
        return None


def distributor(pipeline: Pipeline) -> Role:
    return pipeline.distributor(receive_metadata=True, metadata_endpoint=METADATA)


#: each role with the kinds of its bound sockets, and of those that connect
ROLES: dict[str, tuple[Callable[[Pipeline], Role], list[int], list[int]]] = {
    "distributor": (distributor, [zmq.ROUTER, zmq.REP], [zmq.PUSH, zmq.PULL]),
    "collector": (Pipeline.keeper, [zmq.PULL, zmq.PUSH], []),
    "service": (lambda _: zmqpipeline.Service(FRONT, BACK), [zmq.ROUTER, zmq.ROUTER], []),
    "worker": (lambda pipeline: pipeline.worker("OPTIONS")(), [], [zmq.PUSH, zmq.DEALER]),
    "threads": (
        lambda pipeline: pipeline.worker("OPTIONS", Threaded)(),
        [],
        [zmq.ROUTER, zmq.PUSH, zmq.DEALER],  # the first is bound at inproc, when there are tasks
    ),
    "metadata": (lambda _: type("Describes", (Describing,), {"endpoint": METADATA})(), [], []),
    "service worker": (lambda _: Answering(), [], [zmq.DEALER]),
}


@pytest.mark.parametrize("size", [MAX_MESSAGE_SIZE, MIB])
@pytest.mark.parametrize("name", ROLES)
def test_every_socket_has_its_limits(name: str, size: int) -> None:
    make, bound, connected = ROLES[name]
    pipeline = Pipeline()
    pipeline.task("OPTIONS", 1)
    role = make(pipeline)
    role.max_message_size = size
    seen: list[tuple[Any, Any, Any]] = []

    def look(event: str) -> None:
        if event == "ready":  # in the role's own thread, which its sockets belong to
            seen.extend((s.type, s.maxmsgsize, s.handshake_ivl) for s in role._sockets)
            assert len(role._bindings) == len(bound)
            role.stop()

    role.on_event = look
    with running(role) as roles:
        roles.join()
    assert [kind for kind, *_ in seen] == [*bound, *connected]
    for kind, largest, handshake in seen:
        of_workers = name == "distributor" and kind == zmq.ROUTER
        assert largest == (min(size, MAX_CONTROL) if of_workers else size)
        assert handshake == 10_000
