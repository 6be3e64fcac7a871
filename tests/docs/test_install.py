"""What can be installed is on the page that says what to install."""

from __future__ import annotations

import re
import tomllib

from tests.docs.pages import PAGES, ROOT

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
FOR_USERS = {"cli", "client", "http", "opentelemetry", "prometheus", "structlog"}


def test_every_extra_is_on_the_page_of_installing():
    """Each has a row that says what it is for, and no row is about one that does not exist."""
    named = re.findall(r"^\| `([\w-]+)` +\| \S", PAGES["docs/install.md"], re.MULTILINE)
    assert sorted(named) == sorted(EXTRAS)


def test_all_is_what_a_user_wants():
    """Who asks for everything gets no tools for tests, benchmarks, pages or the demo."""
    (everything,) = EXTRAS["all"]
    assert set(re.fullmatch(r"millpond\[(.+)\]", everything)[1].split(",")) == FOR_USERS
