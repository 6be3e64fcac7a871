"""The page `/docs` in a real browser that obeys its policy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import millpond
from millpond.http.access.access import Access
from tests.browser.browsing import TELEPHONE, Browsing, is_too_wide, log_in
from tests.faults.served import Served, served
from tests.needs import need
from tests.processes.fuzzed import Fuzzed

need("playwright")

from playwright.async_api import expect  # noqa: E402

if TYPE_CHECKING:
    from playwright.async_api import Page, Route


async def open_docs(page: Page, server: Served) -> None:
    """Load the page with the server's token, which what it asks for later has not."""

    async def with_token(route: Route) -> None:
        await route.continue_(headers={**route.request.headers, "Authorization": server.bearer})

    await page.route("**/docs", with_token, times=1)
    await page.goto(f"http://{server.host}/docs")


async def test_an_operation_is_tried_from_the_page(tmp_path: Path, page: Page, browsing: Browsing) -> None:
    """By a token that is entered there; errors are shown; the policy stands in the way of nothing."""
    access = Access(state_folder=str(tmp_path / "state"), environ={})
    async with millpond.Pool(Fuzzed, max_workers=1) as pool, served(pool, access) as server:
        await open_docs(page, server)
        await expect(page).to_have_title("Millpond: p")
        form = page.locator("[id='p.call.price'] form")
        said, body = form.locator("output"), form.locator("[name=body]")
        submit = "form => form.requestSubmit()"  # the operations are folded
        await form.evaluate(submit)
        await expect(said).to_have_text(re.compile("^401"))
        browsing.forgive("401")
        await page.locator("#token").fill(server.token)
        await form.evaluate(submit)
        await expect(said).to_have_text(re.compile("^200"))
        await expect(form.locator(".answer")).to_contain_text('"name": "text"')
        await body.evaluate("field => field.value = '{'")
        await form.evaluate(submit)
        await expect(said).to_have_text(re.compile("^This is not JSON"))
        await expect(body).to_have_attribute("aria-invalid", "true")
        stream = page.locator("[id='p.stream.letters'] form")
        await stream.evaluate(submit)
        await expect(stream.locator("output")).to_have_text(re.compile("^200"))
        await expect(stream.locator(".answer")).to_contain_text("event: end")


async def test_who_has_logged_in_needs_no_token(tmp_path: Path, page: Page) -> None:
    """The cookie is enough, also for what changes something: it comes from the page's own origin, as JSON."""
    access = Access(state_folder=str(tmp_path / "state"), environ={})
    async with millpond.Pool(Fuzzed, max_workers=1) as pool, served(pool, access) as server:
        await log_in(page, access, f"http://{server.host}")
        await page.goto(f"http://{server.host}/docs")
        await expect(page.locator("#token")).to_have_count(0)
        form = page.locator("[id='p.call.price'] form")
        await form.evaluate("form => form.requestSubmit()")
        await expect(form.locator("output")).to_have_text(re.compile("^200"))
        await pool.session("local:s")
        close = page.locator("#delete_v1_pools_pool_sessions_session form")
        page.on("dialog", lambda dialog: dialog.accept())
        await close.evaluate("form => { form.elements.session.value = 's'; form.requestSubmit() }")
        await expect(close.locator("output")).to_have_text(re.compile("^204"))


async def test_the_page_fits_a_telephone_and_every_control_has_a_name(tmp_path: Path, browsing: Browsing) -> None:
    """390 pixels wide nothing is cut off, folded or not; fields have labels, ids are not used twice."""
    access = Access(state_folder=str(tmp_path / "state"), environ={})
    async with millpond.Pool(Fuzzed, max_workers=1) as pool, served(pool, access) as server:
        for dark in (False, True):
            page = await browsing.open(TELEPHONE, dark=dark)
            await open_docs(page, server)
            assert not await is_too_wide(page)
            await page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert not await is_too_wide(page)
        controls = "[...document.querySelectorAll('input, textarea, button')]"
        assert await page.evaluate(f"{controls}.every(one => one.labels.length || one.textContent)")
        ids = await page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
        assert len(set(ids)) == len(ids)
        heights = "[...document.querySelectorAll('form.try button[type=submit]')].map(one => one.offsetHeight)"
        assert min(await page.evaluate(heights)) >= 44
