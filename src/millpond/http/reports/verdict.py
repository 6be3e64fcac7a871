"""How a pool was over a span of time, in one sentence: what was wrong, or that nothing was, with the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from millpond.http.reports.words import lasting, many, percent
from millpond.metrics.columns import family
from millpond.metrics.derived import share
from millpond.metrics.health import (
    BUSY,
    LOOP_DEATHS,
    NO_ROOM,
    REFUSED_SHARE,
    SLOWER,
    SLOWER_CALLS,
    SLOWER_S,
    WAITING_S,
)
from millpond.metrics.source import ENDINGS, UNPLANNED
from millpond.report import Verdict

if TYPE_CHECKING:
    from millpond.http.reports.span import Floats, Steps
    from millpond.metrics.derived import Interval

Flags = NDArray[np.bool_]

# Endings but `ok`, and what callers themselves gave up
UNANSWERED = tuple(one for one in ENDINGS if one not in ("ok", "cancelled"))
FAILED_SHARE = 0.01  # of the calls, from which a span was not well
BAD_SHARE = 0.01  # of the time
WELL = 90.0  # mean score of health


def judged(steps: Steps) -> Verdict:
    """The verdict."""
    if not steps.slots:
        return Verdict(text="There are no figures of this time.")
    total = steps.total()
    wrong, lost = list(_wrong(steps, total)), list(_lost(total))
    if wrong:
        return Verdict(text=f"Not well: {'; '.join((*wrong, *lost))}.", is_good=False)
    how = [*lost, *_load(steps, total)]
    if not total.ended:
        return Verdict(text=f"No call ended in this time; {'; '.join(how)}.")
    return Verdict(text=f"Well: {'; '.join((_calls(total), *how))}.", is_good=True)


def _wrong(steps: Steps, total: Interval) -> Iterator[str]:
    """What was not well, the gravest first."""
    looping = sum(one.counted.unplanned() >= LOOP_DEATHS for one in steps.minutes())
    if looping:
        yield f"workers died or failed to start in a loop for {many(looping, 'minute')}"
    without_s = steps.seconds_in(without_workers(steps))
    if without_s >= BAD_SHARE * total.seconds:
        yield f"no worker was ready for {lasting(without_s)}"
    saturated_s = steps.seconds_in(saturated(steps))
    if saturated_s >= BAD_SHARE * total.seconds:
        yield f"saturated for {lasting(saturated_s)}"
    if share(unanswered(total), total.ended) >= FAILED_SHARE:
        yield _calls(total)
    if slow := _slow(steps, total):
        yield slow
    score = steps.mean(steps.gauge("health"))
    if score < WELL:
        yield f"health was {score:.0f} of 100 on average"


def _lost(total: Interval) -> Iterator[str]:
    """Workers and sessions that went without being wanted to."""
    deaths = {cause: number for cause, number in family(total.counters, "deaths").items() if cause in UNPLANNED}
    causes = ", ".join(f"{cause.replace('_', ' ')}: {number}" for cause, number in deaths.items())
    yield f"{many(sum(deaths.values()), 'worker')} lost ({causes})" if deaths else "no worker lost"
    if total["sessions_lost"]:
        yield f"{many(total['sessions_lost'], 'session')} lost"


def _load(steps: Steps, total: Interval) -> Iterator[str]:
    """How much there was to do, and how the pool was with that."""
    if total["available_s"]:
        yield f"workers busy for {percent(min(1.0, share(total['busy_s'], total['available_s'])))} of their time"
    score = steps.gauge("health")
    yield f"health {steps.mean(score):.0f} of 100 on average, {score.min():.0f} at its lowest"


def _calls(total: Interval) -> str:
    """How many calls ended, and what became of those that were not answered."""
    bad = unanswered(total)
    if not bad:
        return f"{many(total.ended, 'call')} ended, none failed"
    codes = family(total.counters, "codes")
    own = {code: number for code, number in codes.items() if code != "cancelled"}
    most = f", most of them {max(own, key=own.__getitem__)}" if own else ""
    return f"{percent(bad / total.ended)} of {many(total.ended, 'call')} failed{most}"


def _slow(steps: Steps, total: Interval) -> str:
    """That calls took much longer in some minutes than over the whole span, if those were more than a few."""
    usual = steps.overall("latency").describe()
    enough = [one for one in steps.minutes() if min(one.latency.count, usual.count - one.latency.count) >= SLOWER_CALLS]
    p95 = [one.latency.describe().p95 for one in enough]
    slow = [value >= max(SLOWER_S, SLOWER * usual.p95) for value in p95]
    slow_s = sum(one.counted.seconds for one, is_slow in zip(enough, slow, strict=True) if is_slow)
    if not slow_s or slow_s < BAD_SHARE * total.seconds:
        return ""
    return (
        f"slow for {lasting(slow_s)}, 95 % of calls took up to {max(p95):.3g} s in a minute, usually {usual.p95:.3g} s"
    )


def unanswered(total: Interval) -> float:
    """Calls that ended otherwise than answered, without those that callers gave up."""
    return sum(total[f"endings.{ending}"] for ending in UNANSWERED)


def saturated(steps: Steps) -> Flags:
    """In which steps the workers were all but always busy, and calls waited long for it or were refused."""
    ended = np.sum([steps.counter(f"endings.{ending}") for ending in ENDINGS], axis=0)
    refused = np.sum([steps.counter(f"codes.{code}") for code in NO_ROOM], axis=0)
    clears_s = _over(steps.gauge("queued") * steps.seconds, ended)
    waits = (steps.gauge("queued") > 0) & (np.maximum(clears_s, steps.gauge("oldest_wait_s")) >= WAITING_S)
    found: Flags = (utilization(steps) >= BUSY) & (waits | (_over(refused, ended) >= REFUSED_SHARE))
    return found


def without_workers(steps: Steps) -> Flags:
    """In which steps workers were wanted, and none served for most of the time."""
    ready = steps.gauge("workers.ready") + steps.gauge("workers.busy")
    found: Flags = (steps.gauge("wanted") >= 0.5) & (ready < 0.5)
    return found


def utilization(steps: Steps) -> Floats:
    """The share of the ready workers' time in which they were busy, of each step; NaN where none was ready."""
    return np.minimum(_over(steps.counter("busy_s"), steps.counter("available_s"), np.nan), 1.0)


def _over(part: Floats, whole: Floats, of_nothing: float = 0.0) -> Floats:
    found: Floats = np.divide(part, whole, out=np.full(len(whole), of_nothing), where=whole > 0)
    return found
