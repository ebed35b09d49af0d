"""What a declaration may say: addresses and task types, checked when they are written.

Both are strings, so they go wherever a string goes. What makes them worth a
class of their own is that a wrong one never comes into being: it fails on the
line that wrote it, not at the first bind, in another process.
"""

from __future__ import annotations

import ipaddress
import re
import sys
import unicodedata
from typing import TYPE_CHECKING, Any, ClassVar

import zmq

from zmqpipeline.errors import DeclarationError, EndpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Self

#: What a socket file's path may take, in bytes: the size of ``sun_path`` in
#: sockaddr_un without its closing NUL, 107 on Linux and 103 on macOS.
MAX_IPC_PATH = zmq.IPC_PATH_MAX_LEN or 103

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_NUMBERS_ONLY = re.compile(r"[0-9.]+")
_PORT = re.compile(r"[0-9]{1,5}")


class EndpointAddress(str):  # noqa: SLOT000 - it keeps its name in the class
    """An address that a socket can bind or connect to, checked when it is made.

    As an attribute of a class it cannot be set or deleted on an instance: a
    role that has bound an address must not claim another.

    Parameters
    ----------
    address
        ``tcp://host:port``, ``tcp://*:port`` (bind only), ``tcp://[ipv6]:port``,
        ``ipc://path`` relative to the working directory or absolute,
        ``ipc://@name`` in Linux' abstract namespace, or ``inproc://name``

    Attributes
    ----------
    name
        the attribute of the class that holds the address, or ``''``

    Raises
    ------
    EndpointError
        the address is not one; it is a ``TypeError`` and an ``AttributeError``

    """

    name: str = ""

    def __new__(cls, address: str) -> Self:
        """Check the address before there is one."""
        _check(address)
        return super().__new__(cls, address)

    @property
    def scheme(self) -> str:
        """What stands before ``://``: ``tcp``, ``ipc`` or ``inproc``."""
        return self.partition("://")[0]

    @property
    def target(self) -> str:
        """What stands behind ``://``: host and port, a path, or a name."""
        return self.partition("://")[2]

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type | None = None) -> Self:
        return self

    def __set__(self, instance: object, value: object) -> None:
        raise AttributeError(
            f"{type(instance).__name__}.{self.name} is an endpoint address of the class and cannot be set"
            " on an instance; declare it in a subclass"
        )

    def __delete__(self, instance: object) -> None:
        raise AttributeError(
            f"{type(instance).__name__}.{self.name} is an endpoint address of the class"
            " and cannot be deleted on an instance"
        )


def _check(address: object) -> None:
    """Raise an EndpointError unless `address` is one."""
    if not isinstance(address, str):
        raise EndpointError(
            f"an endpoint address is a str such as 'tcp://127.0.0.1:5555', not {type(address).__name__}"
        )
    problem = _problem(address)
    if problem is not None:
        raise EndpointError(f"{_show(address)} is not a valid endpoint address: {problem}")


def _show(text: str) -> str:
    """Quote a part of an address, or of one that is hardly meant as such the beginning and the end."""
    shown = repr(str(text))
    return shown if len(shown) <= 200 else f"{shown[:150]}...{shown[-40:]}"


def _problem(address: str) -> str | None:
    """Say what is wrong with an address and what would be right; None if nothing is."""
    if not address:
        return "it is empty; write one such as 'tcp://127.0.0.1:5555'"
    if any(character.isspace() for character in address):
        return "it contains white space; leave it out"
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in address):
        return "it contains a control character or a byte that is no text; leave it out"
    scheme, separator, target = address.partition("://")
    if not separator:
        return "it has no scheme; begin with tcp://, ipc:// or inproc://"
    check = _SCHEMES.get(scheme)
    if check is None:
        close = _close_to(scheme.lower(), _SCHEMES, 1)
        hint = f"did you mean {close[0]}?" if close else "use tcp, ipc or inproc"
        return f"its scheme {_show(scheme)} is unknown; {hint}"
    return check(target)


def _tcp_problem(target: str) -> str | None:
    """Say what is wrong with ``host:port``."""
    host, separator, port = target.rpartition(":")
    if target.endswith("]") or not separator:
        return "it has no port; write tcp://host:port"
    if not host:
        return "it has no host; write tcp://host:port, or tcp://*:port to bind every interface"
    return _host_problem(host) or _port_problem(port)


