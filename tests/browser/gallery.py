"""`python -m tests.browser.gallery FOLDER [SITUATION ...]`: what the live page looks like in each situation.

Writes the first screen and the whole page, wide and narrow, light and dark; `--views` writes every view of it.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from millpond.http.access.access import Access
from tests.browser.browsing import DESKTOP, TELEPHONE, Browsing, chromium, log_in
from tests.browser.situations import SITUATIONS
from tests.faults.served import served

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

SIZES = {"desktop": DESKTOP, "390": TELEPHONE}
VIEWS = ("overview", "workers", "calls", "sessions", "sizing", "alerts", "events")
SETTLE_S = 1.5  # for the first snapshot to come and be drawn


async def show(page: Page, address: str, file: Path) -> None:
    """Write what is seen at an address."""
    await page.goto(address)
    await page.wait_for_selector("main")
    await asyncio.sleep(SETTLE_S)
    await page.screenshot(path=file.with_suffix(".png"))
    await page.screenshot(path=file.with_name(f"{file.name}-whole.png"), full_page=True)


async def look(browsing: Browsing, access: Access, base: str, size: str, dark: bool, targets: dict[Path, str]) -> None:
    """Write what is seen at some addresses in a window of its own."""
    page = await browsing.open(SIZES[size], dark=dark)
    await log_in(page, access, base)
    for file, address in targets.items():
        await show(page, address, file)


async def situation(browser: Browser, name: str, folder: Path, views: tuple[str, ...]) -> None:
    """Write one situation, each of its pools, in four looks; print what the page complained of."""
    with tempfile.TemporaryDirectory() as state:
        access = Access(state_folder=state, environ={})
        async with SITUATIONS[name]() as pools, served(pools, access) as server:
            browsing, base, looks = Browsing(browser), f"http://{server.host}", []
            for size in SIZES:
                for dark in (False, True):
                    targets = {}
                    for number, pool in enumerate(pools):
                        for view in views:
                            parts = [name, str(number) if number else "", view, size, "dark" if dark else "light"]
                            file = folder / "-".join(part for part in parts if part and part != "overview")
                            targets[file] = f"{base}/?{urlencode({'pool': pool, 'view': view})}"
                    looks.append(look(browsing, access, base, size, dark, targets))
            await asyncio.gather(*looks)
            await browsing.close()
    print(name, *dict.fromkeys(browsing.complaints), sep="\n  ")


async def main() -> None:
    """Write the situations that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.gallery", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("situation", nargs="*", choices=[*SITUATIONS, []])
    parser.add_argument("--views", action="store_true", help="every view, not only the overview")
    asked = parser.parse_intermixed_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser:
        for name in asked.situation or SITUATIONS:
            await situation(browser, name, asked.folder, VIEWS if asked.views else VIEWS[:1])


if __name__ == "__main__":
    asyncio.run(main())
