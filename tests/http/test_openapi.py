"""The OpenAPI document: valid, complete, and the caller's own."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import msgspec
import pytest
from starlette.testclient import TestClient

import millpond
import millpond.http
from millpond.http.access.caller import ROLES, Caller
from millpond.http.openapi.document import describe, version_of
from millpond.http.openapi.schemas import component, schemas_of
from millpond.http.routing import RoleRoute
from millpond.seams import OperationFacts
from millpond.testing import FakeEngine
from tests.contract.documented import Shop
from tests.http.access.asked import Asked
from tests.needs import need


def facts(name: str = "read", doc: str = "", kind: Any = "plain", **schema: Any) -> OperationFacts:
    """An operation with one argument `text`."""
    said = {"arguments": {"type": "object", "properties": {"text": {"type": "string"}}}, "result": {}, "$defs": {}}
    text = msgspec.json.encode(said | schema).decode()
    return OperationFacts(name, kind, False, ("text",), 0, 1, (), (), False, False, doc=doc, schema=text)


async def document(role: str = "admin", cookie: str = "millpond_8000", names: tuple[str, ...] = ("p",)) -> Any:
    """The document of pools of a shop."""
    async with millpond.Pool(Shop, engine=FakeEngine()) as pool:
        application = millpond.http.app({"p": pool}, auth=None)
        routes = [one for one in application.routes if isinstance(one, RoleRoute)]
        found = describe({name: pool.operations() for name in names}, routes, role, "", cookie)
    return json.loads(json.dumps(found))


def references(found: Any) -> set[str]:
    """All targets of references."""
    if isinstance(found, list):
        return set().union(*map(references, found))
    if not isinstance(found, dict):
        return set()
    here = {found["$ref"]} if isinstance(found.get("$ref"), str) else set()
    return here.union(*map(references, found.values()))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("cookie", ["", "__Host-millpond_443"])
async def test_it_is_valid_for_every_role(role, cookie):
    """By the official schema of OpenAPI 3.1 and of JSON Schema; also with pools whose names are no identifiers."""
    need("openapi_spec_validator")
    from openapi_spec_validator import validate

    validate(await document(role, cookie, ("p", "a/b", "ä {x}", "server")))


async def test_every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own():
    """Two pools with the same operations, and names that differ in odd characters only, share no component."""
    found = await document(names=("p", "p.q", "p-q", "p q"))
    for target in references(found):
        _, kind, name = target.removeprefix("#/").split("/")
        assert name in found["components"][kind]
    ids = [entry["operationId"] for path in found["paths"].values() for entry in path.values()]
    assert len(ids) == len(set(ids))
    names = found["components"]["schemas"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names)


def test_names_of_components_do_not_collide():
    """Whatever stands in the parts, other parts give another name."""
    parts = [("a", "b"), ("a.b",), ("a", "b", ""), ("a-2Eb",), ("a_b",), ("a b",), ("ä",), ("-C3-A4",), ("A", "b")]
    assert len({component(*one) for one in parts}) == len(parts)


def test_definitions_of_two_operations_with_one_name_stay_apart():
    """References follow their definitions; what only looks like a reference, being data, stays as it is."""
    inner = {"type": "object", "properties": {"$ref": {"$ref": "#/$defs/I~1O"}}, "default": {"$ref": "#/$defs/I~1O"}}
    mapped = {"discriminator": {"propertyName": "k", "mapping": {"a": "#/$defs/I~1O"}}}
    found = schemas_of("p", facts(arguments=inner, result=mapped, **{"$defs": {"I/O": {"type": "integer"}}}))
    target = "#/components/schemas/p.read.defs.I-2FO"
    assert found["p.read.Arguments"]["properties"]["$ref"] == {"$ref": target}
    assert found["p.read.Arguments"]["default"] == {"$ref": "#/$defs/I~1O"}
    assert found["p.read.Result"]["discriminator"]["mapping"] == {"a": target}
    assert target.rpartition("/")[2] in found


async def test_it_says_what_each_operation_takes_and_gives():
    """Summary and description from the docstring, the arguments and the result from the type hints."""
    found = await document()
    entry = found["paths"]["/v1/pools/p/call/price"]["post"]
    assert entry["summary"] == "Price an item."
    arguments = found["components"]["schemas"]["p.price.Arguments"]
    assert arguments["required"] == ["item"]
    assert arguments["properties"]["item"] == {"$ref": "#/components/schemas/p.price.defs.Item"}
    assert "application/octet-stream" in found["paths"]["/v1/pools/p/call/raw"]["post"]["requestBody"]["content"]
    assert "application/octet-stream" not in entry["requestBody"]["content"]
    assert "text/event-stream" in found["paths"]["/v1/pools/p/stream/letters"]["post"]["responses"]["200"]["content"]
    assert not found["paths"]["/v1/pools/p/call/nothing"]["post"]["requestBody"]["required"]
    assert "/v1/pools/p/call/hold" not in found["paths"]  # it needs a session
    assert "/v1/pools/p/sessions/{session}/call/hold" in found["paths"]
    assert {"/v1/pools/p/call/say", "/v1/pools/p/sessions/{session}/call/say"} <= found["paths"].keys()


@pytest.mark.parametrize("role", ROLES)
async def test_it_lists_what_the_role_may_use(role, asked: Asked):
    """Every route of the application that is for this role is there, and no other."""
    application = millpond.http.app({"p": millpond.Pool(Shop)}, auth=asked.access)
    routes = [one for one in application.routes if isinstance(one, RoleRoute)]
    assert len(routes) == len(application.routes)
    found = describe({"p": (facts(), facts("say", kind="stream"))}, routes, role, "", "c")["paths"]
    listed = {(method.upper(), path) for path, entry in found.items() for method in entry}
    for one in routes:
        if "{operation}" in one.path or one.path.startswith("/assets/"):
            continue
        path = one.path.replace("{pool}", "p") if one.path.endswith("/batch") else one.path
        path = path.replace("{verb}", "drain")
        for method in one.methods - {"HEAD"}:
            assert ((method, path) in listed) == (role in one.roles), (method, path)
    assert (("POST", "/v1/pools/p/call/read") in listed) == (role != "view")
    assert (("POST", "/v1/pools/p/stream/say") in listed) == (role != "view")


async def test_every_route_says_in_words_what_it_does(asked: Asked):
    """The doc string of its endpoint is what people read."""
    application = millpond.http.app({"p": millpond.Pool(Shop)}, auth=asked.access)
    assert [one.path for one in application.routes if not getattr(one, "doc", "")] == []


async def test_open_paths_need_no_security(asked: Asked):
    """All others do, where there are tokens; without tokens there is no word of them."""
    found = await document()
    assert found["security"] == [{"token": []}, {"cookie": []}]
    without = await document(cookie="")
    assert "security" not in without
    assert "securitySchemes" not in without["components"]
    routes = [one for one in millpond.http.app({}, auth=asked.access).routes if isinstance(one, RoleRoute)]
    paths = describe({}, routes, "admin", "", "c")["paths"]
    assert paths["/login"]["post"]["security"] == []
    assert "security" not in paths["/logout"]["post"]


def test_the_version_is_that_of_the_operations():
    """It changes with a name, a schema or a doc string, and with nothing else."""
    before = version_of({"p": (facts(),)})
    assert before == version_of({"p": (facts(),)})
    others = [{"p": (facts(doc="More."),)}, {"p": (facts("other"),)}, {"q": (facts(),)}, {"p": (facts(result=True),)}]
    assert len({before, *map(version_of, others)}) == 5


async def test_it_is_served_with_a_tag_and_under_a_prefix():
    """A client that has it is answered 304; below a prefix the servers' address says so."""
    async with millpond.Pool(Shop, engine=FakeEngine()) as pool:
        client = TestClient(millpond.http.app({"p": pool}, auth=None), root_path="/below")
        answer = await asyncio.to_thread(client.get, "/below/openapi.json")
        assert answer.json()["servers"] == [{"url": "/below"}]
        again = await asyncio.to_thread(
            client.get, "/below/openapi.json", headers={"If-None-Match": answer.headers["etag"]}
        )
    assert (answer.status_code, again.status_code, again.content) == (200, 304, b"")