def _host_problem(host: str) -> str | None:
    """Say what is wrong with a host: ``*``, a name, an IPv4 address, or an IPv6 address in brackets."""
    if host == "*":
        return None
    if host.startswith("[") and host.endswith("]"):
        valid = _is_ip(ipaddress.IPv6Address, host[1:-1])
        return None if valid else f"{_show(host)} is not an IPv6 address in brackets"
    if ":" in host:
        return "it has more than one colon; an IPv6 address stands in brackets, as in tcp://[::1]:5555"
    if _NUMBERS_ONLY.fullmatch(host):
        valid = _is_ip(ipaddress.IPv4Address, host)
        return None if valid else f"{_show(host)} is not an IPv4 address; write four numbers from 0 to 255"
    valid = _HOST.fullmatch(host) is not None
    return None if valid else f"{_show(host)} is not a host; use ASCII letters, digits, '.', '-' and '_'"


def _is_ip(kind: Callable[[str], object], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _port_problem(port: str) -> str | None:
    """Say what is wrong with a port; ``str.isdigit`` would let digits of other scripts pass."""
    if not port:
        return "it has no port; write tcp://host:port"
    if port == "*":
        return "the port '*' would be another one at each start, and no peer could know it; write a number"
    if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        return f"the port {_show(port)} is not a number from 1 to 65535"
    return None


def _ipc_problem(target: str) -> str | None:
    """Say what is wrong with the path of a socket file."""
    if target in {"", "@"}:
        return "it has no path; write ipc://name.ipc, ipc:///folder/name.ipc or ipc://@name"
    if target == "*":
        return "the path '*' would be another one at each start, and no peer could know it; write a path"
    if target.endswith("/"):
        return "its path names a folder; add the name of a file"
    if target.startswith("@") and not sys.platform.startswith("linux"):
        return "names that begin with '@' exist on Linux only; write a path"
    length = len(target.encode())
    if length > MAX_IPC_PATH:
        return (
            f"its path takes {length} bytes and this system allows {MAX_IPC_PATH};"
            " use a shorter one, or one relative to the working directory"
        )
    return None


def _inproc_problem(target: str) -> str | None:
    """Say what is wrong with the name of an inproc endpoint."""
    return None if target else "it has no name; write inproc://name"


_SCHEMES: dict[str, Callable[[str], str | None]] = {
    "tcp": _tcp_problem,
    "ipc": _ipc_problem,
    "inproc": _inproc_problem,
}


def _close_to(word: str, known: Iterable[str], most: int) -> list[str]:
    """List what was perhaps meant."""
    import difflib  # noqa: PLC0415 - it takes its time, and a program without a typo needs none

    return difflib.get_close_matches(word, list(known), n=most)


class TaskType(str):
    """The name that ties one Task class to one Worker class, registered before it is used.

    Parameters
    ----------
    value
        a registered name; ``''`` stands for no type and is always valid

    Raises
    ------
    DeclarationError
        the name is not registered, or not a ``str``; it is a ``TypeError``

    """

    __slots__ = ()

    #: Every registered name, shared by the whole process.
    ALL_TASK_TYPES: ClassVar[set[str]] = set()

    def __new__(cls, value: str = "") -> Self:
        """Check the name before there is a type."""
        if not isinstance(value, str):
            raise DeclarationError(f"a task type is a str, not {type(value).__name__}")
        if not cls.IsValid(value):
            close = _close_to(value, cls.ALL_TASK_TYPES, 3)
            hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
            name = str(value)
            raise DeclarationError(
                f"task type {name!r} is not registered:"
                f" call TaskType.register_type({name!r}) before it is used{hint}"
            )
        return super().__new__(cls, value)

    @classmethod
    def register_type(cls, value: str) -> Self:
        """Make a name usable as a task type; doing so again changes nothing.

        Parameters
        ----------
        value
            any text without control characters

        Raises
        ------
        DeclarationError
            `value` is not a ``str``, is empty, or holds a control character

        """
        if not isinstance(value, str):
            raise DeclarationError(f"a task type is a str, not {type(value).__name__}")
        if not value:
            raise DeclarationError("a task type needs a name: '' stands for no type and is always valid")
        if any(unicodedata.category(character) == "Cc" for character in value):
            raise DeclarationError(f"task type {str(value)!r} contains a control character")
        cls.ALL_TASK_TYPES.add(str(value))
        return cls(value)

    @staticmethod
    def IsValid(value: object) -> bool:  # noqa: N802 - the original's name
        """Tell whether `value` is ``''`` or a registered name."""
        return isinstance(value, str) and (value == "" or value in TaskType.ALL_TASK_TYPES)

    def __reduce__(self) -> tuple[Any, ...]:
        # A process that unpickles a type may not have run the line that registered it.
        return (_restore, (type(self), str(self)))


def _restore(cls: type[TaskType], value: str) -> TaskType:
    """Make a pickled task type again."""
    return cls.register_type(value) if value else cls()
