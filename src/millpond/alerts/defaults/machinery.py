"""Default rules about workers, resources and sessions, and about those who watch.

They read exported metrics only, so that they run unchanged in a Prometheus that scrapes the pool.
"""

from __future__ import annotations

from millpond.alerts.defaults.making import CRITICAL, INFO, WARNING, rule
from millpond.alerts.rules import Group

UNPLANNED = 'millpond_worker_deaths_total{cause=~"crashed|unresponsive|overran|protocol"}'

WORKERS = Group(
    "millpond-workers",
    (
        rule(
            "MillpondWorkersDying",
            WARNING,
            # Not `increase`, which stretches what it has to the whole range: in a young pool two deaths were four.
            f"sum without (cause) (max_over_time({UNPLANNED}[10m]) - min_over_time({UNPLANNED}[10m])) >= 3",
            'Pool {{ $labels.pool }} lost {{ $value | printf "%.0f" }} workers in ten minutes, none of them planned.',
            "millpond_worker_deaths_total tells the cause: crashed (the log has signal and last output), unresponsive"
            " (stopped or stuck in native code), overran (an interrupted call did not come back; see cancel_grace),"
            " protocol (something in the worker wrote to descriptors that are not its own).",
            keep_firing_s=120,
        ),
        rule(
            "MillpondStartsFailing",
            WARNING,
            "increase(millpond_worker_start_failures_total[10m]) > 0",
            "Workers of pool {{ $labels.pool }} do not start.",
            "The log has the traceback of the handler's constructor or warm-up. The pool goes on trying, more and"
            " more seldom; callers get StartFailed while there is no other worker.",
            keep_firing_s=120,
        ),
        rule(
            "MillpondWorkersMissing",
            WARNING,
            'sum without (state) (millpond_workers{state=~"ready|busy"}) < millpond_workers_wanted',
            "Pool {{ $labels.pool }} has {{ $value }} workers at work, fewer than it wants.",
            "Starts take long or fail: compare millpond_worker_start_seconds with what is usual, and look at the log.",
            for_s=300,
        ),
    ),
)

RESOURCES = Group(
    "millpond-resources",
    (
        rule(
            "MillpondWorkerMemoryGrowing",
            WARNING,
            "millpond_workers_memory_trend_bytes_per_second > 4096"
            " and millpond_workers_memory_trend_confidence_ratio > 0.9",
            "A worker of pool {{ $labels.pool }} grows by {{ $value | humanize1024 }}B a second, steadily.",
            "Probably a leak in the handler or one of its libraries. Until it is found, max_memory or max_calls"
            " replaces workers in time; pool.metrics.snapshot().workers says which one grows.",
            for_s=600,
        ),
        rule(
            "MillpondParentMemoryGrowing",
            WARNING,
            "delta(millpond_parent_resident_bytes[1h]) > 0.5 * millpond_parent_resident_bytes offset 1h"
            " and delta(millpond_parent_resident_bytes[1h]) > 134217728",
            "The program of pool {{ $labels.pool }} grew by {{ $value | humanize1024 }}B in an hour.",
            "Results that are kept, or a queue of large arguments: look at millpond_queue_bytes first.",
            for_s=600,
        ),
        rule(
            "MillpondFileDescriptors",
            WARNING,
            "millpond_parent_open_fds / millpond_parent_max_fds > 0.8",
            "The program of pool {{ $labels.pool }} has {{ $value | humanizePercentage }} of its descriptors open.",
            "A worker needs about five. If their number does not explain it, something is opened and not closed; raise"
            " the limit (ulimit -n) to win time.",
            for_s=60,
        ),
        rule(
            "MillpondFileDescriptorsGrowing",
            WARNING,
            "predict_linear(millpond_parent_open_fds[1h], 4 * 3600) > millpond_parent_max_fds"
            " and millpond_parent_open_fds > 0.3 * millpond_parent_max_fds",
            "The program of pool {{ $labels.pool }} will be out of file descriptors within four hours.",
            "As MillpondFileDescriptors; there is time to look for what is not closed (/proc/PID/fd).",
            for_s=600,
        ),
        rule(
            "MillpondZombies",
            WARNING,
            "millpond_zombies > 0",
            "{{ $value }} dead processes below the program of pool {{ $labels.pool }} are not reaped.",
            "Children of the program's own that nobody waits for; the pool reaps its workers itself.",
            for_s=300,
        ),
    ),
)

