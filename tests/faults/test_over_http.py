"""Rows 6, 10, 17 and 28 over HTTP: clients that leave, sizes, too many calls, and paths made to mislead.

With real workers behind Millpond's own server, and each call both ways: that of an operation's first request, and the
short one of those after it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import millpond
from millpond.http.access.access import Access
from tests.faults.handlers import AsyncPlain, Plain
from tests.faults.harness import Mark, at_most, checked_pool, eventually
from tests.faults.served import Answer, Served, served

JSON = "Content-Type: application/json"
BYTES = "Content-Type: application/octet-stream"
CALL, STREAM, BATCH = "/v1/pools/p/call/", "/v1/pools/p/stream/", "/v1/pools/p/batch"
KIB, MIB = 2**10, 2**20


@asynccontextmanager
async def site(
    tmp_path: Path, start_method: str, handler: type = Plain, **settings: Any
) -> AsyncIterator[tuple[Served, millpond.Pool]]:
    """A server of one pool, with tokens."""
    access = Access(state_folder=str(tmp_path / "state"), environ={})
    async with checked_pool(handler, start_method=start_method, **settings) as pool, served(pool, access) as server:
        yield server, pool


async def call(server: Served, target: str, value: Any, *headers: str) -> Answer:
    """A request with JSON."""
    body = json.dumps(value).encode()
    return await server.ask("POST", target, f"Authorization: {server.bearer}", JSON, *headers, body=body)


async def leave(server: Served, target: str, value: Any, begun: Any, *headers: str) -> None:
    """Send a request, and close the connection once something holds."""
    body = json.dumps(value)
    lines = [f"POST {target} HTTP/1.1", f"Host: {server.host}", f"Authorization: {server.bearer}", JSON, *headers]
    lines += [f"Content-Length: {len(body)}", "", body]
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write("\r\n".join(lines).encode())
    await begun()
    writer.close()


@pytest.mark.parametrize("is_known", [False, True], ids=["first", "known"])
@pytest.mark.parametrize("handler", [Plain, AsyncPlain], ids=["blocking", "asyncio"])
async def test_06_a_client_that_leaves_stops_the_work(
    start_method: str, handler: type, is_known: bool, tmp_path: Path
) -> None:
    """Its worker is free again soon, and the work does not go on."""
    mark, queued = Mark(tmp_path), Mark(tmp_path, "queued")
    async with site(tmp_path, start_method, handler) as (server, pool):
        if is_known:
            assert (await call(server, CALL + "nap", [0.0])).status == 200
        before = pool.statistics().submitted

        async def both() -> None:
            await mark.begun()
            await leave(server, CALL + "nap", [10.0, queued.path], second)

        async def second() -> None:
            await eventually(lambda: pool.statistics().submitted == before + 2, 2.0, "the second call")

        await leave(server, CALL + "nap", [10.0, mark.path], both)
        await eventually(lambda: pool.statistics().endings["cancelled"] == 2, 2.0, "the end of both")
        assert (await call(server, CALL + "echo", ["next"], f"Millpond-Deadline: {at_most(2.0)}")).body == b'"next"'
        assert (mark.is_done, queued.starts) == (False, [])


async def test_06_a_client_that_leaves_stops_a_stream_and_a_batch(start_method: str, tmp_path: Path) -> None:
    """The generator is closed, and none of the batch's calls begins."""
    flow, nap = Mark(tmp_path, "flow"), Mark(tmp_path, "nap")
    async with site(tmp_path, start_method, AsyncPlain) as (server, pool):
        await leave(server, STREAM + "acount", [1000, 0.01, flow.path], flow.begun)
        await eventually(lambda: pool.statistics().endings["cancelled"] == 1, 2.0, "the end of the stream")
        calls = [{"operation": "nap", "arguments": [10.0, nap.path]}] * 20
        await leave(server, BATCH, {"calls": calls}, nap.begun)
        await eventually(lambda: pool.statistics().endings["cancelled"] == 21, 2.0, "the end of the batch")
        assert (flow.is_done, nap.is_done, len(nap.starts)) == (False, False, 1)


async def test_06_a_call_with_a_key_goes_on(start_method: str, tmp_path: Path) -> None:
    """Its client may come back for the answer."""
    mark, key = Mark(tmp_path), "Idempotency-Key: k"
    async with site(tmp_path, start_method) as (server, _):
        await leave(server, CALL + "nap", [0.3, mark.path, "answer"], mark.begun, key)
        await eventually(lambda: mark.is_done, 1.0, "the end of the work")
        answer = await call(server, CALL + "nap", [0.3, mark.path, "answer"], key)
        while answer.status == 409:  # its answer is on its way
            answer = await call(server, CALL + "nap", [0.3, mark.path, "answer"], key)
        assert (answer.body, answer.headers["idempotency-replayed"]) == (b'"answer"', "true")
        assert len(mark.starts) == 1


