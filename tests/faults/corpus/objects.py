"""Kinds of classes that refer to others, or that say how they are built, copied and used. Executed in `__main__`."""

from __future__ import annotations

import copyreg
import functools

from tests.faults.corpus.registry import kind


class Outer:
    class Inner:
        class Core:
            value = 7

    def inner(self):
        return self.Inner.Core()


class Node:
    def __init__(self, value, after=None):
        self.value, self.after = value, after

    def last(self) -> Node:
        return self if self.after is None else Node.last(self.after)


class Parent:
    def child(self):
        return Child()


class Child:
    def parent(self):
        return Parent()


def ring():
    it = Node(1, Node(2))
    it.after.after = it
    return it


kind("nested class", lambda: Outer.Inner.Core(), lambda it: (it.value, type(it).__name__))
kind("class that refers to itself", lambda: Node(1, Node(2)), lambda it: (it.last().value, isinstance(it.after, Node)))
kind("instances in a ring", ring, lambda it: it.after.after is it)
kind("classes that refer to each other", Parent, lambda it: type(it.child().parent()) is type(it))


class Reduced:
    def __init__(self, a):
        self.a = a

    def __reduce__(self):
        return Reduced, (self.a + 1,)


class Stated:
    def __init__(self):
        self.a, self.b = 1, 2

    def __getstate__(self):
        return {"a": self.a}

    def __setstate__(self, state):
        self.__dict__.update(state, b="set")


class Dynamic:
    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return "no " + name


class Adder:
    def __init__(self, n):
        self.n = n

    def __call__(self, x):
        return x + self.n


class Word2(str):
    __slots__ = ("mark",)

    def __new__(cls, text, mark):
        made = super().__new__(cls, text)
        made.mark = mark
        return made

    def __getnewargs__(self):
        return str(self), self.mark


class Named(dict):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.name = "n"

    def __missing__(self, key):
        return key * 2


@functools.total_ordering
class Ordered:
    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        return self.n == other.n

    def __lt__(self, other):
        return self.n < other.n

    def __hash__(self):
        return hash(self.n)

    def __class_getitem__(cls, item):
        return f"{cls.__name__}[{item}]"


class Oops(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
        self.a, self.b = a, b

    def __reduce__(self):
        return Oops, (self.a, self.b)


class Slim(Exception):
    code = 5


class Copied:
    def __init__(self, a):
        self.a = a


def copied(a):
    return Copied(a * 10)


copyreg.pickle(Copied, lambda it: (copied, (it.a,)))


def noted():
    error = Slim("x", 1)
    error.add_note("a note")
    return error


# Each journey applies it once more: how often is no matter, that it is applied is.
kind("__reduce__", lambda: Reduced(1), lambda it: (it.a > 0, type(it).__name__))
kind("__getstate__ and __setstate__", Stated, lambda it: (it.a, hasattr(it, "b")))
kind("__getattr__", Dynamic, lambda it: (it.anything, hasattr(it, "_x")))
kind("__call__", lambda: Adder(2), lambda it: (it(3), list(map(it, [1, 2]))))
kind("subclass of str", lambda: Word2("text", 3), lambda it: (it == "text", it.mark, it.upper()))
kind("subclass of dict", lambda: Named(a=1), lambda it: (it["a"], it["zz"], it.name, dict(it)))
kind(
    "total_ordering and hash",
    lambda: {Ordered(1): "a"},
    lambda it: (it[Ordered(1)], Ordered(1) >= Ordered(0), Ordered[3]),
)
kind("exception with arguments of its own", lambda: Oops(1, 2), lambda it: (it.a, it.b, str(it), it.args))
kind("exception with notes", noted, lambda it: (it.args, it.code, it.__notes__))
kind(
    "exception group",
    lambda: ExceptionGroup("g", [Slim(1), ValueError(2)]),
    lambda it: (repr(it), it.exceptions[0].code),
)
kind("copyreg", lambda: Copied(0), lambda it: it.a)
