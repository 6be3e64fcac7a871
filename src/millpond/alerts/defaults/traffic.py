"""Default rules about the pool as a whole, its calls and its queue.

They read exported metrics only, so that they run unchanged in a Prometheus that scrapes the pool.
"""

from __future__ import annotations

from millpond.alerts.defaults.making import CRITICAL, INFO, WARNING, rule
from millpond.alerts.rules import Group

_ALL = "sum without (ending) (rate(millpond_calls_total[5m]))"
_ENOUGH = "sum without (ending) (increase(millpond_calls_total[5m])) >= 20"
_FULL = 'code=~"queue_full|overloaded|too_many_sessions|circuit_open|start_failed"'


def _share(ending: str) -> str:
    return f'sum without (ending) (rate(millpond_calls_total{{ending=~"{ending}"}}[5m])) / {_ALL}'


def _p95(histogram: str, window: str) -> str:
    return f"histogram_quantile(0.95, rate(millpond_{histogram}_bucket{window}))"


STATE = Group(
    "millpond-state",
    (
        rule(
            "MillpondNoWorkers",
            CRITICAL,
            'millpond_health_state{state="no_workers"} == 1',
            "Pool {{ $labels.pool }} has no worker to run calls on.",
            "Look at the pool's log for why workers end or do not start (the traceback is there), and at"
            " the machine's memory. Calls wait until their deadlines; nothing else is needed once a worker starts.",
            for_s=10,
        ),
        rule(
            "MillpondCrashLooping",
            CRITICAL,
            'millpond_health_state{state="crash_looping"} == 1',
            "Workers of pool {{ $labels.pool }} end as fast as they start.",
            "The log names signal or exit code of each. Take back the last deployment of the handler, or"
            " find the call that kills them: the error code poison_call, and the operation of an open breaker.",
            keep_firing_s=60,
        ),
        rule(
            "MillpondSaturated",
            WARNING,
            'millpond_health_state{state="saturated"} == 1',
            "Pool {{ $labels.pool }} gets more work than its workers can do.",
            "Raise max_workers if the machine has cores and memory to spare; else add machines, send"
            " less, or set max_queued so that the surplus is refused early.",
            for_s=60,
        ),
        rule(
            "MillpondSlow",
            WARNING,
            'millpond_health_state{state="slow"} == 1',
            "Calls of pool {{ $labels.pool }} take too long, though workers are free.",
            "The time is spent in the handler: find the operation in the summary's table, and look at"
            " what it waits for (disk, network, a lock) and at the machine's load.",
            for_s=120,
        ),
        rule(
            "MillpondHealthLow",
            WARNING,
            "avg_over_time(millpond_health_score[5m]) < 60",
            'The health of pool {{ $labels.pool }} is {{ $value | printf "%.0f" }} of 100.',
            "pool.metrics.snapshot().health names each component and why it lost points; begin with the largest loss.",
            for_s=120,
        ),
        rule(
            "MillpondBreakerOpen",
            WARNING,
            "millpond_breakers_open > 0",
            "{{ $value }} operations of pool {{ $labels.pool }} are refused: their breakers are open.",
            "pool.statistics().breakers names them. They killed or hung workers; the breaker tries one"
            " call from time to time and closes by itself once that is answered.",
            for_s=15,
            keep_firing_s=60,
        ),
    ),
    5.0,
)

