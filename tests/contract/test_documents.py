"""Calls whose arguments and results travel as documents: checked by the type hints, not looked into on the way."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

import millpond
import millpond.testing
from millpond import Document
from tests.contract.documented import Shop
from tests.contract.sites import check, failure
from tests.contract.test_tracing import PARENT, Source


def written(value: Any, format: Any = "json") -> Document:
    """A value as a document."""
    encode = msgspec.json.encode if format == "json" else msgspec.msgpack.encode
    return Document(value if isinstance(value, bytes) else encode(value), format)


def read(document: Document) -> Any:
    """The value of a document."""
    return {"json": msgspec.json.decode, "msgpack": msgspec.msgpack.decode, "bytes": bytes}[document.format](
        document.body
    )


FITS: list[tuple[str, Any, Any]] = [
    ("price", {"item": {"name": "x"}}, [{"name": "x", "count": 1, "when": None}]),
    ("price", {"item": {"name": "x", "when": "2026-01-02"}}, [{"name": "x", "count": 1, "when": "2026-01-02"}]),
    ("price", [{"name": "x", "count": 3}, 1], [{"name": "x", "count": 3, "when": None}]),
    ("price", {"*": [{"name": "x"}], "times": 2}, [{"name": "x", "count": 1, "when": None}] * 2),
    ("kinds", {"item": {"*": 1}, "colour": "red"}, ["dict", "Colour"]),
    ("kinds", {"item": "*"}, ["str", "Colour"]),
    ("unknown", {"value": [1]}, "list"),
    ("attributes", [[{"name": "x"}, {"name": "y", "count": 2}]], [["count", "name", "when"]] * 2),
    ("spread", {"a": 1}, [1, 2, 3, [], 4, {}]),
    ("spread", [1, 5, 6, 7, 8], [1, 5, 6, [7, 8], 4, {}]),
    ("spread", {"*": [1], "c": 9, "d": 8, "e": 7}, [1, 2, 9, [], 8, {"e": 7}]),
    ("spread", {"a": 1, "rest": [5]}, [1, 2, 3, [5], 4, {}]),
    ("nothing", b"", None),
    ("nothing", {}, None),
    ("nothing", [], None),
    ("later", {"number": 2}, 2.0),
    ("say", {"text": "hi"}, ["hi", None]),
]
MISFITS: list[tuple[str, Any, str, str]] = [
    ("price", {"item": {"name": 1}}, "$.item.name", "Expected `str`, got `int`"),
    ("price", {"item": {"name": "x", "when": "soon"}}, "$.item.when", "Invalid RFC3339"),
    ("price", {"item": {}}, "$.item.name", "missing required field `name`"),
    ("price", {}, "$.item", "missing required field `item`"),
    ("price", b"", "$.item", "missing required field `item`"),
    ("price", {"itm": 1}, "$.itm", "unknown field `itm`"),
    ("price", {"item": {"name": "x"}, "times": "2"}, "$.times", "Expected `int"),
    ("price", [{"name": "x"}, 1, 2], "$", "takes 2 arguments by position, but 3 were given"),
    ("price", {"*": [{"name": "x"}], "item": {"name": "x"}}, "$", "multiple values for argument 'item'"),
    ("price", {"*": 3}, "$", "a map by name or a list"),
    ("price", 3, "$", "a map by name or a list"),
    ("kinds", {"item": 1, "colour": "blue"}, "$.colour", "Invalid enum value"),
    ("spread", {"*": [1, "2"]}, "$.b", "Expected `int"),
    ("spread", {"a": 1, "e": "x"}, "$.e", "Expected `int"),
    ("spread", {"*": [1], "self": 2}, "$", "takes no argument 'self' from its caller"),
    ("say", {"text": "x", "session": "mine"}, "$.session", "unknown field `session`"),
    ("nothing", {"a": 1}, "$.a", "unknown field `a`"),
]


@pytest.mark.parametrize("format", ["json", "msgpack"])
@pytest.mark.parametrize(("operation", "value", "result"), FITS)
async def test_arguments_mean_what_the_hints_say(operation, value, result, format):
    """By name, by position and both, in either format; a class arrives as itself, what has no hint as plain data."""
    async with millpond.Pool(Shop, engine=millpond.testing.FakeEngine()) as pool:
        answer = await pool.call_document(operation, written(value, format), answer=format)
        assert (answer.format, read(answer)) == (format, result)


@pytest.mark.parametrize("format", ["json", "msgpack"])
@pytest.mark.parametrize(("operation", "value", "field", "text"), MISFITS)
async def test_what_does_not_fit_is_named_and_nothing_runs(operation, value, field, text, format):
    """The error has the path of the first argument that does not fit, and says that nothing has started."""
    async with millpond.Pool(Shop, engine=millpond.testing.FakeEngine()) as pool:
        error = await failure(pool.call_document(operation, written(value, format)))
        assert isinstance(check(error, "bad_argument", "not_started"), millpond.BadArgument)
        assert (error.field, text in str(error)) == (field, True), str(error)


@pytest.mark.parametrize("codec", ["pickle", "msgpack"])
async def test_documents_travel_to_workers_as_they_are(any_site, codec):
    """Whatever the pool's codec, small and large, in all formats, and a worker that refused one serves the next."""
    async with any_site.pool(Shop, codec=codec, min_workers=1, max_workers=1) as pool:
        large = bytes(range(256)) * 8192
        for body in (b"", b"\x00\xff", large):
            assert await pool.call_document("raw", Document(body, "bytes"), answer="bytes") == (body, "bytes")
        packed = written({"data": large, "more": "!"}, "msgpack")
        assert read(await pool.call_document("raw", packed, answer="msgpack")) == large + b"!"
        assert read(await pool.call_document("later", written({"number": 1.5}), answer="bytes")) == 1.5
        check(await failure(pool.call_document("strange", written({}))), "result_not_serializable", "completed")
        check(await failure(pool.call_document("price", Document(b"[" * 200_000))), "bad_argument", "not_started")
        check(await failure(pool.call_document("price", Document(b"\xff", "bytes"))), "bad_argument", "not_started")
        check(await failure(pool.call_document("grete", written({}))), "bad_argument", "not_started")
        assert read(await pool.call_document("nothing", written({}))) is None
        assert pool.statistics().starts == 1


