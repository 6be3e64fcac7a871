"""The rules every pool has; `docs/alerts.md` is printed from them.

They read exported metrics only, so that they run unchanged in a Prometheus that scrapes the pool.
"""

from __future__ import annotations

import re
from dataclasses import replace

from millpond.alerts.rules import Condition, Group, Rule

CRITICAL = "critical"  # calls are not done; a warning: they will not be, or some are not
INFO = "info"  # worth a look

# What the alerts of each rule say: what happened, and what to do.
_TEXTS = """\
MillpondNoWorkers: Pool {pool} has no worker to run calls on.
    Look at the pool's log for why workers end or do not start (the traceback is there), and at the machine's memory.
    Calls wait until their deadlines; nothing else is needed once a worker starts.
MillpondCrashLooping: Workers of pool {pool} end as fast as they start.
    The log names signal or exit code of each. Take back the last deployment of the handler, or find the call that kills
    them: the error code poison_call, and the operation of an open breaker.
MillpondSaturated: Pool {pool} gets more work than its workers can do.
    Raise max_workers if the machine has cores and memory to spare; else add machines, send less, or set max_queued so
    that the surplus is refused early.
MillpondSlow: Calls of pool {pool} take too long, though workers are free.
    The time is spent in the handler: find the operation in the summary's table, and look at what it waits for (disk,
    network, a lock) and at the machine's load.
MillpondHealthLow: The health of pool {pool} is {value:.0f} of 100.
    pool.metrics.snapshot().health names each component and why it lost points; begin with the largest loss.
MillpondBreakerOpen: {value} operations of pool {pool} are refused: their breakers are open.
    pool.statistics().breakers names them. They killed or hung workers; the breaker tries one call from time to time and
    closes by itself once that is answered.
MillpondErrors: {value:%} of the calls of pool {pool} fail.
    pool.metrics.errors(300) has the codes: handler_error is the handler's own exception, worker_died a death in the
    middle of a call.
MillpondDeadlinesMissed: {value:%} of the calls of pool {pool} miss their deadlines.
    Compare queue wait and service time. If calls wait, it is capacity (see MillpondSaturated); if they run, it is the
    handler, or the deadlines are too tight.
MillpondCallsRefused: Pool {pool} refuses {value:%} of its calls.
    The codes say why: overloaded is more than the workers can answer within the deadlines, queue_full and
    too_many_sessions are bounds of the settings, circuit_open a breaker, start_failed workers that do not start.
MillpondPoisonCall: A call of pool {pool} killed every worker it was given to.
    Find who sent it (the caller got PoisonCall) and run the operation with its arguments in a process of its own, under
    a debugger.
MillpondLatencyUnusual: Calls of pool {pool} take {value:.3g} s (p95), three times what they took in the last hour.
    Something changed within the hour: a deployment, the kind of calls, a neighbour on the machine. Compare queue wait
    with service time to see on which side it is.
MillpondLatencyAboveYesterday: Calls of pool {pool} take {value:.3g} s (p95), twice as long as at this hour yesterday.
    Compare traffic and worker counts with yesterday's; if those are alike, the work itself became slower.
MillpondTrafficLow: Pool {pool} gets {value:.3g} calls/s, less than a fifth of yesterday's at this hour.
    If that is no holiday, look at who calls: the trouble lies before the pool.
MillpondQueueWait: Calls of pool {pool} wait {value:.3g} s (p95) for a worker.
    More workers, or less work: see MillpondSaturated. If workers are idle meanwhile, sessions are bound to busy ones:
    look at the affinity figures.
MillpondQueueGrowing: The queue of pool {pool} more than tripled within five minutes: {value} more calls wait.
    Find out whether more comes in or less gets done (calls per second against service time), and act before deadlines
    are missed.
MillpondQueueFillingUp: The queue of pool {pool} will be full within ten minutes.
    As MillpondQueueGrowing. When it is full, callers get QueueFull at once.
MillpondQueueStuck: Calls of pool {pool} have waited {value:.3g} s, and none runs.
    Look for workers: if there are none, see MillpondNoWorkers. If there are, replace_workers() gets it going; please
    report it with pool.statistics().
MillpondWorkersDying: Pool {pool} lost {value} workers in ten minutes, none of them planned.
    millpond_worker_deaths_total has the cause: crashed (the log has signal and last output), unresponsive (stopped or
    stuck in native code), overran (an interrupted call did not come back; see cancel_grace), protocol (something in the
    worker wrote to descriptors that are not its own).
MillpondStartsFailing: Workers of pool {pool} do not start.
    The log has the traceback of the handler's constructor or warm-up. The pool goes on trying, more and more seldom;
    callers get StartFailed while there is no other worker.
MillpondWorkersMissing: Pool {pool} has {value} workers at work, fewer than it wants.
    Starts take long or fail: compare millpond_worker_start_seconds with what is usual, and look at the log.
MillpondWorkerMemoryGrowing: A worker of pool {pool} grows by {value:bytes} a second, steadily.
    Probably a leak in the handler or one of its libraries. Until it is found, max_memory or max_calls replaces workers
    in time; pool.metrics.snapshot().workers says which one grows.
MillpondParentMemoryGrowing: The program of pool {pool} grew by {value:bytes} in an hour.
    Results that are kept, or a queue of large arguments: look at millpond_queue_bytes first.
MillpondFileDescriptors: The program of pool {pool} has {value:%} of its descriptors open.
    A worker needs about five. If their number does not explain it, something is opened and not closed; raise the limit
    (ulimit -n) to win time.
MillpondFileDescriptorsGrowing: The program of pool {pool} will be out of file descriptors within four hours.
    As MillpondFileDescriptors; there is time to look for what is not closed (/proc/PID/fd).
MillpondZombies: {value} dead processes below the program of pool {pool} are not reaped.
    Children of the program's own that nobody waits for; the pool reaps its workers itself.
MillpondSessionsLost: Pool {pool} lost the state of {value} sessions in ten minutes.
    They lived in workers that died: see why (worker deaths by cause). Handlers that can export a session's state keep
    it through planned replacements.
MillpondMetricsMissing: There are no metrics of any pool.
    In a Prometheus: the program is down or its scrape fails. Inside the pool this never fires.
MillpondStalled: Pool {pool} stood still for {value:.3g} s.
    The log has pool.stalled: of=loop means that synchronous work in a coroutine or a callback blocked the event loop,
    of=program that the process was stopped, suspended or without a core. Calls were late by as much.
MillpondCollectorLate: The metrics of pool {pool} come {value:.3g} s late.
    The program's event loop is blocked: look for synchronous work in its coroutines, or a machine without a free core.
    Calls are late by as much.
MillpondCollectorDropping: The metrics of pool {pool} left out {value} samples.
    More calls ended in a second than are kept; counters stay exact, percentiles are those of the rest. It goes with a
    late collector.
MillpondCollectorShedding: The metrics of pool {pool} leave out detail to save time.
    Percentiles are missing meanwhile, counters are not. Give the program's process more of a core.
MillpondHistoryDegraded: The history of pool {pool} is not stored.
    The disk at history_path is full, gone or read-only; the snapshot's health notes say which. The pool itself is not
    affected.
MillpondListenerRemoved: A listener of pool {pool} raised and was detached.
    pool.telemetry.removed names it and what it raised. Repair it and attach it again.
MillpondRulesFailing: {value} alert rules of pool {pool} cannot be evaluated.
    pool.alerts.rules() has the problem of each; mostly it would give more alerts than are kept apart.
MillpondChannelFailing: Channel {channel} of pool {pool} does not get its alerts.
    pool.alerts.channels() has its last error. The other channels still get theirs.
"""


