"""The screen of `top`, driven by keys, before a real server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from textual.widgets import DataTable, Footer, Static

import millpond
from millpond.alerts.rules import Group, Rule
from millpond.cli.top.screen import Top
from millpond.http import app as make_app
from millpond.http.access.caller import Caller
from millpond.http.server.limits import Limits
from millpond.http.server.listening import open_address
from millpond.http.server.server import Server
from millpond.http.server.state import State
from millpond.testing import FakeEngine
from tests.contract.documented import Shop

LIMIT_S = 30.0


@asynccontextmanager
async def serving(port: int) -> AsyncIterator[dict[str, millpond.Pool]]:
    """A server of two pools, which opens and closes them; the name of one is markup."""
    there = {name: millpond.Pool(Shop, engine=FakeEngine(), name=name, max_workers=2) for name in ("one", "[red]two")}
    application = make_app(there, auth=lambda _: Caller("boss", "view", "token"))
    listeners = open_address("127.0.0.1", port)
    server = Server(application, there, listeners, State(Limits(), 100), handle_signals=False)
    task = asyncio.create_task(server.serve())
    try:
        yield there
    finally:
        server.stop()
        await task


class Site:
    """A server of two pools, and the screen before it."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.top = Top(f"http://127.0.0.1:{self.port}", ["one", "[red]two"], "one")

    def text(self, name: str) -> str:
        """What a part shows."""
        return str(self.top.query_one(f"#{name}", Static).render())

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is shown."""
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                await asyncio.sleep(0.02)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    """A screen that was not opened yet."""
    monkeypatch.setenv("MILLPOND_TOKEN", f"mp_{'a' * 43}")
    return Site()


@pytest.mark.parametrize("size", [(80, 24), (40, 20)])
async def test_the_screen_shows_the_pool_and_another_one_when_asked(site: Site, size: tuple[int, int]) -> None:
    """What users named is shown as it is, never as markup; numbers go on each second."""
    async with serving(site.port) as there, site.top.run_test(size=size) as pilot:
        await site.until(lambda: "healthy 100/100" in site.text("verdict"))
        await there["one"].call("later", 1)
        await site.until(lambda: site.top.query_one(DataTable).row_count == 1)
        assert site.text("verdict").startswith("one (1 of 2)")
        assert "workers 1 of 1..2" in site.text("numbers")
        assert site.top.query_one(Footer).max_scroll_x == 0  # all keys are seen
        await pilot.press("right")
        await site.until(lambda: site.text("verdict").startswith("[red]two (2 of 2)"))
        await pilot.press("1")
        await site.until(lambda: site.text("verdict").startswith("one (1 of 2)   healthy"))
        await pilot.press("p")
        await site.until(lambda: "paused" in site.text("verdict"))
        await pilot.press("s", "p", "question_mark")
        await site.until(lambda: "paused" not in site.text("verdict"))
        await pilot.press("q")


async def test_alerts_that_fire_stand_above_what_happened(site: Site) -> None:
    """Those that fired before the screen was opened, those that fire now, and not those that hold no more."""
    rules = [Rule(name, of="calls_queued", above=-1, summary=f"[b]{name}") for name in ("Before", "Now")]
    async with serving(site.port) as there:
        alerts = there["one"].alerts
        alerts.add_rules(Group("before", rules[:1]))
        async with site.top.run_test(size=(40, 24)):
            await site.until(lambda: "firing Before: [b]Before" in site.text("happened"))
            alerts.add_rules(Group("now", rules[1:]))
            await site.until(lambda: "firing Now: [b]Now" in site.text("happened"))
            alerts.remove_rules("before")
            await site.until(lambda: "firing Before" not in site.text("happened"))


async def test_a_server_that_stops_is_said_and_followed_again(site: Site) -> None:
    """The age of the figures stands there meanwhile, and goes when they come again."""
    async with site.top.run_test(size=(80, 24)):
        async with serving(site.port):
            await site.until(lambda: "healthy" in site.text("verdict"))
        await site.until(lambda: "connecting again" in site.text("verdict"))
        async with serving(site.port):
            await site.until(lambda: "connecting again" not in site.text("verdict"))
