"""Loading a file, and finding the roles in it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from zmqpipeline import Distributor
from zmqpipeline.cli import plan, program
from zmqpipeline.cli.endpoints import Endpoints
from zmqpipeline.cli.exits import CommandError, Exit
from zmqpipeline.cli.loading import load
from zmqpipeline.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROLES = """
import abc
import zmqpipeline
from zmqpipeline import *

A, B = TaskType.register_type("A"), TaskType.register_type("B")

class Base(SingleThreadedWorker, abc.ABC):
    collector_endpoint = EndpointAddress("ipc://c.ipc")

class DoesA(Base):
    task_type = A
    endpoint = EndpointAddress("ipc://a.ipc")
    def handle_execution(self, data, *args, **kwargs):
        return data

class DoesB(DoesA):
    task_type = B
    endpoint = EndpointAddress("ipc://b.ipc")

Alias = DoesB

class TaskA(Task):
    task_type = A
    endpoint = EndpointAddress("ipc://a.ipc")
    dependencies = []
    def handle(self, data, address, msgtype):
        self.is_complete = True

broker = Service("ipc://f.ipc", "ipc://k.ipc")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def read(text: str, name: str = "some_app.py") -> program.Program:
    from pathlib import Path  # noqa: PLC0415

    Path(name).write_text(text, encoding="utf-8")
    return program.read(name, load(name))


def test_a_file_is_loaded_under_its_own_name_with_its_folder_in_reach(folder: Path) -> None:
    folder.joinpath("sub").mkdir()
    folder.joinpath("sub/neighbour_module.py").write_text("x = 5")
    folder.joinpath("sub/own_name.py").write_text("import neighbour_module\nname = __name__\n")
    module = load("sub/own_name.py")
    assert module.name == "own_name"
    assert sys.modules["own_name"] is module
    assert load("sub/own_name.py").name == "own_name"


def test_a_name_with_a_dash_is_no_obstacle(folder: Path) -> None:
    folder.joinpath("my-app.py").write_text("x = 5")
    assert load("my-app.py").x == 5


def test_every_concrete_role_is_found_and_no_base() -> None:
    found = read(ROLES + "\nPairs = list[tuple[str, int]]  # half a class for Python 3.10\n")
    assert [role.name for role in found.roles["worker"]] == ["DoesA", "DoesB"]
    assert [task.__name__ for task in found.tasks] == ["TaskA"]
    assert [role.name for role in found.roles["service"]] == ["broker"]
    assert [role.name for role in found.roles["distributor"]] == ["Distributor"]
    assert not found.roles["collector"]


def test_tasks_that_were_registered_are_found_wherever_they_are() -> None:
    read(ROLES, "other_app.py")
    found = read("import other_app, zmqpipeline\nzmqpipeline.Distributor.register_task(other_app.TaskA)\n")
    assert [task.__name__ for task in found.tasks] == ["TaskA"]
    Distributor.clear_tasks()


def test_one_of_several_is_picked_by_its_name() -> None:
    found = read(ROLES)
    assert found.pick("worker", "DoesB").task_type == "B"
    assert found.pick("service", None).name == "broker"
    with pytest.raises(CommandError, match="several: DoesA, DoesB"):
        found.pick("worker", None)
    with pytest.raises(CommandError, match="no Worker of the name 'C'"):
        found.pick("worker", "C")
    with pytest.raises(CommandError, match="no MetaDataWorker"):
        found.pick("metadata", None)


def test_run_works_again_after_a_file_was_refused(folder: Path) -> None:
    before = Role._before_run
    folder.joinpath("runs_it.py").write_text(ROLES + "\nbroker.run()\n")
    with pytest.raises(CommandError, match=r"line 32: Service\.run\(\) is called while the file is loaded"):
        load("runs_it.py")
    assert Role._before_run is before


def test_a_plan_lists_roles_addresses_and_what_is_missing(folder: Path) -> None:
    found = read(ROLES)
    given = Endpoints({"ack_endpoint": ["ipc://ack.ipc"], "endpoint": ["A=ipc://other.ipc"]}, {})
    made = plan.make(found, given)
    assert made.roles == [
        ("distributor", "Distributor"),
        ("service", "broker"),
        ("worker", "DoesA"),
        ("worker", "DoesB"),
    ]
    assert made.ipc == [str(folder / name) for name in ("other.ipc", "f.ipc", "k.ipc")]
    assert [warning.split(" in the file")[0] for warning in made.warnings] == [
        "no Collector",
        "no Task for the task type 'B'",
    ]
    assert plan.Plan.parse(made.dump()) == made


def test_without_a_collector_its_ack_endpoint_must_be_given() -> None:
    with pytest.raises(
        CommandError, match="where the collector sends acknowledgements: give --ack-endpoint"
    ) as e:
        plan.make(read(ROLES), Endpoints({}, {}))
    assert e.value.code == Exit.USAGE


def test_stop_timeout_of_the_most_patient_counts() -> None:
    patient = ROLES.replace("class DoesB(DoesA):\n", "class DoesB(DoesA):\n    stop_timeout = 99\n")
    given = Endpoints({"ack_endpoint": ["ipc://ack.ipc"]}, {})
    assert plan.make(read(patient), given).stop_timeout == 99
