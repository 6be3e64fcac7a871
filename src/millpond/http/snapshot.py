"""A pool's figures of the second that ended, as a feed tells them once for all readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.http.steps import step

if TYPE_CHECKING:
    from millpond.facts import Statistics
    from millpond.metrics.snapshot import Snapshot
    from millpond.pool import Pool


def snapshot_of(pool: Pool) -> dict[str, Any]:
    """What is so of the pool now, and what was counted in the second before."""
    seen, now = pool.metrics.snapshot(), pool.statistics()
    newest = pool.metrics.newest()
    return {
        "uptime_s": seen.uptime_s,
        "state": now.state,
        "is_ready": now.is_ready,
        "wanted": now.wanted,
        "asked_for": now.asked_for,
        "alive": now.alive,
        "workers": now.workers,
        "queued": now.queued,
        "running": now.running,
        "submitted": now.submitted,
        "endings": now.endings,
        "codes": now.codes,
        "sessions_open": now.sessions_open,
        "sessions_asleep": now.sessions_asleep,
        "percentiles": now.percentiles,
        "health": seen.health,
        "busy": [{"worker": one.worker, "operation": one.operation, "seconds": one.seconds} for one in now.busy],
        "resources": seen.resources,
        "step": None if newest is None else step(newest),
        "each_worker": pool.workers(),
        "sessions": _sessions(seen, now),
        "warming": _warming(pool),
        "not_warm": now.not_warm,
        "bounds": _bounds(pool, seen),
        "firing": None if seen.alerting is None else seen.alerting.firing,
        "pending": None if seen.alerting is None else seen.alerting.pending,
        "optimizer": pool.optimizer.state if pool.settings.optimizer else None,
    }


def _sessions(seen: Snapshot, now: Statistics) -> dict[str, int]:
    counted = seen.reading
    return {
        "open": now.sessions_open,
        "asleep": now.sessions_asleep,
        "opened": counted.sessions_opened,
        "closed": counted.sessions_closed,
        "moved": counted.sessions_moved,
        "lost": counted.sessions_lost,
    }


def _warming(pool: Pool) -> dict[str, int] | None:
    underway = pool.warmer.underway()
    return None if underway is None else dict(zip(("done", "of", "failed"), underway, strict=True))


def _bounds(pool: Pool, seen: Snapshot) -> dict[str, int | None]:
    settings = pool.settings
    return {
        "min_workers": settings.min_workers,
        "max_workers": settings.max_workers,
        "max_queued": settings.max_queued,
        "places": seen.reading.places,
    }
