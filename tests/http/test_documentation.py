"""The page `/docs`: what it shows, and that nothing a handler says becomes a part of the page."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import httpx
import pytest

import millpond
import millpond.http
from millpond.http.documentation.markup import page
from millpond.http.documentation.schemas import Schemas
from millpond.http.openapi.document import describe
from millpond.http.routing import RoleRoute
from millpond.testing import FakeEngine
from tests.contract.documented import Shop
from tests.http.test_openapi import facts

ITEM = {"$ref": "#/components/schemas/p.f.defs.Item"}
NASTY = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&{session}"


def rendered(*operations: Any, role: str = "admin", cookie: str = "c", by: str = "token", pool: str = "p") -> str:
    """The page of a pool with these operations."""
    routes = [one for one in millpond.http.app({}, auth=None).routes if isinstance(one, RoleRoute)]
    document = json.loads(json.dumps(describe({pool: operations}, routes, role, "/below", cookie)))
    return page(document, "/below", "http://host/below", role=role, by=by)


async def test_it_loads_nothing_from_elsewhere_under_the_strict_policy():
    """Its own files alone, none of them in the page, and no handler of an event in it."""
    async with millpond.Pool(Shop, engine=FakeEngine()) as pool:
        transport = httpx.ASGITransport(millpond.http.app({"p": pool}, auth=None))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answer = await client.get("/docs")
            loaded = re.findall(r'(?:src|href)="([^"#]+)"', answer.text)
            assert {(await client.get(path)).status_code for path in loaded} == {200}
    assert all(path.startswith("/") and not path.startswith("//") for path in loaded)
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"<style|<script(?![^>]* src=)|\son\w+=|\sstyle=|javascript:", answer.text)
    assert "Price an item." in answer.text


@pytest.mark.parametrize("kind", ["plain", "stream"])
def test_nothing_that_a_handler_says_becomes_markup(kind):
    """Names, docstrings, schemas, defaults, names of pools: all is text."""
    arguments = {
        "type": "object",
        "required": [NASTY],
        "properties": {NASTY: {"type": "string", "default": NASTY, "title": NASTY, "description": NASTY}},
    }
    result = {"enum": [NASTY], "$ref": f"#/$defs/{NASTY}"}
    text = rendered(facts(NASTY, f"{NASTY}\n{NASTY}", kind, arguments=arguments, result=result), pool=NASTY)
    assert "<img" not in text
    assert text.count("<script") == 1
    assert html.escape(NASTY) in text
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert len(ids) == len(set(ids))


def test_links_and_forms_are_below_the_prefix():
    """A mounted application's page asks that application."""
    text = rendered(facts())
    assert re.findall(r'(?:src|href|data-path)="(?!/below/|#)([^"]*)"', text) == []
    assert "http://host/below/v1/pools/p/call/read" in text


def test_who_may_call_nothing_is_told_so():
    """And sees what the role may see."""
    text = rendered(facts(), role="view")
    assert "None for your role" in text
    assert "/v1/pools/{pool}/statistics" in text
    assert "/call/read" not in text


def test_a_token_is_asked_for_only_where_it_is_of_use():
    """Not by who has logged in, and not where there are none."""
    assert 'id="token"' in rendered(facts())
    assert 'id="token"' not in rendered(facts(), by="cookie")
    without = rendered(facts(), cookie="", by="program")
    assert 'id="token"' not in without
    assert "Authorization" not in without


def test_examples_are_those_of_the_operation():
    """As curl and as Python, with a value that fits for what is required."""
    schema = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}, "n": {}}}
    text = html.unescape(rendered(facts(arguments=schema)))
    assert """--json '{"text": "text"}'""" in text
    assert "await pool.call('read', text='text')" in text
    streamed = html.unescape(rendered(facts(kind="stream", arguments=schema)))
    assert "curl -N" in streamed
    assert "async with pool.stream('read', text='text') as items:" in streamed


@pytest.mark.parametrize(
    ("schema", "words", "example"),
    [
        ({}, "anything", None),
        (
            {"type": "array", "items": {"$ref": "#/components/schemas/p.f.defs.Item"}},
            "list of Item",
            [{"name": "text"}],
        ),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer or null", 1),
        ({"enum": ["a", None, 2]}, '"a" or null or 2', "a"),
        ({"type": "string", "contentEncoding": "base64"}, "bytes (base64)", "text"),
        ({"type": "string", "format": "date"}, "string (date)", "text"),
        ({"type": ["number", "null"], "minimum": 3}, "number or null", 3),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "object of integer", {}),
        ({"$ref": "#/components/schemas/p.f.defs.Loop"}, "Loop", {}),
    ],
)
def test_schemas_are_told_in_words_and_by_example(schema, words, example):
    """Also those that refer to others, and to themselves."""
    item = {"title": "Item", "type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    loop = {"$ref": "#/components/schemas/p.f.defs.Loop"}
    known = Schemas({"p.f.defs.Item": item, "p.f.defs.Loop": loop})
    assert known.in_words(schema) == words
    assert known.example(schema) in (example, None)


def test_an_example_of_what_contains_itself_ends():
    """A tree whose children are required is cut off."""
    tree = {"type": "object", "required": ["child"], "properties": {"child": {"$ref": "#/components/schemas/T"}}}
    assert json.dumps(Schemas({"T": tree}).example({"$ref": "#/components/schemas/T"})).count("child") < 10
