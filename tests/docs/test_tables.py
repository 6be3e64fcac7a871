"""Printed tables say what the source says."""

from __future__ import annotations

import subprocess
import sys

from tests.docs.pages import PAGES, ROOT


def test_what_is_generated_is_current():
    """A page that the source has outrun fails here; the message says which command writes it again."""
    command = [sys.executable, str(ROOT / "docs" / "tables.py")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_no_marked_place_is_empty():
    """A table that was never written is noticed."""
    for page in ("docs/settings.md", "docs/errors.md", "docs/events.md", "docs/executor.md", "docs/exporting.md"):
        inside = PAGES[page].rpartition("<!-- end -->")[0].rpartition(" -->\n")[2]
        assert "| `" in inside
