"""Rows 24, 25 and a part of 27: what a server shows to those without a token, and to pages of other sites.

Each row is tried over the application, for every route it has, and over a real server with requests byte for byte.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route

import millpond
import millpond.http
from millpond.http.access.access import Access
from tests.faults.handlers import Plain
from tests.faults.harness import checked_pool, eventually
from tests.faults.served import Answer, Served, served

EVIL = "http://evil.example"
WRONG = "mp_" + "x" * 43
OPEN = {"/healthz", "/readyz", "/login", "/assets/{name:path}"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
POOL = "/v1/pools/{pool}"
CALL = "/v1/pools/p/call/echo"
JSON = "Content-Type: application/json"
# Those of the design, whether or not there is a route for them, and some that are no one's.
PATHS = (
    *(
        f"{POOL}/{one}"
        for one in ("call/echo", "stream/echo", "batch", "sessions", "sessions/a", "sessions/a/call/echo")
    ),
    *(
        f"{POOL}/{one}"
        for one in ("statistics", "history", "events", "journal", "alerts", "admin/drain", "admin/resize")
    ),
    *(
        "/metrics",
        "/openapi.json",
        "/docs",
        "/docs/",
        "/v1",
        "/v1/pools",
        "/favicon.ico",
        "/nowhere",
        "/.env",
        "/logout",
    ),
    *("/healthz/", "/healthzx", "/login/", "/loginx", "/assets", "/v1/pools/p/call/healthz", "*"),
)


class Counter(Plain):
    """Counts for a minute."""

    def count(self) -> Iterator[int]:
        for number in range(600):
            yield number
            time.sleep(0.1)


@pytest.fixture
def access(tmp_path: Path) -> Access:
    return Access(state_folder=str(tmp_path / "state"), environ={})


def paths_of(application: millpond.http.Application) -> Iterator[str]:
    """Every path of the application that is not open, of a pool there is and of one there is not."""
    routes = [one.path for one in application._router.routes if isinstance(one, Route)]
    assert len(routes) > 10
    for path in {*routes, *PATHS} - OPEN - {"/"}:
        for pool in ("p", "nobody") if "{pool}" in path else ("",):
            yield re.sub(r"\{\w+(:\w+)?\}", "echo", path.replace("{pool}", pool))


def attempts(token: str) -> list[dict[str, str]]:
    """What those send who were not let in."""
    return [
        {},
        {"authorization": f"Bearer {WRONG}"},
        {"authorization": f"Basic {token}"},
        {"authorization": token},
        {"cookie": f"millpond_8000={token}"},
        {"x-api-key": token, "proxy-authorization": f"Bearer {token}"},
        {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="},
        {"accept": "text/event-stream"},
        {"content-type": "application/json", "x-http-method-override": "GET", "x-original-url": "/healthz"},
    ]


def shape(answer: Any) -> tuple[Any, ...]:
    """All of an answer that could tell something."""
    headers = {name: value for name, value in dict(answer.headers).items() if name not in ("date", "connection")}
    return answer.status_code, sorted(headers.items()), answer.content


async def test_24_every_route_and_method_without_a_token_is_401(access: Access) -> None:
    """With the same answer everywhere, whether or not there is such a path, and whatever is sent but a right token."""
    application = millpond.http.app({"p": millpond.Pool(Plain)}, auth=access)
    token = access.state.own_token() or ""
    transport = httpx.ASGITransport(application)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        said: dict[bool, set[Any]] = {True: set(), False: set()}
        for path in paths_of(application):
            for method in METHODS:
                for headers in attempts(token):
                    access._attempts._windows.clear()
                    answer = await client.request(method, path, headers=headers, content=b"{}")
                    assert answer.status_code == 401, (method, path, headers)
                    said[method == "HEAD"].add(str(shape(answer)))
        assert [len(one) for one in said.values()] == [1, 1]
        assert token not in str(said)
        query = await client.get(f"/metrics?token={token}&access_token={token}")
        assert query.status_code == 401


async def test_24_a_websocket_is_not_accepted(access: Access) -> None:
    """There is none, with a token or without."""
    application = millpond.http.app({"p": millpond.Pool(Plain)}, auth=access)
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/v1/pools/p/events", "headers": [], "server": ("127.0.0.1", 8000)}
    await application(scope, receive, send)
    assert [one["type"] for one in sent] == ["websocket.close"]


async def test_24_open_paths_say_a_word_and_no_more(access: Access) -> None:
    """Health and the login page know neither pools nor versions nor tokens."""
    async with checked_pool(Plain) as pool, served(pool, access) as server:
        for path in ("/healthz", "/readyz"):
            answer = await server.ask("GET", path, host="evil.example")
            assert len(answer.body) < 100, answer
        for path in ("/", "/login", "/healthz", "/readyz", "/assets/login.js", "/nowhere"):
            answer = await server.ask("GET", path)
            told = answer.body + str(answer.headers).encode()
            for secret in (server.token, "Plain", pool.run_id, "uvicorn", "starlette", millpond.__version__):
                assert secret.encode() not in told, (path, secret)


async def test_24_a_real_server_lets_nobody_in_either(access: Access) -> None:
    """However the request is spelled; the token lets the same one in."""
    async with checked_pool(Plain) as pool, served(pool, access) as server:
        by_token = (f"Authorization: {server.bearer}", JSON)
        assert (await server.ask("POST", CALL, *by_token, body=b'["a"]')).body == b'"a"'
        upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")
        for method, target, headers in [
            *(
                (method, path, ())
                for method in ("GET", "POST", "DELETE", "OPTIONS")
                for path in ("/metrics", "/nowhere", CALL)
            ),
            ("GET", "/v1/pools/p/events", upgrade),
            ("GET", "/v1/pools/p/events", ("Accept: text/event-stream",)),
            ("POST", CALL, (f"Authorization: Bearer {WRONG}",)),
            ("POST", CALL, (f"Authorization: {server.bearer}x",)),
            ("POST", CALL, (f"Authorization: Basic {server.token}",)),
            ("POST", CALL, (f"Authorization: {server.bearer}", f"Authorization: {server.bearer}")),
            ("POST", CALL, (f"Authorization: Bearer {WRONG}", f"Authorization: {server.bearer}")),
            ("POST", f"{CALL}?token={server.token}", ()),
            ("POST", "/v1/pools/p/call/%65cho", ()),
        ]:
            access._attempts._windows.clear()
            answer = await server.ask(method, target, *headers, body=b'["a"]')
            assert answer.status == 401, (method, target, headers)
            assert answer.headers["www-authenticate"] == "Bearer"
        assert pool.statistics().submitted == 1


async def test_24_requests_that_two_programs_read_differently_reach_no_route(access: Access) -> None:
    """Folded and split headers, spaces before colons, hosts in the target, paths with dots: refused or not let in."""
    async with checked_pool(Plain) as pool, served(pool, access) as server:
        line, host, bearer = b"POST /v1/pools/p/call/echo HTTP/1.1\r\n", server.host.encode(), server.bearer.encode()
        body = b'Content-Type: application/json\r\nContent-Length: 5\r\n\r\n["a"]'
        for lines in [
            line + b"Host: " + host + b"\r\nAuthorization:\r\n " + bearer + b"\r\n" + body,
            line + b"Host: " + host + b"\r\nAuthorization : " + bearer + b"\r\n" + body,
            line + b"Host: " + host + b"\r\nAuthorization\t: " + bearer + b"\r\n" + body,
            line + b"Host: " + host + b"\r\nX: a\rAuthorization: " + bearer + b"\r\n" + body,
            line + b"Host: " + host + b"\r\nAuthori\0zation: " + bearer + b"\r\n" + body,
            line + b"Host: evil.example\r\nHost: " + host + b"\r\nAuthorization: " + bearer + b"\r\n" + body,
            line + b"Host: " + host + b"\r\nHost: evil.example\r\nAuthorization: " + bearer + b"\r\n" + body,
            line + b"Authorization: " + bearer + b"\r\n" + body,
            line + b"Host:\r\nAuthorization: " + bearer + b"\r\n" + body,
            line
            + b"X-Forwarded-Host: "
            + host
            + b"\r\nHost: evil.example\r\nAuthorization: "
            + bearer
            + b"\r\n"
            + body,
            b"CONNECT " + host + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: " + host + b"\r\n\r\n",
            b"POST //v1/pools/p/call/echo HTTP/1.1\r\nHost: " + host + b"\r\n" + body,
            b"POST /healthz/../v1/pools/p/call/echo HTTP/1.1\r\nHost: " + host + b"\r\n" + body,
            b"POST /assets/..%2fv1/pools/p/call/echo HTTP/1.1\r\nHost: " + host + b"\r\n" + body,
            b"POST /healthz;/v1/pools/p/call/echo HTTP/1.1\r\nHost: " + host + b"\r\n" + body,
            b"POST http://" + host + b"/v1/pools/p/call/echo HTTP/1.1\r\nHost: " + host + b"\r\n" + body,
            b"POST http://evil.example/v1/pools/p/call/echo HTTP/1.1\r\nHost: evil.example\r\n" + body,
        ]:
            answer = await server.send(lines)
            assert answer is None or answer.status in (400, 401, 404, 405, 421), (lines, answer)
        assert pool.statistics().submitted == 0


async def login(server: Served) -> str:
    """The Cookie header of a browser that logs in with the link that the server prints."""
    code = server.access.login_url(f"http://{server.host}").partition("#")[2]
    own = (f"Origin: http://{server.host}", JSON)
    answer = await server.ask("POST", "/login", *own, body=b'{"code":"%s"}' % code.encode())
    assert answer.status == 204
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    return cookie.partition(";")[0]


async def test_25_a_foreign_host_is_421_with_a_valid_token_and_cookie(access: Access) -> None:
    """A name that was pointed at this machine."""
    async with checked_pool(Plain) as pool, served(pool, access) as server:
        cookie = await login(server)
        for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1", f"localhost.:{server.port}", "a@b"):
            for who in (f"Authorization: {server.bearer}", f"Cookie: {cookie}"):
                for path in ("/", "/v1/pools/p/sessions", "/login", "/assets/login.js", "/nowhere"):
                    assert (await server.ask("GET", path, who, host=host)).status == 421, (host, path)
        by_token = (f"Authorization: {server.bearer}", JSON)
        for host in (f"localhost:{server.port}", f"LOCALHOST:{server.port}", server.host):
            assert (await server.ask("POST", CALL, *by_token, host=host, body=b"[1]")).status == 200


async def test_25_a_page_of_another_site_changes_nothing(access: Access) -> None:
    """With the cookie, or with a token it found: 403, and for what forms send 415; its preflight is told nothing."""
    async with checked_pool(Plain) as pool, served(pool, access) as server:
        cookie = f"Cookie: {await login(server)}"
        own = f"Origin: http://{server.host}"
        calls = [("POST", CALL, b'["a"]'), ("POST", "/v1/pools/p/sessions", b'{"id":"s"}')]
        others = [("DELETE", "/v1/pools/p/sessions/s", b""), ("PUT", "/v1/pools/p/x", b""), ("POST", "/logout", b"{}")]
        for method, path, body in calls + others:
            for origin in (EVIL, "null", f"http://127.0.0.1:{server.port + 1}", f"http://localhost:{server.port}"):
                answer = await server.ask(method, path, cookie, JSON, f"Origin: {origin}", body=body)
                assert answer.status == 403, (method, path, origin)
            assert (await server.ask(method, path, cookie, JSON, body=body)).status == 403
            for origin in (EVIL, "null"):
                by_token = f"Authorization: {server.bearer}"
                assert (await server.ask(method, path, by_token, JSON, f"Origin: {origin}", body=body)).status == 403
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
                assert (await server.ask(method, path, cookie, own, f"Content-Type: {kind}", body=body)).status == 415
            asks = (f"Origin: {EVIL}", f"Access-Control-Request-Method: {method}")
            for who in ((), (cookie,), (f"Authorization: {server.bearer}",)):
                answer = await server.ask("OPTIONS", path, *asks, "Access-Control-Request-Headers: authorization", *who)
                assert answer.status in (401, 403)
                assert not [name for name in answer.headers if name.startswith("access-control-")]
        upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")
        answer = await server.ask("GET", "/v1/pools/p/events", cookie, f"Origin: {EVIL}", *upgrade)
        assert answer.status not in (101, 200)
        assert pool.statistics().submitted == 0
        assert (await server.ask("POST", CALL, cookie, own, JSON, body=b'["a"]')).body == b'"a"'


async def test_25_every_answer_protects_its_reader(access: Access) -> None:
    """Pages, answers and refusals alike."""
    async with checked_pool(Plain) as pool, served(pool, access) as server:
        by_token = f"Authorization: {server.bearer}"
        paths = {*paths_of(server.application), "/healthz", "/readyz"} - {"*"}
        for method, path, *headers in [
            *(("GET", "/"), ("GET", "/login"), ("GET", "/assets/login.js"), ("GET", "/nowhere"), ("GET", "//")),
            *(("GET", "/", by_token), ("GET", "/openapi.json", by_token), ("GET", "/nowhere", by_token)),
            *(("POST", CALL, by_token), ("PUT", "/login", f"Origin: http://{server.host}")),
            *(("GET", path, by_token) for path in sorted(paths)),
        ]:
            answer = await server.ask(method, path, *headers)
            assert answer.headers["x-content-type-options"] == "nosniff", (method, path)
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], (method, path)
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert answer.headers["cache-control"] in ("no-store", "no-cache", "private, no-cache"), (method, path)
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_25_a_code_is_used_once_by_requests_that_race(access: Access) -> None:
    """Over real connections."""
    async with checked_pool(Plain) as pool, served(pool, access) as server:
        code = access.login_url("http://x").partition("#")[2].encode()
        own = (f"Origin: http://{server.host}", JSON)
        body = b'{"code":"%s"}' % code
        answers = await asyncio.gather(*(server.ask("POST", "/login", *own, body=body) for _ in range(10)))
        assert sorted(answer.status for answer in answers) == [204] + [401] * 9


async def test_27_no_token_code_or_cookie_is_logged(access: Access, caplog: pytest.LogCaptureFixture) -> None:
    """Neither those that are right nor those that are wrong, at any level, with the log of requests on."""
    caplog.set_level(logging.DEBUG)
    async with checked_pool(Plain) as pool, served(pool, access, access_log=True) as server:
        cookie = await login(server)
        code = access.login_url("http://x").partition("#")[2]
        await server.ask("GET", f"/login?code={code}&token={server.token}")  # no place for them
        wrong = (f"Authorization: Bearer {WRONG}", f"Authorization: Bearer {server.token}x", f"Cookie: {cookie}x")
        for who in (f"Authorization: {server.bearer}", f"Cookie: {cookie}", *wrong):
            for method, path in (("GET", "/v1/pools/p/sessions"), ("POST", CALL), ("GET", "/nowhere"), ("GET", "//")):
                await server.ask(method, path, who, JSON, body=b"[" * 10)
        assert "/nowhere" in caplog.text
        said = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for secret in (server.token, WRONG, code, cookie.partition("=")[2], access.cookies._key.hex()):
        assert secret not in said


async def to_the_end(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection is broken off."""
    got = b""
    try:
        while part := await reader.read(4096):
            got += part
    except ConnectionResetError:
        pass
    return got


