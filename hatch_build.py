"""What a build of the wheel or of the sdist does first: build the live page, if that was not done.

An editable install does not; `make page` does.
"""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):
    """Calls `frontend/build.py`, and asks for Node where there is none."""

    def dependencies(self) -> list[str]:
        """The PyPI package with Node, if it is needed."""
        page = self._page()
        return [] if page.is_fresh() or page.find_npm() else [page.NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page. Raises where that fails, so that no wheel lacks it."""
        if version != "editable":
            self._page().build()

    def _page(self) -> ModuleType:
        spec = spec_from_file_location("frontend_build", Path(self.root, "frontend", "build.py"))
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
