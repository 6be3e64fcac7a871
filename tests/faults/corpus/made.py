"""Kinds of classes made while the program runs: in functions, or by a call. Executed in `__main__`."""

from __future__ import annotations

import collections
import dataclasses
import enum
import types
import typing
from typing import Generic, NamedTuple, TypeVar

import attrs
import pydantic

from tests.faults.corpus.registry import kind


def local_class():
    factor = 3

    class Local:
        """Made in a function."""

        def __init__(self):
            self.a = factor

        def times(self, n):
            return self.a * n

    class Deeper(Local):
        def times(self, n):
            return super().times(n) + factor

    return Deeper


def local_exception():
    class LocalError(ValueError):
        code = 4

    return LocalError


def local_enum():
    class Small(enum.IntEnum):
        A = 1

        def doubled(self):
            return self.value * 2

    return Small


def local_metaclass():
    class Counting(type):
        def __len__(cls):
            return len(cls.names)

    return types.new_class("Counted", (), {"metaclass": Counting}, lambda names: names.update(names=["a", "b"]))


def local_generic():
    kept = TypeVar("kept")

    class Holder(Generic[kept]):
        def __init__(self, it):
            self.it = it

    return Holder[int]


def local_named_tuple():
    class Three(NamedTuple):
        a: int
        b: int = 2

    return Three


def local_data():
    @dataclasses.dataclass(slots=True)
    class Data:
        a: int
        b: list[int] = dataclasses.field(default_factory=lambda: [1])

        def count(self):
            return len(self.b) + self.a

    return Data


def changed_class():
    class Changed:
        pass

    Changed.later = lambda self: "later"
    Changed.table = {"k": Changed}
    return Changed


Id = typing.NewType("Id", int)

kind("local class", local_class, lambda it: (it().times(2), it.__mro__[1].__doc__, it.__name__))
kind("local class, instance", lambda: local_class()(), lambda it: (it.times(2), vars(it)))
kind("local exception class", local_exception, lambda it: (it("x").args, it.code, issubclass(it, ValueError)))
kind("local enum", local_enum, lambda it: (it.A.doubled(), it(1) is it.A, len(it)))
kind("local metaclass", local_metaclass, lambda it: (len(it), it.__name__, it.names))
kind("local generic class", local_generic, lambda it: (it(3).it, typing.get_args(it)))
kind("local NamedTuple", local_named_tuple, lambda it: (repr(it(1)), it._field_defaults))
kind(
    "local dataclass", local_data, lambda it: (it(1).count(), it(2) == it(2), [f.name for f in dataclasses.fields(it)])
)
kind("local dataclass, instance", lambda: local_data()(4), lambda it: (it.count(), dataclasses.asdict(it)))
kind("class changed after it was made", changed_class, lambda it: (it().later(), it.table["k"] is it))
kind("type()", lambda: type("Made", (dict,), {"a": 1, "m": lambda self: len(self)}), lambda it: (it.a, it(x=1).m()))
kind("make_dataclass", lambda: dataclasses.make_dataclass("MD", [("a", int), ("b", str, "x")]), lambda it: repr(it(1)))
kind("attrs.make_class", lambda: attrs.make_class("AM", {"a": attrs.field(default=2)}), lambda it: repr(it()))
kind("enum made by a call", lambda: enum.Enum("Called", "A B"), lambda it: ([m.name for m in it], it["A"].value))
kind("namedtuple", lambda: collections.namedtuple("NT", "a b", defaults=[5]), lambda it: (repr(it(1)), it._fields))
kind("namedtuple, instance", lambda: collections.namedtuple("NT2", "a b")(1, 2), lambda it: (it.a, it._asdict()))
kind("NewType", lambda: Id, lambda it: (it(3), it.__supertype__.__name__))
kind("SimpleNamespace", lambda: types.SimpleNamespace(a=1, f=lambda x: x + 1), lambda it: (it.a, it.f(1)))


class Model(pydantic.BaseModel):
    a: int = 1
    b: list[str] = pydantic.Field(default_factory=list, description="the b")

    @pydantic.field_validator("a")
    @classmethod
    def small(cls, value):
        if value > 100:
            raise ValueError("too large")
        return value

    @property
    def doubled(self):
        return self.a * 2


class Holding(Model):
    inner: Model = Model(a=2)
    extra: dict[str, int] = {}


Kept = TypeVar("Kept")


class Page(pydantic.BaseModel, Generic[Kept]):
    items: list[Kept]


def is_refused(model, **fields):
    try:
        model(**fields)
    except pydantic.ValidationError as error:
        return error.error_count()
    return 0


def local_model():
    class Sub(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(frozen=True, extra="forbid")
        a: int = 1
        b: str = "x"

    return Sub


def made_model():
    return pydantic.create_model("MadeModel", a=(int, 1), b=(str, "x"))


kind(
    "pydantic model",
    lambda: Model,
    lambda it: (sorted(it.model_fields), it(a="3").doubled, is_refused(it, a=101), it.model_fields["b"].description),
)
kind("pydantic instance", lambda: Model(a=7), lambda it: (it.model_dump(), it.doubled, it == Model(a=7)))
kind("pydantic model in a model", Holding, lambda it: (it.model_dump_json(), it.inner.doubled, isinstance(it, Model)))
kind("pydantic generic model", lambda: Page[int], lambda it: (it(items=["1"]).items, is_refused(it, items=["x"])))
kind("pydantic generic instance", lambda: Page[int](items=[1]), lambda it: it.model_dump())
kind("pydantic local model", local_model, lambda it: (sorted(it.model_fields), it().model_dump(), is_refused(it, c=1)))
kind(
    "pydantic.create_model", made_model, lambda it: (sorted(it.model_fields), it().model_dump(), is_refused(it, a="x"))
)
kind("pydantic.create_model, instance", lambda: made_model()(a=5), lambda it: (it.model_dump(), type(it).__name__))
kind("pydantic schema", lambda: Holding, lambda it: sorted(it.model_json_schema()["properties"]))