CALLS = Group(
    "millpond-calls",
    (
        rule(
            "MillpondErrors",
            WARNING,
            f"{_share('failed|lost')} > 0.05 and {_ENOUGH}",
            "{{ $value | humanizePercentage }} of the calls of pool {{ $labels.pool }} fail.",
            "pool.metrics.errors(300) tells the codes: handler_error is the handler's own exception,"
            " worker_died a death in the middle of a call.",
            for_s=120,
        ),
        rule(
            "MillpondDeadlinesMissed",
            WARNING,
            f"{_share('expired')} > 0.05 and {_ENOUGH}",
            "{{ $value | humanizePercentage }} of the calls of pool {{ $labels.pool }} miss their deadlines.",
            "Compare queue wait and service time. If calls wait, it is capacity (see MillpondSaturated);"
            " if they run, it is the handler, or the deadlines are too tight.",
            for_s=120,
        ),
        rule(
            "MillpondCallsRefused",
            WARNING,
            f"sum without (code) (rate(millpond_call_errors_total{{{_FULL}}}[5m])) / {_ALL} > 0.01 and {_ENOUGH}",
            "Pool {{ $labels.pool }} refuses {{ $value | humanizePercentage }} of its calls.",
            "The codes say why: overloaded is more than the workers can answer within the deadlines,"
            " queue_full and too_many_sessions are bounds of the settings, circuit_open a breaker,"
            " start_failed workers that do not start.",
            for_s=60,
        ),
        rule(
            "MillpondPoisonCall",
            WARNING,
            'increase(millpond_call_errors_total{code="poison_call"}[10m]) > 0',
            "A call of pool {{ $labels.pool }} killed every worker it was given to.",
            "Find who sent it (the caller got PoisonCall) and run the operation with its arguments in a"
            " process of its own, under a debugger.",
            keep_firing_s=300,
        ),
        rule(
            "MillpondLatencyUnusual",
            WARNING,
            f"{_p95('call_duration_seconds', '[5m]')} > 3 * {_p95('call_duration_seconds', '[1h]')}"
            " and increase(millpond_call_duration_seconds_count[5m]) >= 50",
            "Calls of pool {{ $labels.pool }} take {{ $value | humanizeDuration }} (p95), three times"
            " what they took in the last hour.",
            "Something changed within the hour: a deployment, the kind of calls, a neighbour on the"
            " machine. Compare queue wait with service time to see on which side it is.",
            for_s=120,
        ),
        rule(
            "MillpondLatencyAboveYesterday",
            INFO,
            f"{_p95('call_duration_seconds', '[30m]')}"
            f" > 2 * {_p95('call_duration_seconds', '[1h] offset 23h30m')}"
            " and increase(millpond_call_duration_seconds_count[30m]) >= 100",
            "Calls of pool {{ $labels.pool }} take {{ $value | humanizeDuration }} (p95), twice as long"
            " as at this hour yesterday.",
            "Compare traffic and worker counts with yesterday's; if those are alike, the work itself became slower.",
            for_s=600,
        ),
        rule(
            "MillpondTrafficLow",
            INFO,
            "sum without (ending) (rate(millpond_calls_total[15m]))"
            " < 0.2 * sum without (ending) (rate(millpond_calls_total[1h] offset 23h30m))"
            " and sum without (ending) (rate(millpond_calls_total[1h] offset 23h30m)) > 1",
            "Pool {{ $labels.pool }} gets {{ $value | humanize }} calls/s, less than a fifth of"
            " yesterday's at this hour.",
            "If that is no holiday, look at who calls: the trouble lies before the pool.",
            for_s=600,
        ),
    ),
)

QUEUE = Group(
    "millpond-queue",
    (
        rule(
            "MillpondQueueWait",
            WARNING,
            f"{_p95('queue_wait_seconds', '[5m]')} > 1",
            "Calls of pool {{ $labels.pool }} wait {{ $value | humanizeDuration }} (p95) for a worker.",
            "More workers, or less work: see MillpondSaturated. If workers are idle meanwhile, sessions"
            " are bound to busy ones: look at the affinity figures.",
            for_s=180,
        ),
        rule(
            "MillpondQueueGrowing",
            WARNING,
            "300 * deriv(millpond_calls_queued[5m]) > clamp_min(avg_over_time(millpond_calls_queued[5m]), 20)",
            "The queue of pool {{ $labels.pool }} will more than double within five minutes.",
            "Find out whether more comes in or less gets done (calls per second against service time),"
            " and act before deadlines are missed.",
            for_s=120,
        ),
        rule(
            "MillpondQueueFillingUp",
            WARNING,
            "predict_linear(millpond_calls_queued[10m], 600) > millpond_queue_max"
            " and millpond_calls_queued > 0.2 * millpond_queue_max",
            "The queue of pool {{ $labels.pool }} will be full within ten minutes.",
            "As MillpondQueueGrowing. When it is full, callers get QueueFull at once.",
            for_s=60,
        ),
        rule(
            "MillpondQueueStuck",
            CRITICAL,
            "millpond_queue_oldest_seconds > 30 and millpond_calls_running == 0",
            "Calls of pool {{ $labels.pool }} have waited {{ $value | humanizeDuration }}, and none runs.",
            "Look for workers: if there are none, see MillpondNoWorkers. If there are, replace_workers()"
            " gets it going; please report it with pool.statistics().",
            for_s=30,
        ),
    ),
)
