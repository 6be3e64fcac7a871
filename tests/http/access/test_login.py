"""Logging in and out as a browser does it, and what the pages and their files carry with them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

import millpond.http
from millpond.http.access.attempts import LIMIT
from millpond.http.assets import assets
from tests.http.access.asked import PORT, Asked

HOST = f"127.0.0.1:{PORT}"
OWN = f"http://{HOST}"
CODE = {"origin": OWN, "content-type": "application/json"}


@asynccontextmanager
async def browser(asked: Asked, base: str = OWN, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    """One with its own cookies, before a server without pools."""
    application = millpond.http.app({}, auth=asked.access)
    transport = httpx.ASGITransport(application, root_path=more.pop("root_path", ""))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url=base, **more) as client:
        yield client


def code(asked: Asked, token_id: str = "local") -> dict[str, str]:
    """What the page posts."""
    return {"code": asked.access.login_url(OWN, token_id).partition("#")[2]}


async def test_a_browser_logs_in_with_a_code_and_out_again(asked):
    """The cookie is good until then, and a copy of it is not good afterwards."""
    async with browser(asked) as client:
        assert (await client.get("/")).status_code == 401
        answer = await client.post("/login", json=code(asked), headers={"origin": OWN})
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["cache-control"] == "no-store"
        given = answer.headers["set-cookie"]
        assert re.fullmatch(r"millpond_8000=[\w.-]+; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict", given)
        page = await client.get("/")
        assert page.status_code == 200
        assert "&quot;local&quot;" in page.text
        answer = await client.post("/logout", json={}, headers={"origin": OWN})
        assert answer.status_code == 204
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert (await client.get("/")).status_code == 401
        copy = {"cookie": given.partition(";")[0]}
        assert (await client.get("/openapi.json", headers=copy)).status_code == 401


async def test_two_requests_with_one_code_get_one_cookie(asked):
    """Of those that race, and later."""
    async with browser(asked) as client:
        posted = code(asked)
        racing = [client.post("/login", json=posted, headers={"origin": OWN}) for _ in range(LIMIT)]
        answers = await asyncio.gather(*racing)
        assert sorted(answer.status_code for answer in answers) == [204] + [401] * (LIMIT - 1)
        assert sum("set-cookie" in answer.headers for answer in answers) == 1


async def test_under_tls_the_cookie_is_the_hosts_alone(asked):
    """`__Host-` and Secure."""
    async with browser(asked, f"https://{HOST}") as client:
        answer = await client.post("/login", json=code(asked), headers={"origin": f"https://{HOST}"})
        assert answer.headers["set-cookie"].startswith("__Host-millpond_8000=")
        assert answer.headers["set-cookie"].endswith("; Secure")
        assert (await client.get("/")).status_code == 200


async def test_a_login_is_for_the_role_of_its_token(asked):
    """One that may look may not call."""
    token_id, _ = asked.issue("view", "ann")
    async with browser(asked) as client:
        await client.post("/login", json=code(asked, token_id), headers={"origin": OWN})
        page = (await client.get("/")).text
        assert "&quot;ann&quot;" in page
        assert "&quot;view&quot;" in page


@pytest.mark.parametrize(
    ("body", "status"),
    [
        *((b"", 400), (b"{}", 400), (b"[]", 400), (b'"x"', 400), (b'{"code":1}', 400), (b'{"code":"a","b":1}', 400)),
        *((b'{"code":"\xff"}', 400), (b"[" * 4000, 400), (b'{"code":NaN}', 400), (b'{"code":"' + b"x" * 5000, 413)),
        *(
            (b'{"code":""}', 401),
            (b'{"code":"../token"}', 401),
            (b'{"code":"\\u0000"}', 401),
            (b'{"code":"\xc3\xa9"}', 401),
        ),
        *((b'{"code":"\\ud800"}', 400), (b'{"code":"' + b"x" * 4000 + b'"}', 401)),
    ],
)
async def test_no_body_makes_the_login_fail(body, status, asked):
    """It is refused for what it is."""
    async with browser(asked) as client:
        answer = await client.post("/login", content=body, headers=CODE)
        assert answer.status_code == status
        assert "set-cookie" not in answer.headers


async def test_wrong_codes_are_counted_with_wrong_tokens(asked):
    """Ten in a second, then 429."""
    async with browser(asked) as client:
        said = [await client.post("/login", json={"code": "x"}, headers={"origin": OWN}) for _ in range(LIMIT + 1)]
        assert [one.status_code for one in said] == [401] * LIMIT + [429]
        assert said[-1].headers["retry-after"] == "1"
        answer = await client.get("/openapi.json", headers={"authorization": "Bearer x"})
        assert answer.status_code == 429


async def test_a_state_folder_that_cannot_be_used_is_a_503(asked):
    """Neither a wrong code nor a fault of the server's program."""
    async with browser(asked) as client:
        posted = code(asked)
        await client.post("/login", json=code(asked), headers={"origin": OWN})
        asked.folder.chmod(0o755)
        answer = await client.post("/login", json=posted, headers={"origin": OWN})
        assert (answer.status_code, answer.json()["code"]) == (503, "access_unavailable")
        answer = await client.post("/logout", json={}, headers={"origin": OWN})
        assert answer.status_code == 503


