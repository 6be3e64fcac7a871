"""What the command was asked for, checked and made into what the simulator takes."""

from __future__ import annotations

import ast
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from millpond.cli.simulate.command_line import Arguments
from millpond.settings import Settings
from millpond.simulator import Duration, FaultShares, Recording, Score, Traffic, generate, parse_duration, read_traffic
from millpond.simulator.generators import SHAPES
from millpond.slo import Slo

OWN_OPTIONS = {"min_workers": "--min", "max_workers": "--max", "deadline": "--deadline", "policy": "--policy"}
Ran = tuple[str, Score, Recording]  # the name it is shown by, and what came of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything but the policies' own business."""

    traffic: Traffic
    colds: tuple[Duration, ...]
    slo: Slo
    mode: Any
    low: int
    high: int
    settings: Mapping[str, Any]  # of the pool, beside those that have options of their own
    policies: tuple[str, ...]
    score_from: float
    seed: int
    deadline_s: float
    faults: FaultShares


def parse_comparison(trace: str, arguments: Arguments) -> Comparison:
    """What was asked for. Raises `ValueError` for what cannot be."""
    a = arguments
    if a.min > a.max:
        raise ValueError(f"--min ({a.min}) is above --max ({a.max})")
    colds, faults = (
        tuple(map(parse_duration, a.cold)),
        FaultShares(failed=a.failing, died=a.dying, no_start=a.start_failing),
    )
    if a.validate and (faults != FaultShares() or any(cold.shape != "constant" for cold in colds)):
        raise ValueError("a real pool has constant cold starts and no faults: --validate takes none")
    traffic = scaled(find_traffic(trace, a.column, a.service, a.format, a.seed), a.time, a.rate, a.seed)
    return Comparison(
        traffic=traffic,
        colds=colds,
        slo=Slo(wait=a.wait, share=a.share),
        mode=a.mode,
        low=a.min,
        high=a.max,
        settings=parse_settings(a.setting),
        policies=tuple(a.policy),
        score_from=a.score_from,
        seed=a.seed,
        deadline_s=parse_deadline(a.deadline),
        faults=faults,
    )


def parse_deadline(text: str) -> float:
    """Seconds, or infinite for `none`. Raises `ValueError`."""
    if text == "none":
        return math.inf
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"a deadline is seconds above 0, or none, not {text!r}")
    return seconds


def parse_columns(pairs: Sequence[str]) -> Mapping[str, str]:
    """`ours=theirs`, each. Raises `ValueError`."""
    return _parse_pairs(pairs, "maps no column: write OURS=THEIRS, such as arrival_s=time")


def parse_settings(pairs: Sequence[str]) -> Mapping[str, Any]:
    """`name=value`, each; a value that is no number, `None` or the like is a text. Raises `ValueError`, `TypeError`."""
    settings: dict[str, Any] = {}
    for name, text in _parse_pairs(pairs, "sets nothing: write NAME=VALUE, such as affinity=hint").items():
        if name in OWN_OPTIONS:
            raise ValueError(f"{name} has an option of its own: {OWN_OPTIONS[name]}")
        try:
            settings[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            settings[name] = text
    Settings().changed(**settings)  # raises
    return settings


def _parse_pairs(pairs: Sequence[str], what_is_wrong: str) -> dict[str, str]:
    parsed = {}
    for pair in pairs:
        name, is_pair, value = pair.partition("=")
        if not is_pair or not value:
            raise ValueError(f"{pair!r} {what_is_wrong}")
        parsed[name] = value
    return parsed


def find_traffic(trace: str, columns: Sequence[str], service: str | None, format: str | None, seed: int) -> Traffic:
    """Read a file or generate traffic such as `poisson:rate=5,span=3600`. Raises `ValueError`."""
    duration = parse_duration(service) if service is not None else None
    shape, _, parameters = trace.partition(":")
    if shape not in (*SHAPES, "sessions") or os.path.exists(trace):
        return read_traffic(trace, parse_columns(columns), duration, cast(Any, format), seed)
    if duration is None:
        raise ValueError(f"{trace} is generated: say by --service how long a request takes")
    if columns or format:
        raise ValueError(f"{trace} is generated: it has no columns and no format")
    return generate(shape, duration, seed, **_parse_parameters(parameters))


def _parse_parameters(text: str) -> dict[str, float]:
    parameters = {}
    for pair in text.split(",") if text else ():
        name, _, value = pair.partition("=")
        try:
            parameters[name] = float(value)
        except ValueError:
            raise ValueError(f"{pair!r} is no parameter: write NAME=NUMBER, such as rate=5") from None
    return parameters


def scaled(traffic: Traffic, time: float, rate: float, seed: int) -> Traffic:
    """So many times the time and the requests. Raises `ValueError`."""
    if time != 1.0:
        traffic = traffic.stretched(time)
    return traffic.multiplied(rate, seed) if rate != 1.0 else traffic


def look_in_working_directory() -> None:
    """Policies are looked for there as well."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
