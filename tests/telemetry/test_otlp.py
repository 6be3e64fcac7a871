"""Spans over the wire: the SDK's OTLP exporter against a collector on the loopback, as in a deployment."""

from __future__ import annotations

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from millpond.telemetry.opentelemetry import OpenTelemetryTracing
from tests.telemetry.collector import Collector, words


@pytest.fixture
def collector():
    with Collector() as made:
        yield made


def test_a_collector_gets_the_spans_of_calls(collector):
    """Under their caller's, with kind, status and attributes as they were made."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(collector.address, timeout=60)))
    tracing = OpenTelemetryTracing(provider)
    with provider.get_tracer("test").start_as_current_span("request"):
        for ending, code in (("ok", None), ("expired", "deadline_exceeded")):
            begun = tracing.begin("read", {"pool": "east"})
            begun.end(ending, code, None)
    provider.shutdown()
    good, bad, request = sorted(collector.spans, key=lambda span: (span.name, words(span).get("error.type", "")))
    assert {good.parent_span_id, bad.parent_span_id} == {request.span_id}
    assert {good.trace_id, bad.trace_id} == {request.trace_id}
    assert (good.kind, good.SPAN_KIND_CLIENT) == (bad.kind, good.kind)
    assert words(good)["millpond.pool"] == "east"
    assert (bad.status.code, bad.status.message) == (bad.status.STATUS_CODE_ERROR, "deadline_exceeded")
