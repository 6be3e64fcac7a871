"""The caller's trace context around an operation: spans that the handler opens are children of the call's.

Loaded by the first traced call. OpenTelemetry is imported then, if it is installed; without it the context is there for
anybody who asks `millpond.trace_context()`.
"""

from __future__ import annotations

from contextlib import aclosing
from contextvars import Context, ContextVar, copy_context
from functools import cache, partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from millpond.seams import OperationKind

_FIELDS = ("traceparent", "tracestate")
_HEADER: ContextVar[bytes] = ContextVar("millpond_trace", default=b"")


def trace_context() -> dict[str, str]:
    """Inside an operation: its call's W3C trace context, `traceparent` and perhaps `tracestate`; empty if untraced."""
    lines = _HEADER.get().decode("ascii", "replace").split("\n")
    return {name: line for name, line in zip(_FIELDS, lines, strict=False) if line}


def traced(header: bytes, kind: OperationKind, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it runs in the trace that `header` tells of.

    What is not async runs in a context of its own, so that nothing stays behind in its thread; async code has its
    task's.
    """
    if kind == "async":
        return partial(_call_async, header, function)
    if kind == "async_stream":
        return partial(_stream_async, header, function)
    context = copy_context()
    context.run(_enter, header)
    if kind == "stream":
        return partial(_stream, context, function)
    return partial(context.run, function)


async def _call_async(header: bytes, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    _enter(header)
    return await function(*args, **kwargs)


async def _stream_async(header: bytes, function: Callable[..., Any], *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
    _enter(header)
    async with aclosing(function(*args, **kwargs)) as items:
        async for item in items:
            yield item


def _stream(context: Context, function: Callable[..., Any], *args: Any, **kwargs: Any) -> _Items:
    return _Items(context, context.run(function, *args, **kwargs))


class _Items:
    """A generator whose every step runs in a certain context."""

    __slots__ = ("_context", "_items")

    def __init__(self, context: Context, items: Any) -> None:
        self._context = context
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._context.run(self._items.__next__)

    def close(self) -> None:
        """Close the generator."""
        self._context.run(self._items.close)


def _enter(header: bytes) -> None:
    """Make the remote context the current one, in the present `contextvars` context."""
    _HEADER.set(header)
    attach = _opentelemetry()
    if attach is not None:
        attach(trace_context())


@cache
def _opentelemetry() -> Callable[[dict[str, str]], object] | None:
    try:
        from opentelemetry.context import attach
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError:
        return None
    extract = TraceContextTextMapPropagator().extract
    return lambda carrier: attach(extract(carrier))
