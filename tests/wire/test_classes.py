"""Classes that travel by value: whole on the way out, untouched on the way home, the same one in between."""

from __future__ import annotations

import abc
import dataclasses
import enum
import gc
import pickle
import typing
import weakref
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import pytest

from millpond.wire.byvalue import dumps
from tests.wire.other_process import Process, script


class Meta(type):
    """Gives every class its own fields, as the metaclasses of pydantic and DSPy do."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Meta:
        namespace.setdefault("fields", {})
        return super().__new__(mcs, name, bases, namespace, **options)


class Model(metaclass=Meta):
    """Can be imported; its subclasses made at run time cannot."""


class Plugin:
    """A base with a registry that can be imported."""

    registry: ClassVar[list[type]] = []

    def __init_subclass__(cls, **options: Any) -> None:
        Plugin.registry.append(cls)


class Strict:
    """A base that has to be told the kind of each subclass, and looks at its name."""

    def __init_subclass__(cls, *, kind: str) -> None:
        cls.kind = kind + cls.suffix  # type: ignore[attr-defined]


@pytest.fixture
def worker() -> Process:
    return Process()


SLOTS = """
class Slim:
    __slots__ = ("a", "__b")
    def __init__(self): self.a, self.__b = 1, 2
    def sum(self): return self.a + self.__b
class Text(str):
    __slots__ = ("mark",)
class Child(Slim):
    __slots__ = ()
"""


def test_an_instance_with_slots_arrives_and_comes_back(worker: Process) -> None:
    """Its class has the slots elsewhere as well: both ends set the same kind of state."""
    scope = script(SLOTS)
    text = scope["Text"]("t")
    text.mark = 5
    for value in (scope["Slim"](), scope["Child"](), text):
        arrived = worker.load(dumps(value))
        assert not hasattr(arrived, "__dict__")
        back = pickle.loads(worker.dumps(arrived))
        assert type(back) is type(value)
        assert back.mark == 5 if value is text else back.sum() == arrived.sum() == 3


def test_a_class_made_at_run_time_keeps_what_its_metaclass_set(worker: Process) -> None:
    """Data alone, no methods: nothing of it is taken for a complete class."""
    made = Meta("Made", (Model,), {"fields": {"question": str}, "__doc__": None})
    arrived = worker.load(dumps(made))
    assert arrived is not made
    assert arrived.fields == {"question": str}
    assert pickle.loads(worker.dumps(arrived)) is made


def test_a_class_made_in_a_worker_is_whole_in_the_program(worker: Process) -> None:
    """And goes back to the worker as the one it was."""
    with worker.at_work():
        made = Meta("Made", (Model,), {"fields": {"answer": int}})
    here = pickle.loads(worker.dumps(made))
    assert here.fields == {"answer": int}
    assert worker.load(dumps(here)) is made


def test_a_class_goes_on_to_a_third_process(worker: Process) -> None:
    """A session's state moves from worker to worker; the class that comes home by another way is the same."""
    made = Meta("Made", (Model,), {"fields": {"question": str}})
    other = Process()
    arrived = other.load(worker.dumps(worker.load(dumps(made))))
    assert arrived.fields == {"question": str}
    assert pickle.loads(other.dumps(arrived)) is made
    assert other.load(dumps(made)) is arrived


def test_nothing_that_comes_home_changes_a_class(worker: Process) -> None:
    """Not its methods, not its data, not what the worker put on it."""
    scope = script("class Home:\n    limit = 1\n    def method(self): return LIMIT", LIMIT=5)
    home = scope["Home"]
    method = home.method
    guest = worker.load(dumps(home))
    guest.limit, guest.more = 2, 3
    assert pickle.loads(worker.dumps([guest, guest()]))[0] is home
    assert (home.limit, home.method, hasattr(home, "more")) == (1, method, False)


def test_a_change_at_home_reaches_the_workers(worker: Process) -> None:
    """New data, new methods, and what is not there any more; what only the worker changed stays."""
    home = script("class Home:\n    limit, old, cache = 1, 1, {}\n    def method(self): return 1")["Home"]
    guest = worker.load(dumps(home))
    guest.cache["filled"] = True
    guest.count = 1
    assert worker.load(dumps(home)) is guest
    assert guest.cache == {"filled": True}
    home.limit, home.method = 2, lambda self: 2
    del home.old
    worker.load(dumps(home()))
    assert (guest.limit, guest().method(), hasattr(guest, "old")) == (2, 2, False)
    assert (guest.cache, guest.count) == ({"filled": True}, 1)


