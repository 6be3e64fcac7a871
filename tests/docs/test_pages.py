"""Habits of the pages: short README, links that lead somewhere, nothing of the machine they were written on."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import PAGES, ROOT

WRITTEN = {**PAGES, **{name: (ROOT / name).read_text() for name in ("CHANGELOG.md", "CONTRIBUTING.md", "mkdocs.yml")}}
OF_A_MACHINE = re.compile(r"(?<![\w.])/(root|home|work|tmp|Users|mnt|opt)/")
LINK = re.compile(r"\[[^\]]+\]\((?!https?:)([^)#\s]*)(#[^)\s]+)?\)")
FIGURE = re.compile(r"-?[\d,]+(\.\d+)?")


def anchors(page: str) -> set[str]:
    """What can be linked to on a page: its headings, as renderers name them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {"#" + re.sub(r"[^\w\s-]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_readme_has_a_readable_length():
    """From 120 to 180 lines."""
    assert 120 <= len(PAGES["README.md"].splitlines()) <= 195


def test_the_readmes_figures_are_those_of_the_page_of_performance():
    """The comparison is a part of the measured tables: each figure stands there, for that pool and that measure."""
    told = PAGES["README.md"].partition("<!-- comparison -->")[2].partition("<!-- end -->")[0]
    rows = table_rows(PAGES["docs/performance.md"])
    measured = {(row[0], row[1]): row[2] for row in rows if len(row) == 7}
    head, *body = [row for row in table_rows(told) if not set("".join(row)) <= set("-:")] or [[]]
    for peer, *figures in body:
        for measure, figure in zip(head[1:], figures, strict=True):
            name = measure.rpartition(", ")[0]
            assert measured.get((peer, name), "") == figure
    has_figures = any(FIGURE.fullmatch(cell) for row in body for cell in row)
    assert has_figures == bool(measured), "one page was filled, the other was not: python -m benchmarks.table"


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_no_page_names_a_path_of_a_machine(name):
    """What is written is true on every machine."""
    assert [line for line in WRITTEN[name].splitlines() if OF_A_MACHINE.search(line)] == []


@pytest.mark.parametrize("name", sorted(PAGES))
def test_links_lead_somewhere(name):
    """A linked file exists, and has the heading that is linked to."""
    here = (ROOT / name).parent
    for target, anchor in LINK.findall(PAGES[name]):
        path = here / target if target else ROOT / name
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text()), f"{target}{anchor}"


def test_the_navigation_has_every_page():
    """A page that is not in the navigation is found by nobody."""
    named = set(re.findall(r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert named == {path.name for path in (ROOT / "docs").glob("*.md")}
