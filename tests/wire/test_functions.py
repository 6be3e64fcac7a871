"""Functions on their way: found by name or carried by value, and kept only while they mean the same."""

from __future__ import annotations

import functools
import json
import math
import operator
import os.path
import sys
import types
from typing import Any

import pytest

from millpond.wire import functions
from millpond.wire.codec import CodecError
from millpond.wire.functions import KEPT_BY_PARENT, decode_function, encode_function, function_name


@pytest.fixture(autouse=True)
def _nothing_kept():
    """Each test starts with empty caches."""
    functions._blobs.clear()
    functions._arrived.clear()


def script(source: str, **names: Any) -> types.SimpleNamespace:
    """Functions as a `__main__` script would define them; `scope` are its globals."""
    scope = {"__name__": "__main__", **names}
    exec(source, scope)
    return types.SimpleNamespace(scope=scope, **{name: scope[name] for name in scope if callable(scope[name])})


def run(function: Any, *arguments: Any) -> Any:
    """What the worker gets out of the function."""
    return decode_function(encode_function(function))(*arguments)


def is_kept(function: Any) -> bool:
    """Whether the parent used the blob it had."""
    return encode_function(function) is encode_function(function)


@pytest.mark.parametrize("function", [os.path.join, json.dumps, math.sqrt, len, Exception, operator.itemgetter])
def test_what_can_be_imported_travels_by_name(function: Any):
    """The same object comes out, the blob is short, and it is made once."""
    blob = encode_function(function)
    assert decode_function(blob) is function
    assert len(blob) < 100
    assert is_kept(function)


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        (lambda x: x + 1, (1,), 2),
        (functools.partial(operator.add, 5), (1,), 6),
        (functools.partial(lambda x, y: x - y, 5), (1,), 4),
        ("text".upper, (), "TEXT"),
        ([1, 2].count, (2,), 1),
        (operator.itemgetter(1), ("ab",), "b"),
    ],
)
def test_every_callable_can_be_sent(function: Any, arguments: tuple[Any, ...], result: Any):
    """Lambdas, partials, bound methods and callable objects."""
    assert run(function, *arguments) == result


def test_a_function_of_main_is_not_looked_up_by_name(monkeypatch: pytest.MonkeyPatch):
    """The worker's `__main__` is another module."""
    made = script("def answer(): return 42")
    monkeypatch.setattr(sys.modules["__main__"], "answer", made.answer, raising=False)
    blob = encode_function(made.answer)
    monkeypatch.delattr(sys.modules["__main__"], "answer")
    assert decode_function(blob)() == 42


SELF_CONTAINED = {
    "nothing": "def f(): return 1",
    "builtins": "def f(x=3, *, y='k'): return len(str(x))",
    "module": "import math\ndef f(): return math.pi",
    "constant": "limit = 3\ndef f(): return limit",
    "recursion": "def f(n=5): return n if n < 2 else f(n - 1) + f(n - 2)",
    "other": "def g(): return 1\ndef f(): return g()",
    "sets a global": "n = 0\ndef f():\n    global n\n    n += 1\n    return n",
    "inner sets a global": "n = 0\ndef f():\n    def g():\n        global n\n        n = 1\n    return g()",
    "deletes a global": "n = 0\ndef f():\n    global n\n    del n",
    "keyword default": "def f(*, x=1): return x",
    "inner": "import math\ndef f(): return [math.floor(x) for x in (lambda: [1])()]",
    "imported function": "from os.path import join\ndef f(): return join('a', 'b')",
}


@pytest.mark.parametrize("name", SELF_CONTAINED)
def test_a_function_of_main_that_says_everything_is_pickled_once(name: str):
    """Pickling by value takes a hundred times as long as looking it up."""
    made = script(SELF_CONTAINED[name])
    assert is_kept(made.f)
    assert run(made.f) == made.f()


CHANGEABLE = {
    "list": "things = []\ndef f(): return things",
    "class": "class A: pass\ndef f(): return A",
    "default": "def f(x=[]): return x",
    "mutable keyword default": "def f(*, x={}): return x",
    "attribute": "def f(): return f.n\nf.n = 1",
    "other": "things = []\ndef g(): return things\ndef f(): return g()",
    "closure": "def make():\n    things = []\n    return lambda: things\nf = make()",
    "class body": "things = []\ndef f():\n    class A:\n        x = things\n    return A",
}


@pytest.mark.parametrize("name", CHANGEABLE)
def test_a_function_that_may_have_changed_is_pickled_anew(name: str):
    """What it refers to can change without a trace: two calls make two blobs, and the worker keeps neither."""
    made = script(CHANGEABLE[name])
    assert not is_kept(made.f)
    blob = encode_function(made.f)
    assert decode_function(blob) is not decode_function(blob)


