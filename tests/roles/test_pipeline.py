"""Whole pipelines over real sockets: what comes out is what went in."""

from __future__ import annotations

import abc
import itertools
import threading
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import zmq

import zmqpipeline
from zmqpipeline import EndpointAddress, TaskType, messages
from zmqpipeline.delivery.credit import MOST
from zmqpipeline.errors import DeclarationError, PeerTimeoutError, SerializationError
from zmqpipeline.wire import envelope
from zmqpipeline.wire.limits import SMALLEST_MAX_MESSAGE

from .pipelines import Event, Keeper, Pipeline, Threaded, eventually, run_all, running

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("folder", "_quick_looks")


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
@pytest.mark.usefixtures("descriptors")
def test_two_dependent_tasks_are_collected_once_and_in_full(transport: str) -> None:
    pipeline = Pipeline(transport)
    pipeline.task("FIRST", 500)
    pipeline.task("SECOND", 500, depends=("FIRST",))
    keeper = pipeline.keeper()
    distributor = pipeline.distributor()
    workers = [pipeline.worker("FIRST")(), pipeline.worker("SECOND", Threaded)()]
    run_all(keeper, distributor, *workers)
    assert keeper.numbers("FIRST") == keeper.numbers("SECOND") == list(range(500))
    assert [name for name, _ in keeper.kept] == ["FIRST"] * 500 + ["SECOND"] * 500
    assert keeper.finished == [1000]
    assert distributor.statistics()[:4] == (1000, 1000, 0, 0)


def test_inproc_endpoints_work_in_a_shared_context() -> None:
    pipeline = Pipeline("inproc")
    pipeline.task("ONLY", 100)
    keeper, distributor, worker = pipeline.keeper(), pipeline.distributor(), pipeline.worker("ONLY")()
    with zmq.Context() as context:
        for role in (keeper, distributor, worker):
            role.context = context
        run_all(keeper, distributor, worker)
    assert keeper.numbers("ONLY") == list(range(100))


def test_a_task_without_workers_does_not_hold_up_another() -> None:
    pipeline = Pipeline()
    pipeline.task("SERVED", 50)
    pipeline.task("ALONE", 5)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with running(keeper, distributor, pipeline.worker("SERVED")()) as roles:
        eventually(lambda: len(keeper.numbers("SERVED")) == 50)
        assert keeper.numbers("ALONE") == []
        assert keeper.finished == []
        late = pipeline.worker("ALONE")()
        roles.start(late)
        roles.join()
    assert keeper.numbers("ALONE") == list(range(5))
    assert keeper.finished == [55]


def test_results_of_none_are_empty_dictionaries() -> None:
    class Nothing(zmqpipeline.SingleThreadedWorker, abc.ABC):
        seen: ClassVar[list[Any]] = []

        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            self.seen.append(data)

    pipeline = Pipeline()

    def handle(self: Any, data: Any, address: bytes, msgtype: str) -> None:
        self.is_complete = True

    pipeline.task("NONE", 1, handle=handle)
    keeper = pipeline.keeper()
    run_all(keeper, pipeline.distributor(), pipeline.worker("NONE", Nothing)())
    assert Nothing.seen == [{}]
    assert keeper.kept == [("NONE", {})]


def test_a_dictionary_that_is_reused_is_packed_when_it_is_returned() -> None:
    def handle(self: Any, data: Any, address: bytes, msgtype: str) -> dict[str, Any]:
        job: dict[str, Any] = self.job
        job["i"] += 1
        self.is_complete = job["i"] == 199
        return job

    class Reusing(zmqpipeline.SingleThreadedWorker, abc.ABC):
        out: ClassVar[dict[str, Any]] = {}

        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            self.out["r"] = data["i"]
            return self.out

    pipeline = Pipeline()
    pipeline.task("REUSE", 0, handle=handle, job={"i": -1})
    keeper = pipeline.keeper()
    run_all(keeper, pipeline.distributor(), pipeline.worker("REUSE", Reusing)())
    assert keeper.numbers("REUSE") == list(range(200))


