"""The namespace that functions of a program's `__main__` share in a worker.

| the program's value of a name | what code in the worker did       | the next function sees             |
| ----------------------------- | --------------------------------- | ---------------------------------- |
| new, changed, or changed back | whatever                          | the program's value                |
| as it last came               | nothing                           | the program's value                |
| as it last came               | assigned, changed or removed it   | what the worker made of it         |
| removed                       | whatever                          | none, or the builtin of that name  |
| never there                   | nothing                           | none                               |
| never there                   | assigned it                       | what the worker assigned           |
"""

import copy
import math
import pickle
import sys
import types
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.wire import functions, mainglobals
from millpond.wire.byvalue import dumps
from millpond.wire.functions import decode_function, encode_function
from millpond.wire.mainglobals import Namespace


def program(source: str) -> dict[str, Any]:
    """The globals of a script that was run as `__main__`."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(source, scope)
    return scope


def received(function: Any) -> types.FunctionType:
    """The function as the other end has it."""
    return pickle.loads(dumps(function))


def call(function: Any, *args: Any) -> Any:
    """What a worker answers."""
    return decode_function(encode_function(function))(*args)


def namespace_here() -> Namespace:
    """The worker's."""
    assert mainglobals.here is not None
    return mainglobals.here


SCRIPT = """
model = None
cache = {}
limit = 1
def load(value):
    global model
    model = value
    cache["model"] = value
def ask(): return model, cache.get("model"), limit
"""


def test_what_one_function_sets_another_sees() -> None:
    """An initializer's globals are there for the functions that follow, however they are sent."""
    scope = program(SCRIPT)
    received(scope["load"])(5)
    assert received(scope["ask"])() == (5, 5, 1)


def test_the_programs_change_of_a_global_arrives_and_no_other() -> None:
    """A value that changed at home replaces the one here; one that did not leaves what was set here alone."""
    scope = program(SCRIPT)
    received(scope["load"])(5)
    scope["limit"] = 2
    assert received(scope["ask"])() == (5, 5, 2)
    scope["model"] = 7
    assert received(scope["ask"])() == (7, 5, 2)


def test_a_value_that_cannot_be_compared_is_taken_to_have_changed() -> None:
    """The program's own object is sent with each function that refers to it."""
    scope = program("class Box: pass\nbox = Box()\nbox.n = 1\ndef ask(): return box.n")
    assert received(scope["ask"])() == 1
    scope["box"].n = 2
    assert received(scope["ask"])() == 2


@pytest.mark.parametrize(
    "value", [1, True, 1.0, 0.0, -0.0, math.nan, -math.nan, "1", b"1", None, ..., 1j, (0.0,), (-0.0,)]
)
def test_values_that_compare_equal_are_told_apart(value: Any) -> None:
    """As by `repr` and the sign: 1 is not True, and 0.0 not -0.0, wherever they stand."""
    source = "def ask(): return x\ndef default(x=0): return x\ndef inner(): return ask()\ndef more(*, x=0): return x"
    scope = program(source)
    for other in (1, True, 1.0, 0.0, -0.0, math.nan, (0.0,), (-0.0,)):
        for now in (other, value, other):
            scope["x"] = now
            scope["default"].__defaults__ = (now,)
            scope["more"].__kwdefaults__["x"] = now
            for name in ("ask", "default", "inner", "more"):
                assert pickle.dumps(call(scope[name])) == pickle.dumps(now)


