"""What each process has of its own: the other end gets a fresh one, and the same one when it comes again."""

from __future__ import annotations

import contextvars
import functools
import gc
import pickle
import queue
import sys
import threading
import time
import traceback
import types
import typing
import weakref
from concurrent.futures import Future
from typing import Any

import pytest

from millpond.wire.byvalue import dumps
from millpond.wire.codec import CodecError, PickleCodec
from tests.wire.other_process import Process, script

VARIABLE: contextvars.ContextVar[int] = contextvars.ContextVar("VARIABLE")


class Guarded:
    """An object with a lock of its own, as many have."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0

    def add(self) -> int:
        with self.lock:
            self.count += 1
            return self.count


@pytest.fixture
def worker() -> Process:
    return Process()


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
def test_a_lock_arrives_free_and_is_the_same_each_time(worker: Process, make: Any) -> None:
    """Two calls that run at the same time in a worker are guarded from each other by the script's lock."""
    scope = script("def get(): return lock", lock=make())
    with scope["lock"]:
        there = worker.load(dumps(scope["get"]))()
        assert worker.load(dumps(scope["get"]))() is there is not scope["lock"]
        assert there.acquire(blocking=False)
    assert pickle.loads(worker.dumps(lambda: there))() is scope["lock"]


def test_objects_with_locks_travel(worker: Process) -> None:
    """Events and the like too, with what they say; nobody waits for the copy."""
    event, full, semaphore = threading.Event(), queue.Queue(2), threading.Semaphore(3)
    event.set()
    full.put(1)
    semaphore.acquire()
    guarded = Guarded()
    guarded.add()
    scope = script("def get(): return all_of_it", all_of_it=[event, full, semaphore, guarded, threading.Barrier(2)])
    there = worker.load(dumps(scope["get"]))()
    assert (there[0].is_set(), there[1].get(), there[2]._value, there[3].add()) == (True, 1, 2, 2)
    there[1].put(5)
    assert (there[1].get(timeout=60), full.qsize(), guarded.count) == (5, 1, 1)
    assert PickleCodec().decode(PickleCodec().encode([guarded]))[0].add() == 2


def test_nobody_waits_at_a_condition_that_arrives(worker: Process) -> None:
    """The threads that wait are those of the program."""
    event, waits = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (waits.set(), event.wait(30)))
    thread.start()
    assert waits.wait(30)
    end = time.monotonic() + 30
    while not event._cond._waiters and time.monotonic() < end:  # type: ignore[attr-defined]
        pass
    there = worker.load(dumps(script("def get(): return event", event=event)["get"]))()
    there.set()
    assert not event.is_set()
    event.set()
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "value", [threading.Lock(), threading.RLock(), threading.Event(), threading.Condition(), queue.Queue()]
)
@pytest.mark.parametrize("inside", [lambda value: value, lambda value: [1, {"a": (value,)}]])
def test_what_is_meant_to_be_shared_is_refused(value: Any, inside: Any) -> None:
    """A lock that is given by itself would guard nothing; the error names what can be shared."""
    with pytest.raises(CodecError, match=r"another one.*multiprocessing.get_context\('spawn'\)"):
        PickleCodec().encode_arguments((inside(value),), {})


CACHES = """
@functools.lru_cache(maxsize=None)
def fib(n):
    calls.append(n)
    return n if n < 2 else fib(n - 1) + fib(n - 2)
def work(n): return fib(n), len(calls)
class Model:
    @functools.cached_property
    def loaded(self): return [1]
    @functools.lru_cache
    def ask(self, n): return n + 1
    @functools.singledispatchmethod
    def say(self, x): return "object"
    @say.register
    def _(self, x: int): return "int"
@functools.singledispatch
def show(x): return "object"
@show.register
def _(x: int): return "int"
@show.register(list)
def _(x): return [show(item) for item in x]
def use_show(x): return show(x), show.registry[int](1)
"""


