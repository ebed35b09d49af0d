"""Turns values into bytes and back, with msgpack, so that exactly what went in comes out.

Beyond what msgpack knows, dates, times and time differences travel as extension
types with portable payloads, and users can register classes of their own.
Tuples become lists, and instances of subclasses of ``int``, ``str``, ``dict``
and the like become their base; a datetime's zone becomes its offset. Nothing
that is received can import or run code: a registered class is found by its
name, in what this process has registered itself.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgpack

from zmqpipeline.errors import DeclarationError, SerializationError
from zmqpipeline.wire import extensions
from zmqpipeline.wire.explain import explain as _explain
from zmqpipeline.wire.seldom import LONGEST_UNCHECKED, UnreadableError, unpack_again, unpack_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

#: Extension code of a registered object; its payload is a msgpack array [name, value].
EXT_REGISTERED = 5

#: How many registered objects may be nested in each other. Every level runs
#: the unpacker inside itself, which takes some 45 kB of the C stack each time:
#: without this bound a message of two kilobytes kills the process.
MAX_REGISTERED_NESTING = 16

#: What :func:`serialize` returns can be put inside so many more levels of maps
#: and arrays, as an envelope does with it, and still be unpacked.
ENVELOPE_LEVELS = 3

#: Only a value of so many bytes, one for each level, can be nested too deep.
MAYBE_TOO_DEEP = 500

#: A packer keeps the largest buffer that it ever needed; above this many bytes it is replaced.
_KEEP_BUFFER = 1 << 20

#: What a class cannot be registered for: msgpack packs instances of subclasses without asking.
_NATIVE = (int, float, str, bytes, bytearray, memoryview, list, tuple, dict)


class _Registered(NamedTuple):
    """One class that a user has registered."""

    cls: type
    decode: Callable[[Any], Any]


_registered: dict[str, _Registered] = {}


def make_packer(autoreset: bool = True) -> msgpack.Packer:
    """Make a packer with this library's options.

    It belongs to one thread, and its ``default`` costs nothing until a value
    needs it. Its own errors come out: see :func:`serialization_error`.

    Parameters
    ----------
    autoreset
        False collects what is packed until ``bytes()`` and ``reset()``

    """
    return msgpack.Packer(default=encoder, autoreset=autoreset, unicode_errors="surrogatepass")


class _Local(threading.local):
    """What each thread has of its own.

    Attributes
    ----------
    pack
        the bound method of the thread's packer
    nesting
        how many registered objects are being packed or unpacked inside each other

    """

    def __init__(self) -> None:
        self.pack: Callable[[Any], bytes] = make_packer().pack
        self.nesting = 0


def serialize(obj: Any, where: str = "data") -> bytes:
    """Pack a value.

    Parameters
    ----------
    obj
        dicts, lists, tuples, str, bytes, numbers up to 64 bits, booleans, None,
        dates, times, time differences, and what is registered, nested up to
        some hundred levels
    where
        what an error calls the value

    Raises
    ------
    SerializationError
        something in it cannot be packed; the text names the path to it

    """
    try:
        packed = of_thread.pack(obj)
        if len(packed) > MAYBE_TOO_DEEP:
            check_depth(packed)
            if len(packed) > _KEEP_BUFFER:
                of_thread.pack = make_packer().pack
    except MemoryError:
        raise  # nothing is wrong with the value
    except Exception as error:
        raise serialization_error(obj, where, error) from error
    return packed


def check_depth(packed: bytes, count: int = 1) -> None:
    """Raise for what could not be unpacked inside an envelope; see :data:`MAYBE_TOO_DEEP` for when to ask.

    ``count`` says how many values there are, one after another. The packer counts levels, but cannot be
    told to stop earlier than the unpacker does; skipping the bytes costs about a sixth of packing them.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    # arrays of one element, but for the last
    unpacker.feed(b"\x91" * (ENVELOPE_LEVELS - 1) + b"\xdd" + count.to_bytes(4, "big"))
    unpacker.feed(packed)
    unpacker.skip()


def serialization_error(obj: Any, where: str, cause: BaseException) -> SerializationError:
    """Build the error for a value that a packer has refused.

    Parameters
    ----------
    obj
        the value
    where
        what the text calls it
    cause
        what the packer raised

    """
    if isinstance(cause, SerializationError):
        cause = cause.__cause__ or cause
    text = explain(obj, where)
    if text is None:
        reason = "nested too deep" if type(cause).__name__ == "StackError" else str(cause)
        text = f"{where}: cannot serialize {type(obj).__name__}: {reason or type(cause).__name__}"
    return SerializationError(text)


def explain(obj: Any, where: str = "data") -> str | None:
    """Find out what in a value cannot be packed.

    Parameters
    ----------
    obj
        the value
    where
        what the path begins with

    Returns
    -------
    str or None
        for example ``data['a'][3]: cannot serialize set``, or None if nothing is wrong

    """
    # A packer of its own, because the thread's may be the one that is packing right now.
    pack = make_packer().pack

    def check(value: Any) -> None:
        check_depth(pack(value))

    return _explain(obj, where, check)


def deserialize(packed: bytes | bytearray | memoryview) -> Any:
    """Unpack a value.

    Parameters
    ----------
    packed
        what :func:`serialize` returned, here or anywhere else

    Raises
    ------
    ValueError
        the bytes are no msgpack, or hold an extension type that this process
        does not know; nothing else is raised for whatever they are

    """
    try:
        return unpack(packed)
    except Exception as error:
        if isinstance(error, TypeError) and not isinstance(packed, bytes | bytearray | memoryview):
            raise
        try:
            return unpack_again(unpack, packed, error)
        except Exception as final:  # noqa: BLE001 - what msgpack raises for hostile bytes is many things
            raise _not_readable(final) from error


