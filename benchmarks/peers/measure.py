"""One measurement of one peer, in a process of its own.

python -m peers.measure REPORT MODULE MEASUREMENT [NAME=VALUE ...]

The report is a file, because peers write to standard output what they like.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .peer import Peer


def find(module: str) -> tuple[Peer | None, str | None]:
    """Import an adapter; tell instead why that cannot be done."""
    try:
        peer: Peer = importlib.import_module(module).PEER
    except ModuleNotFoundError as problem:
        return None, f"the package {problem.name} is not installed"
    return peer, peer.missing()


def measure(module: str, measurement: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Measure, or describe the peer; return what is to be reported."""
    peer, missing = find(module)
    if peer is None or missing:
        return {"missing": missing}
    if measurement == "describe":
        return {"version": peer.version, "tuning": peer.tuning}
    outcome = getattr(peer, measurement)(**arguments)
    return dict(outcome._asdict())


def main() -> None:
    """Do what the command line says; when told to end, end what was started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("was told to end"))
    # the processes that peers fork are to end as if nothing had been changed
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    report, module, measurement, *pairs = sys.argv[1:]
    arguments = {name: json.loads(value) for name, _, value in (pair.partition("=") for pair in pairs)}
    Path(report).write_text(json.dumps(measure(module, measurement, arguments)), "utf-8")


if __name__ == "__main__":
    main()