def _group(name: str, *rules: Rule) -> Group:
    texts = {alert: texts for alert, *texts in re.findall(r"^(\w+): (.*)\n((?:    .*\n)+)", _TEXTS, re.MULTILINE)}
    return Group(name, tuple(_with(rule, *texts[rule.alert]) for rule in rules))


def _with(rule: Rule, summary: str, answer: str) -> Rule:
    return replace(rule, summary=summary, answer=" ".join(answer.split()))


_REFUSED = ("queue_full", "overloaded", "too_many_sessions", "circuit_open", "start_failed")
_UNPLANNED = ("crashed", "unresponsive", "overran", "protocol")
_ENOUGH = Condition(of="calls_total", over_s=300, above=19)  # calls for a share of them to mean something
_YESTERDAY_BUSY = Condition(of="calls_total.rate", over_s=3600, ago_s=84_600, above=1)

STATE = _group(
    "millpond-state",
    Rule("MillpondNoWorkers", of="health_state", where={"state": "no_workers"}, above=0, for_s=10, severity=CRITICAL),
    Rule(
        "MillpondCrashLooping",
        of="health_state",
        where={"state": "crash_looping"},
        above=0,
        keep_firing_s=60,
        severity=CRITICAL,
    ),
    Rule("MillpondSaturated", of="health_state", where={"state": "saturated"}, above=0, for_s=60),
    Rule("MillpondSlow", of="health_state", where={"state": "slow"}, above=0, for_s=120),
    Rule("MillpondHealthLow", of="health_score", over_s=300, below=60, for_s=120),
    Rule("MillpondBreakerOpen", of="breakers_open", above=0, for_s=15, keep_firing_s=60),
)

