"""What the program's own methods raise ends the role whose methods they are, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.roles.pipelines import Pipeline, Threaded, eventually, running
from zmqpipeline.heartbeat import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("folder", "_quick_looks")


class OfTheProgramError(Exception):
    """Nobody else raises it."""


def raises(*_args: Any, **_kwargs: Any) -> Any:
    raise OfTheProgramError("mine")


@pytest.mark.parametrize("method", ["initialize", "handle", "is_available_for_handling"])
def test_a_task_that_raises_ends_the_distributor(method: str) -> None:
    # handle() is looked at when it is declared: it has to take what it is given
    methods: dict[str, Any] = {
        "initialize": lambda self, metadata: raises(),
        "handle": lambda self, data, address, msgtype: raises(),
        "is_available_for_handling": lambda self, last_ack_data: raises(),
    }
    pipeline = Pipeline()
    pipeline.task("RAISES", 10, **{method: methods[method]})
    keeper, worker, distributor = pipeline.keeper(), pipeline.worker("RAISES")(), pipeline.distributor()
    with running(keeper, worker) as roles:
        with pytest.raises(OfTheProgramError):
            distributor.run()
        assert roles.is_running(keeper)
        assert roles.is_running(worker)
    assert keeper.finished == []


@pytest.mark.parametrize("method", ["init_worker", "init_thread"])
def test_a_worker_that_cannot_begin_ends_and_another_does_its_tasks(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline()
    pipeline.task("RAISES", 100)
    keeper, distributor = pipeline.keeper(), pipeline.distributor()
    arguments = {"init_worker": lambda self: raises(), "init_thread": lambda self, worker_index: raises()}
    broken = pipeline.worker("RAISES", Threaded)()
    stopped: list[Heartbeat] = []
    stop = Heartbeat.stop

    def note(heartbeat: Heartbeat) -> None:
        stopped.append(heartbeat)
        stop(heartbeat)

    monkeypatch.setattr(Heartbeat, "stop", note)
    broken_class = type(broken)
    setattr(broken_class, method, arguments[method])
    with running(keeper, distributor) as roles:
        with pytest.raises(OfTheProgramError):
            broken.run()
        # the one that had begun; if nobody stopped it, the end would wait for its next beat
        assert len(stopped) == (method == "init_thread")
        delattr(broken_class, method)
        roles.start(broken_class())
        roles.join()
    assert keeper.numbers("RAISES") == list(range(100))


@pytest.mark.parametrize("method", ["handle_collection", "get_ack_data", "handle_failure"])
@pytest.mark.usefixtures("_quick_heartbeats")
def test_a_collector_that_raises_ends_and_the_next_one_gets_what_it_has_not_handled(method: str) -> None:
    arguments: dict[str, Callable[..., Any]] = {
        "handle_collection": lambda self, data, task_type, msgtype: raises(),
        "get_ack_data": lambda self: raises(),
        "handle_failure": lambda self, data, task_type, error: raises(),
    }

    def do(_self: Any, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
        if data["i"] == 7:
            raise ValueError("this one fails")
        return {"r": data["i"]}

    pipeline = Pipeline()
    pipeline.task("RAISES", 10, max_attempts=1)
    distributor, worker = pipeline.distributor(), pipeline.worker("RAISES", handle_execution=do)()
    broken, keeper = pipeline.keeper(**{method: arguments[method]}), pipeline.keeper()
    with running(distributor, worker) as roles:
        with pytest.raises(OfTheProgramError):
            broken.run()
        eventually(lambda: roles.is_running(distributor) and roles.is_running(worker))
        roles.start(keeper)
        roles.join()
    assert broken.finished == []
    assert len(keeper.finished) == 1
    assert {data["r"] for _, data in broken.kept + keeper.kept} == set(range(10)) - {7}
    assert [data for _, data, _ in keeper.failures] in ([{"i": 7}], [])


def test_what_handle_finished_raises_comes_out_of_run() -> None:
    pipeline = Pipeline()
    pipeline.task("RAISES", 3)
    keeper = pipeline.keeper(handle_finished=lambda self, data, task_type: raises())
    with running(pipeline.distributor(), pipeline.worker("RAISES")()), pytest.raises(OfTheProgramError):
        keeper.run()
    assert keeper.numbers("RAISES") == [0, 1, 2]
