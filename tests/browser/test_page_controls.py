"""What an administrator can do from the live page, and what others cannot, with real workers where it is about them."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import millpond
from millpond.alerts.rules import Group, Rule
from tests.browser.browsing import Browsing
from tests.browser.handlers import Talking
from tests.browser.site import VIEWS, site, until
from tests.browser.timed_pool import timed_pool
from tests.needs import need

need("playwright")

from playwright.async_api import expect  # noqa: E402

if TYPE_CHECKING:
    from playwright.async_api import Page

CONTROLS = re.compile("…$")  # on a button: it asks before it does anything
QUEUE = Group("tests", (Rule("CallsWait", of="calls_queued", above=0, summary="Calls wait for a worker."),))


async def answer(page: Page, button: str, verb: str, **fields: str) -> None:
    """Press a button, fill in what it asks for, and confirm."""
    await page.get_by_role("button", name=button).first.click()
    dialog = page.get_by_role("dialog")
    for label, text in fields.items():
        await dialog.get_by_label(label.replace("_", " ")).fill(text)
    await dialog.get_by_role("button", name=verb, exact=True).click()
    await expect(dialog).to_have_count(0)


async def test_bounds_are_set_once_they_are_confirmed(tmp_path: Path, browsing: Browsing) -> None:
    """Left, a question changes nothing; confirmed, it does, and the event says who did it. The focus comes back."""
    async with timed_pool(min_workers=1, max_workers=2) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open(view="workers")
        await page.get_by_role("button", name="Set bounds…").click()
        await page.get_by_role("dialog").get_by_role("button", name="Leave it").click()
        await expect(page.get_by_role("button", name="Set bounds…")).to_be_focused()
        await answer(page, "Set bounds…", "Set bounds", At_least="2", At_most="5")
        await expect(page.get_by_role("button", name="Set bounds…")).to_be_focused()
        settings = timed.pool.driver.view.settings
        assert (settings.min_workers, settings.max_workers) == (2, 5)
        await expect(page.get_by_text("from 2 to 5 allowed")).to_be_visible()
        await page.get_by_role("navigation").get_by_role("link", name="Events").click()
        told = page.get_by_role("row", name=re.compile("pool.command.*resize.*local"))
        await expect(told).to_have_count(1)


async def test_the_optimizer_is_paused_and_resumed(tmp_path: Path, browsing: Browsing) -> None:
    """With the reason that was entered."""
    async with timed_pool(min_workers=1, max_workers=2) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open(view="sizing")
        await answer(page, "Pause…", "Pause", Why="a test")
        await expect(page.get_by_role("heading", name="Optimizer: paused")).to_be_visible()
        await answer(page, "Resume…", "Resume")
        await expect(page.get_by_role("heading", name="Optimizer: running")).to_be_visible()


async def test_a_viewer_sees_all_views_and_no_control(tmp_path: Path, browsing: Browsing) -> None:
    """No button that would change the pool, no output of workers, and the server would refuse them."""
    async with timed_pool(min_workers=1, max_workers=2) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open(role="view")
        for view in VIEWS:
            await there.show(page, view=view)
            await expect(page.get_by_role("heading", level=2).first).to_be_visible()
            await expect(page.get_by_role("button", name=CONTROLS)).to_have_count(0)
        ask = """path => fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"})
                 .then(answer => answer.status)"""
        for verb in ("drain", "replace_workers", "pause", "resize", "cancel"):
            assert await page.evaluate(ask, f"/v1/pools/p/admin/{verb}") == 403
        browsing.forgive(" 403 ")
        assert timed.pool.statistics().state == "ready"


async def test_one_call_is_found_and_cancelled(tmp_path: Path, browsing: Browsing) -> None:
    """Among those that run, by its number; its caller is told, and the page says how it ended."""
    async with millpond.Pool(Talking, max_workers=1) as pool, site(pool, browsing, tmp_path) as there:
        page = await there.open(view="calls")
        call = asyncio.ensure_future(pool.call("nap", 300.0))
        row = page.get_by_role("row", name=re.compile("nap"))
        await row.get_by_role("link").first.click()
        await expect(page.get_by_role("region", name="Stack")).to_contain_text("in nap")
        await answer(page, "Cancel it…", "Cancel the call")
        with pytest.raises(millpond.Cancelled):
            await call
        await expect(page.locator(".facts").first).to_contain_text("cancelled")
        await page.get_by_role("link", name="Failed", exact=True).click()
        await expect(page.get_by_role("heading", name=re.compile("^Call "))).to_be_visible()


async def test_what_a_worker_does_and_writes_is_shown(tmp_path: Path, browsing: Browsing) -> None:
    """The stack of its threads now, and the end of its output, as text."""
    html = "<img src=x onerror=alert(1)>"
    async with millpond.Pool(Talking, max_workers=1) as pool, site(pool, browsing, tmp_path) as there:
        await pool.call("say", html)
        call = asyncio.ensure_future(pool.call("nap", 300.0))
        page = await there.open(view="workers")
        await page.get_by_role("row", name=re.compile("nap for")).get_by_role("link").click()
        await expect(page.get_by_role("region", name=re.compile("^Stack of worker"))).to_contain_text("in nap")
        await expect(page.get_by_role("region", name=re.compile("^Output of worker"))).to_contain_text(html)
        assert await page.locator("img").count() == 0
        call.cancel()


async def test_an_alert_appears_is_silenced_and_clears(tmp_path: Path, browsing: Browsing) -> None:
    """Each by itself, without the page being loaded anew; a silence keeps it on the page."""
    async with timed_pool(min_workers=1, max_workers=1, optimizer=False) as timed:
        timed.pool.alerts.add_rules(QUEUE)
        async with site(timed.pool, browsing, tmp_path) as there:
            page = await there.open(view="alerts")
            await expect(page.get_by_role("heading", name="Nothing fires")).to_be_visible()
            timed.engine.hold()
            for _ in range(3):
                timed.start(timed.pool.call("classify", 0.0))
            await expect(page.get_by_role("navigation")).to_contain_text("1 firing")
            one = page.get_by_role("listitem").filter(has_text="CallsWait")
            await expect(one.first).to_contain_text("Calls wait for a worker.")
            await answer(page, "Silence…", "Silence", Why="it is known")
            await expect(one.filter(has_text="silenced")).to_have_count(1)
            await expect(page.get_by_role("listitem").filter(has_text="it is known")).to_have_count(1)
            timed.engine.release()
            await expect(page.get_by_role("heading", name="Nothing fires")).to_be_visible()
            await expect(page.get_by_role("row", name=re.compile("CallsWait.*resolved"))).to_have_count(1)


async def test_logging_out_ends_what_the_page_shows(tmp_path: Path, browsing: Browsing) -> None:
    """The page of nobody comes, and the cookie opens nothing any more."""
    async with timed_pool(min_workers=1, max_workers=1) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open()
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("heading", name="This Millpond server needs a login")).to_be_visible()
        assert await page.evaluate("fetch('/v1/pools').then(answer => answer.status)") == 401
        await until(lambda: not there.is_followed)
        browsing.forgive(" 401 ")


async def test_draining_is_confirmed_and_shown(tmp_path: Path, browsing: Browsing) -> None:
    """The pool takes no more calls, and the page says so."""
    async with timed_pool(min_workers=1, max_workers=1) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open(view="workers")
        await answer(page, "Drain…", "Drain the pool")
        await page.get_by_role("navigation").get_by_role("link", name="Overview").click()
        await expect(page.get_by_role("heading", level=2).first).to_have_text(re.compile("Draining|Closed"))
        assert json.loads((await there.server.ask("GET", "/v1/pools/p", f"Authorization: {there.server.bearer}")).body)
