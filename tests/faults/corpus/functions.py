"""Kinds of functions and of other callables. Executed in `__main__`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math as m
import operator
import typing

from tests.faults.corpus.registry import kind

LIMIT = 10
TABLE = {"a": [1, 2]}


def limited(x, *, most=LIMIT):
    """At most that."""
    return min(x, most, LIMIT)


def fact(n):
    return 1 if n < 2 else n * fact(n - 1)


def is_even(n):
    return n == 0 or is_odd(n - 1)


def is_odd(n):
    return n != 0 and is_even(n - 1)


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        wrapper.calls += 1
        return "logged", function(*args, **kwargs)

    wrapper.calls = 0
    return wrapper


@logged
def decorated(x: int, y: int = 2) -> int:
    """It is decorated."""
    return x + y


def retried(times):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args):
            return [function(*args) for _ in range(times)]

        return wrapper

    return decorate


@retried(2)
@logged
def twice_decorated(x):
    return x


def counter():
    n = 0

    def count():
        nonlocal n
        n += 1
        return n

    return count


def recursive_closure():
    def down(n):
        return [n, *down(n - 1)] if n else []

    return down


def shared_cell():
    kept = []
    return kept.append, lambda: list(kept)


def squares(n):
    for x in range(n):
        got = yield x * x
        if got:
            return


async def slept(x):
    await asyncio.sleep(0)
    return x + LIMIT


async def ticks(n):
    for x in range(n):
        yield x


@contextlib.contextmanager
def bracket(name):
    yield f"[{name}]"


def entered(it):
    with it("x") as text:
        return text


async def listed(it):
    return [x async for x in it]


def max(*values):
    """Shadows a built-in."""
    return ("my max", len(values))


def uses_max():
    return max(1, 2)


def uses_module():
    return m.floor(2.5), TABLE["a"]


P = typing.ParamSpec("P")
R = typing.TypeVar("R")
Ts = typing.TypeVarTuple("Ts")
Shout = typing.Callable[P, R]


def _typed_decorator():
    # As the annotations are without the `__future__` import above.
    def noted(function, *args):
        return function(*args)

    noted.__annotations__ = {"function": Shout, "args": P.args, "return": R}
    return noted


def typed(a: int, b: typing.Optional[str] = None) -> list[int]:  # noqa: UP045
    return [a]


class Thing:
    def __init__(self, n=1):
        self.n = n

    def add(self, x):
        return self.n + x

    @classmethod
    def named(cls):
        return cls.__name__

    @staticmethod
    def fixed():
        return LIMIT

    added_two = functools.partialmethod(add, 2)


def driven(coroutine):
    """Its result, without an event loop."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration as stop:
        return stop.value


def executed():
    names = {}
    exec("def f(x):\n    return x * k\nk = 5", names)
    return names["f"]


def with_attributes():
    def function():
        return function.table["n"]

    function.table = {"n": 4}
    return function


kind("function", lambda: limited, lambda it: (it(99), it(3), it.__doc__, it.__kwdefaults__, it.__module__))
kind("lambda", lambda: lambda x, y=2: x * y + LIMIT, lambda it: (it(2), it(2, 3), it.__name__))
kind("recursive function", lambda: fact, lambda it: it(5))
kind("mutually recursive functions", lambda: is_even, lambda it: (it(6), it(7)))
kind("wrapped function", lambda: decorated, lambda it: (it(1), it.__name__, it.__wrapped__(1, 1), it.__doc__))
kind("function wrapped twice", lambda: twice_decorated, lambda it: (it(1), it.__wrapped__.__wrapped__(5)))
kind("closure", counter, lambda it: it() < it())
kind("recursive closure", recursive_closure, lambda it: it(3))
kind("closures that share a cell", shared_cell, lambda it: (it[0](1), it[1]()[-1:]))
kind("function with attributes", with_attributes, lambda it: (it(), it.table))
kind("generator function", lambda: squares, lambda it: list(it(4)))
kind("async function", lambda: slept, lambda it: driven(it(1)))
kind("async generator function", lambda: ticks, lambda it: driven(listed(it(3))))
kind("contextmanager", lambda: bracket, entered)
kind("function that shadows a built-in", lambda: uses_max, lambda it: it())
kind("function that uses modules and tables", lambda: uses_module, lambda it: it())
kind("type hints of a function as text", lambda: typed, lambda it: (str(typing.get_type_hints(it)), it(1)))
kind("function made by exec", executed, lambda it: it(2))
kind("partial", lambda: functools.partial(limited, most=4), lambda it: (it(9), it.keywords, it.func is limited))
kind("partial of a lambda", lambda: functools.partial(lambda *a: a, 1, 2), lambda it: it(3))
kind("partialmethod", Thing, lambda it: it.added_two())
kind("bound method", lambda: Thing(4).add, lambda it: (it(1), it.__self__.n))
kind("class method", lambda: Thing.named, lambda it: it())
kind("static method", lambda: Thing.fixed, lambda it: it())
kind("bound method of a built-in", lambda: [1, 2].count, lambda it: it(2))
kind("method of a built-in type", lambda: (str.upper, dict.fromkeys), lambda it: (it[0]("a"), it[1]("b")))
kind(
    "operator's callables",
    lambda: [operator.itemgetter(1), operator.attrgetter("n"), operator.methodcaller("add", 2)],
    lambda it: (it[0]([5, 6]), it[1](Thing()), it[2](Thing())),
)
kind(
    "composed functions",
    lambda: [fact, lambda x: x + 1, limited],
    lambda it: functools.reduce(lambda x, f: f(x), it, 3),
)
kind(
    "functions in a dictionary",
    lambda: {"f": fact, "g": is_odd, "t": Thing},
    lambda it: (it["f"](3), it["g"](3), it["t"](1).add(1)),
)
kind("code object", lambda: compile("a + 1", "x", "eval"), lambda it: eval(it, {"a": 2}))
kind("decorator", lambda: logged, lambda it: (it(abs)(-1), it(abs).__name__))
kind("decorator with types", _typed_decorator, lambda it: (it(abs, -1), it.__annotations__["return"] is R))
kind("parameters and variadic type variables", lambda: (P, Ts), lambda it: (it[0] is P, it[1] is Ts, it[0].__module__))
