"""Distributes tasks over ZeroMQ: a Task, a Worker and a Collector, each in a process of its own."""

from zmqpipeline import _startup  # isort: skip # noqa: F401 - before the others: they take their time
import importlib
import logging
from typing import TYPE_CHECKING, Any

from zmqpipeline._version import __version__

if TYPE_CHECKING:
    from zmqpipeline import helpers, zhelpers
    from zmqpipeline.asyncworker import AsyncWorker
    from zmqpipeline.collector import Collector
    from zmqpipeline.delivery.statistics import Statistics
    from zmqpipeline.descriptors import EndpointAddress, TaskType
    from zmqpipeline.distributor import Distributor
    from zmqpipeline.iterabletask import IterableTask
    from zmqpipeline.metadata import MetaDataWorker
    from zmqpipeline.multithreaded import MultiThreadedWorker
    from zmqpipeline.security import Security
    from zmqpipeline.service import Service
    from zmqpipeline.serviceclient import ServiceClient
    from zmqpipeline.serviceworker import ServiceWorker
    from zmqpipeline.singlethreaded import SingleThreadedWorker
    from zmqpipeline.task import Task
    from zmqpipeline.utils import messages, serializer
    from zmqpipeline.worker import Worker

__all__ = [
    "AsyncWorker",
    "Collector",
    "Distributor",
    "EndpointAddress",
    "IterableTask",
    "MetaDataWorker",
    "MultiThreadedWorker",
    "Security",
    "Service",
    "ServiceClient",
    "ServiceWorker",
    "SingleThreadedWorker",
    "Statistics",
    "Task",
    "TaskType",
    "Worker",
    "__version__",
    "configureLogging",
    "helpers",
    "messages",
    "serializer",
    "zhelpers",
]

#: where each public name is; its module is imported when it is first asked for, because a process that is
#: one role needs only its own
_HOMES = {
    "AsyncWorker": "asyncworker",
    "Collector": "collector",
    "Distributor": "distributor",
    "EndpointAddress": "descriptors",
    "IterableTask": "iterabletask",
    "MetaDataWorker": "metadata",
    "MultiThreadedWorker": "multithreaded",
    "Security": "security",
    "Service": "service",
    "ServiceClient": "serviceclient",
    "ServiceWorker": "serviceworker",
    "SingleThreadedWorker": "singlethreaded",
    "Statistics": "delivery.statistics",
    "Task": "task",
    "TaskType": "descriptors",
    "Worker": "worker",
}
#: and each public module
_MODULES = {
    "helpers": "helpers",
    "messages": "utils.messages",
    "serializer": "utils.serializer",
    "zhelpers": "zhelpers",
}

logging.getLogger("zmqpipeline").addHandler(logging.NullHandler())


def configureLogging(config: dict[str, Any]) -> None:  # noqa: N802 - the original's name
    """Configure logging; the same as :func:`logging.config.dictConfig`.

    The loggers are ``zmqpipeline.`` with ``distributor``, ``task``, ``worker``, ``collector``,
    ``metadataworker``, ``service``, ``serviceworker`` or ``serviceclient``.

    Parameters
    ----------
    config
        see the logging configuration dictionary schema of the standard library

    """
    import logging.config  # noqa: PLC0415 - it takes as long as half of this package, and few call this

    logging.config.dictConfig(config)


if not TYPE_CHECKING:  # a type checker is to know each name, and to miss one that is not there

    def __getattr__(name: str) -> Any:
        """Import a public name (PEP 562)."""
        if name in _MODULES:
            found = importlib.import_module(f"zmqpipeline.{_MODULES[name]}")
        elif name in _HOMES:
            found = getattr(importlib.import_module(f"zmqpipeline.{_HOMES[name]}"), name)
        else:
            raise AttributeError(f"module 'zmqpipeline' has no attribute {name!r}")
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        """List the public names, imported or not."""
        return sorted({*globals(), *__all__})
