"""Packages that some tests need and an environment made before they were asked for may lack."""

from __future__ import annotations

import importlib.util
import os

import pytest


def need(*packages: str) -> None:
    """Skip the test where one is not installed; where the whole suite decides (CI), that is an error instead."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"not installed, `make test` does it: {', '.join(missing)}", allow_module_level=True)
    assert not missing