SESSIONS = Group(
    "millpond-sessions",
    (
        rule(
            "MillpondSessionsLost",
            WARNING,
            "increase(millpond_sessions_lost_total[10m]) > 0",
            'Pool {{ $labels.pool }} lost the state of {{ $value | printf "%.0f" }} sessions in ten minutes.',
            "They lived in workers that died: see why (worker deaths by cause). Handlers that can export"
            " a session's state keep it through planned replacements.",
            keep_firing_s=300,
        ),
    ),
)

MONITORS = Group(
    "millpond-monitors",
    (
        rule(
            "MillpondMetricsMissing",
            CRITICAL,
            "absent(millpond_health_score)",
            "No pool tells its metrics.",
            "In a Prometheus: the program is down or its scrape fails. Inside the pool this never fires.",
            for_s=60,
        ),
        rule(
            "MillpondStalled",
            WARNING,
            "millpond_stalled_seconds > 0",
            "Pool {{ $labels.pool }} stood still for {{ $value | humanizeDuration }}.",
            "The log has pool.stalled: of=loop means that synchronous work in a coroutine or a callback blocked the"
            " event loop, of=program that the process was stopped, suspended or without a core. Calls were late by as"
            " much.",
        ),
        rule(
            "MillpondCollectorLate",
            WARNING,
            "min_over_time(millpond_collector_lag_seconds[1m]) > 2",
            "The metrics of pool {{ $labels.pool }} come {{ $value | humanizeDuration }} late.",
            "The program's event loop is blocked: look for synchronous work in its coroutines, or a"
            " machine without a free core. Calls are late by as much.",
            for_s=60,
        ),
        rule(
            "MillpondCollectorDropping",
            INFO,
            "increase(millpond_collector_dropped_samples_total[10m]) > 0",
            "The metrics of pool {{ $labels.pool }} left out {{ $value | humanize }} samples.",
            "More calls ended in a second than are kept; counters stay exact, percentiles are those of"
            " the rest. It goes with a late collector.",
            for_s=60,
        ),
        rule(
            "MillpondCollectorShedding",
            INFO,
            "millpond_collector_is_shedding == 1",
            "The metrics of pool {{ $labels.pool }} leave out detail to save time.",
            "Figures by operation are missing meanwhile. Give the program's process more of a core.",
            for_s=300,
        ),
        rule(
            "MillpondHistoryDegraded",
            WARNING,
            "millpond_history_degraded == 1",
            "The history of pool {{ $labels.pool }} is not stored.",
            "The disk at history_path is full, gone or read-only; the snapshot's health notes say which."
            " The pool itself is not affected.",
            for_s=60,
        ),
        rule(
            "MillpondListenerRemoved",
            WARNING,
            "increase(millpond_listeners_removed_total[15m]) > 0",
            "A listener of pool {{ $labels.pool }} raised and was detached.",
            "pool.telemetry.removed names it and what it raised. Repair it and attach it again.",
        ),
        rule(
            "MillpondRulesFailing",
            WARNING,
            "millpond_alert_rules_failing > 0",
            "{{ $value }} alert rules of pool {{ $labels.pool }} have no answer.",
            "pool.alerts.rules() tells the problem of each; mostly several series match where one should.",
            for_s=60,
        ),
        rule(
            "MillpondChannelFailing",
            WARNING,
            'sum without (outcome) (increase(millpond_alert_notifications_total{outcome=~"failed|dropped"}[15m])) > 0',
            "Channel {{ $labels.channel }} of pool {{ $labels.pool }} does not get its alerts.",
            "pool.alerts.channels() has its last error. The other channels still get theirs.",
        ),
    ),
)
