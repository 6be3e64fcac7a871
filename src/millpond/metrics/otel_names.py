"""What exported metrics are called in OpenTelemetry: name, instrument and unit of every metric of the catalogue.

Names follow that project's conventions for connection pools, calls and processes, below `millpond`; which follows what
is in the docs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Instrument = Literal["gauge", "updown", "counter", "histogram"]

ATTRIBUTES = {  # label -> attribute
    "pool": "millpond.pool.name",
    "state": "millpond.state",
    "ending": "millpond.call.ending",
    "code": "error.type",  # the conventions' own, for what went wrong
    "cause": "millpond.worker.cause",
    "operation": "millpond.operation.name",
    "component": "millpond.health.component",
    "affinity": "millpond.session.affinity",
    "quantile": "quantile",
    "channel": "millpond.alert.channel",
    "outcome": "millpond.alert.outcome",
    "of": "millpond.pool.stalled",
}


@dataclass(frozen=True, slots=True)
class Semantic:
    """An instrument: name, kind, unit in UCUM."""

    name: str
    instrument: Instrument
    unit: str


SEMANTIC: dict[str, Semantic] = {
    "millpond_pool_state": Semantic("millpond.pool.state", "gauge", "1"),
    "millpond_pool_uptime_seconds": Semantic("millpond.pool.uptime", "gauge", "s"),
    "millpond_utilization_ratio": Semantic("millpond.pool.utilization", "gauge", "1"),
    "millpond_breakers_open": Semantic("millpond.breaker.open", "updown", "{operation}"),
    "millpond_health_state": Semantic("millpond.health.state", "gauge", "1"),
    "millpond_health_score": Semantic("millpond.health.score", "gauge", "1"),
    "millpond_health_component_score": Semantic("millpond.health.component.score", "gauge", "1"),
    "millpond_workers": Semantic("millpond.worker.count", "updown", "{worker}"),
    "millpond_workers_wanted": Semantic("millpond.worker.wanted", "updown", "{worker}"),
    "millpond_workers_asked_for": Semantic("millpond.worker.asked_for", "updown", "{worker}"),
    "millpond_workers_not_warm": Semantic("millpond.worker.not_warm", "updown", "{worker}"),
    "millpond_workers_min": Semantic("millpond.worker.min", "updown", "{worker}"),
    "millpond_workers_max": Semantic("millpond.worker.max", "updown", "{worker}"),
    "millpond_places": Semantic("millpond.worker.places", "updown", "{call}"),
    "millpond_worker_starts_total": Semantic("millpond.worker.starts", "counter", "{worker}"),
    "millpond_worker_start_failures_total": Semantic("millpond.worker.start_failures", "counter", "{worker}"),
    "millpond_worker_deaths_total": Semantic("millpond.worker.deaths", "counter", "{worker}"),
    "millpond_worker_busy_seconds_total": Semantic("millpond.worker.busy_time", "counter", "s"),
    "millpond_worker_available_seconds_total": Semantic("millpond.worker.available_time", "counter", "s"),
    "millpond_worker_start_seconds": Semantic("millpond.worker.create_time", "histogram", "s"),
    "millpond_calls_queued": Semantic("millpond.call.pending_requests", "updown", "{call}"),
    "millpond_calls_running": Semantic("millpond.call.active", "updown", "{call}"),
    "millpond_queue_max": Semantic("millpond.queue.max", "updown", "{call}"),
    "millpond_queue_bytes": Semantic("millpond.queue.size", "updown", "By"),
    "millpond_queue_oldest_seconds": Semantic("millpond.queue.oldest_time", "gauge", "s"),
    "millpond_calls_submitted_total": Semantic("millpond.call.submitted", "counter", "{call}"),
    "millpond_calls_total": Semantic("millpond.call.ended", "counter", "{call}"),
    "millpond_call_errors_total": Semantic("millpond.call.errors", "counter", "{call}"),
    "millpond_retries_total": Semantic("millpond.call.retries", "counter", "{call}"),
    "millpond_late_answers_total": Semantic("millpond.call.late_answers", "counter", "{answer}"),
    "millpond_interrupts_total": Semantic("millpond.call.interrupts", "counter", "{call}"),
    "millpond_cold_calls_total": Semantic("millpond.call.cold", "counter", "{call}"),
    "millpond_queue_wait_seconds": Semantic("millpond.call.wait_time", "histogram", "s"),
    "millpond_service_seconds": Semantic("millpond.call.use_time", "histogram", "s"),
    "millpond_call_duration_seconds": Semantic("millpond.call.duration", "histogram", "s"),
    "millpond_request_bytes": Semantic("millpond.call.request.size", "histogram", "By"),
    "millpond_response_bytes": Semantic("millpond.call.response.size", "histogram", "By"),
    "millpond_operation_calls_total": Semantic("millpond.operation.ended", "counter", "{call}"),
    "millpond_operation_duration_seconds": Semantic("millpond.operation.duration", "gauge", "s"),
    "millpond_sessions": Semantic("millpond.session.count", "updown", "{session}"),
    "millpond_sessions_opened_total": Semantic("millpond.session.opened", "counter", "{session}"),
    "millpond_sessions_closed_total": Semantic("millpond.session.closed", "counter", "{session}"),
    "millpond_sessions_lost_total": Semantic("millpond.session.lost", "counter", "{session}"),
    "millpond_sessions_moved_total": Semantic("millpond.session.moved", "counter", "{move}"),
    "millpond_session_calls_total": Semantic("millpond.session.calls", "counter", "{call}"),
    "millpond_workers_cpu_ratio": Semantic("millpond.worker.cpu.utilization", "gauge", "1"),
    "millpond_workers_resident_bytes": Semantic("millpond.worker.memory.usage", "updown", "By"),
    "millpond_workers_proportional_bytes": Semantic("millpond.worker.memory.proportional", "updown", "By"),
    "millpond_workers_memory_trend_bytes_per_second": Semantic("millpond.worker.memory.growth", "gauge", "By/s"),
    "millpond_workers_memory_trend_confidence_ratio": Semantic(
        "millpond.worker.memory.growth_confidence", "gauge", "1"
    ),
    "millpond_parent_resident_bytes": Semantic("millpond.parent.memory.usage", "updown", "By"),
    "millpond_parent_open_fds": Semantic("millpond.parent.file_descriptor.count", "updown", "{file_descriptor}"),
    "millpond_parent_max_fds": Semantic("millpond.parent.file_descriptor.max", "updown", "{file_descriptor}"),
    "millpond_parent_threads": Semantic("millpond.parent.thread.count", "updown", "{thread}"),
    "millpond_parent_cpu_seconds_total": Semantic("millpond.parent.cpu.time", "counter", "s"),
    "millpond_children": Semantic("millpond.child.count", "updown", "{process}"),
    "millpond_zombies": Semantic("millpond.child.zombies", "updown", "{process}"),
    "millpond_collector_lag_seconds": Semantic("millpond.collector.lag", "gauge", "s"),
    "millpond_collector_memory_bytes": Semantic("millpond.collector.memory.usage", "updown", "By"),
    "millpond_collector_is_shedding": Semantic("millpond.collector.is_shedding", "gauge", "1"),
    "millpond_history_degraded": Semantic("millpond.history.degraded", "gauge", "1"),
    "millpond_history_stored_bytes": Semantic("millpond.history.stored", "updown", "By"),
    "millpond_collector_fold_seconds_total": Semantic("millpond.collector.fold_time", "counter", "s"),
    "millpond_collector_folds_total": Semantic("millpond.collector.folds", "counter", "{fold}"),
    "millpond_collector_dropped_samples_total": Semantic("millpond.collector.dropped_samples", "counter", "{sample}"),
    "millpond_stalled_seconds": Semantic("millpond.pool.stalled", "gauge", "s"),
    "millpond_stalls_total": Semantic("millpond.pool.stalls", "counter", "{stall}"),
    "millpond_listeners_removed_total": Semantic("millpond.listener.removed", "counter", "{listener}"),
    "millpond_log_records_dropped_total": Semantic("millpond.log.dropped_records", "counter", "{record}"),
    "millpond_alerts": Semantic("millpond.alert.count", "updown", "{alert}"),
    "millpond_alert_notifications_total": Semantic("millpond.alert.notifications", "counter", "{notification}"),
    "millpond_alert_rules_failing": Semantic("millpond.alert.rules_failing", "updown", "{rule}"),
    "millpond_alert_evaluation_seconds": Semantic("millpond.alert.evaluation_time", "gauge", "s"),
    "millpond_alert_evaluations_total": Semantic("millpond.alert.evaluations", "counter", "{sample}"),
    "millpond_alert_series": Semantic("millpond.alert.series", "updown", "{series}"),
    "millpond_alert_series_dropped_total": Semantic("millpond.alert.series_dropped", "counter", "{sample}"),
}
