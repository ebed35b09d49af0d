"""Task: what is to be done."""

from __future__ import annotations

import abc
import inspect
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any, ClassVar

from zmqpipeline.declarations import Attribute, Declared, Method, parameters, takes
from zmqpipeline.descriptors import EndpointAddress, TaskType
from zmqpipeline.errors import DeclarationError
from zmqpipeline.typed import Generic, In, Out

if TYPE_CHECKING:
    from collections.abc import Mapping

    import zmq

TASK_TYPE = Attribute(
    "task_type",
    "a registered task type: zmqpipeline.TaskType('...')",
    lambda value: isinstance(value, TaskType) and value != "",
)
ENDPOINT = Attribute(
    "endpoint",
    "an address: zmqpipeline.EndpointAddress('...')",
    lambda value: isinstance(value, EndpointAddress),
)
ACK_ENDPOINT = Attribute("ack_endpoint", ENDPOINT.expected, ENDPOINT.accepts)
_DEPENDENCIES = Attribute(
    "dependencies",
    "a list of zmqpipeline.TaskType, [] for none",
    lambda value: isinstance(value, list | tuple) and all(isinstance(item, TaskType) for item in value),
)

#: attributes of an instance that are no part of a checkpoint
_OF_THE_LIBRARY = frozenset((
    "client", "client_addresses", "is_complete", "metadata", "n_acks", "n_sent", "received_init_signal",
    "siblings",
))  # fmt: skip


