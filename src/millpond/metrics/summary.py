"""A pool's last minute in one line, for people and logs; figures come from the snapshot, nothing is computed here."""

from __future__ import annotations

from millpond.logger.escaping import escaped
from millpond.metrics.snapshot import Snapshot

MINUTE_S = 60


def summary(snapshot: Snapshot) -> str:
    """Health, traffic, times and shares of the last minute, and what there is now."""
    pool, health = escaped(snapshot.pool), snapshot.health
    minute, reading = snapshot.windows[MINUTE_S], snapshot.reading
    throughput, latency = minute.derived["throughput"], minute.distributions["latency"]
    if throughput != throughput:
        return f"{pool}: nothing was counted yet, the first second is not over"
    why = f" ({escaped(health.reason)})" if health.reason else ""
    workers = reading.states.get("ready", 0) + reading.states.get("busy", 0)
    return (
        f"{pool}: {health.state}{why}, health {health.score:.0f}; {throughput:,.1f} calls/s, "
        f"p50 {seconds(latency.p50)}, p95 {seconds(latency.p95)}, p99 {seconds(latency.p99)}; "
        f"{workers} workers {percent(minute.derived['utilization'])} busy, {reading.queued:,} calls wait, "
        f"{reading.running:,} run, {reading.sessions_open:,} sessions"
    )


def seconds(value: float) -> str:
    """A time as people read it; "-" for none."""
    if value != value:
        return "-"
    if value < 1e-3:
        return f"{value * 1e6:.0f} µs"
    return f"{value * 1e3:.3g} ms" if value < 1.0 else f"{value:.3g} s"


def percent(share: float) -> str:
    """A share as people read it; "-" for none."""
    return f"{share:.0%}" if share == share else "-"
