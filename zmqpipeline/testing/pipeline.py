"""Pipeline: the roles of a program, to be run in a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from zmqpipeline.collector import Collector
from zmqpipeline.declarations import is_subclass
from zmqpipeline.distributor import Distributor
from zmqpipeline.errors import DeclarationError
from zmqpipeline.metadata import MetaDataWorker
from zmqpipeline.role import Role
from zmqpipeline.task import Task
from zmqpipeline.testing.faults import Fault, Kind
from zmqpipeline.testing.result import C
from zmqpipeline.testing.seats import Maker
from zmqpipeline.testing.simulation import Plan, Simulation
from zmqpipeline.wire import messages
from zmqpipeline.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    from zmqpipeline.descriptors import EndpointAddress
    from zmqpipeline.testing.result import Result

#: hosts of a tcp address that only this machine reaches
_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


class Pipeline(Generic[C]):
    """A whole pipeline in one process and one thread, without sockets and without waiting.

    What is handed out again, dropped or acknowledged is decided by the same objects as in production, and
    everything is packed and unpacked on its way. Two runs of the same program go the same way.

    Parameters
    ----------
    tasks
        the Task classes; instances, too, but an instance runs once
    workers
        the Worker classes. Instead of a class, a function that makes a worker, or an instance; an instance
        counts as one worker, and cannot be started again after a fault has killed it
    collector
        the Collector class, or a function that makes a collector, or an instance
    n_workers
        how many workers of each class
    metadata
        the metadata of the run: a dictionary, a :class:`~zmqpipeline.MetaDataWorker` class or an instance
    max_steps
        after so many turns of the loop a run is given up
    max_time
        after so many simulated seconds a run is given up

    Raises
    ------
    zmqpipeline.errors.DeclarationError
        if a role is none

    """

    def __init__(  # noqa: PLR0913 - the roles of a program, and two limits
        self,
        tasks: Iterable[type[Task[Any, Any]] | Task[Any, Any]],
        workers: Iterable[Worker[Any, Any] | Callable[[], Worker[Any, Any]]],
        collector: C | Callable[[], C],
        *,
        n_workers: int = 1,
        metadata: dict[str, Any] | type[MetaDataWorker[Any]] | MetaDataWorker[Any] | None = None,
        max_steps: int = 200_000,
        max_time: float = 3600.0,
    ) -> None:
        if type(n_workers) is not int or n_workers < 1:
            raise DeclarationError(f"n_workers is {n_workers!r}, expected a number from 1")
        self._tasks = list(tasks)
        self._workers: list[Maker[Worker[Any, Any]]] = [
            _maker(entry, Worker, "workers contains") for entry in workers
        ]
        self._collector: Maker[C] = _maker(collector, Collector, "collector is")
        self._n_workers = n_workers
        self._metadata = metadata
        self._max_steps = max_steps
        self._max_time = max_time

    @classmethod
    def of(cls, module: ModuleType, **options: Any) -> Pipeline[Any]:
        """Find the roles in a module, as ``zmqpipeline run`` does.

        Parameters
        ----------
        module
            an imported program
        **options
            what :class:`Pipeline` takes by keyword; ``metadata`` goes before the program's MetaDataWorker

        Raises
        ------
        zmqpipeline.errors.DeclarationError
            if there is no collector in it, or several roles where one is expected

        """
        from zmqpipeline.cli import exits, program  # noqa: PLC0415 - who names the roles needs nothing of it

        found = program.read(module.__name__, module)
        try:
            found.check()
            collector, source = found.pick("collector", None), found.one("metadata")
        except exits.CommandError as error:
            raise DeclarationError(error.sentence) from None
        if source is not None:
            options.setdefault("metadata", source.value)
        workers = [worker.value for worker in found.roles["worker"]]
        return cls(found.tasks, workers, collector.value, **options)

    def run(self, *faults: Fault) -> Result[C]:
        """Run it from the first task to ``handle_finished()``.

        Each call is a run of its own, with new instances of the classes.

        Parameters
        ----------
        *faults
            what goes wrong, made by the functions of :mod:`zmqpipeline.testing.faults`

        Raises
        ------
        zmqpipeline.errors.StalledError
            if nothing can happen any more; says who waits for what
        zmqpipeline.errors.SimulationLimitError
            if it does not end within the limits
        zmqpipeline.errors.FaultNotReachedError
            if the run was over before a fault happened
        zmqpipeline.errors.DeclarationError
            if roles would never meet, because of their addresses or task types
        Exception
            whatever the program's own methods raise, except in a worker's execution: that is a failed
            attempt, as in production

        """
        metadata = _made_metadata(self._metadata)
        collector = self._collector.make()
        tasks = _made_tasks(self._tasks, collector)
        for fault in faults:
            self._check_fault(fault, tasks)
        return Simulation(self._plan(tasks, metadata, collector), faults).run()

    def _plan(self, tasks: dict[str, Task[Any, Any]], metadata: dict[str, Any], collector: C) -> Plan[C]:
        """Put together who takes part in a run; the first collector is made already, for its addresses."""
        made = [collector]
        return Plan(
            tasks,
            lambda: _made_tasks(self._tasks, collector),
            metadata,
            Maker(lambda: made.pop() if made else self._collector.make(), self._collector.again),
            [maker for maker in self._workers for _ in range(self._n_workers if maker.again else 1)],
            lambda worker: _check_worker(worker, tasks, collector),
            self._max_steps,
            self._max_time,
        )

    def _check_fault(self, fault: Fault, tasks: dict[str, Task[Any, Any]]) -> None:
        """Refuse a fault that cannot happen."""
        if not isinstance(fault, Fault):
            raise DeclarationError(f"run got {fault!r}, expected what a function of testing.faults makes")
        if fault.at is not None and fault.at[0] not in tasks:
            raise DeclarationError(
                f"{fault}: no task has the type {str(fault.at[0])!r}, only {_names(tasks)}"
            )
        if fault.kind is Kind.RESTART_DISTRIBUTOR and not all(isinstance(t, type) for t in self._tasks):
            raise DeclarationError(
                f"{fault}: the pipeline was given an instance of a Task, which cannot be made again; "
                f"give it the class"
            )
        if fault.kind is Kind.RESTART_COLLECTOR and not self._collector.again:
            raise DeclarationError(
                f"{fault}: the pipeline was given an instance, which cannot be started again; "
                f"give it the class, or a function that makes a collector"
            )


def _maker(entry: Any, base: type, where: str) -> Maker[Any]:
    """Turn what a program gave for a role, be it class, function or instance, into what makes instances."""
    if isinstance(entry, base):
        return Maker(lambda: entry, again=False)
    is_other = isinstance(entry, type) and not is_subclass(entry, base)
    if is_other or isinstance(entry, Role) or not callable(entry):
        raise DeclarationError(_wrong(where, entry, base))

    def make() -> Any:
        made = entry()
        if not isinstance(made, base):
            raise DeclarationError(_wrong(where, made, base))
        return made

    return Maker(make, again=True)


def _wrong(where: str, found: Any, base: type) -> str:
    name = base.__name__
    return f"{where} {found!r}, expected a {name} class, a function that makes a {name}, or a {name}"


def _made_metadata(
    source: dict[str, Any] | type[MetaDataWorker[Any]] | MetaDataWorker[Any] | None,
) -> dict[str, Any]:
    """Make the metadata as everybody will get it: packed and unpacked."""
    if source is None:
        return {}
    if isinstance(source, dict):
        payload = messages.create_metadata(source)
    else:
        worker = source() if isinstance(source, type) else source
        if not isinstance(worker, MetaDataWorker):
            raise DeclarationError(f"metadata is {source!r}, expected a dictionary or a MetaDataWorker")
        payload = worker._pack(worker.get_metadata())  # noqa: SLF001 - so that its errors are the same
    metadata: dict[str, Any] = messages.get(payload)[0]
    return metadata


def _made_tasks(given: list[Any], collector: Collector[Any]) -> dict[str, Task[Any, Any]]:
    """Let a distributor make the tasks, and say whatever it has to say about them."""
    for task in given:
        if isinstance(task, Task) and (task.received_init_signal or task.n_sent):
            raise DeclarationError(
                f"tasks contains {task!r}, an instance that has run already: give its class instead"
            )
    tasks = Distributor(collector.endpoint, collector.ack_endpoint, tasks=given).tasks
    bound: dict[str, str] = {
        collector.endpoint: type(collector).__qualname__,
        collector.ack_endpoint: type(collector).__qualname__,
    }
    for task in tasks.values():
        name = type(task).__qualname__
        other = bound.setdefault(task.endpoint, name)
        if other != name:
            raise DeclarationError(f"{other} and {name} bind one address, {task.endpoint}")
    return tasks


def _check_worker(
    worker: Worker[Any, Any], tasks: dict[str, Task[Any, Any]], collector: Collector[Any]
) -> None:
    """Refuse a worker that would wait for ever."""
    name = type(worker).__qualname__
    task = tasks.get(worker.task_type)
    if task is None:
        raise DeclarationError(
            f"{name} does tasks of the type {str(worker.task_type)!r}, "
            f"which no task has, only {_names(tasks)}"
        )
    for what, address, other, bound in (
        ("endpoint", worker.endpoint, task, task.endpoint),
        ("collector_endpoint", worker.collector_endpoint, collector, collector.endpoint),
    ):
        if not _meets(bound, address):
            raise DeclarationError(
                f"{name}.{what} is {address}, but {type(other).__qualname__}.endpoint is {bound}: "
                f"they would never meet"
            )


def _meets(bound: EndpointAddress, connected: EndpointAddress) -> bool:
    """Tell whether who connects to one address may find who binds the other."""
    if bound == connected:
        return True
    if bound.scheme != "tcp" or connected.scheme != "tcp":
        return False
    (host, port), (other, other_port) = (
        address.target.rpartition(":")[::2] for address in (bound, connected)
    )
    # which of this machine's addresses an interface or a name stands for is not known here
    return port == other_port and (host not in _LOOPBACK or other in {*_LOOPBACK, "*"})


def _names(tasks: dict[str, Task[Any, Any]]) -> str:
    return ", ".join(repr(str(name)) for name in tasks) or "none"
