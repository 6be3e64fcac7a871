"""`/` for each role, and what is written into the page."""

from __future__ import annotations

import html
import json
import logging
import re
from importlib.resources import files
from typing import Any

import httpx
import pytest

import millpond
import millpond.http
from millpond.http.access.caller import Caller
from millpond.http.dashboard.page import page_in
from millpond.testing import FakeEngine

NASTY = "\"'><script>alert(1)</script>&{{JSON}}/__root__"


class Shop:
    def price(self, item: str) -> int:
        return len(item)


async def front(caller: Caller, root: str = "", pools: tuple[str, ...] = ("p",)) -> httpx.Response:
    """What is answered at the root."""
    named = {name: millpond.Pool(Shop, engine=FakeEngine()) for name in pools}
    transport = httpx.ASGITransport(millpond.http.app(named, auth=lambda scope: caller), root_path=root)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.get("/")


def told(page: str) -> dict[str, Any]:
    """What the page's script reads."""
    found = re.search(r'<meta name="millpond" content="([^"]*)">', page)
    assert found
    return json.loads(html.unescape(found[1]))


@pytest.mark.parametrize("role", ["view", "admin"])
async def test_the_page_is_told_who_looks_and_where_it_is(role):
    """By the server, so that its script need not ask before it draws."""
    answer = await front(Caller("ann", role, "cookie"), "/below", ("p", "other"))
    assert told(answer.text) == {
        "root": "/below",
        "role": role,
        "owner": "ann",
        "version": millpond.__version__,
        "pools": ["p", "other"],
        "unmeasured": [],
        "login": True,
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Authorization, Cookie"


@pytest.mark.parametrize("by", ["token", "program"])
async def test_only_the_login_of_a_browser_can_be_logged_out(by):
    """A token in a header, or the program's own way, has nothing to take back."""
    assert told((await front(Caller("", "admin", by))).text)["login"] is False


async def test_who_may_only_call_does_not_get_the_page():
    """What it shows would be refused to them one by one."""
    answer = await front(Caller("ann", "call", "program"))
    assert (answer.status_code, "<code>call</code>" in answer.text) == (200, True)
    assert 'name="millpond"' not in answer.text


async def test_no_name_becomes_markup_or_a_place_to_fill():
    """Whatever a pool, an owner or the path before the application is called."""
    answer = await front(Caller(NASTY, "admin", "cookie"), f"/{NASTY}", (NASTY.replace("/", ""),))
    assert "alert(1)" in answer.text
    assert "<script>" not in answer.text
    assert told(answer.text)["owner"] == NASTY
    assert told(answer.text)["root"] == f"/{NASTY}"


async def test_the_page_loads_this_servers_files_alone():
    """From below the path it is mounted under, with no script, style or handler in the page itself."""
    answer = await front(Caller("ann", "admin", "cookie"), "/below")
    loaded = re.findall(r'(?:src|href)="([^"#]+)"', answer.text)
    assert loaded
    assert all(path.startswith("/below/") for path in loaded)
    transport = httpx.ASGITransport(millpond.http.app({}, auth=None), root_path="/below")
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert {(await client.get(path.removeprefix("/below"))).status_code for path in loaded if "assets" in path} == {
            200
        }
    assert not re.search(r"<style|<script(?![^>]* src=)|\son\w+=|\sstyle=|javascript:", answer.text)
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_a_checkout_without_the_built_page_says_how_to_build_it(tmp_path, caplog):
    """On the page and in the log; what the page is told is there all the same, for who works on it."""
    tmp_path.joinpath("unbuilt.html").write_text(files("millpond.http.dashboard").joinpath("unbuilt.html").read_text())
    with caplog.at_level(logging.WARNING, "millpond.http"):
        page = page_in(tmp_path)
    assert "<code>make page</code>" in page
    assert '<meta name="millpond" content="{{JSON}}">' in page
    assert "make page" in caplog.text
