"""OpenTelemetry traces: a span for each call, whose W3C context travels to the worker.

Asked by the call factory when a call is made, notified when it ended; spans that a handler opens are children of the
call's. Needs the extra `opentelemetry`, of which the program sets up the SDK and its exporters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from millpond.logger.escaping import escaped
from millpond.logger.pool_logger import PoolLogger
from millpond.seams import Trace, TraceSource

try:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, get_tracer, set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:
    raise ImportError('OpenTelemetry is not installed: pip install "millpond[opentelemetry]"') from error

log = PoolLogger("millpond.telemetry")

_W3C = ("traceparent", "tracestate")


class Traceable(Protocol):
    """A `Pool` or a `SyncPool`."""

    trace_source: TraceSource | None  # who traces its calls


class OpenTelemetryTracing:
    """Makes a client span of each call, named after its operation, in the context its caller is in.

    `tracer_provider` is the program's (default: the global one). A span has the attributes `rpc.system.name` (which is
    `millpond`), `rpc.method`, `rpc.response.status_code` (`ok`, or the error's code), `millpond.ending`, and
    `error.type` unless the call was answered. Arguments, results and texts are not in it; `record_exceptions` adds the
    exception with its text and traceback. Nothing that OpenTelemetry raises reaches a call.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None, *, record_exceptions: bool = False) -> None:
        self._tracer = get_tracer("millpond", tracer_provider=tracer_provider)
        self._propagator = TraceContextTextMapPropagator()
        self._record_exceptions = record_exceptions
        self._has_complained = False

    def attach(self, pool: Traceable) -> None:
        """Trace a pool's calls from the next one on, instead of who did; `pool.trace_source = None` ends it."""
        pool.trace_source = self

    def begin(self, operation: str, attributes: Mapping[str, Any]) -> Trace | None:
        """See `TraceSource`. `None` if there is no SDK and no trace around."""
        try:
            said = (
                (key if "." in key else f"millpond.{key}", value)
                for key, value in attributes.items()
                if key not in _W3C
            )
            about, name = {key: _readable(value) for key, value in said}, escaped(operation)
            about |= {"rpc.system.name": "millpond", "rpc.method": name}
            span = self._tracer.start_span(name, self._parent(attributes), kind=SpanKind.CLIENT, attributes=about)
            if not span.get_span_context().is_valid:
                return None
            return CallTrace(self, span, self._header(span))
        except Exception as error:
            self.complain(error)
            return None

    def _parent(self, attributes: Mapping[str, Any]) -> Context | None:
        """The context of a caller elsewhere; `None` for that of who makes the call."""
        carrier = {name: attributes[name] for name in _W3C if name in attributes}
        return self._propagator.extract(carrier) if carrier else None

    def complain(self, error: Exception) -> None:
        """Log what was raised, the first time."""
        if not self._has_complained:
            self._has_complained = True
            log.raised(error, "OpenTelemetry raised, and the call goes on without its trace")

    def _header(self, span: Span) -> bytes:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(span))
        return "\n".join(filter(None, (carrier["traceparent"], carrier.get("tracestate")))).encode("ascii")

    def note(self, span: Span, ending: str, code: str | None, error: BaseException | None) -> None:
        """Say of a span how its call ended."""
        span.set_attribute("millpond.ending", ending)
        span.set_attribute("rpc.response.status_code", code or "ok")
        if code is None:
            return
        # What the handler raised is a class of its own; the pool's errors are told apart by their codes.
        is_handlers = code == "handler_error" and error is not None
        span.set_attribute("error.type", type(error).__qualname__ if is_handlers else code)
        span.set_status(Status(StatusCode.ERROR, code))
        if self._record_exceptions and error is not None:
            span.record_exception(error)


def _readable(value: Any) -> Any:
    return escaped(value) if isinstance(value, str) else value


class CallTrace:
    """The span of one call."""

    __slots__ = ("_span", "_tracing", "header")

    def __init__(self, tracing: OpenTelemetryTracing, span: Span, header: bytes) -> None:
        self.header = header
        self._tracing = tracing
        self._span = span

    def end(self, ending: str, code: str | None, error: BaseException | None) -> None:
        """See `Trace`."""
        try:
            if self._span.is_recording():
                self._tracing.note(self._span, ending, code, error)
            self._span.end()
        except Exception as failure:
            self._tracing.complain(failure)
