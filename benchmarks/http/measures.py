"""What is measured of servers that run: rate, tail, idle connections and stopping. Each returns raw figures."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Any

import psutil

from benchmarks.http.load import idle_connections, open_loop, still_open, wrk
from benchmarks.http.programs import SERVE, TOKEN, Program, Server

Raw = dict[str, Any]
IDLE = 1_000
SETTLE_S = 0.3  # between two turns


def take_turns(servers: Sequence[Server], rounds: int, seconds: float, raw: Raw) -> None:
    """wrk against each in turn, every round begun by another; figures go to `raw`, by program and measure."""
    for server in servers:
        wrk(server, 1)
    for number in range(rounds):
        start = number % len(servers)
        for server in [*servers[start:], *servers[:start]]:
            note(raw, server.program.name, turn(server, seconds))


def turn(server: Server, seconds: float, path: str = "", **surroundings: str) -> dict[str, float]:
    """One turn of wrk, with the processor time of the server's process for each request, in us."""
    time.sleep(SETTLE_S)
    before = server.cpu_s()
    figures = beside_others(server, lambda: wrk(server, seconds, path, **surroundings))
    return figures | {"cpu": (server.cpu_s() - before) / figures["requests"] * 1e6}


def beside_others(server: Server, act: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What `act` returns, and how much of the machine had other work meanwhile: neither the server nor its client."""
    began, busy, ours = time.monotonic(), busy_s(), server.tree_cpu_s() + clients_s()
    figures = act()
    ours = server.tree_cpu_s() + clients_s() - ours
    cores = len(os.sched_getaffinity(0))
    return figures | {"others": max(0.0, busy_s() - busy - ours) / (cores * (time.monotonic() - began))}


def busy_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times[:8]) - times.idle - times.iowait)


def clients_s() -> float:
    """Processor time of all clients that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def note(raw: Raw, name: str, figures: dict[str, float]) -> None:
    """Put one round's figures behind those of the rounds before."""
    for measure, figure in figures.items():
        raw.setdefault(name, {}).setdefault(measure, []).append(round(figure, 4))


def rates(programs: Sequence[Program], rounds: int, seconds: float) -> Raw:
    """All servers are up, and take turns."""
    raw: Raw = {}
    with ExitStack() as stack:
        take_turns([stack.enter_context(Server(program)) for program in programs], rounds, seconds, raw)
    return raw


def tails(programs: Sequence[Program], rounds: int, seconds: float, rate: float | None = None) -> Raw:
    """The open loop at half of Millpond's rate (found just before), against each server in turn."""
    raw: Raw = {}
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(program)) for program in programs]
        half = rate or median(wrk(servers[0], 2)["rate"] for _ in range(3)) / 2
        for number in range(rounds):
            for server in servers:
                time.sleep(SETTLE_S)
                act = partial(open_loop, server, half, seconds, seed=number + 1)
                note(raw, server.program.name, beside_others(server, act))
    return {"rate": half, "servers": raw}


def idle(program: Program, rounds: int, seconds: float, rate: float) -> Raw:
    """What connections that idle cost: memory, and the time others wait, with and without them in turn."""
    raw: Raw = {}
    with Server(program) as server:
        open_loop(server, rate, 1, seed=0)
        for number in range(rounds):
            seed = number + 1
            note(raw, "without", beside_others(server, lambda: open_loop(server, rate, seconds, seed)))  # noqa: B023
            before = server.rss_mb()
            with idle_connections(server, IDLE) as held:
                note(raw, "with", beside_others(server, lambda: open_loop(server, rate, seconds, seed)))  # noqa: B023
                note(raw, "with", {"open": still_open(held), "growth_mb": server.rss_mb() - before})
            time.sleep(SETTLE_S)
    return raw


def stops(rounds: int, program: Program = SERVE, events: str = "/v1/pools/default/events") -> Raw:
    """Seconds from SIGTERM to the exit, with connections open: idle ones, and one that listens to events."""
    taken = []
    for _ in range(rounds):
        with Server(program) as server, idle_connections(server, 20), _listener(server, events):
            time.sleep(SETTLE_S)
            taken.append(round(server.terminate(), 3))
    return {"seconds": taken}


def _listener(server: Server, path: str) -> socket.socket:
    """A connection that is sent events."""
    connection = socket.create_connection(("127.0.0.1", server.port), 10.0)
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", f"Authorization: Bearer {TOKEN}"]
    connection.sendall("\r\n".join([*lines, "Accept: text/event-stream", "", ""]).encode())
    head = connection.recv(65536)
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise ValueError(f"no events: {head[:200]!r}")
    return connection
