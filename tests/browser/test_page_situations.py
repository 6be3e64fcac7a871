"""The live page is for everybody, on every screen, whatever the names are and however many there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import situations
from tests.browser.browsing import TELEPHONE, Browsing, is_too_wide
from tests.browser.site import VIEWS, Site, site
from tests.needs import need

need("playwright", "axe_playwright_python")

from axe_playwright_python.async_playwright import Axe  # noqa: E402
from playwright.async_api import expect  # noqa: E402

if TYPE_CHECKING:
    from playwright.async_api import Page


async def serious(page: Page) -> list[str]:
    """What axe-core finds that hinders somebody: rule, and where."""
    found = (await Axe().run(page)).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['target']} {one['nodes'][0].get('failureSummary', '')}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


async def settled(there: Site, page: Page, **query: Any) -> None:
    """Show a view, and wait until it has asked for what it shows."""
    await there.show(page, **query)
    await expect(page.get_by_role("heading", level=2).or_(page.get_by_role("heading", level=3)).first).to_be_visible()
    await expect(page.get_by_text("Asking…")).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_every_view_is_for_everybody(dark: bool, tmp_path: Path, browsing: Browsing) -> None:
    """Axe-core finds nothing serious, wide or narrow; 390 pixels wide no view can be moved sideways."""
    async with situations.troubled() as pools, site(pools, browsing, tmp_path) as there:
        wide, narrow = await there.open(dark=dark), await there.open(size=TELEPHONE, dark=dark)
        for view in VIEWS:
            await settled(there, wide, view=view)
            assert await serious(wide) == [], view
            await settled(there, narrow, view=view)
            assert await serious(narrow) == [], view
            assert not await is_too_wide(narrow), view


async def test_a_question_and_a_table_of_numbers_are_for_everybody(tmp_path: Path, browsing: Browsing) -> None:
    """What opens on demand is no worse than what is there at once."""
    async with situations.troubled() as pools, site(pools, browsing, tmp_path) as there:
        page = await there.open()
        for button in await page.get_by_role("button", name="numbers as a table").all():
            await button.click()
        assert await serious(page) == []
        await settled(there, page, view="workers")
        await page.get_by_role("button", name="Set bounds…").click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        assert await serious(page) == []
        await page.keyboard.press("Escape")
        await page.get_by_role("row").nth(1).get_by_role("link").first.click()
        await expect(page.get_by_role("heading", name="Stack now Look again")).to_be_visible()
        await expect(page.get_by_text("It has written nothing.")).to_be_visible()
        assert await serious(page) == []
        browsing.forgive(" 409 ")  # workers without a process have no stack


async def test_27_names_are_text_however_long_and_whatever_is_in_them(tmp_path: Path, browsing: Browsing) -> None:
    """Names of a pool, an operation and sessions that are HTML are shown, and are no part of the page."""
    async with situations.long_names() as pools, site(pools, browsing, tmp_path) as there:
        page = await there.open(size=TELEPHONE)
        for view in VIEWS:
            for more in ({"show": "running"}, {"show": "failed"}) if view == "calls" else ({},):
                await settled(there, page, view=view, **more)
                assert await page.locator("img").count() == 0, view
                assert not await is_too_wide(page), view
        await settled(there, page, view="sessions")
        await expect(page.locator("main")).to_contain_text("<img src=x onerror=alert(1)>")


async def test_64_workers_and_10000_sessions_fit(tmp_path: Path, browsing: Browsing) -> None:
    """All workers at a glance and one by one; sessions a page at a time, of as many as there are."""
    async with situations.many_workers() as pools, site(pools, browsing, tmp_path) as there:
        page = await there.open(size=TELEPHONE, view="workers")
        await expect(page.locator(".square")).to_have_count(64)
        await expect(page.get_by_role("region", name="Workers", exact=True).get_by_role("row")).to_have_count(65)
        assert not await is_too_wide(page)
    async with situations.many_sessions() as pools, site(pools, browsing, tmp_path) as there:
        page = await there.open(view="sessions")
        await expect(page.locator(".figures").first).to_contain_text("10,000")
        rows = page.get_by_role("region", name="Sessions").get_by_role("row")
        await expect(rows).to_have_count(101)
        await page.get_by_role("link", name="Next page").click()
        await expect(page.get_by_role("rowheader", name="reader-100", exact=True)).to_be_visible()
        await expect(rows).to_have_count(101)
