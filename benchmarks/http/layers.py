"""What each layer of a served call costs, in processor time of the server's process, and its stages.

Layers are taken in pairs, with and without, each with turns of wrk close to one another. Stages are from a server that
has a stopwatch around its own functions, and so is slower; only its division counts, the sum is from one without.
"""

from __future__ import annotations

import json
import tempfile
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.http.load import CONNECTIONS
from benchmarks.http.measures import Raw, note, turn
from benchmarks.http.programs import SERVE, NotReady, Program, Server, module

POOL = "/v1/pools/default"
REST = "event loop, sockets and the kernel"


@dataclass(frozen=True)
class Layer:
    """A pair: what `other` has, or lacks, that `base` has not. `vary` tells wrk what differs in each request."""

    name: str
    other: Program = SERVE
    path: str = ""
    vary: dict[str, str] = field(default_factory=dict)
    base_path: str = ""
    sessions: bool = False
    base: Program = SERVE


def without(*settings: str) -> Program:
    return SERVE.with_options("without", *(f"--no-{setting}" for setting in settings))


LAYERS = (
    Layer("without the check of token and Host (`--auth none`)", SERVE.with_options("open", "--auth", "none")),
    Layer("without metrics, optimizer and alerts", without("metrics", "optimizer", "alerts")),
    Layer("without the optimizer alone", without("optimizer")),
    Layer("with a listener to all events", Program("heard", module("altered", "--listener"), SERVE.path)),
    Layer("with an access log", SERVE.with_options("logged", "--access-log")),
    Layer("in a session, 64 of them", path=f"{POOL}/sessions/s%d/call/count", vary={"VARY": "session"}, sessions=True),
    Layer("with a new idempotency key each", vary={"VARY": "key"}),
    Layer("with a deadline", vary={"HEADER": "Millpond-Deadline: 5"}),
    Layer("the operation raises", path=f"{POOL}/call/fail"),
    Layer("an argument of a wrong type", path=f"{POOL}/call/strict"),
)


def layers(rounds: int, seconds: float) -> Raw:
    """Raw figures of each pair, by its name."""
    found: Raw = {}
    for layer in LAYERS:
        try:
            found[layer.name] = measured(layer, rounds, seconds)
        except NotReady as error:
            print(f"  {layer.name}: {error}", flush=True)
            continue
        added = [
            b - a for a, b in zip(found[layer.name]["base"]["cpu"], found[layer.name]["other"]["cpu"], strict=True)
        ]
        print(f"  {layer.name:55} {median(added):+6.1f} us", flush=True)
    return found


def measured(layer: Layer, rounds: int, seconds: float) -> Raw:
    raw: Raw = {}
    with ExitStack() as stack:
        base = stack.enter_context(Server(layer.base))
        other = base if layer.other == layer.base else stack.enter_context(Server(layer.other))
        if layer.sessions:
            open_sessions(other)
        for number in range(rounds + 1):
            sides = [("base", base, layer.base_path, {}), ("other", other, layer.path, layer.vary)]
            for name, server, path, vary in sides if number % 2 else reversed(sides):
                figures = turn(server, seconds if number else 1, path, **vary)
                if number:  # the first warms
                    note(raw, name, figures)
    return raw


def open_sessions(server: Server) -> None:
    """One for each connection of wrk."""
    for number in range(CONNECTIONS):
        body = json.dumps({"id": f"s{number}"}).encode()
        url = f"http://127.0.0.1:{server.port}{POOL}/sessions"
        with urllib.request.urlopen(urllib.request.Request(url, body, server.headers)) as answer:
            answer.read()


def stages(rounds: int, seconds: float) -> dict[str, Any]:
    """Microseconds of each stage of a request: the stopwatch's division, laid on the whole of a server without it."""
    with Server(SERVE) as server:
        whole = median(turn(server, seconds if number else 1)["cpu"] for number in range(rounds + 1))
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "stages.json")
        with Server(Program("timed", module("altered", "--stages", str(told)), SERVE.path)) as server:
            timed = turn(server, seconds * rounds)["cpu"]
            server.terminate()
        found = json.loads(told.read_text())
    return {"all_us": whole, "us": divided(whole, timed - found["own_us"], found["us"]), "timed": found}


def divided(whole: float, timed: float, stages: dict[str, float]) -> dict[str, float]:
    """`whole` divided as the stages divide `timed`, the largest first, and what is in none of them last."""
    ordered = dict(sorted(stages.items(), key=lambda stage: -stage[1]))
    return {stage: whole * us / timed for stage, us in (ordered | {REST: timed - sum(ordered.values())}).items()}