def test_a_class_defined_again_is_another_class(worker: Process) -> None:
    """A cell of a notebook that is run again: the same name is not the same definition."""
    scope = script("class Home:\n    limit = 1")
    first = worker.load(dumps(scope["Home"]))
    exec("class Home:\n    limit = 2", scope)
    second = worker.load(dumps(scope["Home"]))
    assert (first.limit, second.limit) == (1, 2)


failures: list[Exception] = []


def fail_if_told() -> int:
    if failures:
        raise failures.pop()
    return 1


class Part:
    """Breaks when it is unpickled, if told so; becomes a number."""

    def __reduce__(self) -> Any:
        return fail_if_told, ()


def test_a_class_that_failed_to_arrive_arrives_the_next_time(worker: Process) -> None:
    """The skeleton that was left behind is not taken for the class."""
    home = script("class Home:\n    limit = Part()\n    itself = None", Part=Part)["Home"]
    home.itself = home
    stream = dumps(home)
    failures.append(ValueError("on the way"))
    with pytest.raises(ValueError, match="on the way"):
        worker.load(stream)
    assert worker.load(stream).limit == 1


def test_a_base_is_told_of_a_class_once(worker: Process) -> None:
    """A class that this process has is looked up, without building a second one for the look."""
    scope = script(
        "class Base:\n    registry, made = {}, 0\n"
        "    def __init_subclass__(cls):\n        Base.registry[cls.__name__] = cls\n        Base.made += 1\n"
        "class Kid(Base):\n    def speak(self): return 'kid'"
    )
    guest = worker.load(dumps(scope["Kid"]()))
    assert type(guest).__mro__[1].registry["Kid"] is type(guest)
    for _ in range(2):
        assert type(pickle.loads(worker.dumps(guest))) is scope["Kid"]
    assert (scope["Base"].registry, scope["Base"].made) == ({"Kid": scope["Kid"]}, 1)


def test_a_base_that_both_processes_import_is_told_in_each(worker: Process) -> None:
    """Its registry does not travel, so it learns of the class where the class arrives."""
    kid = script("class Kid(Plugin): pass", Plugin=Plugin)["Kid"]
    guest = worker.load(dumps(kid))
    pickle.loads(worker.dumps(guest))
    assert [made for made in Plugin.registry if made.__name__ == "Kid"] == [kid, guest]


@pytest.mark.parametrize("base", ["Strict", "Local"])
def test_a_base_that_wants_to_know_more_is_not_asked_again(worker: Process, base: str) -> None:
    """Required arguments, or an attribute that is not there yet: what the base made of them is in the class."""
    source = (
        "class Local:\n    __slots__ = ('a',)\n"
        "    def __init_subclass__(cls, *, kind): cls.kind = kind + cls.suffix\n"
        f"class Kid({base}, kind='x'):\n    suffix = '!'\n    def get(self): return self.kind\n"
        "class Generic_(Kid, Generic[T], kind='y'): suffix = '?'\n"
    )
    scope = script(source, Strict=Strict, Generic=Generic, T=TypeVar("T"))
    kid, generic = worker.load(dumps((scope["Kid"], scope["Generic_"])))
    assert (kid().get(), generic().get()) == ("x!", "y?")
    assert [made.__name__ for made in generic.__mro__] == ["Generic_", "Kid", base, "Generic", "object"]
    assert pickle.loads(worker.dumps(kid())).__class__ is scope["Kid"]
    assert issubclass(kid, Strict) == (base == "Strict")


def test_an_abstract_class_whose_base_wants_to_know_more_stays_abstract(worker: Process) -> None:
    """Its registered classes come along."""
    source = (
        "class Base(abc.ABC):\n    def __init_subclass__(cls, *, kind): cls.kind = kind\n"
        "    @abc.abstractmethod\n    def run(self): ...\n"
        "class Kid(Base, kind='x'): pass\n"
        "class Other: pass\nKid.register(Other)\n"
        "class Done(Kid, kind='z'):\n    def run(self): return self.kind\n"
    )
    scope = script(source, abc=abc)
    kid, other, done = worker.load(dumps([scope[name] for name in ("Kid", "Other", "Done")]))
    assert issubclass(other, kid)
    assert done().run() == "z"
    with pytest.raises(TypeError, match="abstract"):
        kid()


