"""The page of the reference asks for names that exist; that they are shown is `test_site`'s, which needs a builder."""

from __future__ import annotations

import pkgutil
import re

import pytest

from tests.docs.pages import PAGES

ASKED_FOR = re.findall(r"^::: (\S+)$", PAGES["docs/reference.md"], re.MULTILINE)


@pytest.mark.parametrize("path", ASKED_FOR)
def test_the_reference_asks_for_what_exists(path):
    """What is moved or renamed is moved on the page as well, or the site cannot be built."""
    module, _, name = path.rpartition(".")
    assert hasattr(pkgutil.resolve_name(module), name)
