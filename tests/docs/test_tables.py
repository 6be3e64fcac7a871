"""Printed tables say what the source says."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

from tests.docs.pages import PAGES, ROOT

CONVENTIONS = ("db", "http", "process", "rpc")


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


def test_the_conventions_that_names_follow_exist():
    """What the tables say of OpenTelemetry's own names is what that project publishes."""
    published = set()
    for area in CONVENTIONS:
        module = importlib.import_module(f"opentelemetry.semconv._incubating.metrics.{area}_metrics")
        published |= {one for one in vars(module).values() if isinstance(one, str)}
    table = PAGES["docs/exporting.md"].partition("<!-- semantic -->")[2].partition("<!-- end -->")[0]
    followed = set(re.findall(r"`([a-z_.]+)` +\|$", table, re.MULTILINE))
    assert "db.client.connection.count" in followed
    assert followed <= published
