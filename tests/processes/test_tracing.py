"""Traces through real workers: what a handler opens is a child of its call, whatever kind of operation it is."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import millpond
from millpond.telemetry.opentelemetry import OpenTelemetryTracing
from tests.start_methods import both
from tests.telemetry.collector import Collector, words


def provider_for(address):
    """An SDK that sends each span at once."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(address, timeout=60)))
    return provider


class Traced:
    """Opens a span in each kind of operation."""

    def __init__(self, address):
        self.tracer = provider_for(address).get_tracer("worker")

    def read(self, mark):
        with self.tracer.start_as_current_span(f"work {mark}"):
            return millpond.trace_context()

    async def ask(self, mark):
        return self.read(mark)

    def items(self, mark):
        yield self.read(mark)

    async def parts(self, mark):
        yield self.read(mark)

    def fail(self, mark):
        self.read(mark)
        raise ValueError(mark)

    def around(self):
        """Whether anything of the call before is left."""
        return trace.get_current_span().get_span_context().is_valid, millpond.trace_context()


@pytest.fixture
def collector():
    with Collector() as made:
        yield made


async def use(pool, name, mark):
    if name in ("items", "parts"):
        (item,) = [item async for item in pool.stream(name, mark)]
        return item
    return await pool.call(name, mark)


@both
async def test_a_span_opened_in_a_handler_is_a_child_of_its_call(collector, start_method):
    """Caller, call and handler are one trace, for each kind of operation; the next call is free of it."""
    provider = provider_for(collector.address)
    names = ("read", "ask", "items", "parts")
    async with millpond.Pool(Traced, args=(collector.address,), max_workers=1, start_method=start_method) as pool:
        OpenTelemetryTracing(provider).attach(pool)
        with provider.get_tracer("test").start_as_current_span("request"):
            headers = {name: await use(pool, name, name) for name in names}
            with pytest.raises(ValueError, match="fail"):
                await pool.call("fail", "fail")
        pool.trace_source = None
        assert await pool.call("around") == (False, {})
    provider.shutdown()
    spans = {span.name: span for span in collector.spans}
    request = spans["request"]
    for name in (*names, "fail"):
        call, work = spans[name], spans[f"work {name}"]
        assert (call.parent_span_id, work.parent_span_id) == (request.span_id, call.span_id)
        assert {call.trace_id, work.trace_id} == {request.trace_id}
    for name in names:
        assert headers[name]["traceparent"].split("-")[1:3] == [request.trace_id.hex(), spans[name].span_id.hex()]
    assert words(spans["fail"])["error.type"] == "ValueError"


async def test_calls_beside_each_other_keep_their_traces(collector):
    """Each handler's span is under its own call, also where one worker runs several at once."""
    provider = provider_for(collector.address)
    marks = [str(number) for number in range(12)]
    async with millpond.Pool(Traced, args=(collector.address,), max_workers=2, concurrency=4) as pool:
        OpenTelemetryTracing(provider).attach(pool)
        told = {item["traceparent"] async for item in pool.map("ask", marks)}
    provider.shutdown()
    spans = {span.name: span for span in collector.spans if span.name != "ask"}
    calls = {span.span_id: span for span in collector.spans if span.name == "ask"}
    assert len(told) == len(calls) == len(spans) == len(marks)
    assert {span.parent_span_id for span in spans.values()} == calls.keys()
    assert all(calls[span.parent_span_id].trace_id == span.trace_id for span in spans.values())


def test_a_blocking_callers_span_is_the_parent_too(collector):
    """The context is that of the thread which calls, not of the one in which the pool lives."""
    provider = provider_for(collector.address)
    with millpond.SyncPool(Traced, args=(collector.address,), max_workers=1) as pool:
        OpenTelemetryTracing(provider).attach(pool)
        with provider.get_tracer("test").start_as_current_span("request"):
            pool.call("read", "here")
    provider.shutdown()
    spans = {span.name: span for span in collector.spans}
    assert spans["work here"].parent_span_id == spans["read"].span_id
    assert spans["read"].parent_span_id == spans["request"].span_id
