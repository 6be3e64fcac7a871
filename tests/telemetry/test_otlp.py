"""Spans over the wire: the SDK's OTLP exporter against a collector on the loopback, as in a deployment."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from millpond.telemetry.opentelemetry import OpenTelemetryTracing


class Collector:
    """Takes OTLP over HTTP and keeps the spans."""

    def __init__(self):
        kept = self.spans = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    kept.extend(span for scope in resource.scope_spans for span in scope.spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *about):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.address = f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def collector():
    with Collector() as made:
        yield made


def words(span):
    return {one.key: one.value.string_value for one in span.attributes}


def test_a_collector_gets_the_spans_of_calls(collector):
    """Under their caller's, with kind, status and attributes as they were made."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(collector.address, timeout=10)))
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
