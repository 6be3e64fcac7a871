"""The server of the demo: where it listens, what it keeps, and which browser is shown its page."""

from __future__ import annotations

import asyncio
import os
import queue
import socket
import threading
import webbrowser
from pathlib import Path

import pytest

from millpond.cli.demo import serving
from millpond.cli.demo.alerting import OVERLOAD
from millpond.cli.demo.phases import DIGITS, PLAIN
from millpond.http.server.listening import CannotListen


@pytest.fixture
def pools():
    """The pools of a machine with two cores, which are never opened."""
    made = serving.make_pools(2)
    yield made
    for pool in made.values():
        pool.close_unopened()


@pytest.fixture
def make(pools, tmp_path):
    """Makes servers, and closes their sockets in the end."""
    made = []

    def make_server(port: int | None):
        made.append(serving.make_server(pools, port, str(tmp_path)))
        return made[-1]

    yield make_server
    for server in made:
        for listener in server.listeners:
            listener.socket.close()


def test_one_pool_keeps_its_sessions_and_the_other_does_not(pools):
    """In all else they are the same, and the optimizer sizes both from one worker up."""
    assert {name: pool.settings.durability for name, pool in pools.items()} == {DIGITS: "reply", PLAIN: "none"}
    for pool in pools.values():
        assert (pool.settings.min_workers, pool.settings.max_workers, pool.settings.optimizer) == (1, 2, True)
        assert OVERLOAD.alert in {rule.alert for rule in pool.alerts.rules()}


def test_the_usual_port_that_is_taken_is_no_obstacle(make, monkeypatch):
    """A free one is taken in its place; one that was asked for by number must be that one."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(serving, "PORT", taken)
        address = serving.address_of(make(None))
        assert address.startswith("http://127.0.0.1:")
        assert address != f"http://127.0.0.1:{taken}"
        with pytest.raises(CannotListen, match="another program listens there"):
            make(taken)


def test_the_tokens_of_this_user_are_neither_read_nor_written(make, monkeypatch, tmp_path):
    """The state folder is the demo's own, whatever the environment says."""
    elsewhere = tmp_path / "home"
    monkeypatch.setenv("XDG_STATE_HOME", str(elsewhere))
    monkeypatch.setenv("MILLPOND_TOKEN", "mp_" + "x" * 43)
    server = make(0)
    link = serving.login_url(server)
    assert not elsewhere.exists()
    token = Path(tmp_path, "token").read_text().strip()
    assert token != os.environ["MILLPOND_TOKEN"]
    address, _, code = link.partition("/login#")
    assert address == serving.address_of(server)
    assert server.application.access.take_code(code).caller.role == "admin"
    assert server.application.access.take_code(code) is None


class Windowed(webbrowser.BackgroundBrowser):
    """A browser that opens a window, for as long as it is let."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.opened: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.is_closed = threading.Event()

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        self.opened.put(url)
        return self.is_closed.wait(60)


async def test_a_browser_is_not_waited_for(monkeypatch):
    """It is given the link, and has its window while the demo goes on."""
    browser = Windowed("firefox")
    monkeypatch.setattr(serving, "browser_with_windows", lambda environ: browser)
    assert await serving.show("http://127.0.0.1:1/login#code")
    assert await asyncio.to_thread(browser.opened.get, timeout=60) == "http://127.0.0.1:1/login#code"
    browser.is_closed.set()


@pytest.mark.parametrize(
    ("environ", "browser", "is_shown"),
    [
        ({}, Windowed("firefox"), False),
        ({"DISPLAY": ":0"}, Windowed("firefox"), True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, Windowed("firefox"), True),
        ({"DISPLAY": ":0"}, webbrowser.GenericBrowser("w3m"), False),
        ({"DISPLAY": ":0"}, None, False),
    ],
)
def test_only_a_browser_with_windows_is_shown_the_page(monkeypatch, environ, browser, is_shown):
    """One that needs this terminal would take it away from the demo."""

    def get() -> webbrowser.BaseBrowser:
        if browser is None:
            raise webbrowser.Error("there is none")
        return browser

    monkeypatch.setattr(webbrowser, "get", get)
    monkeypatch.setattr("sys.platform", "linux")
    assert serving.browser_with_windows(environ) is (browser if is_shown else None)
