"""Whether the processes of a run have the zmqpipeline of this host; the run's distributor knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zmq

from zmqpipeline import __version__
from zmqpipeline.access import keys_of
from zmqpipeline.cli import build
from zmqpipeline.cli.endpoints import OVERRIDES
from zmqpipeline.cli.exits import CommandError, Exit
from zmqpipeline.doctor import reach
from zmqpipeline.doctor.finding import PROBLEM, ok, problem, warning
from zmqpipeline.doctor.wiring import Use
from zmqpipeline.errors import MonitorError, SecurityError
from zmqpipeline.monitor.client import MonitorClient
from zmqpipeline.wire import greeting
from zmqpipeline.wire.envelope import PROTOCOL_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline import EndpointAddress
    from zmqpipeline.cli.endpoints import Endpoints
    from zmqpipeline.cli.program import Program
    from zmqpipeline.doctor.finding import Finding
    from zmqpipeline.monitor.snapshot import Process, Snapshot

_ABOUT = "versions"
#: the roles that have a run
_OF_A_RUN = ("distributor", "worker", "collector", "metadata")
#: so many of those that are alike are named
_MOST_NAMED = 3


def findings(program: Program, given: Endpoints) -> Iterator[Finding]:
    """Ask the distributor of the run, if one shows it, which versions its processes have.

    Parameters
    ----------
    program
        what the file declares
    given
        the endpoints that were given at start

    """
    distributors = program.roles["distributor"]
    roles: list[Any] = [found.value for kind in _OF_A_RUN for found in program.roles[kind]]
    if len(distributors) > 1 or not roles:
        return
    try:
        endpoint = (
            build.settings(program, distributors[0], given).monitor_endpoint
            if distributors
            else given.get("monitor_endpoint")
        )
    except CommandError:
        return  # told where the addresses that are bound are looked for
    if endpoint is None:
        option = OVERRIDES["monitor_endpoint"].option
        yield ok(_ABOUT, f"give the {option} of a run to compare the versions of its processes with this one")
        return
    owner = distributors[0].value if distributors else roles[0]
    if distributors and not _is_there(endpoint):
        yield ok(_ABOUT, f"no run is shown at {endpoint} now, so there are no versions to compare")
        return
    use = Use("doctor", endpoint, "the distributor", zmq.DEALER, owner)
    reached = list(reach.findings(endpoint, use.peer, [use]))
    yield from reached
    if not any(finding.level == PROBLEM for finding in reached):
        yield from _asked(endpoint, owner)


def _is_there(endpoint: EndpointAddress) -> bool:
    """Tell whether a ZeroMQ socket is bound somewhere."""
    try:
        return greeting.ask(endpoint) is not None
    except OSError:
        return False


def _asked(endpoint: EndpointAddress, owner: Any) -> Iterator[Finding]:
    try:
        keys = keys_of(owner, owner.keys)
        with MonitorClient(endpoint, keys=None if keys is None else keys.folder) as client:
            snapshot = client.snapshot()
    except SecurityError:
        return  # told where the keys are looked at
    except MonitorError as error:
        yield warning(_ABOUT, f"which versions the processes of the run have is not known: {error}")
    else:
        yield from compared(snapshot, endpoint)


def compared(snapshot: Snapshot, endpoint: str) -> Iterator[Finding]:
    """Compare what the processes of a run have with what is here.

    Parameters
    ----------
    snapshot
        the run
    endpoint
        where its distributor shows it

    """
    if "version" not in snapshot["distributor"]:
        yield warning(
            _ABOUT,
            f"the distributor at {endpoint} does not tell its version, so it is older than {__version__}, "
            f"which this host has: install the same zmqpipeline on all hosts",
        )
        return
    same, others = 0, dict[tuple[str, str, str | int], list[str]]()
    for name, process in _processes(snapshot):
        place, pid = f"{name} on {process['host']}", f"process {process['pid'] or '?'}"
        if process.get("protocol", PROTOCOL_VERSION) != PROTOCOL_VERSION:
            others.setdefault((PROBLEM, place, process["protocol"]), []).append(pid)
        elif process.get("version", __version__) != __version__:
            others.setdefault(("", place, process["version"]), []).append(pid)
        else:
            same += "version" in process
    for (level, place, version), pids in others.items():
        more = f" and {len(pids) - _MOST_NAMED} more" if len(pids) > _MOST_NAMED else ""
        who = f"{place} ({', '.join(pids[:_MOST_NAMED])}{more})"
        if level == PROBLEM:
            sentence = (
                f"{who} speaks version {version} of the protocol, and this host {PROTOCOL_VERSION}: install "
                f"the same zmqpipeline on all hosts, and start the roles again"
            )
            yield problem(_ABOUT, sentence, Exit.PEER_TIMEOUT)
        else:
            sentence = (
                f"{who} has zmqpipeline {version}, and this host {__version__}: install the same zmqpipeline "
                f"on all hosts, and start the roles again"
            )
            yield warning(_ABOUT, sentence)
    if same:
        many = f"{same} processes of the run have" if same > 1 else "one process of the run has"
        yield ok(_ABOUT, f"{many} zmqpipeline {__version__}, as this host has ({endpoint})")


def _processes(snapshot: Snapshot) -> Iterator[tuple[str, Process]]:
    """List the processes that are there, and what they are called."""
    yield "the distributor", snapshot["distributor"]
    collector = snapshot["collector"]
    if collector is not None and collector["state"] not in {"lost", "left"}:
        yield f"the collector {collector['name']}".rstrip(), collector
    for worker in snapshot["workers"]:
        if worker["state"] not in {"lost", "left"}:
            yield worker["name"] or f"a worker for {worker['task']}", worker
