"""The live page in a real browser: what it shows of a pool, over time, and what stands in its address."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.browser.browsing import Browsing
from tests.browser.site import site, until
from tests.browser.timed_pool import TimedPool, timed_pool
from tests.needs import need

need("playwright")

from playwright.async_api import expect  # noqa: E402

FIXED = {"min_workers": 2, "max_workers": 2, "optimizer": False}
# Headless, a page is never hidden: it is told so here.
HIDE, SHOW = (
    f"Object.defineProperty(document, 'hidden', {{value: {is_hidden}, configurable: true}}); "
    "document.dispatchEvent(new Event('visibilitychange'))"
    for is_hidden in ("true", "false")
)
HAS_INK = """canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some(one => one)"""


def past(timed: TimedPool) -> None:
    """Five calls a second until ten seconds ago."""
    timed.traffic(lambda at: 5 if at < -10 else 0, lambda _: 0.1)


async def test_the_page_follows_the_pool_without_being_loaded_anew(tmp_path: Path, browsing: Browsing) -> None:
    """Calls that run and wait are counted within a snapshot or two, and no more once they have ended."""
    async with timed_pool(**FIXED) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open()
        await expect(page.get_by_role("heading", level=2).first).to_have_text("Healthy, idle")
        await page.evaluate("window.isTheSame = true")
        timed.engine.hold()
        for _ in range(3):
            timed.start(timed.pool.call("classify", 0.0))
        figures = page.locator(".figures")
        await expect(figures).to_contain_text("2 running, 1 waiting")
        await expect(figures).to_contain_text("2 of 2 workers busy now")
        timed.engine.release()
        await expect(figures).to_contain_text("0 running, 0 waiting")
        await expect(figures).to_contain_text("0 of 3 calls in a minute")
        assert await page.evaluate("window.isTheSame")


async def test_charts_show_what_was_before_the_page_was_opened(tmp_path: Path, browsing: Browsing) -> None:
    """By lines, in words, and as a table of numbers; over the range that is chosen, in its steps."""
    async with timed_pool(past_s=70, begin=past, **FIXED) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open()
        chart = page.get_by_role("img", name=re.compile("^Calls a second, last 5m"))
        await expect(chart).to_have_accessible_name(re.compile(r"answered: [\d.]+/s now, at most [1-9]"))
        assert await chart.locator("canvas").evaluate(HAS_INK)
        await page.get_by_role("button", name="Calls a second: numbers as a table").click()
        rows = page.get_by_role("region", name="Calls a second, numbers").get_by_role("row")
        await expect(rows).to_have_count(61)
        await page.get_by_role("button", name="Calls a second: numbers as a table").click()
        for name, resolution in (("1m", 1), ("15m", 10), ("1h", 10), ("24h", 60)):
            async with page.expect_request(re.compile(rf"/history\?.*resolution={resolution}&")):
                await page.get_by_role("group", name="How far back").get_by_role("link", name=name, exact=True).click()
            await expect(page.get_by_role("img", name=re.compile(f"^Calls a second, last {name}"))).to_be_visible()
            assert f"range={name}" in page.url


async def test_a_paused_page_asks_for_nothing(tmp_path: Path, browsing: Browsing) -> None:
    """It stands still, says so, and goes on where the pool is by then."""
    async with timed_pool(**FIXED) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open()
        await expect(page.locator(".figures")).to_contain_text("0 running")
        await page.get_by_role("button", name="Pause page").click()
        await expect(page.get_by_role("status")).to_have_text("Paused")
        assert "paused=1" in page.url
        await until(lambda: not there.is_followed)
        timed.engine.hold()
        timed.start(timed.pool.call("classify", 0.0))
        await timed.engine.wait_held()
        await expect(page.locator(".figures")).to_contain_text("0 running")
        await page.get_by_role("button", name="Resume page").click()
        await expect(page.locator(".figures")).to_contain_text("1 running")


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_wrong_costs_no_history(tmp_path: Path, browsing: Browsing, hours: int) -> None:
    """The browser's may be hours before or behind the server's: the page is refused nothing, and shows what was."""
    async with timed_pool(past_s=30, begin=past, **FIXED) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open()
        shifted = f"const now = Date.now; Date.now = () => now() + {hours * 3_600_000}"
        await page.add_init_script(shifted)
        chart = page.get_by_role("img", name=re.compile("^Calls a second"))
        for span in ("1m", "15m"):
            await there.show(page, range=span)
            await expect(chart).to_have_accessible_name(re.compile(r"answered: .*at most [1-9]"))
            await page.evaluate(HIDE)
            await until(lambda: not there.is_followed)
            await page.evaluate(SHOW)
            await until(lambda: there.is_followed)
            await expect(chart).to_have_accessible_name(re.compile(r"answered: .*at most [1-9]"))


async def test_a_hidden_page_asks_for_nothing(tmp_path: Path, browsing: Browsing) -> None:
    """Its stream ends with its being seen, and begins again with it."""
    async with timed_pool(**FIXED) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open(view="calls")
        await page.evaluate(HIDE)
        await until(lambda: not there.is_followed)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        timed.engine.hold()
        timed.start(timed.pool.call("classify", 0.0))
        await asyncio.sleep(2.5)  # in which it would have asked twice
        assert asked == []
        await page.evaluate(SHOW)
        await until(lambda: there.is_followed)
        await expect(page.locator(".live")).to_have_text("Live")
        await expect(page.get_by_role("cell", name="classify")).to_be_visible()


async def test_the_address_says_what_is_looked_at(tmp_path: Path, browsing: Browsing) -> None:
    """Loaded anew, the page shows the same; Back leads to the view before."""
    async with timed_pool(past_s=30, begin=past, **FIXED) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open(range="1m")
        await page.get_by_role("navigation").get_by_role("link", name="Calls").click()
        await page.get_by_role("link", name="Slowest").click()
        await page.get_by_role("combobox", name="Operation").select_option("classify")
        await expect(page).to_have_url(re.compile("view=calls.*operation=classify"))
        await expect(page.get_by_role("rowheader").first).to_be_visible()
        before = page.url
        await page.reload()
        assert page.url == before
        await expect(page.get_by_role("link", name="Slowest")).to_have_attribute("aria-current", "true")
        await expect(page.get_by_role("combobox", name="Operation")).to_have_value("classify")
        await expect(page.get_by_role("link", name="1m", exact=True)).to_have_attribute("aria-current", "true")
        await page.get_by_role("rowheader").first.get_by_role("link").click()
        await expect(page.get_by_role("heading", name=re.compile(r"Call \d+"))).to_be_visible()
        await page.get_by_role("navigation").get_by_role("link", name="Sessions").click()
        await expect(page).to_have_title(re.compile("^Sessions"))
        await page.go_back()
        await expect(page).to_have_title(re.compile("^Calls"))
        await expect(page).to_have_url(re.compile("show=slowest"))


async def test_one_pool_of_several_is_looked_at(tmp_path: Path, browsing: Browsing) -> None:
    """What the page shows is of the pool that was chosen, which stands in its address and its title."""
    async with (
        timed_pool("first", **FIXED) as first,
        timed_pool("second", **FIXED) as second,
        site({"first": first.pool, "second": second.pool}, browsing, tmp_path) as there,
    ):
        second.engine.hold()
        second.start(second.pool.call("classify", 0.0))
        page = await there.open()
        await expect(page).to_have_title(re.compile("first"))
        await expect(page.locator(".figures")).to_contain_text("0 running")
        await page.get_by_label("Pool", exact=True).select_option("second")
        await expect(page.locator(".figures")).to_contain_text("1 running")
        await expect(page).to_have_title(re.compile("second"))
        assert "pool=second" in page.url
        await page.go_back()
        await expect(page.locator(".figures")).to_contain_text("0 running")
        await expect(page.get_by_label("Pool", exact=True)).to_have_value("first")


async def test_a_report_of_the_span_is_saved(tmp_path: Path, browsing: Browsing) -> None:
    """One file, of the range that is chosen, which loads nothing."""
    async with timed_pool(past_s=60, begin=past, **FIXED) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open(range="1m")
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Save report of the last 1m").click()
        saved = await download.value
        assert re.fullmatch(r"millpond-p-\d{4}-\d\d-\d\d-\d{4}\.html", saved.suggested_filename)
        file = tmp_path / saved.suggested_filename
        await saved.save_as(file)
        another = await browsing.open(java_script_enabled=False)
        asked: list[str] = []
        another.on("request", lambda request: asked.append(request.url))
        await another.goto(file.as_uri())
        await expect(another.locator("body")).to_contain_text("p")
        assert asked == [file.as_uri()]


async def test_the_page_is_worked_by_the_keyboard(tmp_path: Path, browsing: Browsing) -> None:
    """Controls are reached in order, and can be seen to be; Escape leaves a question."""
    async with timed_pool(**FIXED) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open(view="workers")
        await expect(page.get_by_role("button", name="Set bounds…")).to_be_visible()
        focused = page.locator(":focus")
        await page.keyboard.press("Tab")
        await expect(focused).to_have_text("Skip to the content")
        reached = []
        for _ in range(20):
            await page.keyboard.press("Tab")
            reached.append(await focused.inner_text())
            outline = await focused.evaluate(
                "one => getComputedStyle(one).outlineStyle + getComputedStyle(one).boxShadow"
            )
            assert outline != "nonenone", reached[-1]
            if reached[-1] == "Set bounds…":
                break
        ranges, views = (
            ["1m", "5m", "15m", "1h", "24h"],
            ["Overview", "Workers", "Calls", "Sessions", "Sizing", "Alerts", "Events"],
        )
        assert reached == [*ranges, "Pause page", *views, "Set bounds…"]
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await expect(focused).to_have_attribute("name", "min")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(focused).to_have_text("Set bounds…")
