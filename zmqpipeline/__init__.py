"""Distributes tasks over ZeroMQ: a Task, a Worker and a Collector, each in a process of its own."""

from zmqpipeline import _startup  # isort: skip # noqa: F401 - before the others: they take their time
import logging
import logging.config
from typing import Any

from zmqpipeline import helpers, zhelpers
from zmqpipeline._version import __version__
from zmqpipeline.collector import Collector
from zmqpipeline.delivery.dispatch import Statistics
from zmqpipeline.descriptors import EndpointAddress, TaskType
from zmqpipeline.distributor import Distributor
from zmqpipeline.metadata import MetaDataWorker
from zmqpipeline.multithreaded import MultiThreadedWorker
from zmqpipeline.service import Service
from zmqpipeline.serviceclient import ServiceClient
from zmqpipeline.serviceworker import ServiceWorker
from zmqpipeline.task import Task
from zmqpipeline.utils import messages, serializer
from zmqpipeline.worker import SingleThreadedWorker, Worker

__all__ = [
    "Collector",
    "Distributor",
    "EndpointAddress",
    "MetaDataWorker",
    "MultiThreadedWorker",
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
    logging.config.dictConfig(config)
