"""What workers and sessions cost: a cold start, a session that stays, and a worker's memory against what is left."""

from __future__ import annotations

from collections.abc import Iterator

from millpond.optimizer.analysis.finding import Finding
from millpond.optimizer.load_history import LoadHistory
from millpond.optimizer.observation import Observation
from millpond.slo import Slo

MiB = 1024 * 1024


def find_costs(history: LoadHistory, slo: Slo) -> Iterator[Finding]:
    """The findings `cold_start`, `session_residency` and `memory`."""
    last = history.last
    if last is None:
        return
    for found in (cold_start(history, last, slo), residency(last), memory(last)):
        if found:
            yield found


def cold_start(history: LoadHistory, last: Observation, slo: Slo) -> Finding | None:
    """How long a start takes, against what a call may wait and what a call takes."""
    if not last.start_s:
        return None
    allowed_s = slo.wait_s(last.service_s)
    fits = last.start_s < allowed_s
    numbers = {"start_s": last.start_s, "allowed_s": allowed_s}
    sentence = f"A worker starts in {last.start_s:.3g} s, {'within' if fits else 'more than'} the {allowed_s:.3g} s"
    sentence += " that a call may wait"
    if last.service_s:
        numbers["calls_a_start"] = last.start_s / last.service_s
        sentence += f", the time of {last.start_s / last.service_s:.1f} calls"
    starts = min(1.0, len(history.fine()) / 8)
    return Finding("cold_start", sentence + ".", numbers, starts)


def residency(last: Observation) -> Finding | None:
    """How many sessions are open, and how many of them keep a worker's memory."""
    if not last.sessions_open:
        return None
    resident = last.sessions_open - last.sessions_asleep
    each = resident / last.ready if last.ready else 0.0
    numbers = {"open": float(last.sessions_open), "resident": float(resident), "a_worker": each}
    sentence = f"{resident} of {last.sessions_open} open sessions are in workers, {each:.1f} in each."
    return Finding("session_residency", sentence, numbers, 1.0)


def memory(last: Observation) -> Finding | None:
    """How many more workers of the largest one's size would fit."""
    if not last.worker_bytes or last.free_bytes is None:
        return None
    more = last.free_bytes / last.worker_bytes
    numbers = {"worker_bytes": float(last.worker_bytes), "free_bytes": float(last.free_bytes), "more_workers": more}
    sentence = f"A worker has {last.worker_bytes / MiB:,.0f} MiB to itself; {more:,.0f} more would fit"
    return Finding("memory", f"{sentence} into the {last.free_bytes / MiB:,.0f} MiB that are free.", numbers, 1.0)
