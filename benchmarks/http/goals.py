"""The figures `millpond serve` means to reach over HTTP, and whether raw results reach them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.http.programs import LITSERVE, MILLPOND, MOSEC
from benchmarks.targets import ratio

Results = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """One goal: what it is about, what it is held to, what was measured, and whether that reaches it."""

    about: str
    held_to: str
    measured: str
    is_reached: bool | None  # None if it was not measured


def verdicts(results: Results) -> list[Verdict]:
    return [
        at_least(results, MOSEC, 1.25),
        at_least(results, LITSERVE, 9.0),
        tail(results, 4.0),
        memory(results, 30.0),
        others(results, 1.10),
        stop(results, 2.0),
    ]


def at_least(results: Results, peer: str, factor: float) -> Verdict:
    """Requests a second against a peer's: the median of the ratios of each round."""
    about, held_to = f"requests a second, over {peer}", f"at least {factor:g} x"
    rates = results.get("rates", {})
    if MILLPOND not in rates or peer not in rates:
        return unmeasured(about, held_to)
    found = ratio(rates[MILLPOND]["rate"], rates[peer]["rate"])
    return Verdict(about, held_to, f"{found:.2f} x", found >= factor)


def tail(results: Results, limit_ms: float) -> Verdict:
    about, held_to = "p99 at half of that rate, open loop", f"at most {limit_ms:g} ms"
    if "tails" not in results:
        return unmeasured(about, held_to)
    found = median(results["tails"]["servers"][MILLPOND]["p99"])
    return Verdict(about, held_to, f"{found:.2f} ms", found <= limit_ms)


def memory(results: Results, limit_mb: float) -> Verdict:
    about, held_to = "1,000 idle connections: growth of the server", f"at most {limit_mb:g} MB"
    if "idle" not in results:
        return unmeasured(about, held_to)
    found = max(results["idle"]["with"]["growth_mb"])
    return Verdict(
        about, held_to, f"{found:.1f} MB", found <= limit_mb and min(results["idle"]["with"]["open"]) == 1000
    )


def others(results: Results, factor: float) -> Verdict:
    """Paired: each round's p99 with the idle connections over that without."""
    about, held_to = "the same: p99 of other clients over that without them", f"at most {factor:g} x"
    if "idle" not in results:
        return unmeasured(about, held_to)
    found = ratio(results["idle"]["with"]["p99"], results["idle"]["without"]["p99"])
    return Verdict(about, held_to, f"{found:.2f} x", found <= factor)


def stop(results: Results, limit_s: float) -> Verdict:
    about, held_to = "stop with no call running, the longest", f"at most {limit_s:g} s"
    if "stops" not in results:
        return unmeasured(about, held_to)
    found = max(results["stops"]["seconds"])
    return Verdict(about, held_to, f"{found:.2f} s", found <= limit_s)


def unmeasured(about: str, held_to: str) -> Verdict:
    return Verdict(about, held_to, "", None)
