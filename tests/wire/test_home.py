"""The namespace that functions of a program's `__main__` share in another process."""

import pickle
import types
from typing import Any

from millpond.wire.byvalue import dumps


def program(source: str) -> dict[str, Any]:
    """The globals of a script that was run as `__main__`."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(source, scope)
    return scope


def received(function: Any) -> types.FunctionType:
    """The function as the other end has it."""
    return pickle.loads(dumps(function))


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


def test_a_redefined_function_is_the_one_that_is_called() -> None:
    """Functions call each other by name, as in a module."""
    scope = program("def helper(): return 1\ndef ask(): return helper()")
    assert received(scope["ask"])() == 1
    exec("def helper(): return 2", scope)
    assert received(scope["ask"])() == 2
