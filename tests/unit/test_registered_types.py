"""Classes that users teach the serializer."""

from __future__ import annotations

import collections
import enum
from datetime import datetime
from typing import Any, NoReturn

import pytest

from zmqpipeline.errors import DeclarationError, SerializationError
from zmqpipeline.wire import serializer
from zmqpipeline.wire.serializer import deserialize, register_type, serialize


class Odd:
    pass


class Point:
    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (type(self), self.x, self.y) == (type(other), other.x, other.y)

    def __hash__(self) -> int:
        return hash((self.x, self.y))


class Point3(Point):
    pass


@pytest.fixture(autouse=True)
def separate_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serializer, "_registered", {})
    monkeypatch.setattr(serializer, "_encoders", dict(serializer._encoders))


@pytest.fixture
def point() -> None:
    register_type(Point, "point", lambda point: (point.x, point.y), lambda pair: Point(*pair))


@pytest.mark.usefixtures("point")
def test_registered_type_round_trips() -> None:
    value = {"p": [Point(1, Point(2, datetime(2024, 1, 1)))], Point(0, 0): Point(b"", {})}  # noqa: DTZ001
    assert deserialize(serialize(value)) == value


@pytest.mark.usefixtures("point")
def test_subclass_travels_as_what_is_registered() -> None:
    assert deserialize(serialize(Point3(1, 2))) == Point(1, 2)
    register_type(Point3, "point3", lambda point: [point.x, point.y], lambda pair: Point3(*pair))
    assert deserialize(serialize([Point3(1, 2), Point(1, 2)])) == [Point3(1, 2), Point(1, 2)]


def test_encode_may_use_the_serializer_itself() -> None:
    register_type(Point, "point", lambda p: serialize([p.x, p.y]), lambda packed: Point(*deserialize(packed)))
    value = ["before", Point(1, Point(2, "inner")), "after"]
    assert deserialize(serialize(value)) == value


@pytest.mark.usefixtures("point")
def test_what_a_registered_type_holds_is_named() -> None:
    with pytest.raises(SerializationError, match=r"data\['p'\]: cannot serialize Point: set"):
        serialize({"p": Point(1, {2})})
    deep: Any = 0
    for _ in range(20):
        deep = Point(deep, 0)
    with pytest.raises(SerializationError, match="nested more than 16 deep"):
        serialize(deep)
    cyclic_point = Point(1, None)
    cyclic_point.y = cyclic_point
    with pytest.raises(SerializationError, match="nested more than 16 deep"):
        serialize(cyclic_point)
    assert serializer.of_thread.nesting == 0


def test_users_functions_that_fail() -> None:
    register_type(Point, "point", lambda _: 1 / 0, lambda _: Point(0, 0))
    with pytest.raises(SerializationError, match="data: cannot serialize Point: division by zero"):
        serialize(Point(1, 2))
    register_type(Point, "point", lambda _: 0, lambda _: [].missing)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="decoding a 'point' failed: AttributeError"):
        deserialize(serialize(Point(1, 2)))


@pytest.mark.usefixtures("point")
def test_wrong_registrations() -> None:
    with pytest.raises(DeclarationError, match="stands for Point already"):
        register_type(Odd, "point", str, str)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="packed as int"):
        register_type(enum.IntEnum("Colour", "RED"), "colour", int, int)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="packed as tuple"):
        register_type(collections.namedtuple("Pair", "a b"), "pair", list, tuple)  # noqa: PYI024
    with pytest.raises(DeclarationError, match="not empty"):
        register_type(Odd, "", str, str)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="takes a class"):
        register_type("Odd", "odd", str, str)  # type: ignore[arg-type]


def test_packer_survives_an_interrupt() -> None:
    def interrupt(_: Point) -> NoReturn:
        raise KeyboardInterrupt

    register_type(Point, "point", interrupt, lambda _: Point(0, 0))
    with pytest.raises(KeyboardInterrupt):
        serialize([1, 2, Point(0, 0)])
    assert serialize([1]) == b"\x91\x01"
