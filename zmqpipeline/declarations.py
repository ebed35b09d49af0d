"""Checks a role's declaration when its class statement runs.

A class that still has abstract methods, or that names ``abc.ABC`` among its
bases, is a base for others and is left alone; whatever it lacks is found when
it is instantiated.
"""

from __future__ import annotations

import abc
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zmqpipeline.descriptors import EndpointAddress
from zmqpipeline.errors import DeclarationError, EndpointError
from zmqpipeline.wire.limits import SMALLEST_MAX_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeGuard

    from zmqpipeline.distributor import Distributor


def is_subclass(value: object, base: type | tuple[type, ...]) -> TypeGuard[type[Any]]:
    """Tell whether a value is a class, and derived from another one."""
    try:
        return isinstance(value, type) and issubclass(value, base)
    except TypeError:  # for Python 3.10, list[int] is an instance of type, and no class
        return False


@dataclass(frozen=True)
class Attribute:
    """An attribute that a role's class must have.

    Parameters
    ----------
    name
        what it is called
    expected
        what it has to be, in words, with its article
    accepts
        tells whether a value will do

    """

    name: str
    expected: str
    accepts: Callable[[Any], bool]


@dataclass(frozen=True)
class Method:
    """A method that the library calls.

    Parameters
    ----------
    name
        what it is called
    takes
        the names of its arguments, behind self
    keyword
        whether they are passed by name
    coroutine
        whether it is a coroutine function

    """

    name: str
    takes: tuple[str, ...] = ()
    keyword: bool = False
    coroutine: bool = False


