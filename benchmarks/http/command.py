"""Measures servers over HTTP, writes `benchmarks/results/http.json` and fills the tables of `docs/performance.md`.

Needs wrk and a C compiler. A part of the measures, or short rounds, leave the page alone.
"""

from __future__ import annotations

import argparse
import datetime
import json
import traceback
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.http import layers, measures
from benchmarks.http.goals import Results, verdicts
from benchmarks.http.page import REACHED, RESULTS, write
from benchmarks.http.programs import FASTAPI, LITSERVE, MILLPOND, PROGRAMS, SERVE

PACKAGES = ("millpond", "mosec", "litserve", "fastapi", "httptools", "msgspec", "pydantic", "uvicorn", "uvloop")
PARTS = ("rates", "tails", "idle", "stops", "stages", "layers")
NOT_IN_TAILS = {LITSERVE, FASTAPI}  # half of our rate is more than they can


def options() -> argparse.Namespace:
    names = [program.name for program in PROGRAMS]
    parser = argparse.ArgumentParser(prog="make bench-http", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short turns, three rounds: to try things, not to publish")
    parser.add_argument("--rounds", type=int, help="rounds (default 7, quick 3)")
    parser.add_argument("--seconds", type=float, help="of one turn (default 3, quick 1)")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this; may be repeated")
    parser.add_argument("--server", action="append", choices=names, help="with these beside millpond's")
    chosen = parser.parse_args()
    chosen.is_partial = bool(chosen.quick or chosen.only or chosen.server)
    chosen.rounds = chosen.rounds or (3 if chosen.quick else 7)
    chosen.seconds = chosen.seconds or (1.0 if chosen.quick else 3.0)
    chosen.only = chosen.only or PARTS
    chosen.server = [MILLPOND, *(chosen.server or names)]
    return chosen


def measure(chosen: argparse.Namespace) -> Results:
    """Every part that was chosen, in the order of `PARTS`."""
    rounds, seconds = chosen.rounds, chosen.seconds
    programs = [program for program in PROGRAMS if program.name in chosen.server]
    results: Results = {}

    def rate() -> float | None:
        """Half of what was measured, if that was."""
        found = results.get("rates", {}).get(MILLPOND)
        return median(found["rate"]) / 2 if found else None

    run: dict[str, Callable[[], Any]] = {
        "rates": lambda: measures.rates(programs, rounds, seconds),
        "tails": lambda: measures.tails([p for p in programs if p.name not in NOT_IN_TAILS], rounds, seconds, rate()),
        "idle": lambda: measures.idle(SERVE, rounds, seconds, (rate() or 5000.0) / 2),
        "stops": lambda: measures.stops(rounds),
        "layers": lambda: layers.layers(rounds, seconds / 3),
        "stages": lambda: layers.stages(rounds, seconds),
    }
    for part in PARTS:
        if part in chosen.only:
            print(part, flush=True)
            try:
                results[part] = run[part]()
                tell(part, results[part])
            except Exception as error:  # the other parts are worth having all the same
                traceback.print_exc()
                results.setdefault("failures", {})[part] = f"{type(error).__name__}: {error}"
    return results


def tell(part: str, found: dict[str, Any]) -> None:
    """Medians, a line for each server or stage."""
    if part == "tails":
        print(f"  at {found['rate']:,.0f} requests a second")
        found = found["servers"]
    if part in ("rates", "tails", "idle"):
        for name, raw in found.items():
            print(f"  {name:20}", ", ".join(f"{measure} {median(figures):.5g}" for measure, figures in raw.items()))
    elif part == "stages":
        for name, figure in found["us"].items():
            print(f"  {name:40} {figure:6.1f} us")
    elif part == "stops":
        print(f"  {found['seconds']}")


def main() -> None:
    chosen = options()
    facts = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine.facts(PACKAGES),
        "rounds": chosen.rounds,
        "seconds": chosen.seconds,
    }
    results = facts | measure(chosen)
    path = RESULTS.with_suffix(".tmp") if chosen.is_partial else RESULTS
    path.write_text(json.dumps(results, indent=1) + "\n")
    for one in verdicts(results):
        print(f"{one.about:60} {one.held_to:15} {one.measured:>10}  {REACHED[one.is_reached]}")
    print(f"Raw data: {path.name}")
    if not chosen.is_partial:
        write(results)