async def test_values_and_documents_may_be_sent_side_by_side(site):
    """Each caller gets what it asked for, out of one worker and in one turn of the loop."""
    async with site.pool(Shop, max_workers=2) as pool:
        asked = [
            pool.call("later", number) if number % 2 else pool.call_document("later", written([number]))
            for number in range(200)
        ]
        got = await asyncio.gather(*asked)
        assert [value if number % 2 else read(value) for number, value in enumerate(got)] == list(range(200))


async def test_a_session_is_given_beside_the_document(site):
    """A handle's calls reach the session's worker; an operation that needs one says so."""
    async with site.pool(Shop) as pool, pool.session("mine") as session:
        assert read(await session.call_document("say", written({"text": "hi"}))) == ["hi", "mine"]
        assert read(await pool.options(session="mine").call_document("hold", Document(b""))) == "mine"
        check(await failure(pool.call_document("hold", Document(b""))), "bad_argument", "not_started")


async def test_a_stream_gives_its_items_as_documents(site):
    """Each item is one; a generator that raises, or that cannot begin, ends the stream as any other."""
    async with site.pool(Shop) as pool:
        items = [item async for item in pool.stream_documents("letters", written({"text": "abc"}))]
        assert items == [Document(b'"a"'), Document(b'"b"'), Document(b'"c"')]
        items = [read(item) async for item in pool.stream_documents("numbers", written([40]), answer="msgpack")]
        assert items == list(range(40))
        got: list[Any] = []
        with pytest.raises(LookupError, match="no more"):
            got.extend([read(item) async for item in pool.stream_documents("broken", written([2]))])
        refused = pool.stream_documents("letters", written({"text": 1}))
        assert check(await failure(anext(refused)), "bad_argument", "not_started").field == "$.text"
        check(await failure(pool.call_document("letters", written(["a"]))), "bad_argument", "not_started")
        check(await failure(anext(pool.stream_documents("price", written([])))), "bad_argument", "not_started")


async def test_a_handlers_exception_is_the_same_as_of_any_call(site):
    """What the operation raises reaches the caller as itself under pickle."""
    async with site.pool(Shop) as pool:
        with pytest.raises(LookupError, match="here"):
            await pool.call_document("fail", written({"text": "here"}))


async def test_a_call_made_while_the_pool_opens_waits_for_it(site):
    """Its operation is looked up once the pool serves."""
    pool = site.pool(Shop)
    opening = asyncio.ensure_future(pool.open())
    await asyncio.sleep(0)
    early = [pool.call_document("later", written([3])), pool.call_document("grete", written([]))]
    right, wrong = await asyncio.gather(*early, return_exceptions=True)
    await opening
    try:
        assert read(right) == 3
        check(wrong, "bad_argument", "not_started")
    finally:
        await pool.close()


async def test_the_callers_trace_goes_to_the_worker_and_to_the_tracer(site):
    """Without a tracer the worker is told of the caller's trace; a tracer is told whose child the call is."""
    async with site.pool(Shop) as pool:
        trace = PARENT.format(7)
        assert read(await pool.call_document("later", written([1]), trace=f"{trace}\nvendor=1")) == 1
        pool.trace_source = source = Source()
        await pool.call_document("later", written([1]), trace=f"{trace}\nvendor=1")
        await pool.call_document("later", written([1]))
        first, second = source.traces
        assert (first.attributes["traceparent"], first.attributes["tracestate"]) == (trace, "vendor=1")
        assert "traceparent" not in second.attributes


@pytest.mark.parametrize(
    ("document", "answer", "error"),
    [
        ({"a": 1}, "json", TypeError),
        (Document("{}"), "json", TypeError),  # type: ignore[arg-type]
        (Document(b"{}", "xml"), "json", ValueError),  # type: ignore[arg-type]
        (Document(b"{}"), "xml", ValueError),
    ],
)
async def test_what_is_no_document_is_refused_where_it_is_given(document, answer, error):
    """With the exception of a wrong argument, before the pool counts anything."""
    async with millpond.Pool(Shop, engine=millpond.testing.FakeEngine()) as pool:
        with pytest.raises(error):
            await pool.call_document("nothing", document, answer=answer)
        assert pool.statistics().submitted == 0


async def test_the_operations_are_described_for_whoever_serves_them(any_site):
    """Each with its docstring and the JSON Schemas of its arguments and its result, wherever the hints were read."""
    async with any_site.pool(Shop) as pool:
        known = {one.name: one for one in pool.operations()}
        assert known["price"].doc == "Price an item."
        price = json.loads(known["price"].schema)
        assert price["arguments"]["required"] == ["item"]
        assert price["arguments"]["additionalProperties"] is False
        assert price["result"] == {"type": "array", "items": {"$ref": "#/$defs/Item"}}
        assert price["$defs"]["Item"]["properties"]["count"]["type"] == "integer"
        assert json.loads(known["letters"].schema)["result"] == {"type": "string"}
        assert json.loads(known["unknown"].schema)["arguments"]["properties"] == {"value": {}}
        assert "session" not in json.loads(known["say"].schema)["arguments"]["properties"]
        spread = json.loads(known["spread"].schema)["arguments"]
        assert spread["additionalProperties"] == {"type": "integer"}
