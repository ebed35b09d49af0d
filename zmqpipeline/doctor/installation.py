"""The versions of what this library needs, and what the system gives to a process."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import resource
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack
import zmq

import zmqpipeline
from zmqpipeline.cli.exits import Exit
from zmqpipeline.doctor.finding import ok, problem, warning
from zmqpipeline.errors import SecurityError
from zmqpipeline.wire import curve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zmqpipeline.doctor.finding import Finding

_ABOUT = "installation"
#: the first libzmq whose monitors say why a handshake has failed
_LIBZMQ = "4.3"
#: a role with fewer open files than that has room for a few hundred workers only
_FEW_FILES = 1024
_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+) *>=? *([0-9][0-9.]*)$")


def findings() -> Iterator[Finding]:
    """Look at the installation."""
    least = _least()
    yield from _own_version()
    yield _compared("Python", platform.python_version(), least.get("python"))
    yield _compared("pyzmq", zmq.__version__, least.get("pyzmq"))
    yield _compared("msgpack", ".".join(map(str, msgpack.version)), least.get("msgpack"))
    yield _compared("libzmq", zmq.zmq_version(), _LIBZMQ)
    try:
        curve.check()
    except SecurityError as error:
        yield warning(_ABOUT, f"there can be no keys: {error}")
    yield _files()


def is_older(version: str, least: str) -> bool:
    """Tell whether a version comes before another; what is no number in it does not count."""
    return _numbers(version) < _numbers(least)


def _numbers(version: str) -> list[int]:
    found = re.match(r"[0-9]+(\.[0-9]+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:  # 26 and 26.0 are one version
        numbers.pop()
    return numbers


def _least() -> dict[str, str]:
    """List the versions that this library declares to need; nothing if it is not installed."""
    try:
        metadata = importlib.metadata.metadata("zmqpipeline")
    except importlib.metadata.PackageNotFoundError:
        return {}
    requirements = [text for text in metadata.get_all("Requires-Dist") or () if ";" not in text]
    requirements.append(f"python{metadata['Requires-Python']}")
    matches = [_REQUIREMENT.match(text.strip()) for text in requirements]
    return {found[1].lower(): found[2] for found in matches if found}


def _own_version() -> Iterator[Finding]:
    folder = Path(zmqpipeline.__file__).parent
    try:
        installed = importlib.metadata.version("zmqpipeline")
    except importlib.metadata.PackageNotFoundError:
        yield ok(_ABOUT, f"zmqpipeline {zmqpipeline.__version__}, not installed, from {folder}")
        return
    if installed != zmqpipeline.__version__:
        yield warning(
            _ABOUT,
            f"zmqpipeline {zmqpipeline.__version__} is imported from {folder}, and {installed} is installed: "
            f"install it again, or take the other copy out of PYTHONPATH",
        )
    else:
        yield ok(_ABOUT, f"zmqpipeline {installed}")


def _compared(name: str, version: str, least: str | None) -> Finding:
    if least is None:
        return ok(_ABOUT, f"{name} {version}")
    if is_older(version, least):
        how = f'pip install "{name}>={least}"' if name in {"pyzmq", "msgpack"} else _HOW[name]
        sentence = f"{name} {version} is too old, {least} or newer is needed: {how}"
        return problem(_ABOUT, sentence, Exit.MISSING_EXTRA)
    return ok(_ABOUT, f"{name} {version} ({least} or newer is needed)")


_HOW = {"Python": "make a virtual environment with a newer one", "libzmq": "install pyzmq from its wheel"}


def _files() -> Finding:
    """Look at how many files a role may open: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return ok(_ABOUT, "a process may open any number of files")
    if hard < _FEW_FILES:
        return warning(
            _ABOUT,
            f"a process may open {hard} files at most, and each connection is one: raise the limit "
            f"(ulimit -Hn) where the distributor and the collector run",
        )
    return ok(_ABOUT, f"a process may open {hard} files, and each connection is one")
