"""What the pool's own metrics say of its last minute: the demo shows it beside what the callers saw."""

from __future__ import annotations

from dataclasses import dataclass

from millpond.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """Health from 0 to 100 with its state and what cost points, percentiles in seconds, and how busy workers were."""

    health: float
    state: str
    reason: str
    p50_s: float
    p95_s: float
    p99_s: float
    utilization: float


def vitals_of(pool: Pool) -> Vitals:
    """Ask the collector."""
    minute = pool.metrics.summary()
    return Vitals(
        health=minute.health,
        state=minute.state,
        reason=minute.reason,
        p50_s=minute.p50,
        p95_s=minute.p95,
        p99_s=minute.p99,
        utilization=minute.utilization,
    )
