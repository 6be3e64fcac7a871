"""What cannot travel is refused with the path that leads to it."""

from __future__ import annotations

import collections
import functools
import pickle
import threading
import types
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from millpond.wire import refusal
from millpond.wire.byvalue import dumps
from millpond.wire.codec import CodecError, PickleCodec
from millpond.wire.handlerspec import encode_arguments, encode_handler
from tests.wire.other_process import script


def numbers() -> Any:
    """Something that nothing can carry."""
    return (number for number in range(3))


class Model:
    """Holds what it is given."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def method(self) -> None: ...


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held


def keeps(value: Any) -> Callable[[], Any]:
    return lambda: value


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: Model(model=Model(source=numbers())), "args[0].model.source"),
        (lambda: {"a": [1, (2, numbers())]}, "args[0]['a'][1][1]"),
        (lambda: collections.deque([numbers()]), "args[0][0]"),
        (lambda: collections.OrderedDict(a=numbers()), "args[0]['a']"),
        (lambda: Slotted(Slotted(numbers())), "args[0].held.held"),
        (lambda: functools.partial(print, 1, end=numbers()), "args[0].keywords['end']"),
        (lambda: Model(items=[numbers()]).method, "args[0].__self__.items[0]"),
        (lambda: keeps(numbers()), "args[0].__closure__['value']"),
        (lambda: types.MappingProxyType({"a": numbers()}), "args[0]['a']"),
        (lambda: type("Made", (), {"__module__": "__main__", "open": numbers()}), "args[0].open"),
    ],
)
def test_the_path_is_that_of_attributes_keys_and_places(make: Callable[[], Any], path: str) -> None:
    """Through objects, containers, functions and classes; positional and by name."""
    error = refused(lambda: PickleCodec().encode_arguments((make(),), {}))
    assert f"(at {path})" in str(error)
    error = refused(lambda: PickleCodec().encode_arguments((1,), {"given": make()}))
    rest = path.removeprefix("args[0]")
    assert f"(at kwargs['given']{rest})" in str(error)
    assert f"(at value[0]{rest})" in str(refused(lambda: PickleCodec().encode([make()])))


def refused(encode: Callable[[], Any]) -> CodecError:
    with pytest.raises(CodecError, match="cannot pickle") as caught:
        encode()
    assert isinstance(caught.value.__cause__, TypeError)
    return caught.value


@pytest.mark.parametrize("make", [numbers, zlib.compressobj])
def test_a_global_of_the_script_is_named(make: Callable[[], Any]) -> None:
    """Of the function that was submitted, or of one that it calls."""
    scope = script("def look(): return VALUE\ndef calls(): return look()", VALUE=make())
    with pytest.raises(TypeError, match=r"\(at look.__globals__\['VALUE'\]\)"):
        dumps(scope["look"])
    with pytest.raises(TypeError, match=r"\(at calls.__globals__\['look'\].__globals__\['VALUE'\]\)"):
        dumps(scope["calls"])


def test_a_handler_and_its_arguments_say_where() -> None:
    """They are refused when the pool is made."""
    scope = script("class Handler:\n    source = VALUE\n    def run(self): ...", VALUE=numbers())
    with pytest.raises(TypeError, match=r"\(at Handler.source\)"):
        encode_handler(scope["Handler"])
    with pytest.raises(TypeError, match=r"\(at kwargs\['source'\]\)"):
        encode_arguments((1,), {"source": numbers()})


def test_a_lock_that_is_to_be_shared_is_named() -> None:
    """It could travel, but not as what it is meant to be."""
    with pytest.raises(CodecError, match=r"can be shared \(at args\[0\]\['lock'\]\)"):
        PickleCodec().encode_arguments(({"lock": threading.Lock()},), {})


def test_a_lock_among_the_arguments_of_a_partial_is_refused() -> None:
    """They are arguments as any."""
    with pytest.raises(TypeError, match=r"can be shared \(at value.args\[0\]\)"):
        dumps(functools.partial(keeps, threading.Lock()))


def test_a_path_is_not_looked_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """In what is large the refusal comes without one."""
    monkeypatch.setattr(refusal, "MOST_OBJECTS", 50)
    with pytest.raises(TypeError, match=r"cannot pickle 'generator' object$"):
        dumps([*range(100), numbers()])
    monkeypatch.setattr(refusal, "MOST_ITEMS", 5)
    assert len(pickle.loads(dumps([threading.Lock(), *range(10)]))) == 11


class Odd:
    """Raises what is no plain message, or nothing the second time."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __reduce__(self) -> Any:
        if self.errors:
            raise self.errors.pop()
        return int, ()

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise ValueError("nobody looks into me")


def test_an_error_without_a_path_stays_as_it_is() -> None:
    """Nothing is said that is not known, and what a value's methods raise is not replaced."""
    for error in (KeyError("k"), OSError(2, "no"), TypeError("only once")):
        with pytest.raises(type(error)) as caught:
            dumps([Odd(error), lambda: 1])
        assert caught.value is error
        assert "(at" not in str(error)


def test_an_object_whose_methods_fail_ends_the_path() -> None:
    """What can be said before it is said."""
    with pytest.raises(TypeError, match=r"twice \(at value\[1\]\)"):
        dumps([lambda: 1, Odd(TypeError("twice"), TypeError("twice"))])
