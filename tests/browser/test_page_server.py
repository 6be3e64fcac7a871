"""The live page and its server: restarts, old data, viewers that do not read, and a stop while pages are open."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from pathlib import Path

from millpond.events import PoolAdministered
from tests.browser.browsing import Browsing
from tests.browser.site import site, until
from tests.browser.timed_pool import TimedPool, timed_pool
from tests.faults.served import LIMIT_S
from tests.needs import need

need("playwright")

from playwright.async_api import expect  # noqa: E402

FIXED = {"min_workers": 2, "max_workers": 2, "optimizer": False}
STALLED = 5


def past(timed: TimedPool) -> None:
    """Five calls a second."""
    timed.traffic(lambda at: 5 if at < 0 else 0, lambda _: 0.1)


async def test_the_page_says_that_its_data_are_old_and_reconnects_by_itself(tmp_path: Path, browsing: Browsing) -> None:
    """A server that is gone is told within seconds, with the age; the one in its place is shown when it is there."""
    async with timed_pool(**FIXED) as timed:
        async with site(timed.pool, browsing, tmp_path) as there:
            page = await there.open()
            await expect(page.locator(".figures")).to_contain_text("0 running")
            port = there.server.port
        await expect(page.get_by_role("alert")).to_contain_text(re.compile(r"^These data are .* old\."))
        await expect(page.locator(".live")).to_have_text("Not live")
        timed.engine.hold()
        timed.start(timed.pool.call("classify", 0.0))
        async with site(timed.pool, browsing, tmp_path, port):
            await expect(page.locator(".live")).to_have_text("Live")
            await expect(page.get_by_role("alert")).to_have_count(0)
            await expect(page.locator(".figures")).to_contain_text("1 running")


async def test_history_outlives_the_program(tmp_path: Path, browsing: Browsing) -> None:
    """With `history_path` the page shows what the run before counted; without, only what this one did."""
    settings = {**FIXED, "history_path": str(tmp_path / "history.sqlite")}
    async with timed_pool(past_s=60, begin=past, **settings) as timed:
        await asyncio.to_thread(timed.pool.metrics.settle)
    async with (
        timed_pool(**settings) as after,
        timed_pool("forgetful", **FIXED) as other,
        site({"documents": after.pool, "forgetful": other.pool}, browsing, tmp_path) as there,
    ):
        page = await there.open()  # the steps of this range are in memory only, and longer ones take their place
        chart = page.get_by_role("img", name=re.compile("^Calls a second"))
        await expect(chart).to_have_accessible_name(re.compile(r"answered: .*at most [1-9]"))
        await there.show(page, pool="forgetful")
        await expect(chart).to_have_accessible_name(re.compile(r"answered: (nothing yet|0/s now, at most 0/s)"))


async def test_the_server_stops_while_pages_are_open(tmp_path: Path, browsing: Browsing) -> None:
    """Pages wait for events for ever, and no stop waits for them."""
    async with timed_pool(**FIXED) as timed, AsyncExitStack() as serving:
        there = await serving.enter_async_context(site(timed.pool, browsing, tmp_path))
        for view in ("overview", "calls", "workers"):
            await there.open(view=view)
        async with asyncio.timeout(LIMIT_S):
            await serving.aclose()
        assert timed.pool.statistics().state == "ready"


async def test_viewers_that_do_not_read_hold_up_nobody(tmp_path: Path, browsing: Browsing) -> None:
    """Others see what happens, calls are answered, and what is kept for the stalled is bounded."""
    async with timed_pool(**FIXED) as timed, site(timed.pool, browsing, tmp_path) as there:
        page = await there.open()
        request = f"GET /v1/pools/p/events HTTP/1.1\r\nHost: {there.server.host}\r\n"
        request += f"Authorization: {there.server.bearer}\r\n\r\n"
        stalled = [await asyncio.open_connection("127.0.0.1", there.server.port, limit=1) for _ in range(STALLED)]
        for _, writer in stalled:
            writer.write(request.encode())
        feeds = there.server.application.feeds
        await until(lambda: sum(feed._readers for feed in feeds.all()) == STALLED + 1)
        newest = {feed: feed.newest for feed in feeds.all()}
        for _ in range(3000):  # three times what a feed keeps
            timed.pool.telemetry.execute(PoolAdministered("pause", "somebody"))
        await until(lambda: all(feed.newest >= before + 3000 for feed, before in newest.items()))
        assert all(len(feed._ring) <= 1000 for feed in feeds.all())
        assert await timed.pool.call("classify", 0.0) == "invoice"
        await expect(page.locator(".figures")).to_contain_text("0 of 1 calls in a minute")
        await page.get_by_role("navigation").get_by_role("link", name="Events").click()
        await expect(page.get_by_role("row", name=re.compile("pool.command")).first).to_be_visible()
        for _, writer in stalled:
            writer.close()
