"""The live page in each situation of a pool: told at a glance."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import situations
from tests.browser.browsing import DESKTOP, TELEPHONE, Browsing, is_too_wide
from tests.browser.site import site
from tests.needs import need

need("playwright")

from playwright.async_api import expect  # noqa: E402

VERDICTS = {
    "healthy": "Healthy",
    "idle": "Healthy, idle",
    "saturated": "Saturated",
    "no_workers": "No workers",
    "slow": "Slow",
    "crash_looping": "Crash-looping",
    "failing": "Calls fail",
    "empty": "Healthy, idle",
    "draining": "Draining",
}


@pytest.mark.parametrize("name", VERDICTS)
async def test_each_state_has_a_word_of_its_own(name: str, tmp_path: Path, browsing: Browsing) -> None:
    """The verdict is the first thing on the page, wide and narrow, and in sight without scrolling."""
    async with situations.SITUATIONS[name]() as pools, site(pools, browsing, tmp_path) as there:
        for size in (DESKTOP, TELEPHONE):
            page = await there.open(size=size)
            verdict = page.get_by_role("heading", level=2).first
            await expect(verdict).to_have_text(VERDICTS[name])
            await expect(verdict).to_be_in_viewport()
            assert not await is_too_wide(page)