def test_metadata_reaches_everybody_and_is_merged_into_nothing() -> None:
    pipeline = Pipeline()
    seen: dict[str, Any] = {"initialize": 0, "data": []}

    def initialize(self: Any, metadata: dict[str, Any]) -> None:
        seen["initialize"] += 1
        zmqpipeline.Task.initialize(self, metadata)

    def handle(self: Any, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:
        self.made += 1
        self.is_complete = self.made == 5
        seen["data"].append(dict(data))
        seen["metadata"] = self.metadata
        seen["msgtype"] = msgtype
        data["spoilt"] = True
        return {"i": self.made}

    class Watching(zmqpipeline.SingleThreadedWorker, abc.ABC):
        def init_worker(self) -> None:
            seen["worker"] = self.metadata

        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            seen["task"] = data
            return {"r": data["i"]}

    class Meta(zmqpipeline.MetaDataWorker):
        endpoint = pipeline.metadata

        def get_metadata(self) -> dict[str, Any]:
            return {"meta_variable": "my value", "i": "not this"}

    pipeline.task("META", 5, handle=handle, initialize=initialize)
    keeper = pipeline.keeper()
    distributor = pipeline.distributor(receive_metadata=True, metadata_endpoint=pipeline.metadata)
    run_all(keeper, distributor, pipeline.worker("META", Watching)(), Meta())
    expected = {"meta_variable": "my value", "i": "not this"}
    assert seen["data"] == [expected] * 5
    assert seen["metadata"] == seen["worker"] == keeper.metadata == distributor.metadata == expected
    assert seen["initialize"] == 1
    assert seen["msgtype"] == messages.MESSAGE_TYPE_READY
    assert seen["task"] == {"i": 5}
    assert keeper.numbers("META") == [1, 2, 3, 4, 5]


class Asking(zmqpipeline.Task, abc.ABC):
    """Hands out the next task only when the one before is acknowledged."""

    count = 20
    heard: list[dict[str, Any]]
    under_way: list[int]
    made = 0

    def handle(self, data: dict[str, Any], address: bytes, msgtype: str) -> dict[str, Any]:
        self.made += 1
        self.is_complete = self.made == self.count
        return {"i": self.made}

    def is_available_for_handling(self, last_ack_data: dict[str, Any]) -> bool:
        self.heard.append(last_ack_data)
        return self.made == 0 or last_ack_data.get("answer") == self.made


def test_a_task_that_waits_for_its_acknowledgement_runs_one_at_a_time() -> None:
    pipeline = Pipeline()
    cls: Any = type(
        "Asks",
        (Asking,),
        {
            "task_type": TaskType(TaskType.register_type("ASK") or "ASK"),
            "endpoint": pipeline.endpoint("ASK"),
            "dependencies": [],
            "heard": [],
        },
    )
    pipeline.tasks.append(cls)
    at_once = itertools.count()
    busy: list[int] = []

    class Slow(zmqpipeline.MultiThreadedWorker, abc.ABC):
        n_threads = 4

        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            busy.append(1)
            next(at_once)
            assert len(busy) == 1
            return {"r": data["i"]}

        def handle_thread_execution(self, data: dict[str, Any], index: int) -> None:
            assert len(busy) == 1

    class Answering(Keeper, abc.ABC):
        def handle_collection(self, data: dict[str, Any], task_type: str, msgtype: str) -> dict[str, Any]:
            super().handle_collection(data, task_type, msgtype)
            busy.clear()
            return {"answer": data["r"], "_said": "returned"}

        def get_ack_data(self) -> dict[str, Any]:
            return {"_said": "got", "also": [1]}

    keeper_class = type(
        "Answers", (Answering,), {"endpoint": pipeline.collector, "ack_endpoint": pipeline.acks}
    )
    keeper = keeper_class()
    run_all(keeper, pipeline.distributor(), pipeline.worker("ASK", Slow)())
    assert keeper.numbers("ASK") == list(range(1, 21))
    assert keeper.failures == []
    assert cls.heard[0] == {}
    last = cls.heard[-1]
    assert last == {"_id": 19, "_task_type": "ASK", "answer": 19, "_said": "returned", "also": [1]}


@pytest.mark.parametrize("style", ["argument", "default", "keyword", "star"])
def test_handle_may_take_ack_data(style: str) -> None:
    pipeline = Pipeline()
    got: list[Any] = []

    def work(self: Any, ack: Any) -> dict[str, Any]:
        got.append(ack)
        self.made += 1
        self.is_complete = self.made == 3
        return {"i": self.made}

    def argument(self: Any, data: Any, address: Any, msgtype: Any, ack_data: Any) -> dict[str, Any]:
        return work(self, ack_data)

    def default(self: Any, data: Any, address: Any, msgtype: Any, ack_data: Any = None) -> dict[str, Any]:
        return work(self, ack_data)

    def keyword(self: Any, data: Any, address: Any, msgtype: Any, *, ack_data: Any) -> dict[str, Any]:
        return work(self, ack_data)

    def star(self: Any, *args: Any) -> dict[str, Any]:
        return work(self, args[3])

    def available(self: Any, last_ack_data: dict[str, Any]) -> bool:
        return bool(self.made == last_ack_data.get("_id", 0))

    pipeline.task("FOUR", 3, handle=locals()[style], is_available_for_handling=available)
    keeper = pipeline.keeper()
    run_all(keeper, pipeline.distributor(), pipeline.worker("FOUR")())
    assert [ack.get("_id", 0) for ack in got] == [0, 1, 2]


def test_a_failing_task_is_tried_again_and_then_handed_over() -> None:
    pipeline = Pipeline()
    pipeline.task("FRAIL", 30, retry_delay=0.001)
    tries: list[int] = []

    class Frail(zmqpipeline.SingleThreadedWorker, abc.ABC):
        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            tries.append(data["i"])
            if data["i"] == 7 or (data["i"] == 11 and tries.count(11) < 3):
                raise ZeroDivisionError("seven")
            return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    run_all(keeper, distributor, pipeline.worker("FRAIL", Frail)())
    assert keeper.numbers("FRAIL") == [n for n in range(30) if n != 7]
    ((name, data, error),) = keeper.failures
    assert (name, data, error["type"], error["text"]) == ("FRAIL", {"i": 7}, "ZeroDivisionError", "seven")
    assert "handle_execution" in error["traceback"]
    assert tries.count(7) == tries.count(11) == 3
    assert distributor.failures == 1
    assert keeper.finished == [29]


@pytest.mark.parametrize("threaded", [False, True])
def test_results_that_cannot_travel_are_failures(threaded: bool) -> None:
    pipeline = Pipeline()
    pipeline.task("ODD", 4, retry_delay=0.001)
    results = {0: [1], 1: {"r": {1, 2}}, 2: {"r": 2}, 3: {"r": bytes(SMALLEST_MAX_MESSAGE)}}
    calls: list[int] = []

    def result(data: dict[str, Any]) -> Any:
        calls.append(data["i"])
        return results[data["i"]]

    class Odd(zmqpipeline.SingleThreadedWorker, abc.ABC):
        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            return result(data)

    class OddThreads(zmqpipeline.MultiThreadedWorker, abc.ABC):
        n_threads = 2

        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            return data

        def handle_thread_execution(self, data: dict[str, Any], index: int) -> Any:
            return result(data)

    keeper = pipeline.keeper(max_message_size=SMALLEST_MAX_MESSAGE)
    worker = pipeline.worker("ODD", OddThreads if threaded else Odd)()
    run_all(keeper, pipeline.distributor(), worker)
    texts = {data["i"]: error["text"] for _, data, error in keeper.failures}
    assert sorted(texts) == [0, 1, 3]
    assert "returned list, expected a dictionary or None" in texts[0]
    assert "['r']: cannot serialize set" in texts[1]
    assert "bytes packed" in texts[3]
    assert [calls.count(n) for n in range(4)] == [1, 3, 1, 1]  # only the second may come out differently


def test_a_threaded_worker_adds_to_what_was_forwarded() -> None:
    pipeline = Pipeline()
    pipeline.task("MERGE", 3)
    order: list[str] = []
    indices: set[int] = set()

    class Merging(zmqpipeline.MultiThreadedWorker, abc.ABC):
        n_threads = 2

        def init_worker(self) -> None:
            order.append("worker")

        def init_thread(self, worker_index: int) -> None:
            order.append("thread")
            indices.add(worker_index)

        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            return {"i": data["i"], "r": "replaced"}

        def handle_thread_execution(self, data: dict[str, Any], index: int) -> dict[str, Any] | None:
            assert index in (0, 1)
            return None if data["i"] == 2 else {"r": data["i"]}

    keeper = pipeline.keeper()
    run_all(keeper, pipeline.distributor(), pipeline.worker("MERGE", Merging)())
    by_number = sorted((data for _, data in keeper.kept), key=lambda data: int(data["i"]))
    assert by_number == [{"i": 0, "r": 0}, {"i": 1, "r": 1}, {"i": 2, "r": "replaced"}]
    assert order == ["worker", "thread", "thread"]
    assert indices == {0, 1}


def test_complete_in_initialize_means_nothing_to_do() -> None:
    pipeline = Pipeline()

    def initialize(self: Any, metadata: dict[str, Any]) -> None:
        self.is_complete = True

    pipeline.task("EMPTY", 5, initialize=initialize)
    pipeline.task("AFTER", 5, depends=("EMPTY",))
    keeper = pipeline.keeper()
    run_all(keeper, pipeline.distributor(), pipeline.worker("AFTER")())
    assert keeper.numbers("AFTER") == list(range(5))
    assert keeper.numbers("EMPTY") == []


def test_without_tasks_the_run_is_over_at_once() -> None:
    pipeline = Pipeline()
    keeper = pipeline.keeper()
    run_all(keeper, pipeline.distributor())
    assert keeper.finished == [0]
    run_all(pipeline.distributor())  # and without a collector too


@pytest.mark.parametrize(
    ("returned", "error", "text"),
    [
        ([1], TypeError, "TaskBAD.handle returned list, expected a dictionary or None"),
        ("x", TypeError, "TaskBAD.handle returned str"),
        (0, TypeError, "TaskBAD.handle returned int"),
        ({"a": [1, {2}]}, SerializationError, r"TaskBAD.handle: data\['a'\]\[1\]: cannot serialize set"),
    ],
)
def test_a_wrong_return_of_handle_ends_the_distributor(returned: Any, error: Any, text: str) -> None:
    pipeline = Pipeline()
    pipeline.task("BAD", 1, handle=lambda _self, _data, _address, _msgtype: returned)
    distributor = pipeline.distributor()
    with (
        running(distributor, pipeline.keeper(), pipeline.worker("BAD")()) as roles,
        pytest.raises(error, match=text),
    ):
        roles.join(distributor)


@pytest.mark.usefixtures("_quick_heartbeats")
def test_what_a_collector_raises_ends_it_and_what_was_handled_stays_handled() -> None:
    pipeline = Pipeline()
    pipeline.task("RAISE", 10)

    def handle_collection(self: Any, data: dict[str, Any], task_type: str, msgtype: str) -> None:
        if data["r"] == 5 and not self.spared:
            raise LookupError("five")
        self.kept.append((task_type, data))

    first = pipeline.keeper(handle_collection=handle_collection, spared=False)
    second = pipeline.keeper(handle_collection=handle_collection, spared=True)
    with running(first, pipeline.distributor(), pipeline.worker("RAISE")()) as roles:
        with pytest.raises(LookupError, match="five"):
            roles.join(first)
        roles.start(second)
        roles.join(*[role for role in roles._threads if role is not first])
    assert first.finished == []
    assert sorted({*first.numbers("RAISE"), *second.numbers("RAISE")}) == list(range(10))
    assert second.finished == [len(second.kept)]


def test_a_collector_that_is_lost_at_the_end_may_be_started_again_to_finish() -> None:
    pipeline = Pipeline()
    pipeline.task("FINISH", 10)

    def handle_finished(self: Any, data: Any, task_type: str) -> None:
        raise LookupError("not yet")

    first, second = pipeline.keeper(handle_finished=handle_finished), pipeline.keeper()
    with running(first, pipeline.distributor(), pipeline.worker("FINISH")()) as roles:
        with pytest.raises(LookupError, match="not yet"):
            roles.join(first)
        roles.start(second)
        roles.join(*[role for role in roles._threads if role is not first])
    assert first.numbers("FINISH") == list(range(10))
    assert (second.kept, second.finished) == ([], [0])


def test_a_collector_that_stays_away_at_the_end_is_not_waited_for_for_ever() -> None:
    pipeline = Pipeline()
    pipeline.task("AWAY", 1)

    def handle_finished(self: Any, data: Any, task_type: str) -> None:
        raise LookupError("never")

    keeper, distributor = pipeline.keeper(handle_finished=handle_finished), pipeline.distributor()
    distributor.peer_timeout = 0.3
    with running(keeper, distributor, pipeline.worker("AWAY")()) as roles:
        with pytest.raises(PeerTimeoutError, match="has been gone for 0"):
            roles.join(distributor)
        roles.join(*[role for role in roles._threads if role not in {keeper, distributor}])


def test_a_wrong_answer_of_the_collector_is_named() -> None:
    pipeline = Pipeline()
    pipeline.task("ANSWER", 1)
    keeper = pipeline.keeper(handle_collection=lambda *_: [1])
    with (
        running(keeper, pipeline.distributor(), pipeline.worker("ANSWER")()) as roles,
        pytest.raises(TypeError, match="handle_collection returned list, expected a dictionary or None"),
    ):
        roles.join(keeper)


def test_results_have_stable_ids() -> None:
    pipeline = Pipeline()
    pipeline.task("IDS", 50)
    ids: list[str] = []

    def handle_collection(self: Any, data: dict[str, Any], task_type: str, msgtype: str) -> None:
        ids.append(f"{self.result_id}={data['r']}")

    run_all(
        pipeline.keeper(handle_collection=handle_collection), pipeline.distributor(), pipeline.worker("IDS")()
    )
    (run,) = {text.split("-")[0] for text in ids}
    assert sorted(ids) == sorted(f"{run}-IDS-{n}={n}" for n in range(50))


def test_a_restarted_distributor_is_a_new_run() -> None:
    pipeline = Pipeline()
    pipeline.task("AGAIN", 1_000_000)
    keeper = pipeline.keeper()
    worker = pipeline.worker("AGAIN")()
    first = pipeline.distributor()
    with running(keeper, worker) as roles:
        roles.start(first)
        eventually(lambda: len(keeper.kept) > 0)
        first.stop()
        roles.join(first, keeper, worker)
        assert keeper.finished == []  # a run that was stopped is not finished
        pipeline.tasks.clear()
        pipeline.task("AGAIN2", 10)
        other = pipeline.keeper()
        roles.start(other, pipeline.distributor(), pipeline.worker("AGAIN2")())
        roles.join()
    assert other.numbers("AGAIN2") == list(range(10))


def test_large_results_and_tasks_pass() -> None:
    def handle(self: Any, data: Any, address: bytes, msgtype: str) -> dict[str, Any]:
        self.made += 1
        self.is_complete = self.made == 12
        return {"i": self.made, "load": bytes(1 << 20)}

    class Large(zmqpipeline.SingleThreadedWorker, abc.ABC):
        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            return {"r": data["i"], "load": data["load"]}

    pipeline = Pipeline()
    pipeline.task("LARGE", 0, handle=handle)
    keeper = pipeline.keeper()
    run_all(keeper, pipeline.distributor(), pipeline.worker("LARGE", Large)())
    assert keeper.numbers("LARGE") == list(range(1, 13))
    assert {len(data["load"]) for _, data in keeper.kept} == {1 << 20}


def test_a_worker_on_the_original_wire_takes_part_in_lock_step() -> None:
    """REQ: an empty message, METADATA, then RDY and DATA in turns; the ids are echoed."""
    pipeline = Pipeline()
    pipeline.task("STEP", 20)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    types = []
    with (
        zmq.Context() as context,
        context.socket(zmq.REQ) as request,
        context.socket(zmq.PUSH) as push,
        running(keeper, distributor) as roles,
    ):
        request.connect(pipeline.endpoint("STEP"))
        push.connect(pipeline.collector)
        request.send(b"")
        types.append(messages.get(request.recv())[2])
        while True:
            request.send(messages.create_ready("STEP"))
            message = envelope.decode(request.recv())
            assert message is not None
            types.append(message.type)
            if message.type == messages.MESSAGE_TYPE_END:
                break
            result = envelope.Message("DATA", "STEP", {"r": message.data["i"]}, message.run, id=message.id)
            result.attempt = message.attempt
            push.send(envelope.encode(result))
        roles.join()
    assert types == ["METADATA"] + ["DATA"] * 20 + ["END"]
    assert keeper.numbers("STEP") == list(range(20))


def test_a_lock_step_worker_that_disappears_gives_its_task_back() -> None:
    pipeline = Pipeline()
    pipeline.task("GONE", 5)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with zmq.Context() as context, running(keeper, distributor) as roles:
        request = context.socket(zmq.REQ)
        request.connect(pipeline.endpoint("GONE"))
        request.send(messages.create_ready("GONE"))
        assert messages.get(request.recv())[0] == {"i": 0}
        request.close(linger=0)
        roles.start(pipeline.worker("GONE")())
        roles.join()
    assert keeper.numbers("GONE") == list(range(5))
    assert distributor.statistics().redelivered == 1


def test_junk_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zmqpipeline.delivery.dispatch.FAREWELL", 0.3)  # some of it is taken for a worker
    pipeline = Pipeline()
    pipeline.task("JUNK", 200)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    worker = pipeline.worker("JUNK")()
    junk = [
        b"", b"\xc1", b"\x00", b"hello", messages.create_end(), messages.create_ack("JUNK", {"_id": 1}),
        messages.create_data("JUNK", {"r": 1}), messages.create_data("NOBODY", {}),
        messages.create_ready("NOBODY"),
        envelope.encode(envelope.Message("ACK", "JUNK", ids=[(0, 10**9)], number=1, run="x", life="y")),
        envelope.encode(envelope.Message("RDY", "JUNK", credit=2**52)),
        envelope.encode(envelope.Message("END", run="other", life="other")),
    ]  # fmt: skip
    with (
        zmq.Context() as context,
        context.socket(zmq.DEALER) as dealer,
        context.socket(zmq.PUSH) as push,
        running(keeper, distributor) as roles,
    ):
        dealer.linger = push.linger = 0
        dealer.connect(pipeline.endpoint("JUNK"))
        push.connect(pipeline.collector)
        for message in junk:
            dealer.send(message)
            dealer.send_multipart([b"", message])
            dealer.send_multipart([b"x", message, b"y"])
            push.send(message)
            push.send_multipart([message, message])
        roles.start(worker)
        roles.join()
    assert keeper.numbers("JUNK") == list(range(200))
    assert keeper.finished == [200]


def test_junk_is_logged_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = Pipeline()
    pipeline.task("JUNK", 10**9)
    caplog.set_level("INFO")
    keeper, distributor = pipeline.keeper(), pipeline.distributor()

    def said() -> list[str]:
        return [m for m in caplog.messages if "messages that make no sense" in m]

    with (
        zmq.Context() as context,
        context.socket(zmq.DEALER) as dealer,
        running(keeper, distributor) as roles,
    ):
        dealer.connect(str(pipeline.endpoint("JUNK")))
        dealer.send_multipart([b"", b"junk"])
        eventually(lambda: bool(said()))
        for _ in range(1000):
            dealer.send_multipart([b"", b"junk"])
        eventually(lambda: distributor._dispatch.dropped >= 1001)
        distributor.stop()
        roles.join(distributor)
    assert said() == ["Distributor has dropped messages that make no sense, or are of no task of this run: 1"]


def test_stop_drains_and_everybody_ends() -> None:
    pipeline = Pipeline()
    pipeline.task("STOP", 10_000_000)
    begun, go = Event(), threading.Event()

    class Waiting(zmqpipeline.SingleThreadedWorker, abc.ABC):
        def handle_execution(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
            begun.set()
            go.wait(20)
            return {"r": data["i"]}

    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    with running(keeper, distributor, pipeline.worker("STOP", Waiting)()) as roles:
        begun.wait()
        distributor.stop()
        go.set()
        roles.join()
    statistics = distributor.statistics()
    assert statistics.handed_out == statistics.acknowledged == len(keeper.kept)
    assert keeper.numbers("STOP") == list(range(len(keeper.kept)))
    assert keeper.finished == []


def test_a_worker_that_stops_gives_back_what_it_has_not_begun() -> None:
    pipeline = Pipeline()
    count = 1100 + MOST  # more than it could do in the round in which it is asked to stop
    pipeline.task("LEAVE", count)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    cls = pipeline.worker("LEAVE")
    leaving = cls()

    def handle_execution(data: dict[str, Any]) -> dict[str, Any]:
        if data["i"] == 1000:
            leaving.stop()
        return {"r": data["i"]}

    leaving.handle_execution = handle_execution
    with running(keeper, distributor, leaving) as roles:
        roles.join(leaving)
        roles.start(cls())
        roles.join()
    assert keeper.numbers("LEAVE") == list(range(count))


def test_one_task_type_belongs_to_one_class() -> None:
    pipeline = Pipeline()
    first = pipeline.task("OWNED", 1)
    second = pipeline.task("OWNED", 1)
    zmqpipeline.Distributor.register_task(first)
    zmqpipeline.Distributor.register_task(first)
    with pytest.raises(DeclarationError, match=r"task type 'OWNED' belongs to .*TaskOWNED"):
        zmqpipeline.Distributor.register_task(second)
    assert zmqpipeline.Distributor.task_classes == {"OWNED": first}
    zmqpipeline.Distributor.clear_tasks()
    zmqpipeline.Distributor.register_task(second)
    one = pipeline.worker("OWNED")
    one()
    one()
    with pytest.raises(DeclarationError, match="task type 'OWNED' belongs to worker"):
        pipeline.worker("OWNED", Threaded)()
    with pytest.raises(DeclarationError, match="belongs to"):
        zmqpipeline.Distributor(pipeline.collector, pipeline.acks, tasks=[first, second])
    with pytest.raises(DeclarationError, match=r"expected a subclass of zmqpipeline\.Task"):
        zmqpipeline.Distributor.register_task(object)  # type: ignore[arg-type]


def test_two_distributors_share_no_tasks() -> None:
    pipeline, other = Pipeline(), Pipeline("tcp")
    pipeline.task("MINE", 1)
    other.task("THEIRS", 1)
    assert list(pipeline.distributor().tasks) == ["MINE"]
    assert list(other.distributor().tasks) == ["THEIRS"]
    assert zmqpipeline.Distributor(pipeline.collector, pipeline.acks).tasks == {}


def test_dependencies_in_a_circle_are_refused() -> None:
    pipeline = Pipeline()
    for name in ("X", "Y", "Z"):
        TaskType.register_type(name)
    pipeline.task("X", 1, depends=("Y",))
    pipeline.task("Y", 1, depends=("Z",))
    pipeline.task("Z", 1, depends=("X",))
    with pytest.raises(DeclarationError, match=r"circle: X -> Y -> Z -> X"):
        pipeline.distributor()


@pytest.mark.parametrize("wrong", ["tcp://127.0.0.1:5000", None, 5])
def test_a_distributor_wants_addresses(wrong: Any) -> None:
    right = EndpointAddress("ipc://right.ipc")
    for arguments in ((wrong, right), (right, wrong), (right, right, True, wrong)):
        with pytest.raises(TypeError, match="expected an address"):
            zmqpipeline.Distributor(*arguments)
        with pytest.raises(AttributeError):
            zmqpipeline.Distributor(*arguments)


def test_progress_is_told(folder: Path) -> None:
    pipeline = Pipeline()
    pipeline.task("PROGRESS", 10)
    told: list[zmqpipeline.Statistics] = []
    run_all(pipeline.keeper(), pipeline.distributor(on_progress=told.append), pipeline.worker("PROGRESS")())
    assert told[-1][:4] == (10, 10, 0, 0)
    assert all(a.acknowledged <= b.acknowledged for a, b in itertools.pairwise(told))
    assert list(folder.iterdir()) == []  # no ipc file and no lock is left