class Task(Declared, abc.ABC, Generic[In, Out]):
    """What is to be done: makes the dictionaries that workers get.

    A subclass declares :attr:`task_type`, :attr:`endpoint` and
    :attr:`dependencies`, and implements :meth:`handle`. The distributor makes
    one instance of it, and calls :meth:`handle` whenever a worker has room,
    until it sets ``self.is_complete = True``.

    For type checkers, a ``Task[In, Out]`` gets metadata of the type ``In``, and its :meth:`handle` returns an
    ``Out``. Without parameters both are dictionaries of anything.

    Attributes
    ----------
    task_type
        what it is called, a :class:`~zmqpipeline.TaskType`; one Task class and one Worker class have it
    endpoint
        where the distributor binds and the workers of this type connect, an
        :class:`~zmqpipeline.EndpointAddress`
    dependencies
        the task types that have to be complete before this task begins
    is_complete
        set it in :meth:`handle` with the last task; what that call returns is still handed out
    metadata
        the metadata of the run, ``{}`` without
    n_sent, n_acks
        tasks handed out and acknowledged so far
    client_addresses
        the addresses of the workers that were seen, up to 100 000

    """

    _declares: tuple[Attribute, ...] = (TASK_TYPE, ENDPOINT, _DEPENDENCIES)
    _calls = (Method("initialize", ("metadata",)), Method("is_available_for_handling", ("last_ack_data",)))

    task_type: TaskType
    endpoint: EndpointAddress
    dependencies: list[TaskType]

    #: how often a task is tried before it has failed
    max_attempts: int = 3
    #: how long the first retry waits, in seconds; each further one twice as long
    retry_delay: float = 0.1
    #: how many workers a task may kill, being the only one in their hands, before it has failed
    max_worker_deaths: int = 3
    #: how long an attempt may take, in seconds; None for ever. A process cannot interrupt what it runs:
    #: a worker whose only thread passes this limit ends its process, and has to be started again
    time_limit: float | None = None

    #: how many tasks there will be, for progress and the time that is left; None if that is not known. Set it
    #: in the class or in :meth:`initialize`
    total: int | None = None

    is_complete: bool = False
    n_items: int = 0
    #: room for the program to count in, as the tutorial does
    n_count: int = 0
    n_acks: int = 0
    n_sent: int = 0
    received_init_signal: bool = False
    metadata: In = {}  # type: ignore[assignment] # noqa: RUF012 - replaced on the instance, never changed
    client: zmq.Socket[bytes] | None = None

    #: instances by task type, see :meth:`register_task_instance`
    task_instances: ClassVar[defaultdict[str, list[Task[Any, Any]]]] = defaultdict(list)

    logger: ClassVar[logging.Logger] = logging.getLogger("zmqpipeline.task")

    #: how handle() is called: with ack_data as fourth argument, as a keyword, or without
    _ack_data_as: ClassVar[str] = "nothing"

    client_addresses: set[bytes]
    #: the tasks of the same distributor by task type
    siblings: Mapping[str, Task[Any, Any]] = {}

    @abc.abstractmethod
    def handle(self, data: In, address: bytes, msgtype: str) -> Out | None:
        """Make the next task.

        It may take a fourth parameter ``ack_data``: the data of the last ACK of
        this task type, ``{}`` before the first.

        Parameters
        ----------
        data
            the metadata, ``{}`` without; a copy for each call
        address
            the routing id of the worker that the task goes to
        msgtype
            what the worker sent, :data:`zmqpipeline.messages.MESSAGE_TYPE_READY`

        Returns
        -------
        dict or None
            what the worker gets; ``{}`` for None. It is packed at once, so it may be reused for the next task

        """

    def initialize(
        self,
        metadata: In = {},  # type: ignore[assignment] # noqa: B006 - the tutorial's; never changed
    ) -> None:
        """Prepare, once, when the dependencies are complete; by default, keep the metadata.

        Setting ``is_complete`` here means that there is nothing to do.
        """
        self.metadata = metadata

    def is_available_for_handling(self, last_ack_data: dict[str, Any]) -> bool:  # noqa: ARG002
        """Tell whether the next task may be made now; asked after each ACK of this task type and every 50 ms.

        A task that overrides this is handed out one at a time.

        Parameters
        ----------
        last_ack_data
            the data of this task type's last ACK: ``_id`` (counts from 1 in one life of the collector),
            ``_task_type``, ``_failed`` if it was a failure, and what the collector added; ``{}`` before
            the first

        """
        return True

    def is_task_ready_for_initialization(self) -> bool:
        """Tell whether the dependencies are complete and :meth:`initialize` has not run yet."""
        if self.is_complete or self.received_init_signal:
            return False
        known = (
            {name: [task] for name, task in self.siblings.items()} if self.siblings else Task.task_instances
        )
        return all(other.is_complete for name in self.dependencies for other in known.get(str(name), ()))

    def checkpoint(self) -> dict[str, Any]:
        """Tell what has to survive the distributor; asked with each batch, if there is a journal.

        By default these are all attributes of the instance that are not the library's
        (``is_complete``, ``n_sent`` and ``n_acks`` survive anyway).

        Returns
        -------
        dict
            what can be packed; it comes back as a worker would get it, so tuples are lists

        """
        return {name: value for name, value in vars(self).items() if name not in _OF_THE_LIBRARY}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where an earlier life of the distributor was; called after :meth:`initialize`.

        By default, every attribute that is in the checkpoint is set.

        Parameters
        ----------
        state
            what :meth:`checkpoint` returned with the last batch that was handed out

        """
        for name, value in state.items():
            setattr(self, name, value)

    @classmethod
    def register_task_instance(cls, instance: Task[Any, Any]) -> None:
        """Make an instance known to the tasks that depend on it."""
        if instance not in Task.task_instances[instance.task_type]:
            Task.task_instances[instance.task_type].append(instance)

    @classmethod
    def _check_more(cls) -> None:
        if cls.task_type in cls.dependencies:
            raise DeclarationError(
                f"class {cls.__qualname__}: dependencies contains {str(cls.task_type)!r}, "
                f"its own task type, expected the types of other tasks"
            )
        if type(cls.max_attempts) is not int or cls.max_attempts < 1:
            raise DeclarationError(
                f"class {cls.__qualname__}: max_attempts is {cls.max_attempts!r}, "
                f"expected a whole number from 1"
            )
        for name, least in (("retry_delay", 0.0), ("time_limit", 0.001)):
            value = getattr(cls, name)
            if value is None and name == "time_limit":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < 1e9:
                raise DeclarationError(
                    f"class {cls.__qualname__}: {name} is {value!r}, expected seconds from {least:g}"
                )
        if cls.total is not None and (type(cls.total) is not int or cls.total < 0):
            raise DeclarationError(
                f"class {cls.__qualname__}: total is {cls.total!r}, expected a whole number from 0, or None"
            )
        cls._ack_data_as = _ack_data_as(cls)

    def _opened(self) -> None:
        """Prepare, behind :meth:`initialize` and :meth:`restore`, what a kind of task needs."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Give each instance a set of addresses of its own, whatever its ``__init__`` does."""
        instance = super().__new__(cls, *args, **kwargs)
        instance.client_addresses = set()
        return instance


def _ack_data_as(cls: type[Task[Any, Any]]) -> str:
    """Find out how a class wants ack_data: as fourth argument, by keyword, or not."""
    handle = inspect.getattr_static(cls, "handle")
    function = getattr(handle, "__func__", handle)
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise DeclarationError(
            f"class {cls.__qualname__}: handle is {function!r}, "
            f"expected a method that takes (self, data, address, msgtype), and no coroutine function"
        )
    found = parameters(cls, "handle")
    if found is None:
        return "nothing"
    if any(p.name == "ack_data" and p.kind is p.KEYWORD_ONLY for p in found):
        rest = [p for p in found if p.name != "ack_data"]
        if takes(rest, 3):
            return "keyword"
    positional = [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if takes(found, 4) and (len(positional) < 4 or positional[3].name == "ack_data" or not takes(found, 3)):
        return "argument"
    if takes(found, 3):
        return "nothing"
    raise DeclarationError(
        f"class {cls.__qualname__}: handle takes ({', '.join(str(p) for p in found)}), "
        f"expected (data, address, msgtype) or (data, address, msgtype, ack_data), behind self"
    )
