"""Pools behind a real server with the live page in a window: what nearly every test of the page begins with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import millpond
from millpond.http.access.access import Access
from tests.browser.browsing import DESKTOP, LIMIT_S, Browsing, log_in, need_built_page
from tests.faults.served import Served, served

if TYPE_CHECKING:
    from playwright.async_api import Page

Pools = millpond.Pool | Mapping[str, millpond.Pool]
VIEWS = ("overview", "workers", "calls", "sessions", "sizing", "alerts", "events")


class Site:
    """A server, who is let in, and windows of its page."""

    def __init__(self, server: Served, access: Access, browsing: Browsing) -> None:
        self.server, self.access, self.browsing = server, access, browsing

    async def open(
        self, *, role: str = "admin", size: tuple[int, int] = DESKTOP, dark: bool = False, **query: Any
    ) -> Page:
        """The live page, for a role, in a window of its own."""
        page = await self.browsing.open(size, dark=dark)
        token_id = None
        if role != "admin":
            issued, _ = self.access.state.issue(role, None, None, time.time())  # type: ignore[arg-type]
            token_id = issued.id
        await log_in(page, self.access, self.base, token_id)
        await self.show(page, **query)
        return page

    async def show(self, page: Page, **query: Any) -> None:
        """Go to another address of the page, and wait until it is live."""
        await page.goto(f"{self.base}/?{urlencode(query)}")
        if "paused" not in query:
            await page.locator(".live.is-live").wait_for()

    @property
    def base(self) -> str:
        """Its address."""
        return f"http://{self.server.host}"

    @property
    def is_followed(self) -> bool:
        """Whether a page follows the events."""
        return any(feed.has_readers for feed in self.server.application.feeds.all())


@asynccontextmanager
async def site(pools: Pools, browsing: Browsing, folder: Path, port: int = 0) -> AsyncIterator[Site]:
    """Serve these pools; a folder that is used again lets in whoever was logged in before."""
    need_built_page()
    access = Access(state_folder=str(folder / "state"), environ={})
    async with served(pools, access, port=port) as server:
        yield Site(server, access, browsing)


async def until(holds: Callable[[], object], what: str = "") -> None:
    """Wait until something holds in this process."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.01)
