"""Batches: many calls in one request, each answered on its own."""

from __future__ import annotations

import json

import pytest

from tests.contract.sites import until
from tests.http.talk import POOL, Talk, site


async def test_each_call_is_answered_in_its_place():
    """With its result or its problem, whatever becomes of the others."""
    async with site() as at:
        await at.post("/sessions", {"id": "s"})
        calls = [
            {"operation": "later", "arguments": [3]},
            {"operation": "fail", "arguments": {"text": "x"}},
            {"operation": "nix"},
            {"operation": "hold", "session": "s"},
            {"operation": "later", "arguments": {"number": "3"}},
            {"operation": "later", "arguments": [1], "deadline": 0},
            {"operation": "nothing"},
            {"operation": "hold", "session": ""},
        ]
        answer = await at.post("/batch", {"calls": calls})
        assert answer.status_code == 200
        told = [one.get("problem", one) for one in answer.json()["results"]]
        assert [one.get("result", one.get("status")) for one in told] == [3.0, 500, 404, "s", 400, 504, None, 404]
        assert told[4]["field"] == "$.number"
        assert "result" in answer.json()["results"][6]


async def test_headers_are_for_all_its_calls():
    """And what a call sets itself comes first."""
    async with site() as at:
        calls = [{"operation": "later", "arguments": [1]}, {"operation": "later", "arguments": [1], "deadline": 9}]
        answer = await at.post("/batch", {"calls": calls}, millpond_deadline="0")
        first, second = answer.json()["results"]
        assert (first["problem"]["code"], second["result"]) == ("deadline_exceeded", 1.0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "$"),
        ({}, "$"),
        ({"calls": [{"operation": 3}]}, "$.calls[0].operation"),
        ({"calls": [{"operation": "later", "deadline": "soon"}]}, "$.calls[0].deadline"),
        ({"calls": [{"operation": "later"}, {"operation": "later", "deadline": -1}]}, "$.calls[1].deadline"),
        ({"calls": [{"operation": "later", "more": 1}]}, "$.calls[0]"),
    ],
)
async def test_a_batch_that_does_not_fit_names_the_field(body, field):
    """And nothing of it has run."""
    async with site() as at:
        answer = await at.post("/batch", body)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
        assert at.pool.statistics().submitted == 0


@pytest.mark.parametrize("header", ["Millpond-Session", "Millpond-Session-Generation", "Idempotency-Key"])
async def test_headers_that_a_batch_cannot_have_are_refused(header):
    """Its calls name their sessions themselves."""
    async with site() as at:
        body = {"calls": [{"operation": "later", "arguments": [1]}]}
        answer = await at.client.post(f"{POOL}/batch", json=body, headers={header: "1"})
        assert (answer.status_code, answer.json()["header"]) == (400, header)
        assert at.pool.statistics().submitted == 0


async def test_a_batch_is_json():
    """In another format it is 415."""
    async with site() as at:
        for kind in ("application/msgpack", "text/plain", "application/json; charset=latin-1"):
            answer = await at.client.post(f"{POOL}/batch", content=b"\x80", headers={"content-type": kind})
            assert answer.status_code == 415


async def test_its_results_have_a_bound_together():
    """What no longer fits is a problem of its own: it ran."""
    async with site(max_payload=1000, max_workers=1) as at:
        calls = [{"operation": "price", "arguments": [{"name": "x"}, times]} for times in (10, 10, 10, 1)]
        results = (await at.post("/batch", {"calls": calls})).json()["results"]
        assert [len(one.get("result", [])) for one in results] == [10, 10, 0, 1]
        told = results[2]["problem"]
        assert (told["code"], told["outcome"], told["status"]) == ("payload_too_large", "completed", 413)


async def test_a_client_that_leaves_cancels_all_its_calls():
    """Those that run and those that wait; none begins where another stops."""
    async with site(min_workers=1, max_workers=1) as at:
        at.engine.hold("later")
        body = json.dumps({"calls": [{"operation": "later", "arguments": [n]} for n in range(20)]}).encode()
        talk = Talk(at.application, f"{POOL}/batch", body)
        await at.engine.wait_held()
        await until(lambda: at.pool.statistics().submitted == 20)
        talk.leave()
        await talk.ended()
        await until(lambda: at.pool.statistics().endings["cancelled"] == 20)
        assert (talk.sent, len(at.engine.sent)) == ([], 1)


async def test_a_batch_has_at_most_ten_thousand_calls():
    """More is 413."""
    async with site() as at:
        answer = await at.post("/batch", {"calls": [{"operation": "later"}] * 10_001})
        assert (answer.status_code, at.pool.statistics().submitted) == (413, 0)
