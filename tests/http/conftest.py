"""One access for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.http.access.asked import Asked


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path / "state")