async def test_who_asks_as_another_role_gets_another_document():
    """The documents that are kept are not mixed up."""
    role = "call"
    async with millpond.Pool(Shop, engine=FakeEngine()) as pool:
        client = TestClient(millpond.http.app({"p": pool}, auth=lambda _: Caller("o", role, "program")))  # type: ignore[arg-type]
        calls = (await asyncio.to_thread(client.get, "/openapi.json")).json()["paths"]
        role = "view"
        views = (await asyncio.to_thread(client.get, "/openapi.json")).json()["paths"]
    assert "/v1/pools/p/batch" in calls
    assert "/v1/pools/p/batch" not in views


async def test_it_waits_for_a_pool_that_is_being_opened():
    """Whoever asks right after the start gets the operations too; of a pool that nobody opens there are none."""
    pool = millpond.Pool(Shop, engine=FakeEngine())
    client = TestClient(millpond.http.app({"p": pool}, auth=None))
    before = await asyncio.to_thread(client.get, "/openapi.json")
    opening = asyncio.create_task(pool.open())
    await asyncio.sleep(0)
    transport = httpx.ASGITransport(millpond.http.app({"p": pool}, auth=None))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as asking:
        after = await asking.get("/openapi.json")
    await opening
    await pool.close()
    assert "/v1/pools/p/call/price" not in before.json()["paths"]
    assert "/v1/pools/p/call/price" in after.json()["paths"]
