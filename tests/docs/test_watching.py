"""The page on watching tells the paths, fields and commands that there are."""

from __future__ import annotations

import re

import millpond
from millpond.http import administration, feed, health, watching
from millpond.http.administration import COMMANDS
from millpond.http.snapshot import snapshot_of
from millpond.http.steps import columns
from millpond.http.traffic import Traffic
from millpond.testing import FakeEngine
from tests.contract.documented import Shop
from tests.docs.pages import PAGES

PAGE = PAGES["docs/watching.md"]


def section(name: str) -> str:
    """The text below a heading."""
    return PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_every_command_is_told():
    """With its verb; and no verb is told that does not exist."""
    rows = re.findall(r"^\| ([^|]*?) +\|", section("Commands"), re.MULTILINE)
    assert {verb for row in rows for verb in re.findall(r"`(\w+)`", row)} == set(COMMANDS)


def test_every_field_of_history_is_told():
    """Those of the answer."""
    named = set(re.findall(r"^\| `(\w+)` ", section("History"), re.MULTILINE))
    assert named == set(columns([], set()))


async def test_every_field_of_a_snapshot_is_told():
    """Those that come each second."""
    async with millpond.Pool(Shop, engine=FakeEngine()) as pool:
        fields = set(snapshot_of(pool))
    named = set(re.findall(r"`(\w+)`", section("Events").partition("Its `snapshot` has")[2]))
    assert fields <= named


def test_the_metrics_of_the_server_are_told():
    """By name."""
    assert all(f"`{family.name}`" in PAGE for family in Traffic().families())


def test_every_path_is_told():
    """Those that tell of pools, command them, and say how the server is."""
    paths = [one.path for module in (watching, feed, administration, health) for one in module.ROUTES]
    assert [path for path in paths if f"`{path}`" not in PAGE and path not in PAGE] == []
