"""Kinds of classes as a script defines them at its top, and instances of them. Executed in `__main__`."""

from __future__ import annotations

import abc
import dataclasses
import enum
import typing
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import attrs

from tests.faults.corpus.registry import kind


class Plain:
    """A class like any."""

    shared: typing.ClassVar[list[int]] = [1, 2]

    def __init__(self, a):
        self.a = a

    def twice(self):
        return self.a * 2


class Derived(Plain):
    def twice(self):
        return super().twice() + 1


kind("plain instance", lambda: Plain(3), lambda it: (it.a, it.twice(), it.shared, type(it).__name__))
kind("plain class", lambda: Plain, lambda it: (it(4).twice(), it.__doc__, it.__module__, it.__qualname__))
kind("derived class, super", lambda: Derived(3), lambda it: (it.twice(), [k.__name__ for k in type(it).__mro__]))


@dataclasses.dataclass
class Point:
    x: int
    y: int = 2
    rest: list[int] = dataclasses.field(default_factory=list, repr=False)

    def total(self):
        return self.x + self.y


@dataclasses.dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True, order=True)
class Frozen:
    a: int
    b: str = "b"


@dataclasses.dataclass
class Initial:
    seed: dataclasses.InitVar[int]
    made: int = dataclasses.field(init=False)

    def __post_init__(self, seed):
        self.made = seed + 1


kind("dataclass instance", lambda: Point(1), lambda it: (repr(it), it.total(), it == Point(1), dataclasses.asdict(it)))
kind("dataclass", lambda: Point, lambda it: ([f.name for f in dataclasses.fields(it)], repr(it(5)), it(1) == it(1)))
kind(
    "dataclass, frozen with slots",
    lambda: Frozen(a=1),
    lambda it: (repr(it), hash(it) == hash(Frozen(a=1)), it < Frozen(a=2)),
)
kind("dataclass, init variables", lambda: Initial, lambda it: repr(it(4)))


@attrs.define
class Attrs:
    a: int = attrs.field(validator=attrs.validators.instance_of(int))
    b: list[int] = attrs.field(factory=list)

    @a.validator
    def _positive(self, attribute, value):
        if value < 0:
            raise ValueError("negative")


@attrs.frozen
class FrozenAttrs:
    a: int = attrs.field(default=1, converter=int)


kind("attrs instance", lambda: Attrs(1), lambda it: (repr(it), it == Attrs(1), attrs.asdict(it)))
kind("attrs class", lambda: Attrs, lambda it: ([a.name for a in attrs.fields(it)], repr(it(2))))
kind("attrs, frozen", lambda: FrozenAttrs("7"), lambda it: (repr(it), hash(it) == hash(FrozenAttrs(7))))


class Colour(enum.Enum):
    RED = 1
    GREEN = "g"

    @property
    def loud(self):
        return self.name + "!"


class Right(enum.IntFlag):
    READ = enum.auto()
    WRITE = enum.auto()


class Word(enum.StrEnum):
    YES = enum.auto()


kind("enum member", lambda: Colour.RED, lambda it: (it.loud, it is Colour.RED, it.value))
kind("enum", lambda: Colour, lambda it: ([m.name for m in it], it("g").loud, it.RED is Colour.RED))
kind("enum of flags", lambda: Right.READ | Right.WRITE, lambda it: (int(it), Right.WRITE in it, repr(it)))
kind("enum of strings", lambda: {Word.YES: 1}, lambda it: (it["yes"], it[Word.YES]))


class Pair(NamedTuple):
    left: int
    right: int = 2

    def swapped(self):
        return Pair(self.right, self.left)


class Movie(typing.TypedDict, total=False):
    title: str


kind("NamedTuple", lambda: Pair(1), lambda it: (repr(it), repr(it.swapped()), it._fields, it == (1, 2)))
kind("TypedDict", lambda: Movie, lambda it: (it(title="x"), sorted(it.__optional_keys__)))

T = TypeVar("T")


class Box(Generic[T]):
    def __init__(self, it: T):
        self.it = it

    def get(self) -> T:
        return self.it


class IntBox(Box[int]):
    pass


