"""The sites of the contract: the fake engine, and processes made in both ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.sites import Site


@pytest.fixture(params=["fake", "fork", "spawn"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """One way to have workers."""
    return Site(request.param, tmp_path)


@pytest.fixture(params=["fake", "fork"])
def near_site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """For what is decided on the parent's side, where it is all one how the workers were made."""
    return Site(request.param, tmp_path)