def _not_readable(error: Exception) -> ValueError:
    """Make the one error of :func:`deserialize` out of msgpack's and Python's own."""
    return ValueError(f"cannot deserialize: {_reason(error)}")


def _reason(error: Exception) -> str:
    return "nested too deep" if type(error).__name__ == "StackError" else str(error) or type(error).__name__


def register_type(cls: type[T], name: str, encode: Callable[[T], Any], decode: Callable[[Any], T]) -> None:
    """Teach the serializer a class, in this process; its peers need the same call.

    Parameters
    ----------
    cls
        the class; instances of subclasses are packed as it, unless they are registered as well
    name
        what stands for the class on the wire, the same in every process
    encode
        takes an instance, returns something that can be packed
    decode
        takes what `encode` returned, returns an instance

    Raises
    ------
    DeclarationError
        the name is empty or another class has it, or msgpack would pack
        instances of the class without asking

    """
    _check_registration(cls, name)

    def encode_registered(obj: T) -> msgpack.ExtType:
        with _one_level_down():
            return msgpack.ExtType(EXT_REGISTERED, of_thread.pack([name, encode(obj)]))

    _registered[name] = _Registered(cls, decode)
    _encoders[cls] = encode_registered


def _check_registration(cls: object, name: object) -> None:
    """Raise a DeclarationError unless the class can be registered under the name."""
    if not isinstance(cls, type):
        raise DeclarationError(f"register_type takes a class, not {type(cls).__name__}")
    if not isinstance(name, str) or not name:
        raise DeclarationError(f"the wire's name of {cls.__name__} is a str that is not empty, not {name!r}")
    base = next((base for base in _NATIVE if issubclass(cls, base)), None)
    if base is not None or cls is type(None):
        packed_as = (base or cls).__name__
        raise DeclarationError(
            f"{cls.__name__} cannot be registered: its instances are packed as {packed_as}"
        )
    other = _registered.get(name)
    if other is not None and other.cls is not cls:
        raise DeclarationError(f"the name {name!r} stands for {other.cls.__qualname__} already; use another")


@contextmanager
def _one_level_down() -> Iterator[None]:
    """Count a registered object, and give the thread another packer meanwhile.

    A packer that is called while it is packing mixes both values up without
    any error, and a user's encode function may well call :func:`serialize`.
    """
    if of_thread.nesting >= MAX_REGISTERED_NESTING:
        raise ValueError(f"registered objects are nested more than {MAX_REGISTERED_NESTING} deep")
    pack = of_thread.pack
    of_thread.nesting += 1
    of_thread.pack = make_packer().pack
    try:
        yield
    finally:
        of_thread.nesting -= 1
        of_thread.pack = pack


def encoder(obj: Any) -> Any:
    """Turn what msgpack does not know into what it knows; the packer's ``default``.

    Parameters
    ----------
    obj
        the object

    Raises
    ------
    TypeError
        nobody knows it

    """
    for cls in type(obj).__mro__:
        encode = _encoders.get(cls)
        if encode is not None:
            return encode(obj)
    # The original's courtesy to users of MongoDB, whose package is not needed for it.
    if type(obj).__name__ == "ObjectId":
        return str(obj)
    raise TypeError(f"cannot serialize {type(obj).__name__}")


def decoder(code: int, payload: bytes) -> Any:
    """Turn an extension type into an object; the unpacker's ``ext_hook``.

    Parameters
    ----------
    code
        the extension type's code
    payload
        its bytes

    Raises
    ------
    ValueError
        the code or a registered name is unknown, or the payload is not what its code says

    """
    decode = _DECODERS.get(code)
    if decode is None:
        raise UnreadableError(f"extension type {code} is unknown")
    try:
        return decode(bytes(payload))
    except Exception as error:
        raise UnreadableError(_reason(error)) from error


def _decode_registered(payload: bytes) -> Any:
    with _one_level_down():
        # the lengths of all levels add up, and the times that they are unpacked multiply: so all but the
        # first one are checked before, and unpacked once
        pair = deserialize(payload) if of_thread.nesting == 1 else unpack_at_once(unpack, payload)
        if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not str:
            raise ValueError("a registered object is an array of its type's name and a value")
        name, value = pair
        known = _registered.get(name)
        if known is None:
            raise ValueError(f"type {name!r} is not registered in this process; call register_type() for it")
        try:
            return known.decode(value)
        except Exception as error:
            raise ValueError(f"decoding a {name!r} failed: {type(error).__name__}: {error}") from error


_encoders: dict[type, Callable[[Any], Any]] = dict(extensions.ENCODERS)
_DECODERS: dict[int, Callable[[bytes], Any]] = {**extensions.DECODERS, EXT_REGISTERED: _decode_registered}
#: msgpack's own, which raises many things, with this library's options: for what :func:`deserialize` would
#: be too slow. How long a text may be needs no saying: msgpack takes no more than there is.
unpack: Callable[..., Any] = partial(
    msgpack.unpackb,
    strict_map_key=False,
    unicode_errors="surrogatepass",
    ext_hook=decoder,
    timestamp=3,
    max_array_len=LONGEST_UNCHECKED,
)
#: for :mod:`zmqpipeline.serializer`
unix_time = extensions.unix_time
of_thread = _Local()
