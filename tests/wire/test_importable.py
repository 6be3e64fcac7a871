"""What another process can import by the name it has here."""

from __future__ import annotations

import collections.abc
import importlib.util
import os.path
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from millpond.wire import importable
from millpond.wire.byvalue import dumps
from millpond.wire.codec import PickleCodec
from millpond.wire.functions import decode_function, encode_function
from millpond.wire.handlerspec import encode_arguments, encode_handler
from millpond.wire.importable import can_import, is_importable
from tests.wire.other_process import Process

SOURCE = """
import enum
class Handler:
    def double(self, x): return 2 * x
class Refused(Exception): pass
class Color(enum.Enum):
    RED = 1
def double(x): return 2 * x
def fails(): raise Refused("x")
"""


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads a module from a file where nobody looks for it, as pytest's importlib mode and plugin loaders do."""
    monkeypatch.setattr(importable, "_found", {})

    def load(name: str) -> types.ModuleType:
        path = tmp_path / f"{name.rpartition('.')[2]}.py"
        path.write_text(SOURCE)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_a_module_that_only_its_loader_finds_cannot_be_imported(loaded: Any) -> None:
    """Its `__spec__` looks like any other; at the top, in a package, and under a package's module."""
    for name in ("plug_in_nowhere", "json.plug", "json.decoder.plug", "not_there.plug"):
        assert loaded(name).__spec__.origin
        assert not can_import(name)


def test_a_module_that_another_one_hides_cannot_be_imported(loaded: Any) -> None:
    """The name leads to other code there."""
    assert can_import("colorsys")
    loaded("colorsys")
    assert not can_import("colorsys")


def test_a_module_made_from_nothing_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it belongs to a package, which makes it wherever it is imported, or is made by compiled code."""
    monkeypatch.setitem(sys.modules, "made_from_nothing", types.ModuleType("made_from_nothing"))
    assert can_import("made_from_nothing")
    for name, can in (("made_from_nothing", False), ("json.made", True), ("__main__", False)):
        module = types.ModuleType(name)
        module.function = lambda: 1
        monkeypatch.setitem(sys.modules, name, module)
        assert can_import(name) == can


@pytest.mark.parametrize(
    "name", ["json", "json.decoder", "os.path", "collections.abc", "_io", "numpy.linalg", __name__]
)
def test_a_module_that_the_import_system_finds_can_be_imported(name: str) -> None:
    """Built in, encoded, an alias, compiled, or of the program."""
    assert can_import(name)
    assert os.path is sys.modules["os.path"]
    assert collections.abc is sys.modules["collections.abc"]


def test_it_can_be_imported_once_the_program_sees_to_it(
    loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not found is looked for again."""
    loaded("plug_in_nowhere")
    assert not can_import("plug_in_nowhere")
    monkeypatch.syspath_prepend(tmp_path)
    assert can_import("plug_in_nowhere")


def test_a_finder_of_the_script_is_nobody_elses(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not there where the module would be imported."""
    module = loaded("plug_in_nowhere")

    class Finder:
        def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
            return module.__spec__ if name == module.__name__ else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert can_import("plug_in_nowhere")
    importable._found.clear()
    Finder.__module__ = "__main__"
    assert not can_import("plug_in_nowhere")


@pytest.mark.parametrize("padding", [b"", b"\x93" * 300])
def test_a_stream_tells_what_it_names(loaded: Any, padding: bytes) -> None:
    """Classes, functions and members of enumerations, wherever they are; asked twice, the answer is the same."""
    module = loaded("plug_in_nowhere")
    for _ in range(2):
        assert is_importable(pickle.dumps([padding, Path, os.path.join, {1: 2}], 5))
        for value in (module.Handler(), module.double, module.Color.RED, module.Refused("x")):
            assert not is_importable(pickle.dumps([padding, {"x": Path}, module.__name__, value], 5))
    assert not is_importable(pickle.dumps([padding, "__main__"], 5))


def test_what_it_defines_travels_by_value(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions, handlers, arguments; what comes back is of the classes that the program has."""
    module = loaded("plug_in_nowhere")
    function, handler = encode_function(module.double), encode_handler(module.Handler)
    assert handler is not None
    given = encode_arguments((module.Handler(),), {})
    value = PickleCodec().encode([module.Handler(), module.Color.RED, module.Refused("x")])
    monkeypatch.delitem(sys.modules, "plug_in_nowhere")
    worker = Process()
    with worker.at_work():
        assert decode_function(function)(4) == 8
    assert worker.load(handler["pickle"])().double(4) == 8
    assert worker.load(given)[0][0].double(4) == 8
    there = worker.load(value)
    assert (there[0].double(4), there[1].name, there[2].args) == (8, "RED", ("x",))
    back = pickle.loads(worker.dumps(there))
    assert [type(item) for item in back] == [module.Handler, module.Color, module.Refused]
    assert back[1] is module.Color.RED


def test_compiled_classes_go_by_name_wherever_they_are(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else can be done with them."""
    module = loaded("plug_in_nowhere")
    module.Native = type(sys.implementation)
    assert pickle.loads(dumps([module.double, module.Native]))[1] is module.Native