def test_a_cache_refers_to_itself_and_stays_filled(worker: Process) -> None:
    """The function under it calls the cache; a later call finds what an earlier one left."""
    scope = script(CACHES, functools=functools, calls=[])
    work = worker.load(dumps(scope["work"]))
    assert work(20) == (6765, 21)
    cache = work.__globals__["fib"]
    assert worker.load(dumps(scope["fib"])) is cache
    assert (cache.cache_info().currsize, cache.cache_parameters()) == (21, {"maxsize": None, "typed": False})
    assert (cache.__name__, cache.__wrapped__.__name__) == ("fib", "fib")
    assert scope["fib"].cache_info().currsize == 0
    assert pickle.loads(worker.dumps(cache)) is scope["fib"]


def test_a_cache_that_can_be_imported_goes_by_name() -> None:
    """As any function does; a cache of a builtin, which has no name of its own, by value."""
    assert b"fill_cache" not in dumps(imported_cache)
    assert pickle.loads(dumps(imported_cache)) is imported_cache
    assert Process().load(dumps(functools.cache(len)))("abc") == 3


@functools.lru_cache
def imported_cache() -> None: ...


def test_the_stack_is_as_deep_below_a_cache_that_arrived(worker: Process) -> None:
    """A recursive function gets as far there as here."""
    scope = script(CACHES, functools=functools, calls=[])
    assert worker.load(dumps(scope["fib"]))(400) > 0


def test_properties_caches_and_dispatch_of_a_class_work(worker: Process) -> None:
    """What functools puts into a class."""
    model = worker.load(dumps(script(CACHES, functools=functools, calls=[])["Model"]))()
    assert model.loaded is model.loaded
    assert (model.ask(1), model.say(1), model.say("x")) == (2, "int", "object")


def test_a_generic_function_dispatches_by_type(worker: Process) -> None:
    """Directly, from its own implementations, and through its registry, which stays the one it looks into."""
    scope = script(CACHES, functools=functools, calls=[])
    assert worker.load(dumps(scope["use_show"]))(3) == ("int", "int")
    show = worker.load(dumps(scope["show"]))
    assert (show("x"), show(True), show([1, "x"])) == ("object", "int", ["int", "object"])
    show.register(str)(lambda x: "str")
    assert (show("x"), str in show.registry, str in scope["show"].registry) == ("str", True, False)


def test_a_thread_local_arrives_empty(worker: Process) -> None:
    """Each thread there fills its own; a subclass begins as it begins everywhere."""
    scope = script("class Local(threading.local):\n    n = 1\ndef get(): return local, own", threading=threading)
    scope.update(local=threading.local(), own=scope["Local"]())
    scope["local"].x = scope["own"].n = 5
    local, own = worker.load(dumps(scope["get"]))()
    assert (vars(local), own.n) == ({}, 1)
    assert worker.load(dumps(scope["get"]))()[0] is local


def test_a_context_variable_is_one_in_each_process(worker: Process) -> None:
    """With its default, if it has one; one that a module has is that module's."""
    scope = script(
        "def get(): return some, none, imported",
        some=contextvars.ContextVar("some", default=1),
        none=contextvars.ContextVar("none"),
        imported=VARIABLE,
    )
    scope["some"].set(5)
    some, none, imported = worker.load(dumps(scope["get"]))()
    assert (some.name, some.get(), none.get(None), imported) == ("some", 1, None, VARIABLE)
    assert worker.load(dumps(scope["get"]))() == (some, none, VARIABLE)
    assert pickle.loads(worker.dumps(lambda: some))() is scope["some"]


class Key:
    """Can be referred to weakly."""

    def __init__(self) -> None:
        self.known: Any = None


def test_weak_containers_keep_what_travels_along(worker: Process) -> None:
    """What nothing else refers to at the other end is not in them there."""
    one, other = Key(), Key()
    values = weakref.WeakValueDictionary({"one": one, "other": other})
    keys, members = weakref.WeakKeyDictionary({one: 1, other: 2}), weakref.WeakSet([one, other])
    one.known = members  # and a registry of instances that know it
    got, values, keys, members = worker.load(dumps([one, values, keys, members]))
    gc.collect()
    assert dict(values) == {"one": got}
    assert dict(keys) == {got: 1}
    assert set(members) == {got}
    assert got.known is members


