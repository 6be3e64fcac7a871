"""The pages of logging in, in a real browser that obeys their policy."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import millpond
from millpond.http.access.access import Access
from tests.browser.browsing import TELEPHONE, Browsing, log_in
from tests.faults.handlers import Plain
from tests.faults.served import served
from tests.needs import need

need("playwright")

from playwright.async_api import expect  # noqa: E402

if TYPE_CHECKING:
    from playwright.async_api import Page

SHOWS_POOLS = "document.querySelector('meta[name=millpond]') !== null"


async def test_a_browser_logs_in_by_the_link_once(tmp_path: Path, browsing: Browsing) -> None:
    """The code leaves the address, the policy of the pages stands in the way of nothing, and the cookie is kept."""
    access = Access(state_folder=str(tmp_path / "state"), environ={})
    async with millpond.Pool(Plain, max_workers=1) as pool, served(pool, access) as server:
        base = f"http://{server.host}"
        link = access.login_url(base)
        page = await browsing.open(TELEPHONE)
        await page.goto(link)
        await page.wait_for_url(f"{base}/")
        assert await page.evaluate(SHOWS_POOLS)
        await page.goto(f"{base}/")
        assert await page.evaluate(SHOWS_POOLS)
        assert link.partition("#")[2] not in await page.content()
        another = await browsing.open(TELEPHONE)
        await another.goto(link)
        await expect(another.locator("body")).to_contain_text("This code was used already")
        assert another.url == f"{base}/login"
        await another.goto(f"{base}/")
        await expect(another.locator("code").first).to_have_text(f"millpond login --url {base}")
        browsing.forgive(" 401 ")


ATTACK = """<!doctype html><body><pre id="said"></pre><iframe name="frame"></iframe>
<form id="form" method="post" enctype="text/plain" target="frame" action="SERVER/v1/pools/p/call/echo">
<input name='["form", "' value='"]'></form>
<script>
const said = [];
const attempts = [
  ["json", () => fetch("SERVER/v1/pools/p/call/echo", {method: "POST", credentials: "include", body: '["a"]',
                       headers: {"Content-Type": "application/json"}})],
  ["text", () => fetch("SERVER/v1/pools/p/call/echo", {method: "POST", credentials: "include", mode: "no-cors",
                       body: '["a"]'})],
  ["empty", () => fetch("SERVER/v1/pools/p/admin/pause", {method: "POST", credentials: "include", mode: "no-cors"})],
  ["delete", () => fetch("SERVER/v1/pools/p/sessions/s", {method: "DELETE", credentials: "include"})],
  ["logout", () => fetch("SERVER/logout", {method: "POST", credentials: "include", mode: "no-cors", body: "{}"})],
  ["read", async () => (await fetch("SERVER/v1/pools/p/statistics", {credentials: "include"})).text()],
  ["script", () => new Promise((done, failed) => {
    const one = Object.assign(document.createElement("script"), {src: "SERVER/v1/pools/p/statistics"});
    one.onload = done; one.onerror = failed; document.body.append(one);
  })],
];
(async () => {
  document.getElementById("form").submit();
  for (const [name, attempt] of attempts) {
    try { await attempt(); said.push(name + ":answered"); }
    catch { said.push(name + ":refused"); }
  }
  document.getElementById("said").textContent = said.join(" ") + " end";
})();
</script>"""


async def test_a_page_of_another_port_can_do_nothing_with_the_login(
    tmp_path: Path, page: Page, browsing: Browsing
) -> None:
    """To a browser it is of the same site, so the cookie comes with what it sends: nothing runs, nothing is read."""
    access = Access(state_folder=str(tmp_path / "state"), environ={})
    async with millpond.Pool(Plain, max_workers=1) as pool, served(pool, access) as server:
        base = f"http://{server.host}"
        await log_in(page, access, base)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not await reader.readline():  # browsers open connections that they may need, and may not
                writer.close()
                return
            await reader.readuntil(b"\r\n\r\n")
            body = ATTACK.replace("SERVER", base).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            writer.write(head % len(body) + body)
            writer.close()

        async with pool.session("local:s"), await asyncio.start_server(answer, "127.0.0.1", 0) as other:
            before = pool.statistics()
            await page.goto(f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}/")
            said = page.locator("#said")
            await expect(said).to_contain_text(" end")
            after = pool.statistics()
        names = ("json", "text", "empty", "delete", "logout", "read", "script")
        assert (await said.inner_text()).split() == [*(f"{name}:refused" for name in names), "end"]
        assert (after.submitted, after.sessions_open) == (before.submitted, before.sessions_open) == (0, 1)
        browsing.forgive("")
        await page.goto(f"{base}/")
        assert await page.evaluate(SHOWS_POOLS)
