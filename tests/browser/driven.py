"""A browser that a test drives, by the DevTools protocol over a pipe."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LIMIT_S = 120.0
OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]


class Page:
    """One page of the browser."""

    def __init__(self, reader: asyncio.StreamReader, write: int) -> None:
        self._reader = reader
        self._write = write
        self._session: str | None = None
        self._number = 0
        self.complaints: list[str] = []  # of the page: what its policy forbade, and what failed

    async def send(self, method: str, **parameters: Any) -> Any:
        """One command, and its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            got = json.loads((await self._reader.readuntil(b"\0"))[:-1])
            if got.get("method") == "Log.entryAdded":
                self.complaints.append(got["params"]["entry"]["text"])
            if got.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(got["params"]["exceptionDetails"]))
            if got.get("id") == self._number:
                assert "error" not in got, got
                return got["result"]

    async def attach(self) -> None:
        """Open the page."""
        target = await self.send("Target.createTarget", url="about:blank")
        attached = await self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            await self.send(f"{domain}.enable")

    async def look(self, width: int, *, dark: bool = False) -> None:
        """Set the width of the window, and whether its user likes it dark."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def go(self, url: str, **headers: str) -> None:
        """Load a page, with more headers for this and all that it loads."""
        await self.send("Network.setExtraHTTPHeaders", headers=headers)
        await self.send("Page.navigate", url=url)
        await self.until(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")
        await self.send("Network.setExtraHTTPHeaders", headers={})

    async def run(self, script: str) -> Any:
        """What an expression gives in the page."""
        got = await self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until the expression is true, and return it."""
        async with asyncio.timeout(LIMIT_S):
            while not (got := await self.run(script)):
                await asyncio.sleep(0.02)
        return got

    async def picture(self, path: Path) -> None:
        """A picture of the whole page."""
        got = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(got["data"]))


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Page]:
    """A page of a browser of its own, which is dead afterwards."""
    to_it, commands = os.pipe()
    answers, from_it = os.pipe()
    # The protocol is on the descriptors 3 and 4, whichever these are here.
    command = 'exec 7<&"$0" 8>&"$1"; exec 3<&7 4>&8 7<&- 8>&-; shift; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", command, str(to_it), str(from_it), str(BROWSER), *OPTIONS, f"--user-data-dir={profile}"],
        pass_fds=(to_it, from_it),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_it)
    os.close(from_it)
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(answers, "rb"))
    page = Page(reader, commands)
    try:
        async with asyncio.timeout(LIMIT_S):
            await page.attach()
        yield page
    finally:
        process.kill()
        process.wait(LIMIT_S)
        transport.close()
        os.close(commands)