REDEFINED = {
    "helper": ["def helper(): return 1", "def helper(): return 2"],
    "helper's default": ["def helper(x=1): return x", "def helper(x=2): return x"],
    "helper's keyword default": ["def helper(*, x=1): return x", "def helper(*, x=2): return x"],
    "lambda": ["helper = lambda: 1", "helper = lambda: 2"],
    "closure": [f"def make(x):\n    return lambda: x\nhelper = make({x})" for x in (1, 2)],
    "class": [f"class helper:\n    def __new__(cls): return {x}" for x in (1, 2)],
    "builtin": ["def helper(): return len('a')", "def helper(): return len('a')\ndef len(x): return 2"],
    "helper's code": ["def helper(): return 1", "def other(): return 2\nhelper.__code__ = other.__code__"],
    "helper's attribute": ["def helper(): return helper.x\nhelper.x = 1", "helper.x = 2"],
    "recursion": [f"def helper(n={x}): return n or turn(n)\ndef turn(n): return helper(n - 1)" for x in (1, 2)],
    "class body": [f"x = {x}\ndef helper():\n    class A:\n        y = x\n    return A.y" for x in (1, 2)],
    "method": ["x = 1\nclass A:\n    def get(self): return x\ndef helper(): return A().get()", "x = 2"],
    "module": [f"import {x} as m\ndef helper(): return len(m.__name__) - 3" for x in ("math", "cmath")],
    "imported": [f"from math import {x} as rounded\ndef helper(): return rounded(1.5)" for x in ("floor", "ceil")],
    "partial": [f"import functools\nhelper = functools.partial(int, {x})" for x in (1, 2)],
    "assigns": [f"def helper():\n    global y\n    y = {x}\n    return y" for x in (1, 2)],
    "comprehension": [f"x = {x}\ndef helper(): return [[x for _ in 'a'] for _ in 'a'][0][0]" for x in (1, 2)],
}  # fmt: skip


@pytest.mark.parametrize("name", REDEFINED)
def test_what_is_redefined_is_what_is_called(name: str) -> None:
    """Functions call each other by name, as in a module; a cell of a notebook may be run again, and then as it was."""
    scope = program(REDEFINED[name][0] + "\ndef ask(): return helper()")
    assert call(scope["ask"]) == 1
    exec(REDEFINED[name][1], scope)
    assert call(scope["ask"]) == 2
    scope.pop("len", None)
    exec(REDEFINED[name][0], scope)
    assert call(scope["ask"]) == 1


def test_a_function_changed_in_place_is_sent_anew() -> None:
    """Its code, its defaults and its attributes are parts of it, also when it is the same object."""
    scope = program(
        "def ask(x=1, *, y=1, w=None): return x, y, ask.__dict__.get('z', 1)\ndef other(x=1, *, y=1): return x + 2"
    )
    ask = scope["ask"]
    assert call(ask) == (1, 1, 1)
    ask.__defaults__ = (2,)
    assert call(ask) == (2, 1, 1)
    ask.__kwdefaults__["y"] = 2
    assert call(ask) == (2, 2, 1)
    del ask.__kwdefaults__["w"]
    with pytest.raises(TypeError, match="w"):
        call(ask)
    ask.__kwdefaults__["w"] = 1
    assert call(ask) == (2, 2, 1)
    ask.__kwdefaults__ = {"y": 3, "w": 1}
    assert call(ask) == (2, 3, 1)
    ask.z = 4
    assert call(ask) == (2, 3, 4)
    ask.__code__ = scope["other"].__code__
    assert call(ask) == 4


def test_a_name_that_the_program_removed_is_removed() -> None:
    """Its functions then raise `NameError`, or find the builtin that was hidden."""
    scope = program("x = 1\ndef len(text): return 5\ndef ask(): return x\ndef measure(): return len('ab')")
    assert (call(scope["ask"]), call(scope["measure"])) == (1, 5)
    del scope["x"], scope["len"]
    with pytest.raises(NameError):
        call(scope["ask"])
    assert call(scope["measure"]) == 2


def test_a_name_that_a_call_removed_stays_away() -> None:
    """As in any process, until the program has another value."""
    scope = program("x = 1\ny = []\ndef ask(): return x, y\ndef remove():\n    global x, y\n    del x, y")
    call(scope["remove"])
    for _ in range(2):
        with pytest.raises(NameError):
            call(scope["ask"])
    scope["x"] = 2
    scope["y"].append(1)
    assert call(scope["ask"]) == (2, [1])


