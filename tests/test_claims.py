"""Habits of the tests themselves, read from their source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """The tests as they are written, by file."""
    return {path.relative_to(TESTS): ast.parse(path.read_text()) for path in sorted(TESTS.rglob("*.py"))}


def test_each_test_says_which_rule_it_protects(trees):
    """A test without a docstring is a riddle to whoever breaks it."""
    silent = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_nothing_is_mocked(trees):
    """The fake engine and real processes are the only stand-ins."""
    mocking = [
        str(path)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if f"{getattr(node, 'module', '')}.{alias.name}".strip(".").startswith("unittest.mock")
    ]
    assert mocking == []