async def test_10_bodies_of_all_sizes_come_back_as_they_were(start_method: str, tmp_path: Path) -> None:
    """Byte for byte, each way; one byte too many is 413 as an argument and as a result, and no worker dies of it."""
    async with site(tmp_path, start_method, max_payload=64 * MIB) as (server, _):
        token = f"Authorization: {server.bearer}"
        for size in (0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB, 64 * MIB):
            body = (bytes(range(256)) * (size // 256 + 1))[:size]
            for _ in range(2 if size < MIB else 1):
                answer = await server.ask("POST", CALL + "echo", token, BYTES, body=body)
                assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
                assert answer.body == body
        before = (await call(server, CALL + "pid", [])).body
        answer = await server.ask("POST", CALL + "echo", token, BYTES, body=b"x" * (64 * MIB + 1))
        assert (answer.status, json.loads(answer.body)["outcome"]) == (413, "not_started")
        answer = await call(server, CALL + "make", [64 * MIB + 1], "Accept: application/octet-stream")
        assert (answer.status, json.loads(answer.body)["outcome"]) == (413, "completed")
        assert (await call(server, CALL + "pid", [])).body == before


async def test_17_what_is_too_much_is_503_with_a_time_to_come_back(start_method: str, tmp_path: Path) -> None:
    """Of ten thousand calls at once as many are accepted as the bound says, of one batch and of many clients."""
    mark = Mark(tmp_path)
    async with site(tmp_path, start_method, max_queued=100) as (server, _):
        calls = [{"operation": "nap", "arguments": [0.005, mark.path]}] * 10_000
        answer = await call(server, BATCH, {"calls": calls})
        results = [one.get("problem", {"code": "ok"}) for one in json.loads(answer.body)["results"]]
        codes = Counter(one["code"] for one in results)
        assert codes == {"ok": len(mark.starts), "queue_full": 10_000 - len(mark.starts)}
        assert 100 <= codes["ok"] <= 101
        assert {one["outcome"] for one in results if "outcome" in one} == {"not_started"}
        running = asyncio.create_task(call(server, CALL + "nap", [1.0]))
        answers = await asyncio.gather(*(call(server, CALL + "nap", [0.001]) for _ in range(300)), running)
        statuses = Counter(one.status for one in answers)
        assert set(statuses) == {200, 503}
        refused = [one for one in answers if one.status == 503]
        assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
        assert {json.loads(one.body)["outcome"] for one in refused} == {"not_started"}


PATHS = [
    *("/static/../../etc/passwd", "/../../../etc/passwd", "/assets/../../../../etc/passwd", "/assets/..%2f..%2fetc"),
    *("/assets/%2e%2e/%2e%2e/etc/passwd", "/assets/.%2e/x", "//etc/passwd", "/assets//etc/passwd", "/assets/..\\x"),
    *("/assets/..%5cx", "/assets/login.js%00", "/assets/%00", "/assets/login.js/", "/assets/.login.js.swp"),
    *("/assets/login.js.gz", "/assets/%252e%252e%252fetc", "/assets/%ff", "/assets/%c0%ae%c0%ae/x", "/assets/."),
    *("/v1/pools/p/call/..%2f..%2fhealthz", "/v1/pools/p/../../healthz", "/v1/pools/p/sessions/%2e%2e", "/docs/../x"),
    *("/v1/pools/%00", "/v1/pools/p%2fcall%2fecho", "/v1/pools/p/sessions/a%2fb", "/v1/pools/p\\call\\echo"),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_28_a_path_made_to_mislead_leads_nowhere(method: str, tmp_path: Path) -> None:
    """With a valid token, byte for byte: 400, 404 or 405, and nothing of any file."""
    async with site(tmp_path, "fork") as (server, pool):
        token = f"Authorization: {server.bearer}"
        for path in PATHS:
            answer = await server.ask(method, path, token, JSON, body=b"[]" if method == "POST" else b"")
            assert answer.status in (400, 403, 404, 405), (path, answer)
            assert "root:" not in answer.body.decode()
            if answer.status != 400 or answer.headers["content-type"] == "application/problem+json":
                assert json.loads(answer.body)["status"] == answer.status
        pickle = await server.ask(
            "POST", CALL + "echo", token, "Content-Type: application/x-python-pickle", body=b"\x80\x04N."
        )
        assert (pickle.status, pool.statistics().submitted) == (415, 0)


async def test_http_1_0_is_answered(tmp_path: Path) -> None:
    """A call with its length, a stream until the connection closes."""
    async with site(tmp_path, "fork", AsyncPlain) as (server, _):
        for path, body, expected in (
            (CALL + "echo", b'["a"]', b'"a"'),
            (STREAM + "acount", b"[2, 0.0]", b"event: end\ndata:\n\n"),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            head = f"POST {path} HTTP/1.0\r\nHost: {server.host}\r\nAuthorization: {server.bearer}\r\n{JSON}\r\n"
            writer.write(head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            async with asyncio.timeout(30):
                answer = await reader.read()
            writer.close()
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(expected)
            assert b"chunked" not in answer
