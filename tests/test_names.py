"""The names of the package: resolved when they are used, and known to `dir()` and to type checkers before."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import millpond

SOURCE = Path(millpond.__file__)


def typed() -> set[str]:
    """The names that a type checker sees, those of `errors` included."""
    (block,) = [node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If)][:1]
    named = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    errors = ast.parse(SOURCE.with_name("errors.py").read_text()).body
    return named - {"*", "Any"} | {node.name for node in errors if isinstance(node, ast.ClassDef)}


def test_every_name_is_listed_typed_and_there():
    """What a type checker knows is what `dir()` lists, and each is found."""
    assert typed() <= set(dir(millpond))
    for name in typed():
        assert getattr(millpond, name) is not None


@pytest.mark.parametrize("name", ["Nope", "Any", "dataclass", "BrokenExecutor", "__nope__"])
def test_what_is_no_name_of_the_package_is_refused(name):
    """Neither misspellings nor what its modules import."""
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
        getattr(millpond, name)
    assert name not in typed()


def test_a_type_checker_refuses_what_is_not_there(tmp_path):
    """And knows what is, under its strictest rules."""
    program = tmp_path / "program.py"
    program.write_text(
        "import millpond\n"
        "from millpond import Pool, SessionLost, emit\n"
        "died: type[millpond.WorkerDied] = millpond.WorkerDied\n"
        "millpond.Nope\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(program)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False).stdout
    assert [line.split(": ", 1)[1] for line in told.splitlines()[:-1]] == [
        'error: Module has no attribute "Nope"  [attr-defined]'
    ], told


def test_listing_the_names_loads_no_pool():
    """`dir()` imports nothing but the errors: a worker that asks pays for nothing else."""
    program = "import sys, millpond; dir(millpond); print('millpond.pool' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
