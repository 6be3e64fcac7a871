"""The server of the demo: the parts of `millpond serve`, for two pools of one handler, on the loopback.

Its state folder is one of its own, so that it neither finds nor changes the tokens of this user.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import webbrowser
from collections.abc import Mapping

from millpond import Pool, Warmup
from millpond.cli.demo.alerting import ALERTS
from millpond.cli.demo.phases import DIGITS, PLAIN
from millpond.cli.demo.reader import DigitReader
from millpond.cli.serve.configuration import BESIDE_A_SERVER
from millpond.http import app
from millpond.http.access.access import Access
from millpond.http.server.descriptors import most_connections
from millpond.http.server.limits import Limits
from millpond.http.server.listening import CannotListen, Listener, open_address
from millpond.http.server.server import Server
from millpond.http.server.state import State
from millpond.settings import Durability

HOST, PORT = "127.0.0.1", 8000  # those of `millpond serve`
DURABILITY: Mapping[str, Durability] = {DIGITS: "reply", PLAIN: "none"}
SLEEP_AFTER_S = 20.0  # so that sessions fall asleep while somebody watches
WARMING = [[0] * 64] * 64  # the sheet that each new worker reads,
WARMINGS = 8  # and how often, before it is given calls
NICE = 5  # the page and the callers are answered while workers use all cores


def make_pools(workers: int) -> dict[str, Pool]:
    """The pools, by name. How many workers they have is not said: the optimizer sizes them, up to so many."""
    return {name: _pool(name, durability, workers) for name, durability in DURABILITY.items()}


def _pool(name: str, durability: Durability, workers: int) -> Pool:
    pool = Pool(
        DigitReader,
        name=name,
        max_workers=workers,
        durability=durability,
        on_restore="continue",
        sleep_after=SLEEP_AFTER_S,
        nice=NICE,
        warmup=[Warmup("read", WARMING)] * WARMINGS,
        **BESIDE_A_SERVER,
    )
    pool.alerts.add_rules(ALERTS)
    return pool


def make_server(pools: Mapping[str, Pool], port: int | None, folder: str) -> Server:
    """The server, which listens already; `folder` keeps its state. Raises `CannotListen`."""
    limits, access = Limits(), Access(state_folder=folder, environ={})
    most = most_connections((pool.settings.max_workers for pool in pools.values()), limits.limit_connections)
    listeners = _listeners(port)
    return Server(app(pools, auth=access), pools, listeners, State(limits, most), handle_signals=False)


def _listeners(port: int | None) -> list[Listener]:
    """At that port; where none is asked for, at the usual one, or a free one if that is taken."""
    if port is not None:
        return open_address(HOST, port)
    try:
        return open_address(HOST, PORT)
    except CannotListen:
        return open_address(HOST, 0)


def address_of(server: Server) -> str:
    """Where it listens."""
    return server.listeners[0].address("http")


def login_url(server: Server) -> str:
    """A link by which one browser logs in as administrator, once, within 10 minutes."""
    access = server.application.access
    assert isinstance(access, Access)
    return access.login_url(address_of(server))


async def show(link: str) -> bool:
    """Open a link if there is a browser with windows, without waiting for it; whether there is one."""
    browser = await asyncio.to_thread(browser_with_windows, os.environ)  # which asks the desktop
    if browser is None:
        return False
    threading.Thread(target=browser.open, args=(link,), daemon=True).start()
    return True


def browser_with_windows(environ: Mapping[str, str]) -> webbrowser.BaseBrowser | None:
    """The user's browser, unless it needs this terminal, or there is nothing to show windows on."""
    if sys.platform != "darwin" and not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return None
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return None
    # Those of a terminal, such as w3m, and commands of the variable BROWSER that end with their browser.
    is_waited_for = type(browser) is webbrowser.GenericBrowser or type(browser).__name__ == "Elinks"
    return None if is_waited_for else browser
