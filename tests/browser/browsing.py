"""Chromium by Playwright: windows that complain of whatever a page must not do, and what is kept of a failure."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

import millpond.http
from tests.needs import need

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request

    from millpond.http.access.access import Access

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARTEFACTS = Path(__file__).parent.parent / "artefacts"
BUILT = Path(millpond.http.__file__).parent / "dashboard" / "static" / "index.html"
GONE = re.compile(r"net::ERR_(INCOMPLETE_CHUNKED_ENCODING|CONNECTION_\w+|EMPTY_RESPONSE|NETWORK_IO_SUSPENDED)")
LIMIT_S = 30.0  # upper bound of every wait for a page
DESKTOP = (1280, 800)
TELEPHONE = (390, 844)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser, which is gone afterwards."""
    need("playwright", "axe_playwright_python")
    if CHROMIUM is None and not os.environ.get("CI"):
        pytest.skip("there is no Chromium")
    assert CHROMIUM, "there is no Chromium"
    from playwright.async_api import async_playwright, expect

    expect.set_options(LIMIT_S * 1000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            await browser.close()


def need_built_page() -> None:
    """Skip the test where the live page was not built; where the whole suite decides (CI), that is an error instead."""
    if not BUILT.is_file() and not os.environ.get("CI"):
        pytest.skip("the live page was not built, `make page` does it")
    assert BUILT.is_file()


async def log_in(page: Page, access: Access, base: str, token_id: str | None = None) -> None:
    """Log the page's window in by a link, which leads to `/`."""
    await page.goto(access.login_url(base) if token_id is None else access.login_url(base, token_id))
    await page.wait_for_url(f"{base}/")


async def is_too_wide(page: Page) -> bool:
    """Whether the page can be moved sideways."""
    root = "document.documentElement"
    return bool(await page.evaluate(f"{root}.scrollWidth > {root}.clientWidth"))


class Browsing:
    """The windows of one test, each with cookies of its own.

    `complaints` are errors on a console, exceptions of a page, what its policy forbade, and requests to another host.
    """

    def __init__(self, browser: Browser, is_traced: bool = False) -> None:
        self._browser = browser
        self._is_traced = is_traced
        self.contexts: list[BrowserContext] = []
        self.complaints: list[str] = []

    async def open(self, size: tuple[int, int] = DESKTOP, *, dark: bool = False, **options: Any) -> Page:
        """A page in a new window; `options` are those of `new_context`."""
        width, height = size
        context = await self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            has_touch=width < 600,
            **options,
        )
        self.contexts.append(context)
        context.set_default_timeout(LIMIT_S * 1000)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"raised: {error.error}"))
        context.on("request", self._request)
        if self._is_traced:
            await context.tracing.start(snapshots=True)
        return await context.new_page()

    def _console(self, message: ConsoleMessage) -> None:
        # That a server went away while a page followed its events is the test's doing.
        if message.type == "error" and not GONE.search(message.text):
            self.complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob", "file") and address.hostname != "127.0.0.1":
            self.complaints.append(f"asked another host: {request.url}")

    def forgive(self, pattern: str) -> None:
        """Take out the complaints in which this is found: what a test provokes. There must be one."""
        others = [text for text in self.complaints if not re.search(pattern, text)]
        assert len(others) < len(self.complaints), f"nothing complained of {pattern}: {self.complaints}"
        self.complaints = others

    async def keep(self, name: str) -> None:
        """Keep what the windows look like, and how it came to that."""
        folder = ARTEFACTS / re.sub(r"[^\w.-]+", "-", name)
        for number, context in enumerate(self.contexts):
            for place, page in enumerate(context.pages):
                await page.screenshot(path=folder / f"window-{number}-{place}.png", full_page=True)
            if self._is_traced:
                await context.tracing.stop(path=folder / f"trace-{number}.zip")

    async def close(self) -> None:
        """Close every window."""
        for context in self.contexts:
            await context.close()
