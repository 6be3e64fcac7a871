"""Inside the core: its floors, one direction, one entrance; and every order is declared, carried out and judged."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import millpond
from millpond import core
from millpond.core.records import orders
from millpond.core.stimuli.failures import FAILED
from millpond.testing import FakeEngine

SOURCE = Path(millpond.__file__).parent
CORE = SOURCE / "core"
FLOORS = ("records", "assignment", "workers", "sessions", "settling", "stimuli", "view", "machine", "__init__")


def is_for_types(node: ast.stmt) -> bool:
    """Whether it is an `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(path: Path, *, with_types: bool) -> Iterator[str]:
    """The modules that a file imports, each `from package import module` as `package.module`."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not is_for_types(node) or with_types:
            waiting += ast.iter_child_nodes(node)


def module_of(name: str) -> str:
    """The core's module a dotted name lies in, as a path from the core; empty for what is none of it."""
    parts = name.split(".")
    if parts[:2] != ["millpond", "core"]:
        return ""
    for size in range(len(parts), 2, -1):
        if (SOURCE.parent / Path(*parts[:size])).with_suffix(".py").exists():
            return "/".join(parts[2:size])
    return "__init__"


def graph(*, with_types: bool = False) -> dict[str, set[str]]:
    """Each module of the core with those it imports."""
    return {
        path.relative_to(CORE).with_suffix("").as_posix(): {
            found for name in imports(path, with_types=with_types) if (found := module_of(name))
        }
        for path in CORE.rglob("*.py")
    }


def floor(module: str) -> int:
    """The floor that a module of the core is on."""
    return FLOORS.index(module.split("/")[0])


def test_no_module_of_the_core_calls_upwards():
    """What runs on one floor knows only its own and those below."""
    upwards = [(one, other) for one, others in graph().items() for other in others if floor(other) > floor(one)]
    assert upwards == []


def test_the_modules_of_the_core_import_each_other_without_a_circle():
    """Read from the top, nothing comes twice: a circle would raise."""
    assert len(list(TopologicalSorter(graph()).static_order())) > 20


def test_the_core_is_entered_by_its_public_names():
    """Nothing outside imports a module inside, also not for its types."""
    inside = [
        f"{path.relative_to(SOURCE)}: {name}"
        for path in SOURCE.rglob("*.py")
        if CORE not in path.parents
        for name in imports(path, with_types=True)
        if name.startswith("millpond.core.") and name.split(".", 2)[2] not in core.__all__
    ]
    assert inside == []


def test_nobody_outside_reads_the_records():
    """What outsiders may know is in the view."""
    readers = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if CORE not in path.parents and re.search(r"(machine|view)\._records\b", path.read_text())
    ]
    assert readers == []


def test_the_view_changes_nothing():
    """Each thing it shows is a number, a text, or a mapping that cannot be written to."""
    view = millpond.Pool(None, engine=FakeEngine()).driver.view
    for name, _ in inspect.getmembers(type(view), lambda member: isinstance(member, property)):
        assert type(view).__dict__[name].fset is None
        assert not isinstance(getattr(view, name), dict | list | set), name


def test_every_order_has_a_carrier_and_says_what_its_failure_means():
    """An order that is declared and not carried out, or whose failure means nothing, is found here."""
    declared = set(orders.Order.__subclasses__())
    assert all(kind.__module__ == orders.__name__ and kind.__doc__ for kind in declared)
    pool = millpond.Pool(None, engine=FakeEngine())
    assert declared == set(pool.driver.carriers.table) == set(FAILED)
    pool.close_unopened()
