"""Which results would import a module when they are decoded."""

import pickle
import sys
import threading
import types

import cloudpickle
import pytest

from millpond.wire import imports
from millpond.wire.imports import needs_import

NAME = "a_module_of.this_test"


class Plain:
    """Of a module that is loaded."""


@pytest.fixture
def module(monkeypatch):
    """A module with classes; it is loaded until the test takes it away."""
    monkeypatch.setattr(imports, "_known", set())
    monkeypatch.setattr(imports, "_known_heads", set())
    made = types.ModuleType(NAME)
    exec("class First: pass\nclass Second: pass\ndef function(): pass", vars(made))
    monkeypatch.setitem(sys.modules, NAME.partition(".")[0], types.ModuleType(NAME.partition(".")[0]))
    monkeypatch.setitem(sys.modules, NAME, made)
    return made


def without(value, monkeypatch):
    """The value as a stream, and the module is gone."""
    stream = pickle.dumps(value, 5)
    monkeypatch.delitem(sys.modules, NAME)
    return stream


@pytest.mark.parametrize("value", [1, [1, 2.5, "text"], {"a": b"\x93\x8c" * 50}, Plain(), [Plain, pickle.dumps, len]])
def test_data_and_what_is_loaded_need_none(value):
    """Nearly every result: it is decoded at once."""
    assert not needs_import(pickle.dumps(value, 5))


@pytest.mark.parametrize("kind", ["First", "Second", "function"])
def test_a_class_of_a_module_that_is_not_loaded_needs_one(module, kind, monkeypatch):
    """Wherever in the value it is, and in whatever it came."""
    value = [Plain(), {"x": getattr(module, kind)}, *range(300)]
    stream = without(value, monkeypatch)
    assert needs_import(stream)
    assert needs_import(memoryview(stream))


def test_it_needs_none_once_it_is_there(module, monkeypatch):
    """One result pays for the import, the next ones do not."""
    stream = without(module.First(), monkeypatch)
    assert needs_import(stream)
    monkeypatch.setitem(sys.modules, NAME, module)
    assert not needs_import(stream)


def test_a_module_on_its_way_is_not_there_yet(module):
    """Who asks for it waits until its import is over."""
    fresh = types.ModuleType(NAME)
    fresh.__spec__ = types.SimpleNamespace(_initializing=True)
    stream = pickle.dumps(module.Second(), 5)
    sys.modules[NAME] = fresh
    assert needs_import(stream)
    fresh.__spec__._initializing = False
    assert not needs_import(stream)


def test_a_function_by_value_that_uses_such_a_module_needs_one(module, monkeypatch):
    """cloudpickle imports what its globals name."""

    def uses():
        return module_of_this_test.First  # noqa: F821

    function = types.FunctionType(uses.__code__, {"module_of_this_test": module, "__name__": "__main__"})
    stream = cloudpickle.dumps(function, 5)
    assert not needs_import(stream)
    monkeypatch.delitem(sys.modules, NAME)
    assert needs_import(stream)
    assert needs_import(memoryview(stream))


def test_a_second_class_of_a_module_is_found_by_the_first(module, monkeypatch):
    """A stream writes a module's name once."""
    assert needs_import(without([threading.Event, module.First, module.Second], monkeypatch))


def test_a_known_beginning_says_nothing_of_another_module(module, monkeypatch):
    """What was looked at once is not looked at again, and only that."""
    for _ in range(2):
        assert not needs_import(pickle.dumps(Plain(), 5))
        assert not needs_import(pickle.dumps(module.First(), 5))
    monkeypatch.setattr(imports, "_known", set())
    monkeypatch.setattr(imports, "_known_heads", {pickle.dumps(Plain(), 5)[11:40]})
    assert needs_import(without(module.First(), monkeypatch))


def test_what_is_remembered_is_bounded(module, monkeypatch):
    """A worker may send any number of classes."""
    monkeypatch.setattr(imports, "_HEADS", 2)
    for kind in (Plain, threading.Thread, threading.Event, module.First, module.Second):
        assert not needs_import(pickle.dumps(kind, 5))
    assert len(imports._known_heads) <= 2