def test_a_view_of_a_mapping_shows_the_mapping_that_came_along(worker: Process) -> None:
    """`types.MappingProxyType` over a dictionary that others have too."""
    below: dict[str, int] = {"a": 1}
    there, view = worker.load(dumps([below, types.MappingProxyType(below)]))
    there["b"] = 2
    assert view == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "value",
    [threading.Thread(), threading.Timer(1, print), (i for i in "abc")],
    ids=["thread", "timer", "generator"],
)
def test_what_is_more_than_its_attributes_is_refused(value: Any) -> None:
    """A thread is no data, though all its attributes could travel."""
    with pytest.raises(TypeError, match=f"cannot pickle .*{type(value).__name__}"):
        dumps(lambda: value)


def test_a_future_is_refused() -> None:
    """Whoever keeps its promise is in the other process."""
    future: Future[int] = Future()
    with pytest.raises(TypeError, match="cannot pickle 'Future' object"):
        dumps(lambda: future)


def test_what_types_are_written_with_travels(worker: Process) -> None:
    """`NewType`, `ParamSpec` and `TypeVarTuple` of a script, each the same one each time."""
    source = "Id = NewType('Id', int)\nP, Ts = ParamSpec('P'), TypeVarTuple('Ts')\ndef get(): return Id, P, Ts"
    names = {"NewType": typing.NewType, "ParamSpec": typing.ParamSpec, "TypeVarTuple": typing.TypeVarTuple}
    scope = script(source, **names)
    new_type, *parameters = there = worker.load(dumps(scope["get"]))()
    assert (new_type(3), new_type.__supertype__, new_type.__module__) == (3, int, "__main__")
    assert [(made.__name__, made.__module__) for made in parameters] == [("P", "__main__"), ("Ts", "__main__")]
    assert worker.load(dumps(scope["get"]))() == there != scope["get"]()
    assert pickle.loads(worker.dumps(lambda: there))() == scope["get"]()
    assert pickle.loads(dumps([IMPORTED, lambda: 1]))[0] is IMPORTED


IMPORTED = typing.NewType("IMPORTED", int)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there is no `type` statement")
def test_what_a_type_statement_made_travels(worker: Process) -> None:
    """Its value may refer to it, and to its parameters; it is the same one each time, and the program's own at home."""
    source = (
        "type Json = int | list[Json]\ntype Tree[T, *Ts, **P] = tuple[T, Tree[T], *Ts]\n"
        "class Reader:\n    type Out = Json\ndef get(it=Tree[int]): return Json, Tree, Reader.Out"
    )
    scope = script(source)
    get = worker.load(dumps(scope["get"]))
    json, tree, out = get()
    theirs = scope["Json"], scope["Tree"], scope["Reader"].Out
    assert [repr(made.__value__) for made in (json, tree, out)] == [repr(made.__value__) for made in theirs]
    assert (out.__value__, tree.__value__.__args__[0]) == (json, tree.__type_params__[0])
    assert (json.__module__, json is scope["Json"]) == ("__main__", False)
    assert get.__defaults__ == (tree[int],)
    assert worker.load(dumps(scope["get"]))() == (json, tree, out)
    assert pickle.loads(worker.dumps(lambda: (json, tree, out)))() == theirs


def test_tracebacks_have_their_source_lines(worker: Process) -> None:
    """The code knows its file, whatever cloudpickle thinks of it."""

    def fails() -> None:
        raise ValueError("this line")

    there = worker.load(dumps(fails))
    assert there is not fails
    assert there.__code__.co_filename == __file__
    with pytest.raises(ValueError, match="this line") as caught:
        there()
    assert 'raise ValueError("this line")' in "".join(traceback.format_exception(caught.value))


def test_a_module_that_cannot_be_imported_goes_with_the_functions_that_use_it(
    worker: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Functions refer to it by a global; it may refer to itself."""
    module = types.ModuleType("nowhere_to_be_found")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec("import nowhere_to_be_found as me\ntwo = 2\ndef double(x): return x * me.two", vars(module))
    scope = script("def ask(x): return module.double(x)", module=module)
    stream = dumps(scope["ask"])
    monkeypatch.delitem(sys.modules, module.__name__)
    assert worker.load(stream)(4) == 8
