"""The `__main__` of a worker: a module like the program's, with what the program defines."""

from __future__ import annotations

import importlib
import pickle
import sys
import typing
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from millpond.wire import byvalue, classes, mainmodule
from millpond.wire.functions import decode_function, encode_function
from tests.wire.program import Program

SCRIPT = """
import decimal
SCALE = 3
class Item:
    weight: "decimal.Decimal"
    next: "Item | None"
    def __init__(self, n): self.n = n
    def scaled(self): return scaled(self.n)
    class Part: pass
def sq(x): return x * x
def scaled(x): return x * SCALE
def indirectly(x): return [sq(y) for y in (x,)][0]
"""


def test_what_the_program_defines_is_there_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions call each other, methods call functions, and all see the data they mention."""
    with Program(monkeypatch, SCRIPT).worker() as main:
        assert importlib.import_module("__main__") is main
        assert main.indirectly(3) == 9
        assert main.Item(2).scaled() == 6
        assert vars(main)["sq"].__globals__ is vars(main)


def test_a_function_that_is_sent_is_the_one_that_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an argument and beside others, so that a worker's code can pickle it; one that differs is another."""
    program = Program(monkeypatch, SCRIPT)
    sent = byvalue.dumps((program.scope["sq"], program.scope["indirectly"]))
    program.look()
    program.run("def sq(x): return -x")
    redefined = byvalue.dumps(program.scope["sq"])
    program.run(SCRIPT)
    with program.worker() as main:
        before = main.sq
        assert pickle.loads(sent) == (before, main.indirectly)
        assert pickle.loads(sent)[1].__globals__["sq"] is before
        assert pickle.loads(redefined)(3) == -3
        assert before(3) == 9


def test_pickle_and_type_hints_find_what_they_look_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object of the script's own class is pickled by its name, a function too, and annotations are resolved."""
    with Program(monkeypatch, SCRIPT).worker() as main:
        assert pickle.loads(pickle.dumps(main.Item(3))).n == 3
        assert pickle.loads(pickle.dumps(main.sq)) is main.sq
        assert type(pickle.loads(pickle.dumps(main.Item.Part()))) is main.Item.Part
        assert typing.get_type_hints(main.Item)["next"] == main.Item | None


def test_the_module_looks_like_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Package, file, documentation, specification and `sys.argv` are the program's."""
    spec = ModuleSpec("pkg.__main__", None, origin="/x/pkg/__main__.py")
    program = Program(monkeypatch, __package__="pkg", __file__="/x/pkg/__main__.py", __doc__="What", __spec__=spec)
    monkeypatch.setattr(sys, "argv", ["prog", "-v"])
    facts = pickle.loads(pickle.dumps(mainmodule.main_facts({})))
    monkeypatch.setattr(sys, "argv", ["-c", "7"])
    monkeypatch.setattr(mainmodule, "main_facts", lambda entries: facts)
    with program.worker() as main:
        assert (main.__name__, main.__package__, main.__file__, main.__doc__) == (
            "__main__",
            "pkg",
            "/x/pkg/__main__.py",
            "What",
        )
        assert (main.__spec__.name, main.__spec__.parent) == ("pkg.__main__", "pkg")
        assert sys.argv == ["prog", "-v"]


def test_a_program_without_a_file_has_none_in_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that children of a worker do not look for a script that is not there."""
    for attributes in ({}, {"__file__": "<stdin>"}):
        with Program(monkeypatch, **attributes).worker() as main:
            assert not hasattr(main, "__file__")
            assert main.__spec__ is None


def test_a_name_follows_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redefined, it is the new one for whoever refers to it; gone, it is gone."""
    program = Program(monkeypatch, SCRIPT)
    program.run("def sq(x): return -x")
    redefined = program.look()["sq"]
    program.run(SCRIPT)
    with program.worker() as main:
        mainmodule.define("sq", redefined)
        assert main.indirectly(3) == -3
        mainmodule.define("sq", b"")
        with pytest.raises(AttributeError, match=r"module '__main__' has no attribute 'sq'$"):
            main.sq(3)


def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str) -> None:
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module(name)


def test_nothing_is_imported_before_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a script imports may take seconds: workers that run other functions of it go without."""
    _module(tmp_path, monkeypatch, "slow_to_import", "class Base: pass\ndef g(): return 7")
    program = Program(
        monkeypatch,
        "import slow_to_import as s\nfrom slow_to_import import g\n"
        "class Net(s.Base): pass\ndef train(): return s.g(), g()\ndef sq(x): return x * x",
    )
    program.look()
    monkeypatch.delitem(sys.modules, "slow_to_import")
    with program.worker() as main:
        assert "sq" in mainmodule.namespace()
        assert "slow_to_import" not in sys.modules
        assert main.train() == (7, 7)
        assert main.Net.__name__ == "Net"


def test_a_class_is_there_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The annotations of a function that are text look for it among the function's globals, not in the module."""
    program = Program(monkeypatch, "class Item: pass\ndef get(it: 'Item'): return it")
    program.look()
    monkeypatch.setattr("millpond.wire.classes", classes)  # as it is to be again
    monkeypatch.delitem(sys.modules, "millpond.wire.classes")
    with program.worker():
        assert "Item" in mainmodule.namespace()


def test_a_function_that_looks_names_up_finds_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By `globals()` or `eval`, each time it comes; what they name may need a module that is not imported yet."""
    _module(tmp_path, monkeypatch, "late_to_import", "class Base: pass")
    program = Program(
        monkeypatch,
        "import late_to_import\nclass Net(late_to_import.Base): pass\n"
        "def ask(name): return globals()[name].__name__\ndef evaluate(text): return eval(text)",
    )
    asking, evaluating = (encode_function(program.scope[name]) for name in ("ask", "evaluate"))
    before = program.look()
    program.run("class Later(Net): pass")
    later = program.look()["Later"]
    monkeypatch.delitem(sys.modules, "late_to_import")
    with program.worker(**before):
        assert decode_function(asking)("Net") == "Net"
        assert decode_function(evaluating)("Net.__name__") == "Net"
        monkeypatch.delitem(sys.modules, "late_to_import")
        mainmodule.define("Later", later)
        assert decode_function(asking)("Later") == "Later"


def test_what_cannot_be_set_up_says_why_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A definition that fails here costs nobody else anything."""
    program = Program(monkeypatch, "def sq(x): return x * x")
    entries = program.look() | {"broken": pickle.dumps(5)[:-1], "absent": mainmodule.MODULE + b"no_such_module_here"}
    with program.worker(**entries) as main:
        assert main.sq(2) == 4
        with pytest.raises(AttributeError, match="'broken': it could not be set up in this process"):
            main.broken
        with pytest.raises(AttributeError, match="No module named 'no_such_module_here'"):
            main.absent
