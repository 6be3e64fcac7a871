"""One browser for the tests of a file, a window for each of them; what one complains of fails its test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.browsing import Browsing, chromium

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

HAS_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """Let the fixtures know whether their test failed."""
    report = yield
    item.stash[HAS_FAILED] = item.stash.get(HAS_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """The loop of the file's tests and of their browser."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def browser(runner: asyncio.Runner) -> Iterator[Browser]:
    """The browser of the file's tests."""
    held = chromium()
    browser = runner.run(held.__aenter__())
    yield browser
    runner.run(held.__aexit__(None, None, None))


@pytest.fixture
def browsing(browser: Browser, runner: asyncio.Runner, request: pytest.FixtureRequest) -> Iterator[Browsing]:
    """The windows of a test. Of one that fails the screenshots and traces are kept in `tests/artefacts`."""
    windows = Browsing(browser, is_traced=True)
    yield windows
    if request.node.stash.get(HAS_FAILED, False) or windows.complaints:
        runner.run(windows.keep(request.node.nodeid.removeprefix("tests/browser/")))
    runner.run(windows.close())
    assert windows.complaints == []


@pytest.fixture
def page(browsing: Browsing, runner: asyncio.Runner) -> Page:
    """A page in a window of its own."""
    return runner.run(browsing.open())