def test_a_value_that_came_by_itself_is_not_for_calls_made_before() -> None:
    """They have the values of their time, and the next call has its own again."""
    scope, here = program("x = 1\ndef ask(): return x"), namespace_here()
    before = encode_function(scope["ask"])
    assert decode_function(before)() == 1
    scope["x"] = 2
    here.define("x", 2)
    assert here.names["x"] == 2
    assert (decode_function(before)(), call(scope["ask"])) == (1, 2)


def test_what_a_call_assigns_lasts_however_it_is_assigned() -> None:
    """By a statement, through `globals()`, in the module, and from a function that another call left behind."""
    scope = program("""
n = 0
def by_statement():
    global n
    n += 1
def by_name(): globals()["n"] += 1
def leave():
    global left
    left = by_statement
def by_what_was_left(): left()
def ask(): return n
""")
    for number, name in enumerate(("by_statement", "by_name", "by_statement", "leave", "by_what_was_left"), 1):
        call(scope[name])
        assert call(scope["ask"]) == number - (number > 3)


def test_methods_and_functions_see_the_same() -> None:
    """A class that is there already sees what the program changed since."""
    scope = program("x = 1\nclass Box:\n    def get(self): return x\ndef ask(): return x")
    box = scope["Box"]()
    for scope["x"] in (1, 2, 1):
        assert (call(box.get), call(scope["ask"]), call(box.get)) == (scope["x"],) * 3


def test_the_program_shares_nothing_with_what_results_bring() -> None:
    """A function in a result keeps the values that it had in its worker, beside another one with others."""
    scope = program("x = 1\ndef ask(): return x")
    mainglobals.share(None)
    first = received(scope["ask"])
    scope["x"] = 2
    second = received(scope["ask"])
    assert (first(), second(), scope["x"]) == (1, 2, 2)


def test_a_function_of_the_script_comes_home_as_the_programs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker did to it, and to its globals, stays there. One of other code is another."""
    main = types.ModuleType("__main__")
    source = """
limit = 1
def ask(given=[]): return limit, given, again
def again(function=ask): return function
def marked(function):
    def wrapper(): return function()
    wrapper.__name__ = function.__name__
    wrapper.mark = 1
    return wrapper
@marked
def decorated(): return decorated
def redefined(): return 1
"""
    exec(source, vars(main))
    names = ("ask", "again", "decorated", "redefined")
    worker = namespace_here().names
    worker.update(zip(names, pickle.loads(dumps([vars(main)[name] for name in names])), strict=True))
    exec("limit = 2\nask.__defaults__[0].append(3)\ndecorated.mark = 2\ndef redefined(): return 2", worker)
    stream = dumps([worker[name] for name in names])
    monkeypatch.setitem(sys.modules, "__main__", main)
    mainglobals.share(None)
    *own, redefined = pickle.loads(stream)
    assert own == [main.ask, main.again, main.decorated]
    assert (main.ask(), main.decorated.mark) == ((1, [], main.again), 1)
    assert (redefined(), main.redefined()) == (2, 1)


def test_what_is_called_while_it_arrives_finds_its_globals() -> None:
    """A class may run code as soon as it is set up."""
    scope = program("""
seen = []
class Base:
    def __init_subclass__(cls): note(cls.__name__)
def note(name): seen.append(name)
class Child(Base): pass
seen.clear()
def ask(): return Child.__name__, seen
""")
    assert call(scope["ask"])[0] == "Child"


VALUES = [1, True, 1.0, 0.0, -0.0, math.nan, "a", None]
HELPERS = ["def h(): return 'A', x", "def h(): return 'B', x", "def h(n=1): return 'A', x", "h = lambda: ('C', y)"]
FUNCTIONS = """
def plain(): return x, y
def helped(): return h(), y
def comprehended(): return [(x, i) for i in range(2)]
def assign(value):
    global x
    x = value
    return x
def remove():
    global x
    del x
def grow():
    k.append(0)
    return list(k), x
def grow_helped():
    k.append(1)
    return list(k), h()
