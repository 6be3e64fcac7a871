"""The pages of logging in, in a real browser that obeys their policy."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

import millpond
from millpond.http.access.access import Access
from tests.faults.handlers import Plain
from tests.faults.served import served

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LIMIT_S = 120

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")


async def shown(url: str, profile: Path) -> tuple[str, str]:
    """The page that a browser shows at the end, and what it complained of."""
    options = [f"--user-data-dir={profile}", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    options += ["--enable-logging=stderr", "--window-size=390,800", "--virtual-time-budget=20000", "--dump-dom"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(str(BROWSER), *options, url, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(LIMIT_S):
            page, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return page.decode(), "\n".join(line for line in said.decode().splitlines() if "CONSOLE" in line)


async def test_a_browser_logs_in_by_the_link_once(tmp_path: Path) -> None:
    """The code leaves the address, the policy of the pages stands in the way of nothing, and the cookie is kept."""
    access = Access(state_folder=str(tmp_path / "state"), environ={})
    async with millpond.Pool(Plain, max_workers=1) as pool, served(pool, access) as server:
        base = f"http://{server.host}"
        link = access.login_url(base)
        page, said = await shown(link, tmp_path / "profile")
        assert "You are logged in as" in page
        assert "Content Security Policy" not in said
        page, _ = await shown(f"{base}/", tmp_path / "profile")
        assert "You are logged in as" in page
        assert link.partition("#")[2] not in page
        page, _ = await shown(link, tmp_path / "another")
        assert "This code was used already" in page
        page, said = await shown(f"{base}/", tmp_path / "another")
        assert f"millpond login --url {base}<" in page
        assert "Content Security Policy" not in said
