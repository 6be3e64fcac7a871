"""Classes that travel by value and back: the class in the caller's script stays the class it was."""

from __future__ import annotations

import dataclasses
import enum
import sys
from typing import Any

import pytest

from millpond.wire.byvalue import dumps, set_up_once
from millpond.wire.codec import PickleCodec


def carry(value: Any) -> Any:
    """There and back in one process, which knows the class already: as the parent does when a result returns."""
    codec = PickleCodec()
    return codec.thaw(codec.freeze(value))


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
    PickleCodec().thaw(stream)
    assert Guest.method is method
    assert Guest.count == 5


def test_a_class_at_home_is_updated_at_the_other_end(monkeypatch: pytest.MonkeyPatch):
    """What the script changes in its own class reaches workers that have an older copy."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("class Home:\n    limit = 1", scope)
    monkeypatch.setattr(sys.modules["__main__"], "Home", scope["Home"], raising=False)
    scope["Home"].limit = 2
    stream = PickleCodec().freeze(scope["Home"])
    scope["Home"].limit = 1  # stands for the older copy
    assert PickleCodec().thaw(stream).limit == 2


def offer(kind: type, attributes: dict[str, Any]) -> bool:
    """Whether a class would be set up with the attributes that came."""
    applied: list[Any] = []
    state = (attributes, {})
    set_up_once(kind, (lambda *given: applied.append(given), state))
    assert applied in ([], [(kind, state)])
    return bool(applied)


def test_a_class_that_arrives_for_the_first_time_is_set_up():
    """A skeleton has none of the methods, nor all the data of a class without methods."""

    class Skeleton:
        pass

    class Started:
        one = 1

    assert offer(Skeleton, {"method": offer, "__doc__": None})
    assert offer(Skeleton, {"size": property(offer), "__doc__": None})
    assert offer(Started, {"one": 1, "two": 2})


def test_a_class_that_gained_data_while_it_was_away_stays_as_it_is():
    """A cache that the worker put on it, or the one that pickling puts there, replaces nothing here."""

    class Complete:
        one = 1

        def method(self) -> None: ...

    class Data:
        one = 1

    assert not offer(Complete, {"one": 2, "method": Complete.method, "cache": {}, "__slotnames__": []})
    assert not offer(Data, {"one": 2, "__slotnames__": []})
