"""What the package shows to the outside, and what importing it does and does not do."""

from __future__ import annotations

import importlib.resources
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import zmqpipeline
from zmqpipeline import errors
from zmqpipeline.utils import messages, serializer

ROOT = Path(__file__).parents[2]

NAMES = {
    "AsyncWorker", "Collector", "Distributor", "EndpointAddress", "IterableTask", "MetaDataWorker",
    "MultiThreadedWorker", "Security", "Service", "ServiceClient", "ServiceWorker",
    "SingleThreadedWorker", "Statistics", "Task", "TaskType", "Worker", "__version__",
    "configureLogging", "helpers", "messages", "serializer", "zhelpers",
}  # fmt: skip

LOGGERS = {
    "distributor", "task", "worker", "collector", "metadataworker", "service", "serviceworker",
    "serviceclient",
}  # fmt: skip

CLASSES = [
    value for name in sorted(NAMES) if inspect.isclass(value := getattr(zmqpipeline, name))
] + [value for value in vars(errors).values() if inspect.isclass(value)]  # fmt: skip

MODULES = [
    zmqpipeline.helpers, zmqpipeline.zhelpers, zmqpipeline.messages, zmqpipeline.serializer, errors,
]  # fmt: skip


#: imports all that is public
EVERYTHING = "[getattr(zmqpipeline, name) for name in zmqpipeline.__all__]"


def imported(code: str) -> Any:
    """Import the package in a new interpreter, and return what `code` prints as JSON."""
    package = str(Path(zmqpipeline.__file__).parents[1])
    program = f"import sys; sys.path.insert(0, {package!r}); import json, logging, zmqpipeline; {code}"
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", program], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def test_the_public_names_are_those_that_are_listed() -> None:
    assert set(zmqpipeline.__all__) == NAMES
    assert list(zmqpipeline.__all__) == sorted(zmqpipeline.__all__)
    for name in NAMES:
        assert getattr(zmqpipeline, name) is not None


def test_messages_and_serializer_are_one_module_each_whatever_they_are_called() -> None:
    import zmqpipeline.utils.messages as by_path  # noqa: PLC0415 - the import is what is tested
    import zmqpipeline.utils.serializer as serializer_by_path  # noqa: PLC0415

    assert zmqpipeline.messages is zmqpipeline.utils.messages is by_path is messages
    assert zmqpipeline.serializer is zmqpipeline.utils.serializer is serializer_by_path is serializer