def test_what_is_registered_with_an_abstract_class_stays_and_goes_on(worker: Process) -> None:
    """Though nothing else in the worker refers to the registered class."""
    scope = script("class Shape(abc.ABC): pass\nclass Other: pass\nShape.register(Other)", abc=abc)
    shape = worker.load(dumps(scope["Shape"]))
    gc.collect()
    third = Process()
    onward = third.load(worker.dumps(shape))
    assert issubclass(third.load(dumps(scope["Other"])), onward)


KINDS = """
class Color(enum.Enum):
    RED = 1
    def loud(self): return self.name + "!"
class Flags(enum.IntFlag):
    A = 1
    B = 2
class Pair(NamedTuple):
    left: int
    right: str = "r"
@dataclasses.dataclass(slots=True, weakref_slot=True)
class Slotted:
    x: int
    y: list = dataclasses.field(default_factory=list)
@dataclasses.dataclass(frozen=True, order=True)
class Frozen:
    x: int
class Box(Generic[T]):
    def __init__(self, item: T): self.item = item
class IntBox(Box[int]):
    class Inner:
        size = 3
    def inner(self): return self.Inner.size
class Node:
    kind: "Node"
    def again(self): return Node
class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...
class Square(Shape):
    side = 2
    @property
    def area(self): return self.side ** 2
    @classmethod
    def of(cls, side): made = cls(); made.side = side; return made
    @staticmethod
    def corners(): return 4
Node.itself = Node
"""


def test_all_kinds_of_classes_arrive_whole_and_come_back(worker: Process) -> None:
    """Enumerations, named tuples, dataclasses with slots, generics, abstract, nested and recursive classes."""
    names = {"enum": enum, "NamedTuple": NamedTuple, "dataclasses": dataclasses, "Generic": Generic, "abc": abc}
    scope = script(KINDS, **names, T=TypeVar("T"))
    kinds = {name: scope[name] for name in scope if isinstance(scope[name], type) and name in KINDS}
    kinds = {name: kind for name, kind in kinds.items() if kind.__module__ == "__main__"}
    for _ in range(2):
        there = worker.load(dumps(kinds))
        assert there["Color"]["RED"].loud() == "RED!"
        assert there["Flags"](3) == there["Flags"].A | there["Flags"].B
        assert there["Pair"](1) == (1, "r")
        assert there["Slotted"](1) == there["Slotted"](1, [])
        assert weakref.ref(there["Slotted"](1)) is not None
        assert not hasattr(there["Slotted"](1), "__dict__")
        assert there["Frozen"](1) < there["Frozen"](2)
        assert (there["IntBox"](5).item, there["IntBox"](5).inner()) == (5, 3)
        assert there["Node"]().again() is there["Node"] is there["Node"].itself
        assert (there["Square"].of(3).area, there["Square"].corners()) == (9, 4)
        with worker.at_work():
            there_and_back = dumps([there, there["Color"]["RED"], there["Frozen"](4)])
        back, red, frozen = pickle.loads(there_and_back)
        assert back == kinds
        assert (red, frozen) == (scope["Color"].RED, scope["Frozen"](4))


def test_type_hints_of_a_generic_base_are_kept(worker: Process) -> None:
    """`__orig_bases__` tells what a generic was made for."""
    scope = script("class Box(Generic[T]): pass\nclass IntBox(Box[int]): pass", Generic=Generic, T=TypeVar("T"))
    there = worker.load(dumps(scope["IntBox"]))
    assert typing.get_args(there.__orig_bases__[0]) == (int,)


def test_a_class_that_nobody_has_any_more_is_forgotten(worker: Process) -> None:
    """A program that makes classes in a loop does not grow the workers."""
    source = "class Home:\n    data = [1]\n    def method(self): return super().__init__()\n    class Inner: pass"
    guest = weakref.ref(worker.load(dumps(script(source)["Home"])))
    gc.collect()
    assert guest() is None