"""
USES = {  # the names a call brings along
    "plain": "xy", "helped": "xyh", "comprehended": "x", "assign": "x", "remove": "x", "grow": "kx",
    "grow_helped": "kxyh", "lambda": "x", "closure": "xy",
}  # fmt: skip
names_of_values = st.sampled_from("xy")
actions = st.lists(
    st.one_of(
        st.tuples(st.just("set"), names_of_values, st.sampled_from(VALUES)),
        st.tuples(st.just("unset"), names_of_values, st.none()),
        st.tuples(st.just("redefine"), st.just("h"), st.sampled_from(HELPERS)),
        st.tuples(st.just("append"), st.just("k"), st.integers(2, 3)),
        st.tuples(st.just("send"), st.sampled_from(sorted(USES)), st.sampled_from(VALUES)),
        st.tuples(st.just("run"), st.none(), st.none()),
    ),
    max_size=40,
)


class Oracle:
    """A worker in plain Python: its names, and what of them came last, each function compiled anew for each call."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.last: dict[str, str] = {}

    def call(self, name: str, sent: dict[str, Any], argument: Any) -> str:
        for each, value in sent.items():
            if self.last.get(each, "absent") != told(value):
                self.last[each] = told(value)
                self.names.pop(each, None)
                if value != "absent":
                    self._assign(each, value)
        source = {
            "lambda": "called = lambda: ('lambda', x)",
            "closure": f"called = lambda: ({argument!r}, x, y)".replace("nan", "1e999-1e999"),
        }
        local: dict[str, Any] = {}
        exec(source.get(name, FUNCTIONS + f"\ncalled = {name}"), self.names | {"nan": math.nan}, local)
        called = types.FunctionType(local["called"].__code__, self.names)
        return outcome(called, *([argument] if name == "assign" else []))

    def _assign(self, name: str, value: Any) -> None:
        if name == "h":
            exec(value, self.names)
        else:
            self.names[name] = copy.copy(value)


def told(value: Any) -> str:
    """What tells values apart."""
    return f"{type(value)} {value!r}"


def outcome(function: Any, *args: Any) -> str:
    """What a call returns, with signs and types, or raises."""
    try:
        return repr(function(*args))
    except NameError:
        return "NameError"


def _start() -> dict[str, Any]:
    functions._arrived.clear()
    mainglobals.share(Namespace({"__name__": "__main__"}))
    scope = program(f"x = 1\ny = 1\nk = []\n{HELPERS[0]}\n{FUNCTIONS}")
    scope["h.source"] = HELPERS[0]
    return scope


def _sent(scope: dict[str, Any], name: str, argument: Any) -> tuple[bytes, str, dict[str, Any], Any]:
    function = scope.get(name)
    if name == "lambda":
        function = eval("lambda: ('lambda', x)", scope)
    elif name == "closure":
        function = eval("(lambda v: lambda: (v, x, y))", scope)(argument)
    values = {each: copy.copy(scope.get("h.source" if each == "h" else each, "absent")) for each in USES[name]}
    return encode_function(function), name, values, argument


@settings(max_examples=200, deadline=None)
@given(actions)
def test_each_call_sees_what_a_worker_in_plain_python_would(steps: list[tuple[str, Any, Any]]) -> None:
    """Whatever the program rebinds, removes, redefines and changes back, and however many calls wait in between."""
    scope, oracle = _start(), Oracle()
    waiting: list[tuple[bytes, str, dict[str, Any], Any]] = []
    for action, name, value in [*steps, *[("run", None, None)] * 40]:
        if action == "set":
            scope[name] = value
        elif action == "unset":
            scope.pop(name, None)
        elif action == "redefine":
            exec(value, scope)
            scope["h.source"] = value
        elif action == "append":
            scope["k"].append(value)
        elif action == "send":
            waiting.append(_sent(scope, name, value))
        elif waiting:
            blob, called, sent, argument = waiting.pop(0)
            arguments = [argument] if called == "assign" else []
            assert outcome(decode_function(blob), *arguments) == oracle.call(called, sent, argument), called
