"""Traces: a span a call, under its caller's, with a header the other side understands, and none of its contents."""

from __future__ import annotations

import importlib
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from millpond.errors import DeadlineExceeded
from millpond.telemetry.opentelemetry import OpenTelemetryTracing

CANARY = "canary-7f3a"


class Rig:
    """An SDK that keeps finished spans."""

    def __init__(self, **how):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, **how)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")

    def tracing(self, **how):
        return OpenTelemetryTracing(self.provider, **how)

    def spans(self):
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def rig():
    made = Rig()
    yield made
    made.provider.shutdown()


def context_of(header):
    """What the other side reads."""
    names = ("traceparent", "tracestate")
    carrier = dict(zip(names, header.decode().split("\n"), strict=False))
    return trace.get_current_span(TraceContextTextMapPropagator().extract(carrier)).get_span_context()


def test_a_call_is_a_client_span_under_its_callers(rig):
    """With its operation as its name, and the pool's facts under names of our own."""
    with rig.tracer.start_as_current_span("request"):
        begun = rig.tracing().begin("read", {"pool": "east", "server.address": "here"})
    begun.end("ok", None, None)
    request, call = rig.spans()["request"], rig.spans()["read"]
    assert call.parent.span_id == request.context.span_id
    assert call.kind is SpanKind.CLIENT
    assert call.status.status_code is StatusCode.UNSET
    assert dict(call.attributes) == {
        "millpond.pool": "east",
        "server.address": "here",
        "rpc.system.name": "millpond",
        "rpc.method": "read",
        "millpond.ending": "ok",
        "rpc.response.status_code": "ok",
    }


def test_names_that_lie_are_escaped(rig):
    """A line break or a bidirectional mark in a name forges nothing where spans are read."""
    rig.tracing().begin("a\nb", {"pool": "e\u202est"}).end("ok", None, None)
    (span,) = rig.spans().values()
    assert (span.name, span.attributes["rpc.method"]) == (r"a\nb", r"a\nb")
    assert span.attributes["millpond.pool"] == r"e\u202est"


def test_the_header_makes_the_other_side_a_child(rig):
    """It names the call's own span, not its caller's, and says that it is sampled."""
    begun = rig.tracing().begin("read", {})
    told = context_of(begun.header)
    begun.end("ok", None, None)
    call = rig.spans()["read"].context
    assert (told.trace_id, told.span_id, told.trace_flags.sampled) == (call.trace_id, call.span_id, True)
    assert b"\n" not in begun.header


def test_the_trace_state_of_the_caller_goes_along(rig):
    """On a line of its own."""
    around = SpanContext(7, 8, True, TraceFlags(TraceFlags.SAMPLED), TraceState([("shop", "blue")]))
    with trace.use_span(NonRecordingSpan(around)):
        begun = rig.tracing().begin("read", {})
    told = context_of(begun.header)
    begun.end("ok", None, None)
    assert (told.trace_id, dict(told.trace_state)) == (7, {"shop": "blue"})


def test_a_caller_elsewhere_is_the_parent_whatever_is_around(rig):
    """Named by its W3C headers, which are no attributes of the span."""
    around = SpanContext(7, 8, True, TraceFlags(TraceFlags.SAMPLED))
    elsewhere = {"traceparent": f"00-{9:032x}-{10:016x}-01", "tracestate": "shop=blue"}
    with trace.use_span(NonRecordingSpan(around)):
        begun = rig.tracing().begin("read", {"pool": "east", **elsewhere})
    told = context_of(begun.header)
    begun.end("ok", None, None)
    call = rig.spans()["read"]
    assert (told.trace_id, call.parent.span_id, dict(told.trace_state)) == (9, 10, {"shop": "blue"})
    assert not {"millpond.traceparent", "millpond.tracestate"} & set(call.attributes)


@pytest.mark.parametrize(
    ("ending", "code", "error", "kind"),
    [
        ("failed", "handler_error", KeyError(CANARY), "KeyError"),
        ("expired", "deadline_exceeded", DeadlineExceeded(CANARY), "deadline_exceeded"),
        ("cancelled", "cancelled", None, "cancelled"),
        ("lost", "worker_died", None, "worker_died"),
    ],
)
def test_a_call_that_was_not_answered_is_an_error(rig, ending, code, error, kind):
    """By its code, or the type of what the handler raised; what that said is nowhere."""
    begun = rig.tracing().begin("read", {})
    begun.end(ending, code, error)
    call = rig.spans()["read"]
    assert (call.status.status_code, call.status.description) == (StatusCode.ERROR, code)
    assert call.attributes["error.type"] == kind
    assert (call.attributes["millpond.ending"], call.attributes["rpc.response.status_code"]) == (ending, code)
    assert CANARY not in call.to_json()


def test_what_was_raised_is_recorded_only_if_asked_for(rig):
    """Then with its text and traceback, as OpenTelemetry does."""
    begun = rig.tracing(record_exceptions=True).begin("read", {})
    begun.end("failed", "handler_error", KeyError(CANARY))
    (event,) = rig.spans()["read"].events
    assert CANARY in event.attributes["exception.message"]


def test_what_is_not_sampled_is_passed_on_as_such():
    """The other side must not sample what nobody will collect; here nothing is kept."""
    rig = Rig(sampler=ALWAYS_OFF)
    begun = rig.tracing().begin("read", {})
    begun.end("ok", None, None)
    assert not context_of(begun.header).trace_flags.sampled
    assert rig.spans() == {}


def test_without_an_sdk_a_trace_around_is_passed_on_and_else_nothing_is_done():
    """The package alone makes no spans; a call then costs no header either."""
    tracing = OpenTelemetryTracing(trace.NoOpTracerProvider())
    assert tracing.begin("read", {}) is None
    with trace.use_span(NonRecordingSpan(SpanContext(7, 8, True, TraceFlags(1)))):
        begun = tracing.begin("read", {})
    assert (context_of(begun.header).trace_id, context_of(begun.header).span_id) == (7, 8)
    begun.end("failed", "handler_error", None)


def test_what_opentelemetry_raises_reaches_no_call(rig, caplog):
    """A sampler or processor may be anybody's: it costs the trace, and one line in the log."""

    class Broken:
        def start_span(self, *args, **kwargs):
            raise RuntimeError("no more ink")

    tracing = rig.tracing()
    begun = tracing.begin("read", {})
    begun._span.end = Broken().start_span
    begun.end("ok", None, None)
    tracing._tracer = Broken()
    assert tracing.begin("read", {}) is None
    (line,) = [record.message for record in caplog.records]
    assert line.startswith("OpenTelemetry raised, and the call goes on without its trace: RuntimeError in start_span (")


def test_attached_it_is_asked_by_the_pool():
    """The pool has one place for whoever traces."""

    class Traceable:
        trace_source = None

    pool, tracing = Traceable(), OpenTelemetryTracing(trace.NoOpTracerProvider())
    tracing.attach(pool)
    assert pool.trace_source is tracing


def test_a_missing_opentelemetry_is_named_with_its_extra(monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    monkeypatch.delitem(sys.modules, "millpond.telemetry.opentelemetry")
    with pytest.raises(ImportError, match=r"millpond\[opentelemetry\]"):
        importlib.import_module("millpond.telemetry.opentelemetry")
