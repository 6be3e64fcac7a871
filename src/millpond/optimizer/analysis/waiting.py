"""How calls wait: whether the queue grows and when it would be full, and the share of the deadline spent waiting."""

from __future__ import annotations

from collections.abc import Iterator

from millpond.optimizer.analysis.finding import Finding
from millpond.optimizer.analysis.series import trend
from millpond.optimizer.load_history import LoadHistory

RECENT_S = 300.0
SURE = 0.95


def find_waiting(history: LoadHistory) -> Iterator[Finding]:
    """The findings `queue_trend` and `waits`."""
    if found := queue_trend(history):
        yield found
    if found := waits(history):
        yield found


def queue_trend(history: LoadHistory) -> Finding | None:
    """Whether the queue has been growing in the last five minutes, and when it would be full."""
    last = history.last
    if last is None:
        return None
    recent = history.fine().since(last.now - RECENT_S)
    found = trend(recent["at"], recent["waiting"])
    if found.confidence < SURE or not found.slope:
        return None
    numbers = {"calls_a_second": found.slope, "waiting": float(last.waiting)}
    sentence = f"The queue of {last.waiting} calls {'grows' if found.slope > 0 else 'shrinks'}"
    sentence += f" by {abs(found.slope):.2f} a second"
    if found.slope > 0 and last.max_queued:
        numbers["full_in_s"] = full_in = max(0.0, last.max_queued - last.waiting) / found.slope
        sentence += f" and would be full in {full_in:,.0f} s"
    return Finding("queue_trend", sentence + ".", numbers, found.confidence)


def waits(history: LoadHistory) -> Finding | None:
    """How long calls wait, which operation's the longest, and the share of the default deadline that goes by so."""
    known = history.waits
    if not known or history.last is None:
        return None
    calls = sum(count for count, _ in known.values())
    mean_s = sum(count * seconds for count, seconds in known.values()) / calls
    worst, (_, worst_s) = max(known.items(), key=lambda one: one[1][1])
    numbers = {"mean_s": mean_s, "worst_mean_s": worst_s}
    sentence = f"Calls wait {mean_s:.3f} s on average"
    if worst and len(known) > 1:
        sentence += f", those of {worst!r} the longest: {worst_s:.3f} s"
    if deadline_s := history.last.deadline_s:
        for operation, (_, seconds) in known.items():
            numbers[f"deadline_share:{operation}"] = seconds / deadline_s
        sentence += f"; the longest wait uses {worst_s / deadline_s:.1%} of the deadline"
    return Finding("waits", sentence + ".", numbers, min(1.0, calls / 100))
