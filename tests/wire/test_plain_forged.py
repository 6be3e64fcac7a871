"""Data that no honest worker sends: it makes the parent run no code of any class, and import nothing."""

from __future__ import annotations

import os
import pickle
import sys
import types
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.wire.plain import decode_exception, find_exception_class


class Slotted(Exception):
    """Has a native attribute of its own."""

    __slots__ = ("note",)


class Guarded(Exception):
    """Setting an attribute, restoring a state or comparing runs code; so must not happen."""

    ran: list[str] = []

    def __setattr__(self, name: str, value: object) -> None:
        Guarded.ran.append(f"set {name}")

    def __setstate__(self, state: object) -> None:
        Guarded.ran.append("setstate")

    @property
    def watched(self) -> None: ...

    @watched.setter
    def watched(self, value: object) -> None:
        Guarded.ran.append("property")

    def __eq__(self, other: object) -> bool:
        Guarded.ran.append("eq")
        return True

    def __hash__(self) -> int:
        Guarded.ran.append("hash")
        return 1


class Shifty(Exception):
    """Makes something else than itself."""

    def __new__(cls, *args: object) -> Any:
        return ValueError("something else")


class Outer:
    """A place for a class inside a class."""

    class Inner(Exception):
        """Found by its dotted name."""


def data_of(*parts: Any) -> bytes:
    """An exception's data as a hostile worker can make it: module, class, arguments, attributes, args."""
    return msgspec.msgpack.encode(["e", *parts])


def test_classes_are_found_among_the_loaded_modules_only(monkeypatch: pytest.MonkeyPatch):
    """An import runs code; `antigravity` opens a browser."""
    for module in ("antigravity", "this", "no.such.module"):
        monkeypatch.delitem(sys.modules, module, raising=False)
        with pytest.raises(LookupError):
            find_exception_class(module, "Exception")
        assert module not in sys.modules
    assert find_exception_class("json.decoder", "JSONDecodeError") is JSONDecodeError
    assert find_exception_class(__name__, "Outer.Inner") is Outer.Inner


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "object"),
        ("tempfile", "_os.system"),
        ("builtins", "ValueError.__init__"),
        ("builtins", "ValueError.with_traceback"),
        ("builtins", ""),
        ("", ""),
        (__name__, "Outer"),
        (__name__, "Outer.Missing"),
    ],
)
def test_only_exception_classes_are_found(module: str, name: str):
    """Functions, other classes, and names that lead through modules are not."""
    with pytest.raises(LookupError):
        find_exception_class(module, name)
    with pytest.raises((LookupError, TypeError)):
        decode_exception(data_of(module, name, ["x"], [], None))


def test_looking_for_a_class_runs_nothing(monkeypatch: pytest.MonkeyPatch):
    """Neither a module's `__getattr__` nor a lazy module's loading."""
    ran: list[str] = []

    class Lazy(types.ModuleType):
        def __getattribute__(self, name: str) -> Any:
            ran.append(name)
            return super().__getattribute__(name)

    module = Lazy("lazy")
    object.__getattribute__(module, "__dict__")["__getattr__"] = ran.append
    monkeypatch.setitem(sys.modules, "lazy", module)
    monkeypatch.setitem(sys.modules, "odd", types.SimpleNamespace(Error=ValueError))
    ran.clear()
    with pytest.raises(LookupError):
        find_exception_class("lazy", "Error")
    with pytest.raises(LookupError):
        find_exception_class("odd", "Error")
    assert ran == []


def test_attributes_are_set_without_running_code():
    """Setters, `__setattr__`, `__setstate__` and comparisons of the exception's class are passed by."""
    Guarded.ran.clear()
    out = decode_exception(data_of(__name__, "Guarded", ["x"], [["watched", 1], ["other", 2]], ["y"]))
    assert (out.args, out.__dict__, Guarded.ran) == (("y",), {"watched": 1, "other": 2}, [])


def test_an_exception_that_is_made_runs_no_code_of_its_class():
    """Neither `__new__` nor `__init__`, whatever arguments are said to be its own."""
    out = decode_exception(data_of(__name__, "Shifty", ["x"], [["other", 2]], None))
    assert (type(out), out.args, out.__dict__) == (Shifty, ("x",), {"other": 2})


def test_native_attributes_are_set_where_they_live():
    """A slot is filled, and not shadowed by an entry that nobody reads."""
    out = decode_exception(data_of(__name__, "Slotted", [], [["note", "n"], ["name", "x"]], None))
    assert (out.note, out.__dict__) == ("n", {"name": "x"})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x91" * 200_000,
        msgspec.msgpack.encode("text"),
        msgspec.msgpack.encode(["t", []]),
        msgspec.msgpack.encode([]),
        msgspec.msgpack.encode(["?", []]),
        msgspec.msgpack.encode(["e", "builtins", "ValueError"]),
        data_of("builtins", "ValueError", [["n", "os", "system", ["true"]]], [], None),
        data_of("builtins", "ValueError", [["n", "pathlib", "Path.unlink", ["/x"]]], [], None),
        data_of("builtins", "ValueError", [["n", "builtins", "complex", ["no number"]]], [], None),
        data_of("builtins", "ValueError", [["y", 2**40]], [], None),
        data_of("builtins", "ValueError", [["y", "text"]], [], None),
        data_of("builtins", "ValueError", [["i", "os"]], [], None),
        data_of("builtins", "ValueError", [["s", [["l", []]]]], [], None),
        data_of("builtins", "ValueError", [["s", [["e", __name__, "Guarded", [], [], None]]]], [], None),
        data_of("builtins", "ValueError", [["d", [[["e", __name__, "Guarded", [], [], None], 1]]]], [], None),
        data_of("builtins", "ValueError", [], [["__class__", 1]], None),
        data_of("builtins", "ValueError", [], [[1, 2, 3]], None),
        data_of("builtins", "UnicodeDecodeError", ["x"], [], None),
        data_of("builtins", "ExceptionGroup", ["x", []], [], None),
        data_of(
            "builtins",
            "BaseExceptionGroup",
            ["x", ["l", [["e", "builtins", "ValueError", [], [], None]]]],
            [],
            None,
        ),
        data_of("builtins", "object", [], [], None),
    ],
)
def test_data_that_is_no_exception_raises(data: bytes):
    """Whatever it is; the caller turns every error into the text of the exception."""
    Guarded.ran.clear()
    with pytest.raises(Exception):  # noqa: B017
        decode_exception(data)
    assert Guarded.ran == []


def test_a_byte_array_costs_the_bytes_that_came():
    """A number where bytes belong would be a size to allocate."""
    with pytest.raises(TypeError):
        decode_exception(data_of("builtins", "ValueError", [["y", 5]], [], None))


def test_a_pickle_is_not_data(tmp_path: Path):
    """Nothing here unpickles, whatever the data says it is."""

    class Evil(Exception):
        def __reduce__(self) -> Any:
            return (os.system, (f"touch {tmp_path / 'marker'}",))

    evil = pickle.dumps(Evil())
    with pytest.raises(Exception):  # noqa: B017
        decode_exception(evil)
    assert decode_exception(data_of("builtins", "ValueError", [evil], [], None)).args == (evil,)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=200)
@given(st.binary(max_size=100))
def test_noise_raises_or_is_an_exception(noise: bytes):
    """No bytes crash the reader."""
    try:
        out: Any = decode_exception(noise)
    except Exception:
        return
    assert isinstance(out, BaseException)
