"""Every exception that the library raises.

Most have a builtin base as well, so that a program that knows nothing of this
module still catches what it expects: a wrong declaration is a ``TypeError``,
an address in use an ``OSError``.
"""

from __future__ import annotations


class ZmqPipelineError(Exception):
    """Base of all errors of this library."""


class DeclarationError(ZmqPipelineError, TypeError):
    """Raised when a class or an instance declares something that cannot work."""


class EndpointError(DeclarationError, AttributeError):
    """Raised when an endpoint address is not valid.

    It is a ``TypeError``, as the tutorial says, and an ``AttributeError``, as
    the original library raised.
    """


class SerializationError(ZmqPipelineError, TypeError):
    """Raised when a value cannot be packed; the text names the path to it."""


class BindError(ZmqPipelineError, OSError):
    """Raised when an address cannot be bound: in use, or not allowed."""


class JournalError(ZmqPipelineError, OSError):
    """Raised when a journal cannot be used: damaged, locked, of another program, or not to be written."""


class SecurityError(ZmqPipelineError, PermissionError):
    """Raised when keys cannot be used as they are, or are required and not there."""


class PeerTimeoutError(ZmqPipelineError, TimeoutError):
    """Raised when a peer that was met has stayed away for ``peer_timeout``."""


class MonitorError(ZmqPipelineError, OSError):
    """Raised when a run cannot be watched: nobody answers at its address, or in another version."""


class ServiceError(ZmqPipelineError):
    """Base of what a :class:`~zmqpipeline.ServiceClient` is told instead of an answer."""


class UnknownTaskTypeError(ServiceError):
    """Raised when no worker of the requested task type has ever been seen and none came in time."""


class NoWorkerError(ServiceError):
    """Raised when workers of the task type are known, but none was free in time."""


class WorkerLostError(ServiceError):
    """Raised when the workers that were given a request died before they answered."""


class RequestTimeoutError(ServiceError, TimeoutError):
    """Raised when no answer came within the time that the client gave."""


class RemoteError(ServiceError):
    """Raised when the worker's ``handle_message`` raised.

    Parameters
    ----------
    message
        one sentence: type and text of the remote exception
    remote_traceback
        the traceback in the worker, as text

    """

    def __init__(self, message: str, remote_traceback: str = "") -> None:
        super().__init__(message)
        self.remote_traceback = remote_traceback


class SimulationError(ZmqPipelineError):
    """Base of what a run of :class:`zmqpipeline.testing.Pipeline` may end with."""


class StalledError(SimulationError):
    """Raised when nothing can happen any more in a simulated run; the text says who waits for what."""


class SimulationLimitError(SimulationError):
    """Raised when a simulated run does not end within ``max_steps`` or ``max_time``."""


class FaultNotReachedError(SimulationError):
    """Raised when a simulated run was over before a fault that was to happen in it."""


class Stopped(SystemExit):
    """Raised by ``run()`` after a signal has stopped it; the exit code is 128 + the signal's number."""
