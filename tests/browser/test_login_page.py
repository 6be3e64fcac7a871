"""The pages of logging in, in a real browser that obeys their policy."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

import millpond
from millpond.http.access.access import Access
from tests.faults.handlers import Plain
from tests.faults.served import served

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LIMIT_S = 120

pytestmark = pytest.mark.skipif(BROWSER is None and not os.environ.get("CI"), reason="there is no Chromium")


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


async def test_a_page_of_another_port_can_do_nothing_with_the_login(tmp_path: Path) -> None:
    """To a browser it is of the same site, so the cookie comes with what it sends: nothing runs, nothing is read."""
    access = Access(state_folder=str(tmp_path / "state"), environ={})
    async with millpond.Pool(Plain, max_workers=1) as pool, served(pool, access) as server:
        base = f"http://{server.host}"
        page, _ = await shown(access.login_url(base), tmp_path / "profile")
        assert "You are logged in as" in page

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
            port = other.sockets[0].getsockname()[1]
            before = pool.statistics()
            page, _ = await shown(f"http://127.0.0.1:{port}/", tmp_path / "profile")
            after = pool.statistics()
        told = page.partition('<pre id="said">')[2].partition("</pre>")[0].split()
        assert told[-1] == "end"
        names = ("json", "text", "empty", "delete", "logout", "read", "script")
        assert told[:-1] == [f"{name}:refused" for name in names]
        assert (after.submitted, after.sessions_open) == (before.submitted, before.sessions_open) == (0, 1)
        page, _ = await shown(f"{base}/", tmp_path / "profile")
        assert "You are logged in as" in page
