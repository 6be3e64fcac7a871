"""A pool's last minute in one line, for people and logs; figures come from the snapshot, nothing is computed here."""

from __future__ import annotations

from dataclasses import dataclass

from millpond.logger.escaping import escaped
from millpond.metrics.snapshot import Snapshot

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Summary:
    """The last minute: health, traffic (calls a second), times (seconds), shares, and what there is now."""

    pool: str
    health: float
    state: str
    reason: str
    throughput: float
    utilization: float
    attainment: float
    p50: float
    p95: float
    p99: float
    wait_p95: float
    workers: int
    queued: int
    running: int
    sessions: int

    def __str__(self) -> str:
        if self.throughput != self.throughput:
            return f"{escaped(self.pool)}: nothing was counted yet, the first second is not over"
        why = f" ({escaped(self.reason)})" if self.reason else ""
        return (
            f"{escaped(self.pool)}: {self.state}{why}, health {self.health:.0f}; {self.throughput:,.1f} calls/s, "
            f"p50 {seconds(self.p50)}, p95 {seconds(self.p95)}, p99 {seconds(self.p99)}; "
            f"{self.workers} workers {percent(self.utilization)} busy, {self.queued:,} calls wait, "
            f"{self.running:,} run, {self.sessions:,} sessions"
        )


def summarize(snapshot: Snapshot) -> Summary:
    """The summary of a snapshot."""
    minute, reading = snapshot.windows[MINUTE_S], snapshot.reading
    latency = minute.distributions["latency"]
    return Summary(
        pool=snapshot.pool,
        health=snapshot.health.score,
        state=snapshot.health.state,
        reason=snapshot.health.reason,
        throughput=minute.derived["throughput"],
        utilization=minute.derived["utilization"],
        attainment=minute.derived["attainment"],
        p50=latency.p50,
        p95=latency.p95,
        p99=latency.p99,
        wait_p95=minute.distributions["wait"].p95,
        workers=reading.states.get("ready", 0) + reading.states.get("busy", 0),
        queued=reading.queued,
        running=reading.running,
        sessions=reading.sessions_open,
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
