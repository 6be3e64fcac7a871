"""`make bench-page`: what the live page costs its server, and how soon it shows what happens.

Writes `benchmarks/results/page.json`, and prints it. The server is a process of its own. Its load is measured under
viewers that read what a page reads and draw nothing, as browsers are on machines of their own; the rest in Chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Page

from benchmarks import machine
from benchmarks.table import ROOT
from tests.browser.browsing import DESKTOP, chromium

RESULTS = ROOT / "benchmarks" / "results" / "page.json"
VIEWERS = 5
EVENTS, COLD, STOPS = 20, 10, 3
PACKAGES = ("millpond", "playwright", "uvloop")
# Marks the first frame after which a chart has pixels.
FIRST_CHART = """
window.firstChart = null;
const look = () => {
  const canvas = document.querySelector("canvas");
  const drawn = canvas && canvas.width && canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  if (drawn && drawn.some((one) => one)) requestAnimationFrame(() => { window.firstChart = performance.now() / 1000; });
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
# The moment of the frame after that in which something holds.
PAINTED = """holds => new Promise((done) => {
  const test = new Function("return " + holds);
  const look = () => test() ? requestAnimationFrame(() => requestAnimationFrame(() => done(Date.now() / 1000)))
                            : requestAnimationFrame(look);
  look();
})"""


class Child:
    """The server's process."""

    def __init__(self, process: asyncio.subprocess.Process, said: dict[str, str]) -> None:
        self._process = process
        self.base, self.login, self.token = said["base"], said["login"], said["token"]

    async def ask(self, command: str) -> Any:
        """What a command came to."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{command}\n".encode())
        return json.loads(await self._process.stdout.readline())


@asynccontextmanager
async def child() -> AsyncIterator[Child]:
    """A server, which is gone afterwards."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "benchmarks.live_page_server"]
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=ROOT)
    assert process.stdin
    assert process.stdout
    try:
        yield Child(process, json.loads(await process.stdout.readline()))
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def viewers(server: Child, count: int) -> AsyncIterator[None]:
    """So many read the events, as a page does once it is loaded."""
    address = urlsplit(server.base)
    request = (
        f"GET /v1/pools/bench/events HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {server.token}\r\n\r\n"
    )

    async def read() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(request.encode())
        while await reader.read(65536):
            pass

    reading = [asyncio.create_task(read()) for _ in range(count)]
    await asyncio.sleep(1.5)
    try:
        yield
    finally:
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def dispatch(server: Child, rounds: int, seconds: float) -> dict[str, Any]:
    """p99 of calls without and with viewers, in turns."""
    found: dict[str, Any] = {"without": [], "with": []}
    await server.ask("load 2")
    for _ in range(rounds):
        for name, count in (("without", 0), ("with", VIEWERS)):
            async with viewers(server, count):
                found[name].append((await server.ask(f"load {seconds}"))["p99"])
    found["effect"] = median(b / a for a, b in zip(found["without"], found["with"], strict=True)) - 1
    return found


async def processor(server: Child, rounds: int, seconds: float) -> dict[str, Any]:
    """The server's share of a core without and with viewers, in turns, while nobody calls."""
    found: dict[str, Any] = {"without": [], "with": []}
    for _ in range(rounds):
        for name, count in (("without", 0), ("with", VIEWERS)):
            async with viewers(server, count):
                before, began = await server.ask("cpu"), time.perf_counter()
                await asyncio.sleep(seconds)
                found[name].append((await server.ask("cpu") - before) / (time.perf_counter() - began))
    found["each"] = (median(found["with"]) - median(found["without"])) / VIEWERS
    return found