def test_the_version_is_that_of_the_changelog() -> None:
    changelog = ROOT.joinpath("CHANGELOG.rst").read_text(encoding="utf-8")
    newest = re.search(r"^(\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == zmqpipeline.__version__


def test_a_name_is_imported_when_it_is_asked_for() -> None:
    loaded = imported("print(json.dumps(sorted(sys.modules)))")
    assert not {"zmq", "msgpack", "zmqpipeline.worker"} & set(loaded)
    loaded = imported("zmqpipeline.SingleThreadedWorker; print(json.dumps(sorted(sys.modules)))")
    assert {"zmq", "msgpack", "zmqpipeline.worker"} <= set(loaded)
    assert not {"asyncio", "logging.config", "zmqpipeline.distributor", "zmqpipeline.service"} & set(loaded)
    assert set(zmqpipeline.__all__) <= set(imported("print(json.dumps(dir(zmqpipeline)))"))
    with pytest.raises(AttributeError, match="module 'zmqpipeline' has no attribute 'Tsk'"):
        zmqpipeline.Tsk  # type: ignore[attr-defined] # noqa: B018


def test_importing_brings_none_of_the_extras_along() -> None:
    loaded = imported(f"{EVERYTHING}; print(json.dumps(sorted(sys.modules)))")
    roots = {name.partition(".")[0] for name in loaded}
    assert {"zmq", "msgpack"} <= roots
    assert not roots & {"click", "rich", "pytest", "watchfiles"}
    assert "zmqpipeline.cli" not in loaded


def test_the_command_imports_what_measures_only_to_measure() -> None:
    loaded = imported("import zmqpipeline.cli.app as app; print(json.dumps(sorted(sys.modules)))")
    assert "zmqpipeline.cli.supervisor" in loaded
    assert not [name for name in loaded if name.startswith(("zmqpipeline.bench", "importlib.metadata"))]
    loaded = imported(
        "import zmqpipeline.cli.app as app, click; context = click.Context(app.group); "
        "found = [app.group.get_command(context, name).name for name in app.group.list_commands(context)]; "
        "print(json.dumps([found, sorted(sys.modules)]))"
    )
    assert {"bench", "run", "worker"} <= set(loaded[0])
    assert loaded[0] == sorted(loaded[0])
    assert "zmqpipeline.bench.tour" in loaded[1]


def test_importing_leaves_logging_alone() -> None:
    found = imported(
        f"{EVERYTHING}; "
        "known = logging.Logger.manager.loggerDict; print(json.dumps({"
        "'root': [type(h).__name__ for h in logging.root.handlers],"
        "'level': logging.root.level,"
        "'handlers': {n: [type(h).__name__ for h in l.handlers] for n, l in known.items()"
        "             if n.startswith('zmqpipeline') and isinstance(l, logging.Logger)},"
        "'levels': [l.level for n, l in known.items()"
        "           if n.startswith('zmqpipeline') and isinstance(l, logging.Logger)]}))"
    )
    assert found["root"] == []
    assert found["level"] == 30  # WARNING, as Python sets it
    assert found["handlers"] == {
        "zmqpipeline": ["NullHandler"],
        **{f"zmqpipeline.{name}": [] for name in LOGGERS},
    }
    assert set(found["levels"]) == {0}


def test_each_role_logs_under_the_name_of_the_original() -> None:
    roles: dict[Any, str] = {
        zmqpipeline.Distributor: "distributor",
        zmqpipeline.Task: "task",
        zmqpipeline.IterableTask: "task",
        zmqpipeline.Worker: "worker",
        zmqpipeline.SingleThreadedWorker: "worker",
        zmqpipeline.AsyncWorker: "worker",
        zmqpipeline.MultiThreadedWorker: "worker",
        zmqpipeline.Collector: "collector",
        zmqpipeline.MetaDataWorker: "metadataworker",
        zmqpipeline.Service: "service",
        zmqpipeline.ServiceWorker: "serviceworker",
        zmqpipeline.ServiceClient: "serviceclient",
    }
    assert {cls: cls.logger.name for cls in roles} == {
        cls: f"zmqpipeline.{name}" for cls, name in roles.items()
    }


def test_configure_logging_is_dict_config() -> None:
    found = imported(
        "zmqpipeline.configureLogging({'version': 1, 'disable_existing_loggers': False,"
        " 'handlers': {'console': {'class': 'logging.StreamHandler'}},"
        " 'loggers': {'zmqpipeline.distributor': {'handlers': ['console'], 'level': 'DEBUG'}}});"
        "logger = zmqpipeline.Distributor.logger;"
        "print(json.dumps([logger.level, [type(h).__name__ for h in logger.handlers]]))"
    )
    assert found == [10, ["StreamHandler"]]


def test_the_marker_of_a_typed_package_is_in_it() -> None:
    assert importlib.resources.files("zmqpipeline").joinpath("py.typed").is_file()
    # a wheel has it only if this says so
    assert 'zmqpipeline = ["py.typed", ' in ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_public_class_and_method_has_a_docstring(cls: type) -> None:
    assert vars(cls).get("__doc__")
    for name, member in inspect.getmembers(cls):
        ours = getattr(member, "__module__", None) or ""
        if isinstance(member, property):
            assert name.startswith("_") or inspect.getdoc(member), f"{cls.__name__}.{name}"
        elif not name.startswith("_") and inspect.isroutine(member) and ours.startswith("zmqpipeline"):
            assert inspect.getdoc(member), f"{cls.__name__}.{name}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_each_public_function_has_a_docstring(module: Any) -> None:
    assert inspect.getdoc(module)
    for name, member in inspect.getmembers(module, inspect.isfunction):
        if not name.startswith("_") and member.__module__ == module.__name__:
            assert inspect.getdoc(member), f"{module.__name__}.{name}"
    assert inspect.getdoc(zmqpipeline)
    assert inspect.getdoc(zmqpipeline.configureLogging)


def test_everything_public_is_in_the_reference() -> None:
    reference = ROOT.joinpath("docs", "reference.rst").read_text(encoding="utf-8")
    wanted = {
        *(cls.__name__ for cls in CLASSES if cls.__module__ != errors.__name__),
        *_listed_in("messages"),
        *_listed_in("serializer"),
        "configureLogging", "zmqpipeline.errors", "zmqpipeline.helpers", "zmqpipeline.zhelpers",
    }  # fmt: skip
    assert {name for name in wanted if not re.search(rf"\b{re.escape(name)}\b", reference)} == set()


def _listed_in(name: str) -> list[str]:
    # the module replaces itself by the one that it stands for, so its own list can only be read
    text = ROOT.joinpath("zmqpipeline", "utils", f"{name}.py").read_text(encoding="utf-8")
    return re.findall(r'^ {4}"(\w+)",$', text[text.index("__all__") :], re.MULTILINE)
