"""What a result was measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import zmq

from zmqpipeline._version import __version__


def describe() -> dict[str, str | int]:
    """Describe this machine and the versions of what runs on it."""
    return {
        "zmqpipeline": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "pyzmq": zmq.__version__,
        "libzmq": zmq.zmq_version(),
        "msgpack": version("msgpack"),
        "cores": _cores(),
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def sentence(machine: dict[str, str | int]) -> str:
    """Say in a sentence what a result was measured on."""
    versions = ", ".join(
        f"{name} {machine.get(key, '?')}"
        for name, key in (
            ("zmqpipeline", "zmqpipeline"), ("Python", "python"), ("pyzmq", "pyzmq"), ("libzmq", "libzmq"),
            ("msgpack", "msgpack"),
        )
    )  # fmt: skip
    cores = machine.get("cores", "?")
    processor = f"{cores} core{'' if cores == 1 else 's'} of {machine.get('cpu', '?')}"
    return f"{versions}; {processor}, {machine.get('system', '?')}"


def _cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> str:
    """Name the processor; Python knows it only on some systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, [*named, platform.processor(), platform.machine()]), "an unknown processor")