def test_a_module_that_travels_by_value_may_have_changed(monkeypatch: pytest.MonkeyPatch):
    """One that no other process can import is pickled as it is at each call."""
    plugin = types.ModuleType("plugin_from_a_file")
    exec("limit = 1\ndef check(): ...", vars(plugin))
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    function = script("def f(n): return n < plugin.limit", plugin=plugin).f
    assert not run(function, 1)
    plugin.limit = 2
    assert run(function, 1)


@pytest.mark.parametrize("change", ["n += 1", "del n"])
def test_a_function_of_another_module_that_assigns_globals_is_pickled_anew(change: str):
    """By value it has globals of its own in the worker: those of one call are not those of the next."""
    made = script(f"n = 1\ndef f():\n    global n\n    {change}", __name__="elsewhere")
    assert not is_kept(made.f)


def test_the_worker_keeps_a_function_of_another_module_that_says_everything():
    """As it keeps one of `__main__`."""
    blob = encode_function(script("n = 1\ndef f(): return n", __name__="elsewhere").f)
    assert decode_function(blob) is decode_function(blob)


def test_a_callable_with_values_inside_is_pickled_anew():
    """A partial's or a bound method's object may have changed since the last call."""
    things = [1]
    for callable_ in (functools.partial(len, things), things.__len__):
        assert run(callable_) == len(things)
        things.append(2)
        assert run(callable_) == len(things)


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("limit = 1\ndef f(): return limit", {"limit": 2}),
        ("def g(): return 1\ndef f(): return g()", {"g": lambda: 2}),
        ("def h(): return 1\ndef g(): return h()\ndef f(): return g()", {"h": lambda: 2}),
        ("n = 1\ndef f(): return [n for _ in 'x'][0]", {"n": 2}),
        ("def f(): return (lambda: limit)() if 'limit' in globals() else 1", {"limit": 2}),
        ("def f(): return len('x')", {"len": lambda text: 2}),
    ],
)
def test_a_changed_global_reaches_the_worker(source: str, change: dict[str, Any]):
    """Also one that was not there before, one that hides a builtin, and one that only a called function uses."""
    made = script(source)
    assert run(made.f) == 1
    made.scope.update(change)
    assert run(made.f) == 2


def test_state_of_a_call_does_not_reach_the_next():
    """A closure that the worker changed is as the parent has it in the next call."""
    things: list[int] = []

    def count() -> int:
        things.append(1)
        return len(things)

    blob = encode_function(count)
    assert [decode_function(blob)(), decode_function(blob)()] == [1, 1]
    assert things == []


def test_the_worker_keeps_a_function_that_says_everything():
    """Equal blobs, which arrive as new bytes each time, give the same function."""
    blob = encode_function(script("def f(): return 1").f)
    assert decode_function(bytes(bytearray(blob))) is decode_function(blob)


def test_the_parent_keeps_a_bounded_number_of_blobs():
    """A program that makes functions in a loop does not grow."""
    made = [script(f"def f(): return {number}").f for number in range(KEPT_BY_PARENT + 10)]
    for function in made:
        encode_function(function)
    assert len(functions._blobs) == KEPT_BY_PARENT
    assert [run(function) for function in made] == list(range(KEPT_BY_PARENT + 10))


def test_another_function_at_the_same_address_is_not_mistaken():
    """The function kept is compared, not only its id."""
    one = script("def f(): return 1").f
    encode_function(one)
    functions._blobs[id(len)] = functions._blobs[id(one)]
    assert run(len, "abc") == 3


def test_what_cannot_be_sent_is_an_error():
    """A function over a generator, and a blob of noise."""
    numbers = (number for number in range(3))
    with pytest.raises(CodecError, match=r"'generator' object \(at .*<lambda>.__closure__\['numbers'\]\)"):
        encode_function(lambda: numbers)
    for noise in (b"", b"k", b"knoise", b"fnoise"):
        with pytest.raises(CodecError):
            decode_function(noise)


class Callable:
    """Has no name of its own."""

    def __call__(self) -> None: ...

    def method(self) -> None: ...


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (json.dumps, "json.dumps"),
        (len, "builtins.len"),
        (functools.partial(functools.partial(json.dumps, 1), 2), "json.dumps"),
        (Callable(), f"{__name__}.Callable"),
        (Callable().method, f"{__name__}.Callable.method"),
        (Callable, f"{__name__}.Callable"),
    ],
)
def test_every_callable_has_a_name(function: Any, name: str):
    """Breakers and statistics go by it."""
    assert function_name(function) == name
