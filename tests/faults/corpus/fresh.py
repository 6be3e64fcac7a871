"""Kinds whose meaning is that they arrive as fresh equivalents: free locks, empty caches. Run in `__main__`."""

from __future__ import annotations

import contextvars
import functools
import queue
import threading
import types
import weakref

from tests.faults.corpus.registry import kind


class Circle:
    def __init__(self, r):
        self.r = r
        self.asked = 0

    @functools.cached_property
    def area(self):
        self.asked += 1
        return self.r * 3


class Locked:
    lock = threading.Lock()

    def __init__(self):
        self.own = threading.RLock()
        self.some = threading.BoundedSemaphore(2)
        self.ready = threading.Event()
        self.ready.set()
        self.jobs = queue.Queue(3)
        self.jobs.put("job")
        self.changed = threading.Condition()

    def all(self):
        with self.lock, self.own, self.some, self.changed:
            return self.ready.is_set(), self.jobs.qsize(), self.jobs.maxsize


class Local(threading.local):
    name = "unset"


class Shown:
    @functools.singledispatchmethod
    def show(self, it):
        return "any"

    @show.register
    def _(self, it: int):
        return "int"


@functools.lru_cache(maxsize=3)
def slow(x):
    """It is cached."""
    return x * 2


@functools.cache
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@functools.singledispatch
def shown(it):
    return "any"


@shown.register(int)
def _(it):
    return "int"


@shown.register(Circle)
def _(it):
    return "circle"


class Key:
    def __init__(self, name):
        self.name = name


GUARD = threading.Lock()
REQUEST = contextvars.ContextVar("request", default="none")
SEEN = weakref.WeakKeyDictionary()


def guarded(x):
    with GUARD:
        return x + 1


def requested():
    token = REQUEST.set("mine")
    try:
        return REQUEST.get()
    finally:
        REQUEST.reset(token)


def remembered(key):
    SEEN[key] = 1
    return len(SEEN) >= 1 and SEEN[key]


def asked(it):
    return it.area, it.area, it.asked


def local_of(it):
    it.a = 1
    return it.a, getattr(it, "name", None)


kind("cached_property", lambda: Circle(2), asked)
kind("lru_cache", lambda: slow, lambda it: (it(3), it.cache_info().maxsize, it.__name__, it.__doc__, it.__wrapped__(1)))
kind("cache of a recursive function", lambda: fib, lambda it: it(20))
kind("singledispatch", lambda: shown, lambda it: (it(1), it("x"), it(Circle(1)), it(True)))
kind("singledispatchmethod", Shown, lambda it: (it.show(1), it.show("x")))
kind("instance with locks", Locked, lambda it: it.all())
kind("function that takes a lock", lambda: guarded, lambda it: (it(1), it(2)))
kind("thread-local data", threading.local, local_of)
kind("thread-local data of a class", Local, local_of)
kind("context variable", lambda: REQUEST, lambda it: (it.name, it.get()))
kind("function that uses a context variable", lambda: requested, lambda it: (it(), REQUEST.get()))
kind("function that uses a weak dictionary", lambda: remembered, lambda it: it(Key("k")))
kind(
    "weak containers",
    lambda: (weakref.WeakSet(), weakref.WeakKeyDictionary(), weakref.WeakValueDictionary()),
    lambda it: [(type(x).__name__, len(x)) for x in it],
)
kind("mapping proxy", lambda: types.MappingProxyType({"a": [1]}), lambda it: (it["a"], type(it).__name__))