@pytest.mark.parametrize("root", ["", "/pool"])
async def test_pages_load_nothing_from_elsewhere_and_hold_no_script(root, asked):
    """All they name are files of this server, under the path where it is mounted."""
    async with browser(asked, root_path=root) as client:
        locked, login = await client.get(f"{root}/"), await client.get(f"{root}/login")
        await client.post(f"{root}/login", json=code(asked), headers={"origin": OWN})
        for page in (locked, login, await client.get(f"{root}/")):
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)
            for target in re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text):
                assert target.startswith(f"{root}/")
                if "/assets/" in target:
                    assert (await client.get(target)).status_code == 200
            assert not re.search(r"<style|<script[^>]*>[^<]| on\w+=|style=|javascript:|http-equiv", page.text)
            assert '<html lang="en">' in page.text
            assert 'name="viewport"' in page.text


async def test_pages_and_answers_carry_the_headers_that_protect_their_readers(asked):
    """A strict policy for what a page loads, no frame around it, and nothing for other origins."""
    async with browser(asked) as client:
        for path in ("/", "/login", "/assets/login.js", "/assets/access.css", "/assets/nowhere", "/openapi.json"):
            answer = await client.get(path, headers={"origin": OWN} if path != "/" else {})
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "*" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cache-control"] in ("no-store", "no-cache", "private, no-cache")
            assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path",
    [
        *("../../etc/passwd", "%2e%2e/token", "..%2ftoken", "/etc/passwd", "%2fetc%2fpasswd", "..\\token", "%00", ""),
        *(
            "login.js%00",
            "login.js/",
            "login.js/x",
            "LOGIN.JS",
            "login.js.gz",
            "login.js.br",
            "pages/login.html",
        ),
        *(
            "login.html",
            "__init__.py",
            "%252e%252e/token",
            "login.js%20",
            "login.js.",
            "~root",
            "static/login.js",
            "%ff",
        ),
    ],
)
async def test_only_the_names_of_assets_are_served(path, asked):
    """No path of a request reaches the file system."""
    async with browser(asked) as client:
        answer = await client.get(f"/assets/{path}", headers={"accept-encoding": "gzip, br"})
        assert answer.status_code in (400, 401, 404)
        assert not any(asset.body in answer.content for asset in assets().values())
        assert b"root:" not in answer.content
        assert asked.token.encode() not in answer.content


async def test_an_asset_that_did_not_change_is_not_sent_again(asked):
    """The browser asks by the tag it was given."""
    async with browser(asked) as client:
        first = await client.get("/assets/login.js")
        again = await client.get("/assets/login.js", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_the_page_at_the_root_tells_how_to_log_in_here(asked):
    """With the address this browser used, and for programs the header."""
    async with browser(asked, "http://localhost:8000") as client:
        page = await client.get("/")
        assert page.headers["www-authenticate"] == "Bearer"
        assert "millpond login --url http://localhost:8000<" in page.text
        assert "Authorization: Bearer" in page.text
        head = await client.head("/")
        assert (head.status_code, head.content) == (401, b"")
