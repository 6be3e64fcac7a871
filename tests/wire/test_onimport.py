"""What is to happen when a module is imported happens then, once, for everybody who asked for it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from millpond.wire.onimport import when_imported


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that nobody has imported."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "not_imported_yet.py").write_text("value = 5\n")
    yield "not_imported_yet"
    sys.modules.pop("not_imported_yet", None)


def test_all_who_wait_for_a_module_are_told_once(name: str) -> None:
    """In the order in which they asked, each with the module complete; who asks later is told at once."""
    told: list[tuple[int, int]] = []
    before = list(sys.meta_path)
    for number in (1, 2):
        when_imported(name, lambda module, number=number: told.append((number, module.value)))  # type: ignore[misc]
    assert not told
    importlib.import_module(name)
    when_imported(name, lambda module: told.append((3, module.value)))
    assert told == [(1, 5), (2, 5), (3, 5)]
    assert sys.meta_path == before


def test_a_module_that_is_only_looked_for_is_still_waited_for(name: str) -> None:
    """Whoever asks where it is does not load it."""
    told: list[int] = []
    when_imported(name, lambda module: told.append(module.value))
    assert importlib.util.find_spec(name) is not None
    assert not told
    importlib.import_module(name)
    assert told == [5]
