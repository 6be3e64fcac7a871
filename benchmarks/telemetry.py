"""What events cost the thread that says them: `python -m benchmarks.telemetry`.

Each figure is the best of several rounds, the empty loop taken off. Nothing runs beside it but the reporter's thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

from millpond.events import SessionOpened
from millpond.telemetry.bus import Bus
from millpond.telemetry.logging_listener import LoggingListener
from millpond.telemetry.reporter import Reporter

TIMES = 20_000
ROUNDS = 9
UNHEARD_NS_MOST = 150.0
OPEN = SessionOpened(number=1, generation=1)

Row = tuple[str, float, float | None]  # what, nanoseconds, at most


def nanoseconds(do: Callable[[], object]) -> float:
    """One call of `do`, without what it takes to call nothing."""

    def best(what: Callable[[], object]) -> float:
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for _ in range(TIMES):
                what()
            took.append(time.perf_counter() - began)
        return min(took)

    return (best(do) - best(lambda: None)) / TIMES * 1e9


def unheard() -> Iterator[Row]:
    """The question alone: no event is built."""
    for listeners, wanted in (("no listener", None), ("default logging at INFO", LoggingListener().events)):
        bus = Bus()
        if wanted is not None:
            bus.attach("logging", wanted, print)
        yield f"has_listener, {listeners}", nanoseconds(lambda bus=bus: bus.has_listener("call.stop")), UNHEARD_NS_MOST


def heard() -> Iterator[Row]:
    """An event built and given to one listener."""

    def saying(listener: Callable[..., object]) -> float:
        bus = Bus()
        bus.attach("one", "session", listener)
        return nanoseconds(lambda: bus.execute(SessionOpened(1, 1)))

    yield "event to an empty listener", saying(lambda event: None), None
    with Reporter(lambda events: None, batch=1000, interval=0.01) as reporter:
        yield "event to a reporter", saying(reporter), None
    logger = logging.getLogger("benchmark")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.DEBUG)
    for form in ("line", "json"):
        listener = LoggingListener("debug", logger="benchmark", form=form)  # type: ignore[arg-type]
        yield f"event to logging ({form}), no output", saying(listener), None


def spans() -> Iterator[Row]:
    """A span nobody listens to, and one call traced by an SDK that keeps nothing."""
    bus = Bus()

    def span() -> None:
        with bus.span("work"):
            pass

    yield "span, no listener", nanoseconds(span), None
    try:
        from opentelemetry.sdk.trace import TracerProvider
    except ImportError:
        return
    from millpond.telemetry.opentelemetry import OpenTelemetryTracing

    tracing = OpenTelemetryTracing(TracerProvider(shutdown_on_exit=False))

    def traced() -> None:
        call = tracing.begin("read", {"pool": "default"})
        assert call is not None
        call.end("ok", None, None)

    yield "a call's trace (OpenTelemetry SDK)", nanoseconds(traced), None


def main() -> None:
    logging.getLogger("millpond.telemetry").setLevel(logging.ERROR)  # that a busy loop's listener is slow is no news
    for make in (unheard, heard, spans):
        for what, took, most in make():
            verdict = "" if most is None else f"  at most {most:,.0f} ns: {'reached' if took <= most else 'MISSED'}"
            print(f"{what:<42} {took:>9,.0f} ns{verdict}")


if __name__ == "__main__":
    main()
