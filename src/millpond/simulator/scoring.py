"""What a run cost and whether it kept the objective, in the figures that every policy is compared by."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from millpond.simulator.clairvoyant import clairvoyant_worker_seconds

if TYPE_CHECKING:
    from millpond.optimizer import Slo
    from millpond.simulator.simulation import Recording
    from millpond.simulator.traffic import Floats

ROUNDING_S = 1e-9  # a wait may be longer than allowed by so much


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The figures of one run, over the requests that came from `t0` on and the time from there to the last of them."""

    policy: str
    mode: str
    cold: float  # seconds a start takes
    requests: int  # all of them
    scored: int  # those that came at t0 or later
    refused: int  # of the scored: never let in, or dropped while they waited
    attainment: float  # share of the scored that began within the allowed wait, and were not lost
    wait_p50: float | None  # seconds from coming to beginning; None if infinite
    wait_p99: float | None
    worker_seconds: float  # of all workers, each from the order to start it until it is gone
    starts: int  # orders to start one
    stops: int  # workers that were gone
    restarts_within_cold: int  # starts no longer after the last stop than a start takes
    clairvoyant_worker_seconds: float
    floor_worker_seconds: float  # in which requests would have run, had none waited
    sessions_lost: int  # in the whole run
    busy_killed: int  # workers ended while they ran a call, in the whole run
    span_s: float  # from t0 to the last request
    wall_s: float  # that the simulation took

    def as_dict(self) -> dict[str, Any]:
        """By name, in this order."""
        return asdict(self)


def score(
    recording: Recording, *, policy: str, mode: str, cold_s: float, objective: Slo, score_from: float = 0.2
) -> Score:
    """Judge a run from `score_from` of the time of its last request on. Percentiles are numpy's linear ones."""
    came = recording.came
    is_known = np.isfinite(came)  # one that follows an answer which never was never came
    t1 = float(came[is_known].max())
    t0 = score_from * t1
    is_scored = ~is_known | (came >= t0)
    waits = np.full(len(came), math.inf)
    waits[is_known] = recording.began[is_known] - came[is_known]
    waits = waits[is_scored]
    allowed_s = np.array([objective.wait_s(seconds) for seconds in recording.service[is_scored]])
    ordered, gone = recording.stays.T
    is_start = (ordered >= t0) & (ordered <= t1)
    order = np.argsort(came, kind="stable")[: int(is_known.sum())]
    arrivals, services = came[order], recording.service[order]
    return Score(
        policy=policy,
        mode=mode,
        cold=cold_s,
        requests=len(came),
        scored=int(is_scored.sum()),
        refused=int(recording.is_refused[is_scored].sum()),
        attainment=float((waits <= allowed_s + ROUNDING_S).mean()),
        wait_p50=percentile(waits, 50),
        wait_p99=percentile(waits, 99),
        worker_seconds=within(ordered, gone, t0, t1),
        starts=int(is_start.sum()),
        stops=int(((gone >= t0) & (gone <= t1)).sum()),
        restarts_within_cold=restarts(ordered[is_start], gone, cold_s),
        clairvoyant_worker_seconds=clairvoyant_worker_seconds(arrivals.tolist(), services.tolist(), cold_s, t0, t1),
        floor_worker_seconds=within(arrivals, arrivals + services, t0, t1),
        sessions_lost=recording.sessions_lost,
        busy_killed=recording.busy_killed,
        span_s=t1 - t0,
        wall_s=recording.wall_s,
    )


def within(begin: Floats, end: Floats, t0: float, t1: float) -> float:
    """Seconds of all the intervals that lie between the two times."""
    return float(np.maximum(0.0, np.minimum(end, t1) - np.maximum(begin, t0)).sum())


def percentile(values: Floats, percent: float) -> float | None:
    """Linear between the two nearest, `None` if one of them is infinite."""
    ordered = np.sort(values)
    above = ordered[math.ceil((len(ordered) - 1) * percent / 100)]
    # What lies beyond the two has no part in it, but numpy would make of infinities what is no number.
    return float(np.percentile(np.minimum(ordered, above), percent)) if math.isfinite(above) else None


def restarts(starts: Floats, stops: Floats, cold_s: float) -> int:
    """Starts for which some worker had gone at most `cold_s` before, or at the same moment."""
    ended = np.sort(stops[np.isfinite(stops)])
    before = np.searchsorted(ended, starts, side="right") - 1
    has_one = before >= 0
    return int((starts[has_one] - ended[before[has_one]] <= cold_s).sum())
