"""Classes that travel by value and back: the class in the caller's script stays the class it was."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

from millpond.wire.byvalue import dumps
from millpond.wire.codec import PickleCodec


def carry(value: Any) -> Any:
    """There and back in one process, which knows the class already: as the parent does when a result returns."""
    codec = PickleCodec()
    return codec.decode(codec.encode(value))


def test_a_class_that_comes_back_is_the_class_that_went():
    """`isinstance` holds for results of classes that cannot be imported, dataclasses and enumerations included."""

    class Plain:
        pass

    @dataclasses.dataclass
    class Point:
        x: int

    class Color(enum.Enum):
        RED = 1

    out = carry([Plain(), Point(3), Color.RED])
    assert [type(item) for item in out] == [Plain, Point, Color]
    assert out[1:] == [Point(3), Color.RED]
    assert out[2] is Color.RED


def test_a_class_that_comes_back_keeps_its_methods():
    """Plain cloudpickle would replace them by copies that no longer see the script's globals."""

    class Guest:
        count = 0

        def method(self) -> str:
            return "method"

    method, stream = Guest.method, dumps(Guest())
    Guest.count = 5
    carry(Guest())
    PickleCodec().decode(stream)
    assert Guest.method is method
    assert Guest.count == 5
