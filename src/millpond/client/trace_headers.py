"""The W3C trace context that a program is in, for the server to go on with, where OpenTelemetry is in use."""

from __future__ import annotations

import sys

from millpond.client.http1 import Header
from millpond.logger.pool_logger import PoolLogger

NAMES = ("traceparent", "tracestate")
log = PoolLogger("millpond.client")


def trace_headers() -> tuple[Header, ...]:
    """The headers of the current context; none where nobody traces. Nothing that OpenTelemetry raises reaches a call.

    A program that never imported it is in no trace, and does not import it here.
    """
    if "opentelemetry.trace" not in sys.modules:
        return ()
    try:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)
        return tuple((name.encode(), carrier[name].encode("ascii")) for name in NAMES if name in carrier)
    except Exception as error:
        log.raised(error, "OpenTelemetry raised, and the call goes on without its trace")
        return ()