async def logged_in(browser: Browser, server: Child) -> BrowserContext:
    """A window that is logged in."""
    context = await browser.new_context(viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
    page = await context.new_page()
    await page.goto(server.login)
    await page.wait_for_url(f"{server.base}/")
    await page.close()
    return context


async def latency(context: BrowserContext, server: Child) -> dict[str, Any]:
    """From an event, and from a call's beginning, until the page has painted it."""
    page = await context.new_page()
    events = []
    await page.goto(f"{server.base}/?view=events")
    await page.locator(".live.is-live").wait_for()
    for number in range(EVENTS):
        seen = asyncio.create_task(page.evaluate(PAINTED, f"document.querySelectorAll('tbody tr').length > {number}"))
        await asyncio.sleep(0.1)
        began = await server.ask("event")
        events.append(await seen - began)
    figures = []
    await page.goto(server.base)
    await page.locator(".live.is-live").wait_for()
    for number in range(EVENTS):
        await page.evaluate(PAINTED, "document.querySelector('.figures').textContent.includes('0 running')")
        await asyncio.sleep(number / EVENTS)
        began = await server.ask("nap 1.6")
        shown = "document.querySelector('.figures').textContent.includes('1 running')"
        figures.append(await page.evaluate(PAINTED, shown) - began)
    await page.close()
    return {"event": events, "figure": figures}


async def cold(browser: Browser, context: BrowserContext, server: Child) -> dict[str, Any]:
    """Seconds from the navigation to the first chart, and bytes until the screen is complete, nothing being cached."""
    seconds, sizes = [], []
    state = await context.storage_state()
    for _ in range(COLD):
        fresh = await browser.new_context(storage_state=state, viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
        await fresh.add_init_script(FIRST_CHART)
        page = await fresh.new_page()
        received = await counted(page)
        await page.goto(server.base)
        await page.evaluate(PAINTED, "window.firstChart !== null && document.querySelector('.verdict h2') !== null")
        seconds.append(await page.evaluate("window.firstChart"))
        sizes.append(sum(received))
        await fresh.close()
    return {"seconds": seconds, "bytes": sizes}


async def counted(page: Page) -> list[int]:
    """Grows by the bytes on the wire of each piece and each head that comes."""
    received: list[int] = []
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    session.on("Network.dataReceived", lambda said: received.append(said["encodedDataLength"]))
    session.on("Network.responseReceived", lambda said: received.append(said["response"]["encodedDataLength"]))
    return received


async def stops(browser: Browser) -> list[float]:
    """Seconds that a server takes to stop while pages are open."""
    found = []
    for _ in range(STOPS):
        async with child() as server:
            context = await logged_in(browser, server)
            for _ in range(VIEWERS):
                page = await context.new_page()
                await page.goto(server.base)
                await page.locator(".live.is-live").wait_for()
            found.append(await server.ask("stop"))
            await context.close()
    return found


async def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """All of it."""
    found: dict[str, Any] = {"date": str(datetime.date.today()), "machine": machine.facts(PACKAGES)}
    async with child() as server:
        found["dispatch"] = await dispatch(server, rounds, seconds)
        found["processor"] = await processor(server, max(1, rounds // 3), 3 * seconds)
        async with chromium() as browser:
            context = await logged_in(browser, server)
            found["latency"] = await latency(context, server)
            found["cold"] = await cold(browser, context, server)
            await context.close()
            found["stops"] = await stops(browser)
    return found


def summary(found: dict[str, Any]) -> dict[str, str]:
    """What is asked for, in a line each."""
    dispatch_, each, latency_, cold_ = found["dispatch"], found["processor"]["each"], found["latency"], found["cold"]
    return {
        f"effect of {VIEWERS} viewers on the p99 of calls": f"{dispatch_['effect']:+.1%}",
        "a core of the server for each viewer": f"{each:.3%}",
        "event to pixel, p50 and max": f"{median(latency_['event']):.3f} s, {max(latency_['event']):.3f} s",
        "call to figure, p50 and max": f"{median(latency_['figure']):.2f} s, {max(latency_['figure']):.2f} s",
        "first chart, cold, p50 and max": f"{median(cold_['seconds']):.2f} s, {max(cold_['seconds']):.2f} s",
        "transferred until the first screen is complete": f"{max(cold_['bytes']) / 1000:.0f} KB",
        f"stop with {VIEWERS} pages open, max": f"{max(found['stops']):.2f} s",
    }


def main() -> None:
    """Measure, print, and write unless it was a quick run."""
    parser = argparse.ArgumentParser(prog="make bench-page", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short turns: to try things, not to publish")
    quick = parser.parse_args().quick
    found = asyncio.run(measure(3 if quick else 15, 1.0 if quick else 4.0))
    for name, text in summary(found).items():
        print(f"{name}: {text}")
    if not quick:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
