"""What the alerting says of itself, as metrics: who watches the rules is watched by rules too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from millpond.metrics.catalogue import Family, Kind, Labels

if TYPE_CHECKING:
    from millpond.alerts.courier import CourierFacts
    from millpond.alerts.series import SeriesStore


@dataclass(slots=True)
class Watch:
    """How many samples were taken, what the last turn took, and whether there is anything to go by."""

    rounds: int = 0
    last_s: float = 0.0
    is_blind: bool = False  # the metrics could not be read last time


def families(
    pool: str,
    seen: Watch,
    store: SeriesStore,
    alerts: Mapping[str, int],
    failing: int,
    couriers: Iterable[CourierFacts],
) -> list[Family]:
    """The metrics of the alerting, each sample with the pool's name; `alerts` counts them by state."""
    at = (("pool", pool),)

    def one(name: str, kind: Kind, unit: str, help: str, value: float) -> Family:
        return Family(f"millpond_alert_{name}", kind, unit, help, [("", at, value)])

    told: list[tuple[str, Labels, float]] = [
        ("", (*at, ("channel", courier.name), ("outcome", outcome)), float(count))
        for courier in couriers
        for outcome, count in (("sent", courier.sent), ("failed", courier.failed), ("dropped", courier.dropped))
    ]
    states: list[tuple[str, Labels, float]] = [
        ("", (*at, ("state", state)), float(count)) for state, count in alerts.items()
    ]
    return [
        Family("millpond_alerts", "gauge", "", "Alerts by state.", states),
        Family("millpond_alert_notifications_total", "counter", "", "Notifications by channel and fate.", told),
        one("rules_failing", "gauge", "", "Rules without an answer.", float(failing)),
        one("evaluation_seconds", "gauge", "seconds", "What the last turn took.", seen.last_s),
        one("evaluations_total", "counter", "", "Samples taken of the metrics.", float(seen.rounds)),
        one("series", "gauge", "", "Series kept for the rules.", float(len(store))),
        one("series_dropped_total", "counter", "", "Samples that found no room.", float(store.dropped)),
    ]
