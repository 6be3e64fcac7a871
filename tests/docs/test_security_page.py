"""The page on security names its tests, and they are there."""

from __future__ import annotations

import re

from tests.docs.pages import PAGES, ROOT


def test_every_test_that_the_page_names_exists():
    """A promise whose test was renamed or removed is found."""
    named = set(re.findall(r"`(test_\w+)`", PAGES["docs/security.md"]))
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 20
    assert [name for name in sorted(named) if f"def {name}(" not in written] == []
