"""The page `/docs` in a real browser that obeys its policy."""

from __future__ import annotations

from pathlib import Path

import pytest

import millpond
from millpond.http.access.access import Access
from tests.browser.driven import BROWSER, browser
from tests.faults.served import served
from tests.processes.fuzzed import Fuzzed

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")

FORM = "document.querySelector('#p\\\\.call\\\\.price form')"
SHOWN = f"{FORM}.querySelector('.answer').textContent"
SAID = f"{FORM}.querySelector('output').textContent"
OVERFLOWS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


async def test_an_operation_is_tried_from_the_page(tmp_path: Path) -> None:
    """By a token that is entered there; errors are shown; the policy stands in the way of nothing."""
    access = Access(state_folder=str(tmp_path / "state"), environ={})
    async with (
        millpond.Pool(Fuzzed, max_workers=1) as pool,
        served(pool, access) as server,
        browser(tmp_path / "profile") as page,
    ):
        await page.go(f"http://{server.host}/docs", Authorization=server.bearer)
        assert await page.run("document.title") == "Millpond: p"
        await page.run(f"{FORM}.requestSubmit()")
        assert (await page.until(f"/^401/.test({SAID}) && {SAID}")).startswith("401")
        await page.run(f"document.getElementById('token').value = '{server.token}'")
        await page.run(f"{FORM}.requestSubmit()")
        assert (await page.until(f"/^200/.test({SAID}) && {SAID}")).startswith("200")
        assert '"name": "text"' in await page.run(SHOWN)
        await page.run(f"{FORM}.elements.body.value = '{{'")
        await page.run(f"{FORM}.requestSubmit()")
        assert (await page.until(SAID)).startswith("This is not JSON")
        assert await page.run(f"{FORM}.elements.body.getAttribute('aria-invalid')") == "true"
        stream = FORM.replace("call", "stream").replace("price", "letters")
        await page.run(f"{stream}.requestSubmit()")
        assert "event: end" in await page.until(
            f"/^200/.test({stream}.querySelector('output').textContent) && "
            f"{stream}.querySelector('.answer').textContent"
        )
        await page.picture(tmp_path / "page.png")
        assert [text for text in page.complaints if "401" not in text] == []


async def test_who_has_logged_in_needs_no_token(tmp_path: Path) -> None:
    """The cookie is enough, also for what changes something: it comes from the page's own origin, as JSON."""
    access = Access(state_folder=str(tmp_path / "state"), environ={})
    async with (
        millpond.Pool(Fuzzed, max_workers=1) as pool,
        served(pool, access) as server,
        browser(tmp_path / "profile") as page,
    ):
        await page.send("Page.navigate", url=access.login_url(f"http://{server.host}"))
        await page.until("document.body && document.body.textContent.includes('You are logged in as')")
        await page.go(f"http://{server.host}/docs")
        assert await page.run("document.getElementById('token')") is None
        await page.run(f"{FORM}.requestSubmit()")
        assert (await page.until(f"/^[0-9]/.test({SAID}) && {SAID}")).startswith("200")
        await pool.session("local:s")
        close = "document.getElementById('delete_v1_pools_pool_sessions_session').querySelector('form')"
        await page.run(f"window.confirm = () => true; {close}.elements.session.value = 's'; {close}.requestSubmit()")
        said = f"{close}.querySelector('output').textContent"
        assert (await page.until(f"/^[0-9]/.test({said}) && {said}")).startswith("204")
        assert page.complaints == []


async def test_the_page_fits_a_telephone_and_every_control_has_a_name(tmp_path: Path) -> None:
    """390 pixels wide nothing is cut off, folded or not; fields have labels, ids are not used twice."""
    async with (
        millpond.Pool(Fuzzed, max_workers=1) as pool,
        served(pool, Access(state_folder=str(tmp_path / "state"), environ={})) as server,
        browser(tmp_path / "profile") as page,
    ):
        for dark in (False, True):
            await page.look(390, dark=dark)
            await page.go(f"http://{server.host}/docs", Authorization=server.bearer)
            assert not await page.run(OVERFLOWS)
            await page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert not await page.run(OVERFLOWS)
            await page.picture(tmp_path / f"narrow{dark}.png")
        controls = "[...document.querySelectorAll('input, textarea, button')]"
        assert await page.run(f"{controls}.every(one => one.labels.length || one.textContent)")
        ids = "[...document.querySelectorAll('[id]')].map(one => one.id)"
        assert await page.run(f"new Set({ids}).size === {ids}.length")
        heights = "[...document.querySelectorAll('form.try button[type=submit]')].map(one => one.offsetHeight)"
        assert min(await page.run(heights)) >= 44
        assert page.complaints == []