class Declared:
    """A base whose subclasses say in class attributes what they are."""

    #: what a concrete subclass has to declare
    _declares: tuple[Attribute, ...] = ()
    #: what the library calls of it
    _calls: tuple[Method, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not is_abstract(cls):
            check(cls)

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        """Check once more, because an abstract class was not checked, and attributes can be assigned."""
        if not inspect.isabstract(cls):
            check(cls)
        return super().__new__(cls)

    @classmethod
    def _check_more(cls) -> None:
        """Check what the table of attributes cannot say."""


#: the class attributes of a role that bound how long it takes
_BOUNDS = ("peer_timeout", "stop_timeout", "announce_interval", "heartbeat_interval", "heartbeat_timeout")
#: those that bound how much it takes, from which number on, and of what
_COUNTS = (
    ("max_message_size", SMALLEST_MAX_MESSAGE, "bytes"),
    ("max_connections", 1, "connections"),
    ("max_peers", 1, "workers"),
    ("max_hellos", 1, "workers in a second"),
)
#: and the longest that ZMTP can say for two of them together, in seconds
_LONGEST_SILENCE = 6553.0


def check_bounds(role: Any) -> None:
    """Check the times and sizes that a role's class, or a role, declares.

    Parameters
    ----------
    role
        the class or the role

    Raises
    ------
    zmqpipeline.errors.DeclarationError
        names the class, the attribute and what was found

    """
    for name in _BOUNDS:
        value = inspect.getattr_static(role, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            where = role if isinstance(role, type) else type(role)
            raise DeclarationError(
                f"class {where.__qualname__}: {name} is {_shown(value)}, expected seconds, a number above 0"
            )
    check_counts(role)
    if role.heartbeat_interval + role.heartbeat_timeout > _LONGEST_SILENCE:
        where = role if isinstance(role, type) else type(role)
        raise DeclarationError(
            f"class {where.__qualname__}: heartbeat_interval and heartbeat_timeout are "
            f"{role.heartbeat_interval + role.heartbeat_timeout:g} s together, expected at most "
            f"{_LONGEST_SILENCE:g} s: ZeroMQ's heartbeats cannot say more"
        )


def check_counts(owner: Any) -> None:
    """Check how much is taken of what comes, as a class or an instance declares it.

    Raises
    ------
    zmqpipeline.errors.DeclarationError
        names the class, the attribute and what was found

    """
    for name, least, unit in _COUNTS:
        value = inspect.getattr_static(owner, name, least)
        if type(value) is not int or value < least:
            where = owner if isinstance(owner, type) else type(owner)
            raise DeclarationError(
                f"class {where.__qualname__}: {name} is {_shown(value)}, expected {unit}, "
                f"a whole number from {least}"
            )


def check_addresses(distributor: Distributor) -> None:
    """Check where a distributor binds and connects.

    Raises
    ------
    zmqpipeline.errors.EndpointError
        one is not an :class:`~zmqpipeline.EndpointAddress`
    zmqpipeline.errors.DeclarationError
        the collector's two are one

    """
    names = ["collector_endpoint", "collector_ack_endpoint"]
    if distributor.receive_metadata or distributor.metadata_endpoint is not None:
        names.append("metadata_endpoint")
    if distributor.monitor_endpoint is not None:
        names.append("monitor_endpoint")
    for name in names:
        value = getattr(distributor, name)
        if not isinstance(value, EndpointAddress):
            raise EndpointError(
                f"Distributor: {name} is {value!r} ({type(value).__name__}), "
                f"expected an address: zmqpipeline.EndpointAddress('...')"
            )
    if distributor.collector_endpoint == distributor.collector_ack_endpoint:
        raise DeclarationError(
            f"Distributor: collector_endpoint and collector_ack_endpoint are both "
            f"{str(distributor.collector_endpoint)!r}, expected two addresses: "
            f"the collector's endpoint and its ack_endpoint"
        )


def is_abstract(cls: type) -> bool:
    """Tell whether a class is a base for others; works while its class statement runs."""
    if abc.ABC in cls.__bases__ or "_declares" in cls.__dict__:
        return True
    inherited = {name for base in cls.__mro__[1:] for name in getattr(base, "__abstractmethods__", ())}
    return any(
        getattr(getattr(cls, name, None), "__isabstractmethod__", False) for name in {*inherited, *vars(cls)}
    )


def check(cls: type[Declared]) -> None:
    """Check the declaration of a concrete class.

    Raises
    ------
    zmqpipeline.errors.DeclarationError
        names the class, the attribute, what was found and what was expected

    """
    for attribute in cls._declares:
        try:
            value = inspect.getattr_static(cls, attribute.name)
        except AttributeError:
            raise DeclarationError(
                f"class {cls.__qualname__}: {attribute.name} is missing, expected {attribute.expected}"
            ) from None
        if not attribute.accepts(value):
            raise DeclarationError(
                f"class {cls.__qualname__}: {attribute.name} is {_shown(value)}, "
                f"expected {attribute.expected}"
            )
    for method in cls._calls:
        _check_method(cls, method)
    cls._check_more()


def _check_method(cls: type, method: Method) -> None:
    """Check that a method can be called as the library calls it."""
    where = f"class {cls.__qualname__}: {method.name}"
    kind = "a coroutine function (async def)" if method.coroutine else "a method"
    expected = f"expected {kind} that takes ({', '.join(('self', *method.takes))})"
    value = inspect.getattr_static(cls, method.name)
    function = getattr(value, "__func__", value)
    if not callable(function):
        raise DeclarationError(f"{where} is {_shown(value)}, {expected}")
    if method.coroutine and not inspect.iscoroutinefunction(function):
        what = "an asynchronous generator" if inspect.isasyncgenfunction(function) else "a plain function"
        raise DeclarationError(f"{where} is {what}, {expected}")
    if not method.coroutine and inspect.iscoroutinefunction(function):
        raise DeclarationError(f"{where} is a coroutine function (async def), {expected}")
    found = parameters(cls, method.name)
    if found is None:
        return
    fits = _takes_names(found, method.takes) if method.keyword else takes(found, len(method.takes))
    if not fits:
        raise DeclarationError(f"{where} takes ({', '.join(str(p) for p in found)}) behind self, {expected}")


def _takes_names(found: list[inspect.Parameter], names: tuple[str, ...]) -> bool:
    """Tell whether arguments with these names, and no others, fit."""
    by_name = {p.name for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    needed = {
        p.name for p in found if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
    anything = any(p.kind is p.VAR_KEYWORD for p in found)
    return needed <= set(names) and (anything or set(names) <= by_name)


def parameters(cls: type, name: str) -> list[inspect.Parameter] | None:
    """List the parameters that a caller of a method fills, without self; None if they cannot be known."""
    function = inspect.getattr_static(cls, name)
    bound = not isinstance(function, staticmethod)
    try:
        found = list(inspect.signature(getattr(function, "__func__", function)).parameters.values())
    except (TypeError, ValueError):
        return None
    if bound and found and found[0].kind in (found[0].POSITIONAL_ONLY, found[0].POSITIONAL_OR_KEYWORD):
        return found[1:]
    return found


def takes(found: list[inspect.Parameter], count: int) -> bool:
    """Tell whether ``count`` positional arguments fit these parameters."""
    positional = [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in found):
        return False
    return len(required) <= count and (
        count <= len(positional) or any(p.kind is p.VAR_POSITIONAL for p in found)
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({type(value).__name__})"