async def test_24_a_stream_ends_with_the_token_it_was_asked_for_with(
    access: Access, caplog: pytest.LogCaptureFixture
) -> None:
    """What it had sent is sent; nothing of what comes after the token was revoked."""
    made, token = access.state.issue("call", None, None, access.wall())
    async with checked_pool(Counter) as pool, served(pool, access) as server:
        lines = [f"Host: {server.host}", f"Authorization: Bearer {token}", JSON, "Accept: application/x-ndjson"]
        request = "\r\n".join(["POST /v1/pools/p/stream/count HTTP/1.1", *lines, "Content-Length: 0", "", ""])
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request.encode())
        async with asyncio.timeout(30):
            await reader.readuntil(b'{"item":1}')
            access.state.revoke(made.id)
            rest = await to_the_end(reader)
        writer.close()
        assert b'"end"' not in rest
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
        await eventually(lambda: pool.statistics().in_flight == 0, 10.0, "the end of the call")


class Ledger(Plain):
    """Sums up what a session was given, and counts calls."""

    calls = 0

    def add(self, number: int, *, session: Any) -> int:
        session.state["sum"] = session.state.get("sum", 0) + number
        return session.state["sum"]

    def all_calls(self) -> int:
        self.calls += 1
        return self.calls


async def test_24_sessions_and_idempotency_keys_are_their_owners_alone(access: Access) -> None:
    """Tokens of one owner share them; for everybody else, administrators too, there are none of that name."""
    said = {}
    async with checked_pool(Ledger) as pool, served(pool, access) as server:

        async def ask(who: str, path: str, body: bytes, *headers: str) -> Answer:
            return await server.ask("POST", f"/v1/pools/p/{path}", said[who], JSON, *headers, body=body)

        for who, owner in (("ann", "ann"), ("ann again", "ann"), ("bob", "bob"), ("eve", None)):
            said[who] = f"Authorization: Bearer {access.state.issue('call', owner, None, access.wall())[1]}"
        said["admin"] = f"Authorization: {server.bearer}"
        view = f"Authorization: Bearer {access.state.issue('view', 'ann', None, access.wall())[1]}"
        access.tokens.look(0.0)  # at most twenty times a second it looks for a token that it does not know
        opened = await ask("ann", "sessions", b'{"id":"s"}')
        assert (opened.status, b'"id":"s"' in opened.body) == (201, True)
        assert (await ask("ann", "sessions/s/call/add", b"[5]")).body == b"5"
        assert (await ask("ann again", "call/add", b"[2]", "Millpond-Session: s")).body == b"7"
        for who in ("bob", "eve", "admin"):
            for name in ("s", "ann:s", ":s", "../ann:s"):
                for path in (f"sessions/{name}/call/add", f"sessions/{name}/stream/add"):
                    answer = await ask(who, path, b"[1]")
                    assert answer.status in (400, 404), (who, path, answer)
                assert (await ask(who, "call/add", b"[1]", f"Millpond-Session: {name}")).status == 404
                one = b'{"calls":[{"operation":"add","arguments":[1],"session":"%s"}]}' % name.encode()
                assert b'"status":404' in (await ask(who, "batch", one)).body
        assert (await ask("bob", "sessions", b'{"id":"s"}')).status == 201
        assert (await ask("bob", "sessions/s/call/add", b"[1]")).body == b"1"
        assert (await ask("ann", "sessions/s/call/add", b"[0]")).body == b"7"
        for who, seen in (
            *((said["ann"], ["s"]), (said["bob"], ["s"]), (said["eve"], [])),
            *((view, ["ann:s", "bob:s"]), (said["admin"], ["ann:s", "bob:s"])),
        ):
            answer = await server.ask("GET", "/v1/pools/p/sessions", who)
            assert answer.status == 200, answer
            assert sorted(one["id"] for one in json.loads(answer.body)["sessions"]) == seen
        for method in ("GET", "DELETE"):
            for path in ("s", "ann:s", "s?owner=ann", "ann%3As"):
                assert (await server.ask(method, f"/v1/pools/p/sessions/{path}", said["eve"])).status == 404, path
            assert (await server.ask(method, "/v1/pools/p/sessions/s", view)).status == 403
        assert (await server.ask("GET", "/v1/pools/p/sessions/s?owner=ann", said["admin"])).status == 200
        counts = [(await ask(who, "call/all_calls", b"", "Idempotency-Key: k")).body for who in said]
        assert counts == [b"1", b"1", b"2", b"3", b"4"]


async def test_24_events_end_with_the_login_they_were_asked_for_with(access: Access) -> None:
    """When its browser logs out."""
    async with checked_pool(Plain) as pool, served(pool, access) as server:
        cookie, own = f"Cookie: {await login(server)}", f"Origin: http://{server.host}"
        lines = ["GET /v1/pools/p/events HTTP/1.1", f"Host: {server.host}", cookie, "", ""]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write("\r\n".join(lines).encode())
        async with asyncio.timeout(30):
            await reader.readuntil(b"event: snapshot")
            assert (await server.ask("POST", "/logout", cookie, own, JSON, body=b"{}")).status == 204
            await to_the_end(reader)
        writer.close()
        assert (await server.ask("GET", "/v1/pools/p/events", cookie)).status == 401