kind("generic class", lambda: Box[int], lambda it: (it(3).get(), typing.get_args(it), typing.get_origin(it).__name__))
kind("generic class, derived", lambda: IntBox(4), lambda it: (it.get(), str(type(it).__orig_bases__[0])))
kind("type variable", lambda: T, lambda it: (it.__name__, it is T, Box.__parameters__[0] is it))


class Meta(type):
    def __new__(mcs, name, bases, names, mark="none"):
        made = super().__new__(mcs, name, bases, names)
        made.mark = mark
        made.fields = sorted(key for key, value in names.items() if isinstance(value, int))
        return made

    def __init__(cls, name, bases, names, mark="none"):
        super().__init__(name, bases, names)

    def __len__(cls):
        return len(cls.fields)


class Marked(metaclass=Meta, mark="m"):
    a = 1
    b = 2


class Singleton(type):
    made: typing.ClassVar[dict[str, Any]] = {}

    def __call__(cls, *args):
        if cls.__name__ not in cls.made:
            cls.made[cls.__name__] = super().__call__(*args)
        return cls.made[cls.__name__]


class Only(metaclass=Singleton):
    def __init__(self):
        self.a = 1


kind("metaclass", lambda: Marked, lambda it: (it.mark, it.fields, len(it), type(it).__name__, it().a))
kind("metaclass, instance", lambda: Marked(), lambda it: (it.a, len(type(it)), isinstance(type(it), Meta)))
kind("metaclass with __call__", lambda: Only, lambda it: (it() is it(), it().a))


class Registered:
    names: typing.ClassVar[list[str]] = []

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        Registered.names.append(cls.__name__)


class One(Registered):
    def one(self):
        return 1


class Two(Registered):
    pass


class Plugin:
    found: typing.ClassVar[dict[str, type]] = {}

    def __init_subclass__(cls, *, key, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.key = key
        Plugin.found[key] = cls


class Reader(Plugin, key="r"):
    def read(self):
        return self.key


kind("__init_subclass__", lambda: One(), lambda it: (it.one(), sorted(set(Registered.names))))
kind(
    "__init_subclass__ with arguments",
    lambda: Reader(),
    lambda it: (it.read(), list(Plugin.found), Plugin.found["r"] is Reader),
)


class Slotted:
    __slots__ = ("__weakref__", "a", "b")

    def __init__(self):
        self.a = 1


class Slots2(Slotted):
    __slots__ = ()

    def __init__(self):
        super().__init__()
        self.b = 2


class Private:
    __slots__ = ("__a",)

    def __init__(self):
        self.__a = 3

    def get(self):
        return self.__a


class Typed:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, it, owner=None):
        return self if it is None else getattr(it, self.name, "unset")

    def __set__(self, it, value):
        setattr(it, self.name, int(value))


class Described:
    size = Typed()
    other = Typed()


class Proper:
    def __init__(self):
        self._a = 1

    @property
    def a(self):
        """The a."""
        return self._a

    @a.setter
    def a(self, value):
        self._a = value + 1

    @classmethod
    def made(cls):
        return cls()

    @staticmethod
    def three():
        return 3


def described():
    it = Described()
    it.size = "5"
    return it


def after_setting(it):
    it.a = 5
    return it.a, type(it).a.__doc__, it.three(), type(it.made()) is type(it)


kind("slots", Slotted, lambda it: (it.a, hasattr(it, "b"), hasattr(it, "__dict__"), type(it).__slots__))
kind("slots of a base", Slots2, lambda it: (it.a, it.b))
kind("private slot", Private, lambda it: it.get())
kind("descriptor", described, lambda it: (it.size, it.other, type(it).size.name))
kind("property, class method, static method", Proper, after_setting)


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...

    def double(self):
        return self.area() * 2


class Square(Shape):
    def area(self):
        return 4


class Foreign:
    pass


Shape.register(Foreign)


@runtime_checkable
class HasArea(Protocol):
    def area(self) -> int: ...


kind(
    "abstract class",
    lambda: Shape,
    lambda it: (sorted(it.__abstractmethods__), issubclass(Foreign, it), issubclass(int, it)),
)
kind("abstract class, instance of a child", Square, lambda it: (it.double(), isinstance(it, Shape)))
kind("protocol", lambda: HasArea, lambda it: (isinstance(Square(), it), isinstance(3, it)))