CALLS = _group(
    "millpond-calls",
    Rule(
        "MillpondErrors",
        of="calls_total",
        where={"ending": ("failed", "lost")},
        per="calls_total",
        over_s=300,
        above=0.05,
        also=(_ENOUGH,),
        for_s=120,
    ),
    Rule(
        "MillpondDeadlinesMissed",
        of="calls_total",
        where={"ending": "expired"},
        per="calls_total",
        over_s=300,
        above=0.05,
        also=(_ENOUGH,),
        for_s=120,
    ),
    Rule(
        "MillpondCallsRefused",
        of="call_errors_total",
        where={"code": _REFUSED},
        per="calls_total",
        over_s=300,
        above=0.01,
        also=(_ENOUGH,),
        for_s=60,
    ),
    Rule(
        "MillpondPoisonCall",
        of="call_errors_total",
        where={"code": "poison_call"},
        over_s=600,
        above=0,
        keep_firing_s=300,
    ),
    Rule(
        "MillpondLatencyUnusual",
        of="latency.p95",
        over_s=300,
        above=3,
        against="hour",
        also=(Condition(of="latency.count", over_s=300, above=49),),
        for_s=120,
    ),
    Rule(
        "MillpondLatencyAboveYesterday",
        of="latency.p95",
        over_s=1800,
        above=2,
        against="yesterday",
        also=(Condition(of="latency.count", over_s=1800, above=99),),
        for_s=600,
        severity=INFO,
    ),
    Rule(
        "MillpondTrafficLow",
        of="calls_total.rate",
        over_s=900,
        below=0.2,
        against="yesterday",
        also=(_YESTERDAY_BUSY,),
        for_s=600,
        severity=INFO,
    ),
)

QUEUE = _group(
    "millpond-queue",
    Rule("MillpondQueueWait", of="wait.p95", over_s=300, above=1, for_s=180),
    Rule("MillpondQueueGrowing", of="calls_queued", over_s=300, above=20, rising=2, for_s=120),
    Rule(
        "MillpondQueueFillingUp",
        of="calls_queued",
        over_s=600,
        reaches="queue_max",
        within_s=600,
        also=(Condition(of="calls_queued", per="queue_max", above=0.2),),
        for_s=60,
    ),
    Rule(
        "MillpondQueueStuck",
        of="queue_oldest_seconds",
        above=30,
        also=(Condition(of="calls_running", below=1),),
        for_s=30,
        severity=CRITICAL,
    ),
)

WORKERS = _group(
    "millpond-workers",
    Rule(
        "MillpondWorkersDying",
        of="worker_deaths_total",
        where={"cause": _UNPLANNED},
        over_s=600,
        above=2,
        keep_firing_s=120,
    ),
    Rule("MillpondStartsFailing", of="worker_start_failures_total", over_s=600, above=0, keep_firing_s=120),
    Rule("MillpondWorkersMissing", of="workers", where={"state": ("ready", "busy")}, below="workers_wanted", for_s=300),
)

RESOURCES = _group(
    "millpond-resources",
    Rule(
        "MillpondWorkerMemoryGrowing",
        of="workers_memory_trend_bytes_per_second",
        above=4096,
        also=(Condition(of="workers_memory_trend_confidence_ratio", above=0.9),),
        for_s=600,
    ),
    Rule(
        "MillpondParentMemoryGrowing", of="parent_resident_bytes", over_s=3600, above=134_217_728, rising=0.5, for_s=600
    ),
    Rule("MillpondFileDescriptors", of="parent_open_fds", per="parent_max_fds", above=0.8, for_s=60),
    Rule(
        "MillpondFileDescriptorsGrowing",
        of="parent_open_fds",
        over_s=3600,
        reaches="parent_max_fds",
        within_s=14_400,
        also=(Condition(of="parent_open_fds", per="parent_max_fds", above=0.3),),
        for_s=600,
    ),
    Rule("MillpondZombies", of="zombies", above=0, for_s=300),
)

SESSIONS = _group(
    "millpond-sessions",
    Rule("MillpondSessionsLost", of="sessions_lost_total", over_s=600, above=0, keep_firing_s=300),
)

MONITORS = _group(
    "millpond-monitors",
    Rule("MillpondMetricsMissing", of="health_score", absent=True, for_s=60, severity=CRITICAL),
    Rule("MillpondStalled", of="stalled_seconds", above=0),
    Rule("MillpondCollectorLate", of="collector_lag_seconds", above=2, for_s=120),
    Rule(
        "MillpondCollectorDropping", of="collector_dropped_samples_total", over_s=600, above=0, for_s=60, severity=INFO
    ),
    Rule("MillpondCollectorShedding", of="collector_is_shedding", above=0, for_s=300, severity=INFO),
    Rule("MillpondHistoryDegraded", of="history_degraded", above=0, for_s=60),
    Rule("MillpondListenerRemoved", of="listeners_removed_total", over_s=900, above=0),
    Rule("MillpondRulesFailing", of="alert_rules_failing", above=0, for_s=60),
    Rule(
        "MillpondChannelFailing",
        of="alert_notifications_total",
        where={"outcome": ("failed", "dropped")},
        by="channel",
        over_s=900,
        above=0,
    ),
)

DEFAULT_GROUPS = (STATE, CALLS, QUEUE, WORKERS, RESOURCES, SESSIONS, MONITORS)
