"""The dependency rule, read from the source: arrows point down, and siblings do not know each other.

Every import statement counts, also those inside functions and under `if TYPE_CHECKING`. The map below is the one place
where a new package is given its floor.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "millpond"

FACE = "pool"  # pool.py, sync.py, executor/, testing/ and the names `millpond` itself offers: one unit
FACE_FOLDERS = {"executor", "testing"}
FLOORS = (
    {"control_groups"},
    {"cores", "environment", "files", "free_memory", "labels", "queue_thread"},
    {"documents", "slo", "token_file"},
    {"errors", "events", "settings", "seams", "logger"},
    {"facts", "loopthread", "mapping", "options", "texts", "profiles"},
    {"client", "core", "wire", "telemetry", "metrics", "sessions", "report"},
    {"runtime", "optimizer", "warming", "engine", "worker", "alerts"},
    {"simulator"},
    {FACE},
    {"http"},
    {"cli"},
)
FOR_PROGRAMS = {
    FACE,
    "client",
    "metrics",
    "simulator",
    "report",
    "telemetry",
}  # what commands and pages may know beside the vocabulary
FOR_COMMANDS = {"alerts", "http"}  # and commands alone
VOCABULARY = set().union(*FLOORS[:5])
FLOOR_OF = {unit: floor for floor, units in enumerate(FLOORS) for unit in units}

NO_IO_IN_CORE = {"asyncio", "os", "time", "random", "socket", "threading", "logging"}


def unit_of(path: Path, root: Path) -> str:
    """The unit of the map a source file belongs to; a top-level module that is no vocabulary is the pool's face."""
    inside = path.relative_to(root)
    name = inside.parts[0].removesuffix(".py")
    is_folder = len(inside.parts) > 1 and name not in FACE_FOLDERS
    return name if is_folder or name in VOCABULARY else FACE


def imported_names(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of all that a file imports; `from a import b` gives `a.b`."""
    package = ("millpond", *path.relative_to(root).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join((*base, *([node.module] if node.module else [])))
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def unit_named(name: str, root: Path) -> str:
    """The unit that `millpond.x.y` lies in; a name that is neither file nor folder is one the face offers."""
    first = [*name.split("."), ""][1]
    if first and first not in FACE_FOLDERS and (root / first).is_dir():
        return first
    return first if first in VOCABULARY else FACE


def may_import(importer: str, imported: str) -> bool:
    """Whether the map lets one unit know the other."""
    if importer == imported:
        return True
    if importer == "worker":
        return imported == "wire" or imported in VOCABULARY
    if FLOOR_OF[importer] > FLOOR_OF[FACE]:
        known = FOR_PROGRAMS | FOR_COMMANDS if importer == "cli" else FOR_PROGRAMS
        return imported in known or imported in VOCABULARY
    return FLOOR_OF[imported] < FLOOR_OF[importer]


def violations(root: Path) -> list[str]:
    """Each import that breaks the rule, as `file:line: why`."""
    found = []
    for path in sorted(root.rglob("*.py")):
        unit, where = unit_of(path, root), path.relative_to(root)
        if unit not in FLOOR_OF:
            found.append(f"{where}: {unit!r} has no floor in the map")
            continue
        for line, name in imported_names(path, root):
            top = name.partition(".")[0]
            if unit == "core" and top in NO_IO_IN_CORE:
                found.append(f"{where}:{line}: core imports {top}")
            if top == "millpond" and (target := unit_named(name, root)) in FLOOR_OF and not may_import(unit, target):
                found.append(f"{where}:{line}: {unit} imports {name}")
    return found


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write a small package tree, every folder of it with its `__init__.py`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.joinpath("__init__.py").touch()
        path.write_text(text)
    return root


def test_every_import_points_down():
    """No layer knows one above it or beside it, and the core does no I/O."""
    assert violations(SOURCE) == []


def test_a_planted_violation_is_found_wherever_it_hides(tmp_path):
    """Imports inside functions, under TYPE_CHECKING, relative or by the package's own name are all seen."""
    root = plant(
        tmp_path / "millpond",
        {
            "core/queue.py": "def pop():\n    import socket\n",
            "core/call.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..runtime import driver\n",
            "engine/local.py": "import millpond.worker.main\n",
            "errors.py": "from millpond import settings\n",
            "optimizer/guard.py": "from ..runtime.driver import Driver\n",
            "runtime/driver.py": "from millpond import Pool\n",
            "settings.py": "from .core.queue import pop\n",
            "surprise/box.py": "",
            "wire/frames.py": "from ..core import call\n",
            "worker/loop.py": "from ..core import call\nfrom ..wire import frames\nfrom .. import seams\n",
            "cli/report.py": "from ..engine import local\n",
        },
    )
    assert violations(root) == [
        "cli/report.py:1: cli imports millpond.engine.local",
        "core/call.py:3: core imports millpond.runtime.driver",
        "core/queue.py:2: core imports socket",
        "engine/local.py:1: engine imports millpond.worker.main",
        "errors.py:1: errors imports millpond.settings",
        "optimizer/guard.py:1: optimizer imports millpond.runtime.driver.Driver",
        "runtime/driver.py:1: runtime imports millpond.Pool",
        "settings.py:1: settings imports millpond.core.queue.pop",
        "surprise/__init__.py: 'surprise' has no floor in the map",
        "surprise/box.py: 'surprise' has no floor in the map",
        "wire/frames.py:1: wire imports millpond.core.call",
        "worker/loop.py:1: worker imports millpond.core.call",
    ]


def test_what_points_down_is_let_through(tmp_path):
    """A tree that follows the map has no violations."""
    root = plant(
        tmp_path / "millpond",
        {
            "errors.py": "import enum\n",
            "core/queue.py": "from collections import deque\nfrom ..errors import QueueFull\nfrom . import call\n",
            "core/call.py": "",
            "engine/local.py": "import os\nfrom ..wire.frames import pack\nfrom .. import errors, seams\n",
            "seams.py": "",
            "sync.py": "from .pool import Pool\n",
            "pool.py": "from .runtime.driver import Driver\nfrom .engine import local\n",
            "runtime/driver.py": "import asyncio\nfrom ..core.queue import pop\n",
            "wire/frames.py": "import struct\n",
            "cli/report.py": "import millpond\nfrom millpond import Pool\nfrom ..errors import PoolError\n",
        },
    )
    assert violations(root) == []
