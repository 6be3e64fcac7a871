"""A program and one of its workers, both played by the test's process: first one is `__main__`, then the other."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from millpond.wire import mainglobals, mainmodule
from millpond.wire.definitions import Definitions


class Program:
    """`run` is a piece of its script; `look` what its workers are to have."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, source: str = "", **attributes: Any) -> None:
        self._monkeypatch = monkeypatch
        self.module = types.ModuleType("__main__")
        self.scope = vars(self.module)
        self.scope.update(attributes)
        self.definitions = Definitions()
        monkeypatch.setitem(sys.modules, "__main__", self.module)
        monkeypatch.setattr(mainglobals, "here", None)
        self.run(source)

    def run(self, source: str) -> None:
        exec(compile(source, "script", "exec", dont_inherit=True), self.scope)

    def look(self) -> dict[str, bytes]:
        return self.definitions.look()

    @contextmanager
    def worker(self, **entries: bytes) -> Iterator[types.ModuleType]:
        """The `__main__` of a worker that was started with these entries, or with all."""
        facts = mainmodule.main_facts(entries or self.look())
        with self._monkeypatch.context() as inside:
            inside.setattr(sys, "argv", sys.argv)
            inside.setitem(sys.modules, "__main__", self.module)
            inside.setattr(mainglobals, "here", None)
            for name in ("_names", "_waiting", "_failed"):
                inside.setattr(mainmodule, name, type(getattr(mainmodule, name))())
            mainmodule.install(facts)
            yield sys.modules["__main__"]
