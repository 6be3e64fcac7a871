"""The sites of the contract: the fake engine, and processes made in either way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract import faces
from tests.contract.sites import Site
from tests.start_methods import METHODS


@pytest.fixture(params=["fake", "fork"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """For what happens once a worker is there, however it was started."""
    return Site(request.param, tmp_path)


@pytest.fixture(params=["fake", *METHODS])
def any_site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """For how workers start and end: with the image of a warden, or as interpreters of their own."""
    return Site(request.param, tmp_path)


@pytest.fixture(params=faces.NAMES)
def face(request: pytest.FixtureRequest, tmp_path: Path) -> faces.Face:
    """For what a program sees of a pool, its own or a served one, awaited or blocking."""
    return faces.Face(request.param, tmp_path)
