"""Sessions opened over HTTP."""

from __future__ import annotations

import asyncio

import pytest

from millpond.http.access.caller import Caller
from tests.http.talk import POOL, site


async def test_a_session_is_opened_once_and_then_joined():
    """201 and 200; its id is the client's, or made here."""
    async with site() as at:
        opened = await at.post("/sessions", {"id": "s"})
        assert (opened.status_code, opened.json()) == (201, {"id": "s", "state": "open", "generation": 1})
        joined = await at.post("/sessions", {"id": "s", "affinity": "hint", "on_restore": "continue"})
        assert (joined.status_code, joined.json()) == (200, opened.json())
        made = [(await at.post("/sessions", body)).json()["id"] for body in (None, {})]
        assert len(set(made)) == 2
        assert (await at.post(f"/sessions/{made[0]}/call/hold")).json() == made[0]


async def test_of_requests_that_open_one_session_at_once_one_did(tmp_path):
    """The others joined it; opening takes a while where an earlier program may have left the session in a store."""
    async with site(session_store=str(tmp_path / "sessions"), durability="disk") as at:
        answers = await asyncio.gather(*(at.post("/sessions", {"id": "s"}) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200] * 4 + [201]
        assert len(at.application.openings) == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"id": 1}, "$.id"),
        ({"id": ""}, "$.id"),
        ({"id": "x" * 257}, "$.id"),
        ({"id": "é" * 129}, "$.id"),
        ({"id": "a\nb"}, "$.id"),
        ({"id": "a\0b"}, "$.id"),
        ({"affinity": "loose"}, "$.affinity"),
        ({"on_restore": "ask"}, "$.on_restore"),
        ({"reopen": 1}, "$.reopen"),
        ({"name": "s"}, "$"),
        ([], "$"),
    ],
)
async def test_what_no_session_can_be_opened_with_is_named(body, field):
    """By the field that is wrong; nothing is opened."""
    async with site() as at:
        answer = await at.post("/sessions", body)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_argument")
        assert (answer.json()["field"], answer.json()["outcome"]) == (field, "not_started")
        assert at.pool.sessions() == ()


async def test_an_id_and_its_owner_have_a_bound_together():
    """Whoever has a long name has short ids."""
    async with site(auth=lambda _: Caller("o" * 200, "call", "program")) as at:
        assert (await at.post("/sessions", {"id": "x" * 55})).status_code == 201
        answer = await at.post("/sessions", {"id": "x" * 56})
        assert (answer.status_code, answer.json()["field"]) == (400, "$.id")
        assert "ooo" not in answer.text


@pytest.mark.parametrize("kind", ["application/msgpack", "text/plain", "application/json; charset=utf-16"])
async def test_a_session_is_asked_for_in_json(kind):
    """Anything else is 415."""
    async with site() as at:
        answer = await at.client.post(f"{POOL}/sessions", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415
        assert at.pool.sessions() == ()


async def test_a_pool_has_only_so_many_sessions():
    """One more is 503, and may be asked for later."""
    async with site(max_sessions=1) as at:
        assert (await at.post("/sessions", {"id": "a"})).status_code == 201
        answer = await at.post("/sessions", {"id": "b"})
        assert (answer.status_code, answer.json()["code"]) == (503, "too_many_sessions")
        assert "retry-after" in answer.headers
