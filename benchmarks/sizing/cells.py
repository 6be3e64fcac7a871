"""The cells: kinds of traffic, recorded and made up, each at four cold starts.

Recorded traffic is read from a folder; there is no chance in it, so it has one seed. What is made up has five, and the
recorded counts a second, whose calls come at random within it, are thinned to a rate that is simulated in seconds.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from millpond.simulator import Duration, Traffic, generate, read_traffic

COLDS_S = (0.02, 0.2, 2.0, 10.0)
SEEDS = 5
HOUR_S, DAY_S = 3600.0, 86_400.0
LOGNORMAL = 0.42  # sigma of service times that were not recorded
AGENTS_SPAN_S = 2.5 * HOUR_S
AGENTS_A_SECOND = 200 / HOUR_S


def lognormal(mean_s: float) -> Duration:
    return Duration(mean_s, "lognormal", LOGNORMAL)


# Recorded


def azure(folder: Path, seed: int) -> Traffic:
    """Arrivals at a chat service, 0.1 s and 10 ms a generated token each."""
    with open(folder / "azure_llm_2023" / "AzureLLMInferenceTrace_conv.csv", newline="") as file:
        rows = [(_seconds(row["TIMESTAMP"]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)]
    times, tokens = np.array(rows).T
    order = np.argsort(times, kind="stable")
    return Traffic(np.round(times - times.min(), 3)[order], (0.1 + 0.01 * tokens)[order])


def _seconds(stamp: str) -> float:
    whole, _, fraction = stamp.partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{fraction or 0}")


def agents(folder: Path, seed: int) -> Traffic:
    """Requests of a coding agent: recorded sessions that begin at random, 200 an hour; any worker serves them."""
    with open(folder / "agent_sessions" / "claude_code_requests.csv", newline="") as file:
        read = [row for row in csv.DictReader(file) if row["t_s"] and row["api_time_s"]]
    rows = [(row["session"], float(row["t_s"]), float(row["api_time_s"])) for row in read]
    random = np.random.default_rng(seed)
    names = list(dict.fromkeys(name for name, _, _ in rows))
    begins = dict(zip(names, np.cumsum(random.exponential(1 / AGENTS_A_SECOND, len(names))), strict=True))
    came = np.array([begins[name] + t for name, t, _ in rows])
    took = np.array([api_s for _, _, api_s in rows])
    order = np.argsort(came, kind="stable")
    order = order[came[order] < AGENTS_SPAN_S]
    return Traffic(came[order], took[order])


def counted(file: str, share: float) -> Callable[[Path, int], Traffic]:
    """Counts a second, thinned, a second a call."""

    def read(folder: Path, seed: int) -> Traffic:
        return read_traffic(folder / "autothrottle" / file, service=lognormal(1.0), seed=seed).multiplied(share, seed)

    return read


# Made up


def made(shape: str, service_s: float, **parameters: float) -> Callable[[Path, int], Traffic]:
    def make(folder: Path, seed: int) -> Traffic:
        return generate(shape, lognormal(service_s), seed, **parameters)

    return make


@dataclass(frozen=True, slots=True)
class Kind:
    """Traffic of one kind; `make(folder, seed)`."""

    name: str
    make: Callable[[Path, int], Traffic]
    told: str
    is_recorded: bool = False

    @property
    def seeds(self) -> range:
        return range(1 if self.is_recorded else SEEDS)


KINDS = (
    Kind("azure", azure, "recorded: a chat service, 58 min, 5.5 calls/s, 2.2 s each", True),
    Kind("agents", agents, "recorded: sessions of a coding agent, 200 more an hour, 2.5 h, 10 s a call", True),
    Kind("counts, bursty", counted("bursty.txt", 1 / 32), "recorded counts a second, 1 h, a 32nd of them, 1 s", True),
    Kind("counts, diurnal", counted("diurnal.txt", 1 / 50), "recorded counts a second, 1 h, a 50th of them, 1 s", True),
    Kind(
        "bursty",
        made("bursty", 0.5, low=0.5, high=12.0, calm=240.0, burst=30.0, span=2 * HOUR_S),
        "0.5 calls/s and bursts of 12/s for half a minute on average, 2 h, 0.5 s",
    ),
    Kind("sparse", made("poisson", 2.0, rate=0.03, span=1.5 * DAY_S), "0.03 calls/s, 36 h, 2 s"),
    Kind(
        "periodic",
        made("onoff", 0.5, rate=8.0, on=60.0, off=240.0, span=2 * HOUR_S),
        "8 calls/s in every fifth minute, 2 h, 0.5 s",
    ),
    Kind(
        "diurnal",
        made("diurnal", 8.0, low=0.01, high=0.4, period=DAY_S / 2, span=DAY_S / 2),
        "a sine from 0.01 to 0.4 calls/s and back, 12 h, 8 s",
    ),
    Kind("flat", made("poisson", 6.0, rate=0.6, span=6 * HOUR_S), "0.6 calls/s, 6 h, 6 s"),
    Kind(
        "spike",
        made("spike", 0.5, low=4.0, high=20.0, at=HOUR_S, width=30.0, span=1.5 * HOUR_S),
        "4 calls/s, and once 20/s for half a minute, 1.5 h, 0.5 s",
    ),
)
BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of traffic at one cold start."""

    kind: str
    cold_s: float

    def __str__(self) -> str:
        return f"{self.kind}, {self.cold_s:g} s"


def cells(has_recorded: bool) -> Iterator[Cell]:
    """All of them; without recorded traffic, those that are made up."""
    for kind in KINDS:
        if has_recorded or not kind.is_recorded:
            yield from (Cell(kind.name, cold_s) for cold_s in COLDS_S)


def digest_of(kind: str, folder: Path, seed: int) -> str:
    """What tells traffic from other traffic of the same name."""
    traffic = traffic_of(kind, folder, seed)
    return hashlib.sha256(traffic.arrival_s.tobytes() + traffic.service_s.tobytes()).hexdigest()[:12]


@lru_cache(maxsize=4)
def traffic_of(kind: str, folder: Path, seed: int) -> Traffic:
    """The traffic; the same arguments give the same."""
    return BY_NAME[kind].make(folder, seed)
